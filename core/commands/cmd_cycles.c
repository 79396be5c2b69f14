/* cycles: what gc.collect() would free now, in groups of like cycles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/collection/cycles.h"
#include "base/large.h"
#include "views/uncollected.h"
#include "views/cycles.h"
#include "views/show_ring.h"

struct cycles_answer {
	struct pyr_garbage garbage;
	struct pyr_uncollected why;
	struct pyr_cycles cycles;
	int64_t interpreter; /* its id */
};

static void answer_deinit(struct cycles_answer *a)
{
	pyr_cycles_deinit(&a->cycles);
	pyr_uncollected_deinit(&a->why);
	pyr_garbage_deinit(&a->garbage);
}

static int generation_of(const struct pyr_context *context)
{
	return (int)pyr_context_option(context, PYR_OPT_cycles_generation)->number;
}

static pyr_error *find(struct pyr_context *context, struct pyr_model *model, size_t interpreter,
		       struct cycles_answer *a)
{
	struct pyr_control *control = &context->session->control;
	struct pyr_garbage *g = &a->garbage;
	uint64_t *weights;
	pyr_error *err;

	err = pyr_garbage_find(model, control, generation_of(context), interpreter, g);
	if (err)
		return err;
	weights = pyr_large_alloc((size_t)g->count + 1, sizeof(*weights));
	if (!weights)
		return pyr_error_no_memory();
	memset(weights, 0, ((size_t)g->count + 1) * sizeof(*weights));
	if (!(err = pyr_garbage_weigh(g, control, weights, NULL)) &&
	    !(err = pyr_uncollected_why(g, control, &a->why)))
		err = pyr_cycles_find(model, control, g->objects, g->count, &g->subset, weights,
				      true, false, &a->cycles);
	free(weights);
	return err;
}

/* --- JSON --- */

static void ids_json(struct pyr_context *context, const struct pyr_heap *heap, const char *key,
		     const uint32_t *ids, uint64_t count)
{
	uint64_t i;

	pyr_json_begin_list(context->json, key);
	for (i = 0; i < count; i++) {
		if (i % 65536 == 0 && pyr_control_cancelled(&context->session->control))
			break;
		pyr_json_address(context->json, NULL, heap->address[ids[i]]);
	}
	pyr_json_end_list(context->json);
}

static void group_json(struct pyr_context *context, const struct cycles_answer *a, size_t g)
{
	const struct pyr_cycle_group *group = &a->cycles.groups.data[g];
	const struct pyr_heap *heap = a->garbage.model->heap;
	struct pyr_strbuf sentence = {0};
	struct pyr_json *json = context->json;

	if (group->ring.links.count)
		pyr_ring_sentence(context->session->types, &context->session->python->reader,
				  &group->ring, &sentence);
	pyr_json_begin_object(json, NULL);
	pyr_json_uint(json, "group", g + 1);
	pyr_json_string(json, "shape", group->shape);
	pyr_json_uint(json, "count", group->cycles);
	pyr_json_uint(json, "group_objects", group->objects);
	pyr_json_uint(json, "members", group->members);
	pyr_json_uint(json, "bytes", group->bytes);
	pyr_json_address(json, "example",
			 group->ring.links.count ? group->ring.links.data[0].object
						 : heap->address[group->example[0]]);
	pyr_json_string(json, "sentence", pyr_strbuf_str(&sentence));
	pyr_show_ring_json(context, &group->ring);
	pyr_json_end_object(json);
	pyr_strbuf_deinit(&sentence);
}

static void groups_json(struct pyr_context *context, const struct cycles_answer *a)
{
	const struct pyr_value *show = pyr_context_option(context, PYR_OPT_cycles_show);
	size_t g, n = a->cycles.groups.count;

	pyr_json_begin_list(context->json, "groups");
	for (g = 0; g < n && g < context->limit; g++)
		if (!show->given || show->number == g + 1)
			group_json(context, a, g);
	pyr_json_end_list(context->json);
	pyr_json_uint(context->json, "groups_omitted", n > context->limit ? n - context->limit : 0);
}

static void answer_json(struct pyr_context *context, const struct cycles_answer *a)
{
	static const char *const phases[] = {
		[PYR_COLLECTION_NONE] = NULL,
		[PYR_COLLECTION_STARTING] = "starting",
		[PYR_COLLECTION_COUNTING] = "counting",
		[PYR_COLLECTION_FINALIZING] = "finalizing",
	};
	const struct pyr_garbage *g = &a->garbage;
	const struct pyr_heap *heap = g->model->heap;
	struct pyr_json *json = context->json;
	uint64_t shown = g->count < context->limit ? g->count : context->limit;
	size_t i;

	pyr_json_int(json, "generation", g->generation);
	pyr_json_uint(json, "unreachable", g->count);
	pyr_json_bool(json, "exact", g->exact);
	pyr_json_uint(json, "considered", g->considered);
	pyr_json_uint(json, "bytes", g->tracked_bytes + g->owned_bytes);
	pyr_json_uint(json, "native_bytes", g->native_bytes);
	pyr_json_begin_object(json, "owned_untracked");
	pyr_json_uint(json, "count", g->owned_count - g->owned_tracked);
	pyr_json_uint(json, "bytes", g->owned_bytes - g->owned_tracked_bytes);
	pyr_json_end_object(json);
	pyr_json_begin_object(json, "owned_tracked");
	pyr_json_uint(json, "count", g->owned_tracked);
	pyr_json_uint(json, "bytes", g->owned_tracked_bytes);
	pyr_json_end_object(json);
	pyr_json_string(json, "collection", phases[g->phase]);
	pyr_json_begin_list(json, "reasons");
	for (i = 0; i < a->why.reasons.count; i++) {
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "reason", a->why.reasons.data[i].name);
		pyr_json_string(json, "text", a->why.reasons.data[i].text);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_begin_object(json, "by_generation");
	pyr_json_uint(json, "0", a->why.by_generation[PYR_GEN_0]);
	pyr_json_uint(json, "1", a->why.by_generation[PYR_GEN_1]);
	pyr_json_uint(json, "2", a->why.by_generation[PYR_GEN_2]);
	pyr_json_uint(json, "collecting", a->why.by_generation[PYR_GEN_COLLECTING]);
	pyr_json_end_object(json);
	ids_json(context, heap, "finalizers", g->finalizers.data, g->finalizers.count);
	ids_json(context, heap, "finalizer_reachable", g->finalizer_reachable.data,
		 g->finalizer_reachable.count);
	ids_json(context, heap, "legacy_uncollectable", g->legacy.data, g->legacy.count);
	pyr_json_begin_list(json, "weakref_callbacks");
	for (i = 0; i < g->callbacks.count; i++)
		pyr_json_address(json, NULL, g->callbacks.data[i]);
	pyr_json_end_list(json);
	pyr_json_begin_object(json, "frozen");
	pyr_json_uint(json, "objects", g->frozen);
	pyr_json_uint(json, "unreachable", g->frozen_unreachable);
	pyr_json_end_object(json);
	pyr_json_uint(json, "negative", g->negative);
	pyr_json_begin_object(json, "guessed");
	pyr_json_uint(json, "types", g->guessed.count);
	pyr_json_uint(json, "hidden", g->hidden);
	pyr_cycles_guessed_json(context, g);
	pyr_json_end_object(json);
	groups_json(context, a);
	ids_json(context, heap, "objects", g->objects, shown);
	pyr_json_uint(json, "omitted", g->count - shown);
}

static void cycles_json(struct pyr_context *context, const struct cycles_answer *answers,
			size_t count)
{
	size_t i;

	answer_json(context, &answers[0]);
	pyr_json_begin_list(context->json, "by_interpreter");
	for (i = 0; i < count && count > 1; i++) {
		pyr_json_begin_object(context->json, NULL);
		pyr_json_int(context->json, "interpreter", answers[i].interpreter);
		answer_json(context, &answers[i]);
		pyr_json_end_object(context->json);
	}
	pyr_json_end_list(context->json);
}

/* --- text --- */

static void cycles_sentence(struct pyr_context *context, const struct cycles_answer *a)
{
	const struct pyr_garbage *g = &a->garbage;
	struct pyr_out *out = context->out;
	char call[40];
	size_t i;

	if (g->generation == 2)
		strcpy(call, "gc.collect()");
	else
		snprintf(call, sizeof(call), "gc.collect(%d)", g->generation);
	pyr_out_style(out, PYR_STYLE_STRONG);
	if (!g->count) {
		pyr_out_printf(out, "%s would free nothing now", call);
		pyr_out_style(out, PYR_STYLE_PLAIN);
		pyr_out_printf(out, ": all of the %s that it looks at are in use.\n",
			       pyr_counted(g->considered, "object", "objects").text);
		return;
	}
	if (g->phase == PYR_COLLECTION_FINALIZING)
		pyr_out_printf(out,
			       "A collection is running and has found %s (%s) unreachable, in %s "
			       "of cycles.",
			       pyr_counted(g->count, "object", "objects").text,
			       pyr_bytes(g->tracked_bytes + g->owned_bytes).text,
			       pyr_counted(a->cycles.groups.count, "kind", "kinds").text);
	else
		pyr_out_printf(out, "%s would free %s%s (%s) now, in %s of cycles.", call,
			       g->finalizers.count || g->legacy.count ? "up to " : "",
			       pyr_counted(g->count, "object", "objects").text,
			       pyr_bytes(g->tracked_bytes + g->owned_bytes).text,
			       pyr_counted(a->cycles.groups.count, "kind", "kinds").text);
	if (a->why.reasons.count)
		pyr_out_printf(out, " %s still here because %s.",
			       g->count == 1 ? "It is" : "They are", a->why.reasons.data[0].text);
	pyr_out_style(out, PYR_STYLE_PLAIN);
	pyr_out_raw(out, "\n", 1);
	for (i = 1; i < a->why.reasons.count; i++)
		pyr_out_printf(out, "Also because %s.\n", a->why.reasons.data[i].text);
}

void pyr_cycles_table(struct pyr_context *context, const struct pyr_cycle_group *groups,
		      const uint32_t *which, size_t count)
{
	static const struct pyr_column columns[] = {
		{"GROUP", true, false, PYR_CUT_END},   {"CYCLES", true, false, PYR_CUT_END},
		{"OBJECTS", true, false, PYR_CUT_END}, {"SIZE", true, false, PYR_CUT_END},
		{"SHAPE", false, true, PYR_CUT_END},
	};
	const struct pyr_cycle_group *group;
	struct pyr_table t;
	size_t i;

	pyr_out_raw(context->out, "\n", 1);
	pyr_table_init(&t, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < count; i++) {
		group = &groups[which ? which[i] : i];
		pyr_table_cell(&t, "%zu", i + 1);
		pyr_table_text(&t, pyr_count(group->cycles).text);
		pyr_table_text(&t, pyr_count(group->objects).text);
		pyr_table_text(&t, pyr_bytes(group->bytes).text);
		pyr_table_text(&t, group->shape);
	}
	pyr_table_finish(&t);
}

static void explanations(struct pyr_context *context, const struct cycles_answer *a, size_t shown)
{
	struct pyr_strbuf text = {0}, wrapped = {0};
	const struct pyr_cycle_group *group;
	size_t g;

	pyr_out_raw(context->out, "\n", 1);
	for (g = 0; g < shown; g++) {
		group = &a->cycles.groups.data[g];
		pyr_session_result(context->session,
				   group->ring.links.count ? group->ring.links.data[0].object : 0);
		if (!group->ring.links.count)
			continue;
		pyr_strbuf_clear(&text);
		pyr_strbuf_clear(&wrapped);
		pyr_strbuf_printf(&text, "%zu. ", g + 1);
		pyr_ring_sentence(context->session->types, &context->session->python->reader,
				  &group->ring, &text);
		pyr_text_wrap(&wrapped, pyr_strbuf_str(&text),
			      context->out->width > 0 ? (size_t)context->out->width : 0, 2);
		pyr_out_text(context->out, pyr_strbuf_str(&wrapped));
		if (wrapped.length && wrapped.data[wrapped.length - 1] != '\n')
			pyr_out_raw(context->out, "\n", 1);
	}
	pyr_strbuf_deinit(&text);
	pyr_strbuf_deinit(&wrapped);
}

/* What else there is to know of them. */
static void notes(struct pyr_context *context, const struct cycles_answer *a)
{
	const struct pyr_garbage *g = &a->garbage;
	struct pyr_out *out = context->out;

	pyr_out_raw(out, "\n", 1);
	if (g->owned_count)
		pyr_out_printf(out,
			       "  with them go    %s that the collector does not look for, %s\n",
			       pyr_counted(g->owned_count, "object", "objects").text,
			       pyr_bytes(g->owned_bytes).text);
	if (g->native_bytes)
		pyr_out_printf(
			out, "  native data     %s of these bytes are data of arrays and buffers\n",
			pyr_bytes(g->native_bytes).text);
	if (g->finalizers.count)
		pyr_out_printf(
			out,
			"  finalizers      %s a finalizer that runs first and may keep up to "
			"%s alive\n",
			pyr_counted(g->finalizers.count, "object has", "objects have").text,
			pyr_counted(g->finalizer_reachable.count, "object", "objects").text);
	if (g->legacy.count)
		pyr_out_printf(out, "  uncollectable   %s to gc.garbage or stay (tp_del)\n",
			       pyr_counted(g->legacy.count, "object goes", "objects go").text);
	if (g->callbacks.count)
		pyr_out_printf(
			out, "  callbacks       of %s would be called\n",
			pyr_counted(g->callbacks.count, "weak reference", "weak references").text);
	if (g->frozen)
		pyr_out_printf(out,
			       "  frozen          %s: no collection looks at them until "
			       "gc.unfreeze(), which would free %s more\n",
			       pyr_counted(g->frozen, "object is", "objects are").text,
			       pyr_counted(g->frozen_unreachable, "object", "objects").text);
	if (g->phase == PYR_COLLECTION_FINALIZING)
		pyr_out_text(out, "  not known       what was freed or brought back since the "
				  "collection found them\n");
	if (g->negative)
		pyr_out_printf(out,
			       "  contradictions  %s fewer references than others hold to it: "
			       "counted as in use (first: %s)\n",
			       pyr_counted(g->negative, "object counts", "objects count").text,
			       pyr_address(g->first_negative).text);
	if (g->guessed.count) {
		pyr_out_printf(out, "  guessed         references of %s",
			       pyr_counted(g->guessed.count, "type", "types").text);
		pyr_cycles_guessed(context, g);
		pyr_out_printf(out,
			       ", so what they hold counts as in use: were the guesses right, %s "
			       "would be unreachable\n",
			       pyr_counted(g->hidden, "more object", "more objects").text);
	}
}

static void print_show(struct pyr_context *context, const struct cycles_answer *a, size_t index)
{
	const struct pyr_cycle_group *group = &a->cycles.groups.data[index];
	const struct pyr_value *format = pyr_context_option(context, PYR_OPT_cycles_format);
	uint32_t size = group->example_count;
	struct pyr_strbuf text = {0};

	if (format->number == 1) {
		pyr_show_ring_dot(context, &group->ring, group->shape);
		return;
	}
	pyr_out_styled(context->out, PYR_STYLE_STRONG, "Group %zu: %s × %s, %s, %s.\n", index + 1,
		       pyr_count(group->cycles).text, group->shape,
		       pyr_counted(group->objects, "object", "objects").text,
		       pyr_bytes(group->bytes).text);
	if (!group->ring.links.count)
		return;
	pyr_ring_sentence(context->session->types, &context->session->python->reader, &group->ring,
			  &text);
	pyr_out_printf(context->out, "%s\n\n", pyr_strbuf_str(&text));
	pyr_strbuf_deinit(&text);
	pyr_show_ring(context, &group->ring);
	if (size > group->ring.steps.count)
		pyr_out_printf(context->out,
			       "\n%s in this cycle, held by these and leading back to them.\n",
			       pyr_counted(size - group->ring.steps.count, "more object is",
					   "more objects are")
				       .text);
}

static void cycles_text(struct pyr_context *context, const struct cycles_answer *answers,
			size_t count)
{
	const struct pyr_value *show = pyr_context_option(context, PYR_OPT_cycles_show);
	const struct cycles_answer *a;
	size_t i, shown;

	for (i = 0; i < count; i++) {
		a = &answers[i];
		shown = a->cycles.groups.count;
		if (show->given) {
			if (show->number >= 1 && show->number <= shown)
				print_show(context, a, (size_t)show->number - 1);
			return; /* of the main interpreter */
		}
		if (count > 1)
			pyr_out_printf(context->out, "%sInterpreter %lld\n", i ? "\n" : "",
				       (long long)a->interpreter);
		if (shown > context->limit)
			shown = (size_t)context->limit;
		cycles_sentence(context, a);
		if (a->garbage.count) {
			pyr_cycles_table(context, a->cycles.groups.data, NULL, shown);
			pyr_context_more(context, shown, a->cycles.groups.count, "group", "groups");
			explanations(context, a, shown);
		}
		notes(context, a);
	}
}

static pyr_error *check_show(const struct pyr_context *context, const struct cycles_answer *a)
{
	const struct pyr_value *show = pyr_context_option(context, PYR_OPT_cycles_show);
	size_t n = a->cycles.groups.count;

	if (!show->given || (show->number >= 1 && show->number <= n))
		return NULL;
	if (!n)
		return pyr_error_create(PYR_E_USAGE,
					"there is no group to show: no cycle is garbage");
	return pyr_error_create(PYR_E_USAGE, "there is no group %llu: they are 1 to %zu",
				(unsigned long long)show->number, n);
}

pyr_error *pyr_cmd_cycles(struct pyr_context *context)
{
	struct pyr_session *session = context->session;
	struct cycles_answer *answers;
	struct pyr_model *model;
	pyr_error *err;
	size_t count, i;

	if (pyr_context_option(context, PYR_OPT_cycles_reachable)->given)
		return pyr_cycles_reachable(context, generation_of(context));
	if ((err = pyr_session_collector_model(session, &model)))
		return err;
	count = pyr_is(&session->python->layout, gc_location, INTERPRETER)
			? session->python->interpreters.count
			: 1;
	answers = calloc(count ? count : 1, sizeof(*answers));
	if (!answers)
		return pyr_error_no_memory();
	for (i = 0; i < count && !err; i++) {
		answers[i].interpreter = session->python->interpreters.count
						 ? session->python->interpreters.data[i].id
						 : 0;
		err = find(context, model, i, &answers[i]);
	}
	if (!err && !count)
		err = pyr_error_create(PYR_E_CORRUPT, "no interpreter was found");
	if (!err && !(err = check_show(context, &answers[0]))) {
		pyr_cycles_incomplete(context, model,
				      answers[0].garbage.phase != PYR_COLLECTION_NONE);
		if (generation_of(context) == 1 &&
		    pyr_is(&session->python->layout, gc_generations, YOUNG_OLD2))
			pyr_context_incomplete(
				context, "gc.collect(1) also looks at some of the old objects "
					 "in this version, and at which cannot be foreseen");
		pyr_context_answer(context);
		if (context->json)
			cycles_json(context, answers, count);
		else
			cycles_text(context, answers, count);
	}
	for (i = 0; i < count; i++)
		answer_deinit(&answers[i]);
	free(answers);
	return err;
}
