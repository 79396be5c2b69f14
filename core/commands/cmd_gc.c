/* gc: the collector's state, of every interpreter. */
#include <stdlib.h>
#include <string.h>

#include "command/context.h"
#include "runtime/gcstate.h"

static const struct {
	uint32_t bit;
	const char *name;
} debug_flags[] = {
	/* Modules/gcmodule.c, DEBUG_* */
	{1, "DEBUG_STATS"},
	{2, "DEBUG_COLLECTABLE"},
	{4, "DEBUG_UNCOLLECTABLE"},
	{32, "DEBUG_SAVEALL"},
};
#define DEBUG_FLAGS (sizeof(debug_flags) / sizeof(debug_flags[0]))

static void state_json(struct pyr_context *context, const struct pyr_gc_state *state)
{
	struct pyr_json *json = context->json;
	unsigned g;
	size_t i;

	pyr_json_bool(json, "enabled", state->enabled);
	pyr_json_bool(json, "collecting", state->collecting);
	pyr_json_uint(json, "debug", state->debug);
	pyr_json_begin_list(json, "debug_flags");
	for (i = 0; i < DEBUG_FLAGS; i++)
		if (state->debug & debug_flags[i].bit)
			pyr_json_string(json, NULL, debug_flags[i].name);
	pyr_json_end_list(json);
	pyr_json_begin_list(json, "generations");
	for (g = 0; g < PYR_GC_GENERATIONS; g++) {
		pyr_json_begin_object(json, NULL);
		pyr_json_uint(json, "generation", g);
		pyr_json_int(json, "threshold", state->generations[g].threshold);
		pyr_json_int(json, "count", state->generations[g].count);
		pyr_json_uint(json, "objects", state->generations[g].objects);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_begin_list(json, "stats");
	for (g = 0; g < PYR_GC_GENERATIONS; g++) {
		if (!state->generations[g].has_stats)
			continue;
		pyr_json_begin_object(json, NULL);
		pyr_json_uint(json, "collections", state->generations[g].collections);
		pyr_json_uint(json, "collected", state->generations[g].collected);
		pyr_json_uint(json, "uncollectable", state->generations[g].uncollectable);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "frozen", state->frozen);
	pyr_json_uint(json, "garbage", state->garbage_count);
	pyr_json_address(json, "garbage_list", state->garbage);
	pyr_json_uint(json, "callbacks", state->callback_count);
	pyr_json_address(json, "callbacks_list", state->callbacks);
	if (state->long_lived_total >= 0)
		pyr_json_int(json, "long_lived_total", state->long_lived_total);
	if (state->long_lived_pending >= 0)
		pyr_json_int(json, "long_lived_pending", state->long_lived_pending);
}

static int64_t interpreter_id(const struct pyr_context *context, const struct pyr_gc_state *state)
{
	const struct pyr_python *python = context->session->python;

	return state->interpreter < python->interpreters.count
		       ? python->interpreters.data[state->interpreter].id
		       : 0;
}

static void gc_json(struct pyr_context *context, const struct pyr_gc_state *states, size_t count)
{
	struct pyr_json *json = context->json;
	size_t i;

	state_json(context, &states[0]);
	pyr_json_begin_list(json, "by_interpreter");
	for (i = 0; i < count; i++) {
		pyr_json_begin_object(json, NULL);
		pyr_json_int(json, "interpreter", interpreter_id(context, &states[i]));
		state_json(context, &states[i]);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
}

/* What will happen next, in one sentence; see gcmodule.c, gc_alloc(): generation 0
 * is collected when its count passes its threshold. */
static void gc_sentence(struct pyr_context *context, const struct pyr_gc_state *state)
{
	int64_t left = (int64_t)state->generations[0].threshold - state->generations[0].count + 1;

	pyr_out_style(context->out, PYR_STYLE_STRONG);
	if (state->collecting)
		pyr_out_text(context->out, "The collector is at work right now");
	else
		pyr_out_printf(context->out, "The collector is %s",
			       state->enabled ? "enabled" : "disabled (gc.disable())");
	if (!state->enabled && state->collecting)
		pyr_out_text(context->out, ", although it is disabled: gc.collect() was called.");
	else if (!state->enabled)
		pyr_out_text(context->out, ": only gc.collect() would collect.");
	else if (state->generations[0].threshold == 0)
		pyr_out_text(context->out,
			     ", but its first threshold is 0: only gc.collect() would collect.");
	else if (state->collecting)
		pyr_out_text(context->out, ".");
	else if (left > 0)
		pyr_out_printf(context->out,
			       "; generation 0 is collected when %s more containers were allocated "
			       "than freed.",
			       pyr_count((uint64_t)left).text);
	else
		pyr_out_text(context->out, "; generation 0 is due to be collected.");
	pyr_out_style(context->out, PYR_STYLE_PLAIN);
	pyr_out_raw(context->out, "\n", 1);
}

static void print_state(struct pyr_context *context, const struct pyr_gc_state *state)
{
	static const struct pyr_column columns[] = {
		{"GENERATION", true, false, PYR_CUT_END},
		{"THRESHOLD", true, false, PYR_CUT_END},
		{"COUNT", true, false, PYR_CUT_END},
		{"OBJECTS", true, false, PYR_CUT_END},
		{"COLLECTIONS", true, false, PYR_CUT_END},
		{"COLLECTED", true, false, PYR_CUT_END},
		{"UNCOLLECTABLE", true, false, PYR_CUT_END},
	};
	struct pyr_table table;
	const char *separator = "";
	unsigned g;
	size_t i;

	gc_sentence(context, state);
	pyr_out_raw(context->out, "\n", 1);
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (g = 0; g < PYR_GC_GENERATIONS; g++) {
		pyr_table_cell(&table, "%u", g);
		pyr_table_cell(&table, "%d", state->generations[g].threshold);
		pyr_table_cell(&table, "%d", state->generations[g].count);
		pyr_table_text(&table, pyr_count(state->generations[g].objects).text);
		if (!state->generations[g].has_stats) {
			pyr_table_text(&table, "-");
			pyr_table_text(&table, "-");
			pyr_table_text(&table, "-");
			continue;
		}
		pyr_table_text(&table, pyr_count(state->generations[g].collections).text);
		pyr_table_text(&table, pyr_count(state->generations[g].collected).text);
		pyr_table_text(&table, pyr_count(state->generations[g].uncollectable).text);
	}
	pyr_table_finish(&table);
	pyr_out_printf(context->out, "\n  frozen     %s%s\n", pyr_count(state->frozen).text,
		       state->permanent_head ? "" : " (this version has no gc.freeze())");
	pyr_out_printf(context->out, "  garbage    %s", pyr_count(state->garbage_count).text);
	if (state->garbage)
		pyr_out_printf(context->out, "  gc.garbage at %s",
			       pyr_address(state->garbage).text);
	pyr_out_printf(context->out, "\n  callbacks  %s", pyr_count(state->callback_count).text);
	if (state->callbacks)
		pyr_out_printf(context->out, "  gc.callbacks at %s",
			       pyr_address(state->callbacks).text);
	pyr_out_text(context->out, "\n  debug      ");
	for (i = 0; i < DEBUG_FLAGS; i++) {
		if (state->debug & debug_flags[i].bit) {
			pyr_out_printf(context->out, "%s%s", separator, debug_flags[i].name);
			separator = ", ";
		}
	}
	pyr_out_text(context->out, *separator ? "\n" : "no flags\n");
	if (state->garbage_count)
		pyr_session_result(context->session, state->garbage);
}

pyr_error *pyr_cmd_gc(struct pyr_context *context)
{
	struct pyr_gc_state *states;
	struct pyr_python *python;
	struct pyr_types *types;
	pyr_error *err;
	size_t count, i;

	if ((err = pyr_session_types(context->session, &types)))
		return err;
	python = context->session->python;
	if ((err = pyr_gc_states_read(python, &python->reader, &states, &count)))
		return err;
	if (!(err = pyr_gc_count_objects(python, &python->reader, states, count)) && count == 0)
		err = pyr_error_create(PYR_E_CORRUPT, "no interpreter has a collector's state");
	if (!err) {
		pyr_context_answer(context);
		if (context->json)
			gc_json(context, states, count);
		for (i = 0; i < count && !context->json; i++) {
			if (count > 1)
				pyr_out_printf(context->out, "%sInterpreter %lld\n", i ? "\n" : "",
					       (long long)interpreter_id(context, &states[i]));
			print_state(context, &states[i]);
		}
	}
	pyr_gc_states_destroy(states, count);
	return err;
}
