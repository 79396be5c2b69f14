/* path: a chain of references from one object to another. */
#include <string.h>

#include "views/path_search.h"

struct ends {
	uint32_t from, to;
};

static bool is_from(void *ctx, uint32_t node, unsigned *cost)
{
	*cost = 0;
	return node == ((struct ends *)ctx)->from;
}

static const char *name_of(struct pyr_context *context, uint32_t node)
{
	const struct pyr_heap *heap = context->session->heap;

	return pyr_short_type(
		pyr_type_name(heap->types, pyr_types_at(heap->types, heap->type[node])));
}

static void path_json(struct pyr_context *context, const struct ends *ends,
		      const struct pyr_printable_path *route)
{
	struct pyr_heap *heap = context->session->heap;
	struct pyr_json *json = context->json;

	pyr_json_address(json, "from", heap->address[ends->from]);
	pyr_json_address(json, "to", heap->address[ends->to]);
	pyr_json_bool(json, "found", route->count > 0);
	pyr_json_begin_list(json, "paths");
	if (route->count)
		pyr_printable_path_json(context, route);
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", 0);
}

static void path_text(struct pyr_context *context, const struct ends *ends,
		      const struct pyr_printable_path *route)
{
	struct pyr_heap *heap = context->session->heap;

	if (!route->count) {
		pyr_out_styled(
			context->out, PYR_STYLE_STRONG,
			"The %s at %s does not lead to the %s at %s.\n",
			name_of(context, ends->from), pyr_address(heap->address[ends->from]).text,
			name_of(context, ends->to), pyr_address(heap->address[ends->to]).text);
		return;
	}
	pyr_out_styled(context->out, PYR_STYLE_STRONG, "The %s leads to the %s by %s: %s.\n\n",
		       name_of(context, ends->from), name_of(context, ends->to),
		       pyr_counted(route->display.steps.count, "step", "steps").text,
		       route->expression);
	pyr_printable_path_print(context, route);
}

pyr_error *pyr_cmd_path(struct pyr_context *context)
{
	struct pyr_path_costs costs = {.cost = pyr_edge_costs_of};
	struct pyr_path_query query = {.source = is_from};
	struct pyr_retention_cache *retention;
	struct pyr_resolved from, to;
	struct pyr_printable_path route = {0};
	struct pyr_path path;
	struct pyr_heap *heap;
	struct ends ends;
	pyr_error *err;

	if ((err = pyr_session_heap(context->session, &heap)) ||
	    (err = pyr_heap_resolve(heap, &context->session->control,
				    context->args->arguments[0].number, &from)) ||
	    (err = pyr_heap_resolve(heap, &context->session->control,
				    context->args->arguments[1].number, &to)) ||
	    (err = pyr_session_retention_cache(context->session, &retention)))
		return err;
	ends.from = from.id;
	ends.to = query.target = to.id;
	query.ctx = &ends;
	costs.ctx = retention->edge_costs;
	if ((err = pyr_path_find(&context->session->control, &retention->model->graph, &costs,
				 &query, &path)))
		return err;
	if (path.count && (err = pyr_printable_path_make(
				   context, retention, NULL, &path,
				   pyr_context_option(context, PYR_OPT_path_raw)->given, &route))) {
		pyr_path_deinit(&path);
		return err;
	}
	pyr_context_answer(context);
	if (context->json)
		path_json(context, &ends, &route);
	else
		path_text(context, &ends, &route);
	pyr_path_deinit(&path);
	pyr_printable_path_deinit(&route);
	return NULL;
}
