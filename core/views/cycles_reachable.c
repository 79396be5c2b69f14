/* cycles --reachable: cycles that are still in use, and who holds them. */
#include <stdlib.h>
#include <string.h>

#include "analysis/collection/cycles.h"
#include "views/cycles.h"
#include "views/show_ring.h"

#define HOLDERS 3u /* named for each group's example */

struct held {
	PYR_VEC(struct pyr_step) holders; /* at most HOLDERS */
	uint64_t count;                   /* references from outside */
	uint32_t root;                    /* index into the roots, or UINT32_MAX */
};

struct reachable_answer {
	struct pyr_model *model;
	struct pyr_roots *roots;
	uint32_t *objects, count;
	struct pyr_id_subset subset;
	uint64_t *weights;
	struct pyr_cycles cycles;
	uint32_t *shown; /* groups, in the order of showing */
	size_t shown_count;
	uint64_t cycles_shown, objects_shown; /* of all groups */
	struct held *held;                    /* by index into shown */
};

static bool is_candidate(const struct pyr_heap *heap, const uint8_t *unreachable, uint32_t id,
			 int generation)
{
	return heap->generation[id] <= PYR_GEN_2 && heap->generation[id] <= generation &&
	       !unreachable[id];
}

static pyr_error *choose(struct pyr_context *context, struct reachable_answer *a, int generation)
{
	struct pyr_heap *heap = a->model->heap;
	struct pyr_reader *reader = &context->session->python->reader;
	const uint8_t *unreachable;
	const struct pyr_type *type;
	uint64_t size;
	pyr_error *err;
	uint32_t id, n = 0;
	bool exact;

	if ((err = pyr_session_unreachable(context->session, &unreachable)))
		return err;
	for (id = 0; id < heap->count; id++)
		n += is_candidate(heap, unreachable, id, generation);
	a->objects = malloc(((size_t)n + 1) * sizeof(*a->objects));
	a->weights = calloc((size_t)n + 1, sizeof(*a->weights));
	if (!a->objects || !a->weights)
		return pyr_error_no_memory();
	for (id = 0; id < heap->count; id++) {
		if (!is_candidate(heap, unreachable, id, generation))
			continue;
		type = pyr_types_at(heap->types, heap->type[id]);
		if (!(size = pyr_type_fixed_size(type)) &&
		    (err = pyr_object_size(heap->types, reader, type, heap->address[id], &size,
					   &exact))) {
			pyr_error_destroy(err);
			size = 0;
		}
		a->weights[a->count] = size;
		a->objects[a->count++] = id;
		if (a->count % 65536 == 0 && (err = pyr_control_progress(&context->session->control,
									 "weighing", a->count, n)))
			return err;
	}
	return pyr_id_subset_create(&context->session->control, a->objects, a->count, heap->count,
				    &a->subset);
}

static pyr_error *select_groups(struct pyr_context *context, struct reachable_answer *a)
{
	const struct pyr_value *show = pyr_context_option(context, PYR_OPT_cycles_show);
	const struct pyr_cycle_group *group;
	uint32_t g;

	a->shown = malloc((a->cycles.groups.count + 1) * sizeof(*a->shown));
	a->held = calloc(a->cycles.groups.count + 1, sizeof(*a->held));
	if (!a->shown || !a->held)
		return pyr_error_no_memory();
	for (g = 0; g < a->cycles.groups.count; g++) {
		group = &a->cycles.groups.data[g];
		a->cycles_shown += group->cycles;
		a->objects_shown += group->objects;
		if (show->given ? show->number == g + 1 : a->shown_count < context->limit)
			a->shown[a->shown_count++] = g;
	}
	if (show->given && !a->shown_count)
		return pyr_error_create(PYR_E_USAGE, "there is no group %llu: there are %zu",
					(unsigned long long)show->number, a->cycles.groups.count);
	return NULL;
}

/* --- who holds the examples --- */

static pyr_error *add_holder(struct pyr_context *context, struct reachable_answer *a,
			     struct held *held, uint32_t from, uint32_t to)
{
	struct pyr_heap *heap = a->model->heap;
	struct pyr_step step;

	held->count++;
	if (held->holders.count >= HOLDERS ||
	    !pyr_step_find(a->model->traverse, &context->session->python->reader,
			   pyr_types_at(heap->types, heap->type[from]), heap->address[from],
			   heap->address[to], &step, NULL))
		return NULL;
	return pyr_vec_push(&held->holders, step) ? NULL : pyr_error_no_memory();
}

static pyr_error *find_holders(struct pyr_context *context, struct reachable_answer *a)
{
	const struct pyr_graph *g = &a->model->graph;
	const struct pyr_cycle_group *group;
	uint32_t *of = calloc((size_t)g->nodes + 1, sizeof(*of)), i, id;
	size_t k, begin, end;
	pyr_error *err = NULL;
	uint64_t e;

	if (!of)
		return pyr_error_no_memory();
	for (k = 0; k < a->shown_count; k++) {
		a->held[k].root = UINT32_MAX;
		group = &a->cycles.groups.data[a->shown[k]];
		for (i = 0; i < group->example_count; i++) {
			id = group->example[i];
			of[id] = (uint32_t)k + 1;
			pyr_roots_of(a->roots, id, &begin, &end);
			if (begin < end && a->held[k].root == UINT32_MAX &&
			    !a->roots->roots.data[begin].possible)
				a->held[k].root = (uint32_t)begin;
		}
	}
	for (id = 0; id < g->nodes && !err; id++)
		for (e = g->out_start[id]; e < g->out_start[id + 1] && !err; e++)
			if (of[g->out[e]] && of[id] != of[g->out[e]])
				err = add_holder(context, a, &a->held[of[g->out[e]] - 1], id,
						 g->out[e]);
	free(of);
	return err;
}

/* --- output --- */

static void holders_json(struct pyr_context *context, const struct reachable_answer *a,
			 const struct held *held)
{
	struct pyr_json *json = context->json;
	struct pyr_types *types = context->session->types;
	struct pyr_strbuf text = {0};
	size_t i;

	pyr_json_begin_list(json, "holders");
	for (i = 0; i < held->holders.count; i++) {
		const struct pyr_step *step = &held->holders.data[i];

		pyr_strbuf_clear(&text);
		pyr_step_write(types, &context->session->python->reader, step, &text);
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", step->owner);
		pyr_json_string(json, "type", pyr_type_name(types, step->type));
		pyr_json_string(json, "edge", pyr_strbuf_str(&text));
		pyr_json_address(json, "target", step->target);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "holder_count", held->count);
	pyr_strbuf_clear(&text);
	if (held->root != UINT32_MAX) {
		pyr_root_name(a->roots, &a->roots->roots.data[held->root], &text);
		pyr_json_string(json, "root", pyr_strbuf_str(&text));
	} else {
		pyr_json_null(json, "root");
	}
	pyr_strbuf_deinit(&text);
}

static void print_json(struct pyr_context *context, const struct reachable_answer *a)
{
	struct pyr_json *json = context->json;
	const struct pyr_cycle_group *group;
	struct pyr_strbuf text = {0};
	size_t k;

	pyr_json_bool(json, "reachable", true);
	pyr_json_uint(json, "cycles", a->cycles_shown);
	pyr_json_uint(json, "cycles_with_modules", a->cycles.with_modules);
	pyr_json_begin_list(json, "groups");
	for (k = 0; k < a->shown_count; k++) {
		group = &a->cycles.groups.data[a->shown[k]];
		pyr_strbuf_clear(&text);
		if (group->ring.links.count)
			pyr_ring_sentence(context->session->types,
					  &context->session->python->reader, &group->ring, &text);
		pyr_json_begin_object(json, NULL);
		pyr_json_uint(json, "group", a->shown[k] + 1);
		pyr_json_string(json, "shape", group->shape);
		pyr_json_uint(json, "count", group->cycles);
		pyr_json_uint(json, "group_objects", group->objects);
		pyr_json_uint(json, "bytes", group->bytes);
		pyr_json_address(json, "example",
				 group->ring.links.count ? group->ring.links.data[0].object : 0);
		pyr_json_string(json, "sentence", pyr_strbuf_str(&text));
		pyr_show_ring_json(context, &group->ring);
		holders_json(context, a, &a->held[k]);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", a->cycles.groups.count - a->shown_count);
	pyr_strbuf_deinit(&text);
}

static void print_holders(struct pyr_context *context, const struct reachable_answer *a,
			  const struct held *held)
{
	struct pyr_types *types = context->session->types;
	struct pyr_strbuf text = {0};
	uint64_t more = held->count - held->holders.count;
	size_t i;

	for (i = 0; i < held->holders.count; i++) {
		const struct pyr_step *step = &held->holders.data[i];

		pyr_strbuf_clear(&text);
		pyr_step_write(types, &context->session->python->reader, step, &text);
		pyr_out_printf(context->out, "     held by  %s %s through %s\n",
			       pyr_ring_type_name(types, step->type), pyr_address(step->owner).text,
			       pyr_strbuf_str(&text));
		pyr_session_result(context->session, step->owner);
	}
	if (more)
		pyr_out_printf(context->out, "     and by   %s from outside\n",
			       pyr_counted(more, "more reference", "more references").text);
	if (held->root != UINT32_MAX) {
		pyr_strbuf_clear(&text);
		pyr_root_name(a->roots, &a->roots->roots.data[held->root], &text);
		pyr_out_printf(context->out, "     held by  %s\n", pyr_strbuf_str(&text));
	}
	if (!held->count && held->root == UINT32_MAX)
		pyr_out_text(context->out, "     held by  a reference that is not in this heap\n");
	pyr_strbuf_deinit(&text);
}

static void print_text(struct pyr_context *context, const struct reachable_answer *a)
{
	const struct pyr_value *show = pyr_context_option(context, PYR_OPT_cycles_show);
	const struct pyr_cycle_group *group;
	struct pyr_strbuf text = {0};
	size_t k;

	if (show->given) {
		group = &a->cycles.groups.data[a->shown[0]];
		if (pyr_context_option(context, PYR_OPT_cycles_format)->number == 1) {
			pyr_show_ring_dot(context, &group->ring, group->shape);
			return;
		}
		pyr_out_styled(context->out, PYR_STYLE_STRONG, "%s × %s, in use.\n\n",
			       pyr_count(group->cycles).text, group->shape);
		pyr_show_ring(context, &group->ring);
		pyr_out_raw(context->out, "\n", 1);
		print_holders(context, a, &a->held[0]);
		return;
	}
	pyr_out_styled(context->out, PYR_STYLE_STRONG,
		       "%s in use, of %s and %s. Each will be work for the collector once its last "
		       "holder lets go.\n",
		       pyr_counted(a->cycles_shown, "cycle is", "cycles are").text,
		       pyr_counted(a->objects_shown, "object", "objects").text,
		       pyr_counted(a->cycles.groups.count, "kind", "kinds").text);
	pyr_cycles_table(context, a->cycles.groups.data, a->shown, a->shown_count);
	pyr_context_more(context, a->shown_count, a->cycles.groups.count, "group", "groups");
	pyr_out_raw(context->out, "\n", 1);
	for (k = 0; k < a->shown_count; k++) {
		group = &a->cycles.groups.data[a->shown[k]];
		if (!group->ring.links.count)
			continue;
		pyr_strbuf_clear(&text);
		pyr_ring_sentence(context->session->types, &context->session->python->reader,
				  &group->ring, &text);
		pyr_out_printf(context->out, "  %zu. %s\n", k + 1, pyr_strbuf_str(&text));
		print_holders(context, a, &a->held[k]);
	}
	if (a->cycles.with_modules)
		pyr_out_printf(context->out, "\n  %s left out that modules are part of\n",
			       pyr_counted(a->cycles.with_modules, "cycle is", "cycles are").text);
	pyr_strbuf_deinit(&text);
}

/* Modules are held by sys.modules for as long as the program runs: cycles that have some are
 * the program itself. */
pyr_error *pyr_cycles_reachable(struct pyr_context *context, int generation)
{
	struct reachable_answer a = {0};
	pyr_error *err;
	size_t k;

	if (!(err = pyr_session_roots(context->session, &a.roots)) &&
	    !(err = pyr_session_model(context->session, &a.model)) &&
	    !(err = choose(context, &a, generation)) &&
	    !(err = pyr_cycles_find(a.model, &context->session->control, a.objects, a.count,
				    &a.subset, a.weights, false, true, &a.cycles)) &&
	    !(err = select_groups(context, &a)) && !(err = find_holders(context, &a))) {
		pyr_cycles_incomplete(context, context->session->model, false);
		pyr_context_answer(context);
		if (context->json)
			print_json(context, &a);
		else
			print_text(context, &a);
	}
	for (k = 0; a.held && k < a.shown_count; k++)
		pyr_vec_deinit(&a.held[k].holders);
	free(a.held);
	free(a.shown);
	pyr_cycles_deinit(&a.cycles);
	pyr_id_subset_deinit(&a.subset);
	free(a.weights);
	free(a.objects);
	return err;
}
