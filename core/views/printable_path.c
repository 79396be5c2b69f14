#include "views/printable_path.h"

#include <stdlib.h>
#include <string.h>

#include "views/show.h"

/* An expression of more steps is cut in the middle. */
#define EXPRESSION_STEPS 14u

static struct pyr_reader *reader_of(struct pyr_context *context)
{
	return &context->session->python->reader;
}

static const struct pyr_type *type_of(struct pyr_context *context, uint32_t node)
{
	const struct pyr_heap *heap = context->session->heap;

	return pyr_types_at(heap->types, heap->type[node]);
}

static pyr_addr address_of(struct pyr_context *context, uint32_t node)
{
	return context->session->heap->address[node];
}

uint32_t pyr_printable_path_target(const struct pyr_printable_path *route, size_t i)
{
	const struct pyr_display_step *step = &route->display.steps.data[i];

	return route->nodes[step->first + step->count];
}

uint32_t pyr_printable_path_owner(const struct pyr_printable_path *route, size_t i)
{
	return route->nodes[route->display.steps.data[i].first];
}

/* --- making --- */

static pyr_error *find_steps(struct pyr_context *context, struct pyr_retention_cache *retention,
			     struct pyr_printable_path *route)
{
	size_t i;

	route->steps = calloc(route->count, sizeof(*route->steps));
	route->times = calloc(route->count, sizeof(*route->times));
	if (!route->steps || !route->times)
		return pyr_error_no_memory();
	for (i = 0; i + 1 < route->count; i++) {
		struct pyr_step *step = &route->steps[i];

		if (route->cut && i == route->cut - 1)
			continue;

		if (pyr_step_find(retention->model->traverse, reader_of(context),
				  type_of(context, route->nodes[i]),
				  address_of(context, route->nodes[i]),
				  address_of(context, route->nodes[i + 1]), step, &route->times[i]))
			continue;
		/* It was there when the heap was read: a guess that depends on its
		 * neighbours, or a process that is not stopped. */
		step->owner = address_of(context, route->nodes[i]);
		step->target = address_of(context, route->nodes[i + 1]);
		step->type = type_of(context, route->nodes[i]);
		step->label = PYR_EDGE_VISITED | PYR_REF_INFERRED;
		pyr_control_diagnose(&context->session->control,
				     "the reference from 0x%llx to 0x%llx was not found again",
				     (unsigned long long)step->owner,
				     (unsigned long long)step->target);
	}
	return NULL;
}

/* `"x"` in `local "x" of f at ...`: what a person calls it. */
static bool quoted(const char *name, struct pyr_strbuf *out)
{
	const char *begin = strchr(name, '"'), *end = begin ? strchr(begin + 1, '"') : NULL;

	if (!end || end == begin + 1)
		return false;
	pyr_strbuf_add_bytes(out, begin + 1, (size_t)(end - begin - 1));
	return true;
}

/* Where an expression begins; answers how many display steps it stands for. */
static size_t begin_expression(const struct pyr_printable_path *route, struct pyr_context *context,
			       struct pyr_strbuf *out)
{
	const char *edge = route->display.steps.count ? route->display.steps.data[0].edge : "";
	size_t length = strlen(edge);

	if (!route->root) {
		pyr_strbuf_printf(out, "0x%llx",
				  (unsigned long long)address_of(context, route->nodes[0]));
		return 0;
	}
	/* sys.modules['app.cache'] is called app.cache */
	if (route->root->kind == PYR_ROOT_MODULE && length > 4 && !strncmp(edge, "['", 2) &&
	    !strcmp(edge + length - 2, "']")) {
		pyr_strbuf_add_bytes(out, edge + 2, length - 4);
		return 1;
	}
	if (route->root->kind != PYR_ROOT_FRAME_LOCAL || !quoted(route->root_name, out))
		pyr_strbuf_add(out, route->root_name);
	/* a variable that inner functions use lies in a cell */
	return route->root->kind == PYR_ROOT_FRAME_LOCAL && route->display.steps.count &&
	       route->steps[0].type->shape == PYR_SHAPE_CELL &&
	       route->display.steps.data[0].count == 1;
}

void pyr_printable_path_expression(const struct pyr_printable_path *route,
				   struct pyr_context *context, size_t shown,
				   struct pyr_strbuf *out)
{
	size_t i, left = 0;
	const char *edge;
	bool plain, was_plain = true;

	i = begin_expression(route, context, out);
	if (shown > i && shown - i > EXPRESSION_STEPS)
		left = shown - i - EXPRESSION_STEPS;
	for (; i < shown; i++) {
		if (left && i == EXPRESSION_STEPS / 2) {
			pyr_strbuf_printf(
				out, " … %s more … ",
				pyr_count(left + (shown > route->cut_display ? route->left : 0))
					.text);
			i += left;
			was_plain = true;
		}
		edge = route->display.steps.data[i].edge;
		plain = edge[0] == '.' || edge[0] == '[';
		if (!plain || !was_plain)
			pyr_strbuf_add(out, " → ");
		pyr_strbuf_add(out, edge);
		was_plain = plain;
	}
}

/* Keep @ends nodes at each end. */
static void cut_middle(struct pyr_printable_path *route, size_t ends)
{
	if (route->count <= 2 * ends + 2)
		return;
	route->cut = ends;
	route->left = route->count - 2 * ends;
	memmove(route->nodes + ends, route->nodes + route->count - ends,
		ends * sizeof(*route->nodes));
	route->count = 2 * ends;
}

static pyr_error *fold(struct pyr_context *context, struct pyr_printable_path *route, bool raw)
{
	size_t first = route->cut ? route->cut - 1 : route->count - 1, i;
	struct pyr_display rest;
	pyr_error *err;

	if ((err = pyr_display_fold(context->session->types, reader_of(context), route->steps,
				    first, raw, &route->display)) ||
	    !route->cut)
		return err;
	route->cut_display = route->display.steps.count;
	if ((err = pyr_display_fold(context->session->types, reader_of(context),
				    route->steps + route->cut, route->count - 1 - route->cut, raw,
				    &rest)))
		return err;
	if (!pyr_vec_reserve(&route->display.steps, rest.steps.count)) {
		pyr_display_deinit(&rest);
		return pyr_error_no_memory();
	}
	for (i = 0; i < rest.steps.count; i++) {
		rest.steps.data[i].first += route->cut;
		route->display.steps.data[route->display.steps.count++] = rest.steps.data[i];
	}
	pyr_vec_deinit(&rest.steps);
	return NULL;
}

/* At each end of a path of which not all is shown. */
#define ENDS_KEPT 1024u

pyr_error *pyr_printable_path_make(struct pyr_context *context,
				   struct pyr_retention_cache *retention,
				   const struct pyr_root *root, struct pyr_path *path, bool raw,
				   struct pyr_printable_path *ret)
{
	struct pyr_printable_path route = {
		.root = root, .nodes = path->nodes, .count = path->count};
	struct pyr_strbuf text = {0};
	pyr_error *err;

	path->nodes = NULL;
	path->count = 0;
	if (context->limit < UINT32_MAX)
		cut_middle(&route, context->limit > ENDS_KEPT ? (size_t)context->limit : ENDS_KEPT);
	if (root) {
		pyr_root_name(retention->roots, root, &text);
		route.root_name = pyr_strbuf_take(&text);
	}
	if (root && !route.root_name)
		err = pyr_error_no_memory();
	else if (!(err = find_steps(context, retention, &route)))
		err = fold(context, &route, raw);
	if (!err) {
		pyr_printable_path_expression(&route, context, route.display.steps.count, &text);
		route.expression = pyr_strbuf_take(&text);
		if (!route.expression)
			err = pyr_error_no_memory();
	}
	pyr_strbuf_deinit(&text);
	if (err) {
		pyr_printable_path_deinit(&route);
		return err;
	}
	*ret = route;
	return NULL;
}

void pyr_printable_path_deinit(struct pyr_printable_path *route)
{
	free(route->root_name);
	free(route->nodes);
	free(route->steps);
	free(route->times);
	pyr_display_deinit(&route->display);
	free(route->expression);
	memset(route, 0, sizeof(*route));
}

static bool is_inferred(const struct pyr_printable_path *route, const struct pyr_display_step *step)
{
	size_t i;

	for (i = step->first; i < step->first + step->count; i++)
		if (route->steps[i].label & PYR_REF_INFERRED)
			return true;
	return false;
}

const char *pyr_printable_path_certainty(const struct pyr_printable_path *route)
{
	size_t i;

	if (route->root && route->root->possible)
		return "possible";
	for (i = 0; i < route->display.steps.count; i++)
		if (is_inferred(route, &route->display.steps.data[i]))
			return "inferred";
	return "exact";
}

/* --- text --- */

#define VALUE_COLUMNS 60u

static void print_node(struct pyr_context *context, struct pyr_table *table, uint32_t node)
{
	char *repr = pyr_context_repr(context, address_of(context, node), VALUE_COLUMNS);

	pyr_table_text(table, pyr_address(address_of(context, node)).text);
	pyr_table_text(table, pyr_short_type(pyr_type_name(context->session->types,
							   type_of(context, node))));
	pyr_table_text(table, repr ? repr : "");
	pyr_session_result(context->session, address_of(context, node));
	free(repr);
}

/* The line above the table, and the row of the first object: sys.modules itself is of
 * no interest, only what is in it. */
static void print_beginning(struct pyr_context *context, const struct pyr_printable_path *route,
			    struct pyr_table *table)
{
	struct pyr_strbuf name = {0};

	if (route->root && route->root->kind == PYR_ROOT_MODULE &&
	    begin_expression(route, context, &name))
		goto out;
	pyr_strbuf_clear(&name);
	if (!route->root)
		pyr_table_text(table, "    from");
	else if (route->root->kind == PYR_ROOT_FRAME_LOCAL && quoted(route->root_name, &name))
		pyr_table_cell(table, "    %s", pyr_strbuf_str(&name));
	else
		pyr_table_text(table, "    →");
	print_node(context, table, route->nodes[0]);
out:
	pyr_strbuf_deinit(&name);
}

static void print_step(struct pyr_context *context, const struct pyr_printable_path *route,
		       size_t i, struct pyr_table *table)
{
	const struct pyr_display_step *step = &route->display.steps.data[i];
	uint64_t times = step->count == 1 ? route->times[step->first] : 1;

	if (times > 1)
		pyr_table_cell(table, "    %s (and %s)", step->edge,
			       pyr_counted(times - 1, "other reference", "other references").text);
	else
		pyr_table_cell(table, "    %s%s", step->edge,
			       is_inferred(route, step) ? " (inferred)" : "");
	print_node(context, table, pyr_printable_path_target(route, i));
}

void pyr_printable_path_print(struct pyr_context *context, const struct pyr_printable_path *route)
{
	static const struct pyr_column columns[] = {
		{"", false, true, PYR_CUT_START},
		{"", false, false, PYR_CUT_END},
		{"", false, true, PYR_CUT_START},
		{"", false, true, PYR_CUT_END},
	};
	size_t i, n = route->display.steps.count, left = 0;
	struct pyr_table table;

	if (n > context->limit)
		left = n - (size_t)context->limit;
	if (route->root)
		pyr_out_printf(context->out, "  %s%s\n", route->root_name,
			       route->root->possible ? " (possible)" : "");
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	print_beginning(context, route, &table);
	for (i = 0; i < n; i++) {
		if (left && i == context->limit / 2) {
			pyr_table_cell(&table, "    … %s more (--limit 0 shows all)",
				       pyr_count(left + route->left).text);
			pyr_table_text(&table, "");
			pyr_table_text(&table, "");
			pyr_table_text(&table, "");
			i += left;
		}
		if (i < n)
			print_step(context, route, i, &table);
	}
	pyr_table_finish(&table);
}

/* --- JSON --- */

static void node_json(struct pyr_context *context, uint32_t node, const char *edge)
{
	struct pyr_json *json = context->json;

	pyr_json_address(json, "address", address_of(context, node));
	pyr_json_string(json, "type",
			pyr_type_name(context->session->types, type_of(context, node)));
	pyr_json_string(json, "edge", edge);
}

/* Every object on the path, and the reference that leads to it. */
static void step_json(struct pyr_context *context, const struct pyr_printable_path *route, size_t i)
{
	const struct pyr_step *step = i && i != route->cut ? &route->steps[i - 1] : NULL;
	struct pyr_json *json = context->json;
	struct pyr_strbuf name = {0};

	if (step)
		pyr_step_write(context->session->types, reader_of(context), step, &name);
	pyr_json_begin_object(json, NULL);
	node_json(context, route->nodes[i], step ? pyr_strbuf_str(&name) : NULL);
	if (step) {
		pyr_json_bool(json, "traversed", (step->label & PYR_REF_TRAVERSED) != 0);
		pyr_json_string(json, "certainty",
				step->label & PYR_REF_INFERRED ? "inferred" : "exact");
		pyr_json_uint(json, "count", route->times[i - 1]);
	}
	pyr_json_end_object(json);
	pyr_strbuf_deinit(&name);
}

static void root_json(struct pyr_json *json, const struct pyr_printable_path *route)
{
	pyr_json_begin_object(json, "root");
	pyr_json_string(json, "kind", pyr_root_kind_name((enum pyr_root_kind)route->root->kind));
	pyr_json_string(json, "name", route->root_name);
	pyr_json_string(json, "certainty", route->root->possible ? "possible" : "exact");
	if (route->root->slot)
		pyr_json_address(json, "slot", route->root->slot);
	pyr_json_end_object(json);
}

void pyr_printable_path_json(struct pyr_context *context, const struct pyr_printable_path *route)
{
	struct pyr_json *json = context->json;
	size_t i;

	pyr_json_begin_object(json, NULL);
	if (route->root)
		root_json(json, route);
	pyr_json_string(json, "path", route->expression);
	pyr_json_string(json, "certainty", pyr_printable_path_certainty(route));
	pyr_json_begin_list(json, "steps");
	for (i = 0; i < route->count; i++)
		step_json(context, route, i);
	pyr_json_end_list(json);
	if (route->left)
		pyr_json_uint(json, "steps_left_out", route->left);
	pyr_json_begin_list(json, "folded");
	for (i = 0; i <= route->display.steps.count; i++) {
		pyr_json_begin_object(json, NULL);
		node_json(context, i ? pyr_printable_path_target(route, i - 1) : route->nodes[0],
			  i ? route->display.steps.data[i - 1].edge : NULL);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_end_object(json);
}
