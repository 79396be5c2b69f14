/* why: what keeps an object alive. */
#include <stdlib.h>
#include <string.h>

#include "views/path_search.h"
#include "views/why_patterns.h"
#include "views/why_words.h"

struct why_answer {
	struct pyr_context *context;
	struct pyr_retention_cache *retention;
	uint32_t object;
	PYR_VEC(struct pyr_printable_path) routes;
	bool more; /* another path is there that was not asked for */
	bool held; /* from an exact or lasting root */
	enum pyr_unheld unheld;
	uint32_t holder; /* the nearest object with references that were not found */
};

/* --- asking --- */

static bool has_remainder(void *ctx, uint32_t node, unsigned *cost)
{
	struct why_answer *a = ctx;

	*cost = 0;
	return pyr_ledger_remainder(a->retention->ledger, node) > 0;
}

/* No root reaches it: does something that has more references than were found? */
static pyr_error *why_not(struct why_answer *a)
{
	struct pyr_path_costs costs = {.cost = pyr_edge_costs_of, .ctx = a->retention->edge_costs};
	struct pyr_path_query query = {.target = a->object, .source = has_remainder, .ctx = a};
	struct pyr_path path;
	pyr_error *err;

	a->holder = a->object;
	if (a->retention->ledger->refcount[a->object] == PYR_LEDGER_EXCLUDED) {
		a->unheld = PYR_UNHELD_IMMORTAL;
		return NULL;
	}
	if ((err = pyr_path_find(&a->context->session->control, &a->retention->model->graph, &costs,
				 &query, &path)))
		return err;
	a->unheld = path.count ? PYR_UNHELD_UNKNOWN : PYR_UNHELD_GARBAGE;
	if (path.count)
		a->holder = path.nodes[0];
	pyr_path_deinit(&path);
	return NULL;
}

static pyr_error *ask(struct why_answer *a, uint64_t wanted, bool raw)
{
	const struct pyr_value *exclude = pyr_context_option(a->context, PYR_OPT_why_exclude);
	const struct pyr_root *root = NULL;
	struct pyr_path_search finder;
	struct pyr_printable_path route;
	struct pyr_path path = {0};
	pyr_error *err = NULL;
	unsigned last_phase = PYR_PHASE_POSSIBLE;

	pyr_path_search_init(&finder, a->context, a->retention, a->object, exclude);
	while (!err && a->routes.count <= wanted) {
		if ((err = pyr_path_search_next(&finder, last_phase, &path, &root)) || !path.count)
			break;
		if (a->routes.count == wanted) {
			a->more = true;
			break;
		}
		/* beside what is known to hold it, what may hold it is no path */
		if (!root->possible) {
			a->held = true;
			last_phase = PYR_PHASE_LASTING;
		}
		pyr_path_search_block(&finder, &path, root);
		err = pyr_printable_path_make(a->context, a->retention, root, &path, raw, &route);
		if (!err && !pyr_vec_push(&a->routes, route)) {
			pyr_printable_path_deinit(&route);
			err = pyr_error_no_memory();
		}
	}
	pyr_path_deinit(&path);
	pyr_path_search_deinit(&finder);
	if (!err && !a->held)
		err = why_not(a);
	return err;
}

/* --- telling --- */

static void why_json(struct why_answer *a)
{
	struct pyr_json *json = a->context->json;
	struct pyr_heap *heap = a->retention->model->heap;
	size_t i;

	pyr_json_address(json, "address", heap->address[a->object]);
	pyr_json_string(
		json, "type",
		pyr_type_name(heap->types, pyr_types_at(heap->types, heap->type[a->object])));
	pyr_json_begin_list(json, "paths");
	for (i = 0; i < a->routes.count; i++)
		pyr_printable_path_json(a->context, &a->routes.data[i]);
	pyr_json_end_list(json);
	pyr_json_bool(json, "unreachable", !a->routes.count && a->unheld == PYR_UNHELD_GARBAGE);
	pyr_json_bool(json, "more_paths", a->more);
	pyr_json_string(json, "held",
			a->held                            ? "exact"
			: a->routes.count                  ? "possible"
			: a->unheld == PYR_UNHELD_GARBAGE  ? "nothing"
			: a->unheld == PYR_UNHELD_IMMORTAL ? "immortal"
							   : "unknown");
	if (!a->held && a->unheld == PYR_UNHELD_UNKNOWN)
		pyr_json_address(json, "unexplained_at", heap->address[a->holder]);
	if (a->retention->ledger->refcount[a->object] != PYR_LEDGER_EXCLUDED)
		pyr_json_int(json, "not_found",
			     pyr_ledger_remainder(a->retention->ledger, a->object));
	else
		pyr_json_null(json, "not_found");
	pyr_json_uint(json, "omitted", 0);
}

/* The sentences as one paragraph, broken to the terminal's width; the first is the
 * answer. Breaking turns blanks into line ends: places in the text stay what they are. */
static void print_paragraph(struct pyr_out *out, const struct pyr_strbuf *answer,
			    const struct pyr_strbuf *more)
{
	struct pyr_strbuf clean = {0}, lines = {0};
	size_t first;

	pyr_text_clean(&clean, pyr_strbuf_str(answer), answer->length, false);
	first = clean.length;
	pyr_text_clean(&clean, pyr_strbuf_str(more), more->length, false);
	pyr_text_wrap(&lines, pyr_strbuf_str(&clean), (size_t)out->width, 0);
	if (first > lines.length)
		first = lines.length;
	pyr_out_style(out, PYR_STYLE_STRONG);
	pyr_out_raw(out, pyr_strbuf_str(&lines), first);
	pyr_out_style(out, PYR_STYLE_PLAIN);
	pyr_out_raw(out, pyr_strbuf_str(&lines) + first, lines.length - first);
	if (lines.length && lines.data[lines.length - 1] != '\n')
		pyr_out_raw(out, "\n", 1);
	pyr_strbuf_deinit(&clean);
	pyr_strbuf_deinit(&lines);
}

static pyr_error *print_sentences(struct why_answer *a)
{
	struct pyr_strbuf answer = {0}, more = {0};
	pyr_error *err = NULL;

	if (!a->routes.count && pyr_context_option(a->context, PYR_OPT_why_exclude)->given &&
	    !a->held) {
		pyr_strbuf_add(&answer, "No path is left besides those excluded.");
	} else if (!a->routes.count) {
		pyr_why_nothing(a->context, a->retention, a->unheld, a->object, a->holder, &answer);
	} else {
		pyr_why_holder(a->context, &a->routes.data[0], &answer);
		pyr_why_alike(a->context, a->retention, &a->routes.data[0], &more);
		err = pyr_why_release(a->context, a->retention, &a->routes.data[0], a->routes.count,
				      &more);
	}
	if (!err)
		print_paragraph(a->context->out, &answer, &more);
	pyr_strbuf_deinit(&answer);
	pyr_strbuf_deinit(&more);
	return err;
}

static pyr_error *why_text(struct why_answer *a)
{
	struct pyr_out *out = a->context->out;
	pyr_error *err;
	size_t i;

	if ((err = print_sentences(a)))
		return err;
	for (i = 0; i < a->routes.count; i++) {
		pyr_out_text(out, "\n");
		if (a->routes.count > 1)
			pyr_out_printf(out, "%zu. %s\n", i + 1, a->routes.data[i].expression);
		pyr_printable_path_print(a->context, &a->routes.data[i]);
	}
	if (a->more && a->routes.count > 1)
		pyr_out_text(out, "\n  … and there are other paths (--paths N shows more)\n");
	pyr_why_ledger(a->context, a->retention, a->object);
	return NULL;
}

pyr_error *pyr_cmd_why(struct pyr_context *context)
{
	const struct pyr_value *type = pyr_context_option(context, PYR_OPT_why_type);
	const struct pyr_value *paths = pyr_context_option(context, PYR_OPT_why_paths);
	struct why_answer a = {.context = context};
	struct pyr_resolved where;
	struct pyr_heap *heap;
	pyr_error *err;
	size_t i;

	if (context->args->arguments[0].given == type->given)
		return pyr_error_create(PYR_E_USAGE, "why wants an address, or --type RE for all "
						     "objects of a type");
	if (type->given)
		return pyr_why_merged(context, type);
	if ((err = pyr_session_heap(context->session, &heap)) ||
	    (err = pyr_heap_resolve(heap, &context->session->control,
				    context->args->arguments[0].number, &where)) ||
	    (err = pyr_session_retention_cache(context->session, &a.retention)))
		return err;
	a.object = where.id;
	err = ask(&a, paths->number ? paths->number : 1,
		  pyr_context_option(context, PYR_OPT_why_raw)->given);
	if (!err) {
		pyr_context_answer(context);
		if (context->json)
			why_json(&a);
		else
			err = why_text(&a);
	}
	for (i = 0; i < a.routes.count; i++)
		pyr_printable_path_deinit(&a.routes.data[i]);
	pyr_vec_deinit(&a.routes);
	return err;
}
