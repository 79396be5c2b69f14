/* threads: the Python threads, one line each. */
#include <stdlib.h>
#include <string.h>

#include "views/show.h"

static void threads_json(struct pyr_context *context, const struct pyr_frames *frames)
{
	const struct pyr_python *python = context->session->python;
	struct pyr_json *json = context->json;
	size_t i;

	pyr_json_begin_list(json, "threads");
	for (i = 0; i < python->threads.count; i++) {
		pyr_json_begin_object(json, NULL);
		pyr_show_thread_json(context, &python->threads.data[i]);
		pyr_json_uint(json, "frames", frames[i].frames.count);
		if (frames[i].frames.count)
			pyr_show_frame_json(context, "where", &frames[i].frames.data[0], 0);
		else
			pyr_json_null(json, "where");
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
}

static void threads_text(struct pyr_context *context, const struct pyr_frames *frames)
{
	static const struct pyr_column columns[] = {
		{"TID", true, false, PYR_CUT_END},  {"NAME", false, true, PYR_CUT_END},
		{"GIL", false, false, PYR_CUT_END}, {"FRAMES", true, false, PYR_CUT_END},
		{"IN", false, true, PYR_CUT_END},   {"AT", false, true, PYR_CUT_START},
	};
	const struct pyr_python *python = context->session->python;
	const struct pyr_python_thread *thread;
	const struct pyr_frame *frame;
	struct pyr_table table;
	size_t i, shown = python->threads.count, holder = shown;

	for (i = 0; i < python->threads.count; i++)
		if (python->threads.data[i].holds_gil && holder == shown)
			holder = i;
	pyr_out_styled(context->out, PYR_STYLE_STRONG, "%s",
		       pyr_counted(shown, "Python thread", "Python threads").text);
	if (holder < shown)
		pyr_out_styled(
			context->out, PYR_STYLE_STRONG, "; %s holds the GIL",
			pyr_show_thread_name(context->session, &python->threads.data[holder]));
	pyr_out_text(context->out, ".\n\n");
	if (shown > context->limit)
		shown = (size_t)context->limit;
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < shown; i++) {
		thread = &python->threads.data[i];
		frame = frames[i].frames.count ? &frames[i].frames.data[0] : NULL;
		if (thread->native_id)
			pyr_table_cell(&table, "%llu", (unsigned long long)thread->native_id);
		else
			pyr_table_text(&table, "?");
		pyr_table_cell(&table, "%s%s", pyr_show_thread_name(context->session, thread),
			       thread->os_thread < 0 ? " (gone)" : "");
		pyr_table_text(&table, thread->holds_gil ? "holds" : "");
		pyr_table_text(&table, pyr_count(frames[i].frames.count).text);
		pyr_table_text(&table, frame ? frame->name : "no Python frame");
		if (frame && frame->line > 0)
			pyr_table_cell(&table, "%s:%d", frame->filename, frame->line);
		else
			pyr_table_text(&table, frame ? frame->filename : "");
	}
	pyr_table_finish(&table);
	pyr_context_more(context, shown, python->threads.count, "thread", "threads");
}

pyr_error *pyr_cmd_threads(struct pyr_context *context)
{
	struct pyr_frames *frames;
	struct pyr_python *python;
	struct pyr_types *types;
	pyr_error *err;
	size_t i, read = 0;

	if ((err = pyr_session_types(context->session, &types)))
		return err;
	python = context->session->python;
	frames = calloc(python->threads.count + 1, sizeof(*frames));
	if (!frames)
		return pyr_error_no_memory();
	for (i = 0; i < python->threads.count && !err; i++) {
		err = pyr_thread_frames(types, &python->reader, i, &frames[i]);
		if (err)
			break;
		read++;
		if (frames[i].truncated && !python->target->stacks_lost)
			pyr_context_incomplete(
				context, "the stack of thread %llu: %s",
				(unsigned long long)python->threads.data[i].native_id,
				frames[i].why ? frames[i].why : "cut");
	}
	if (!err) {
		pyr_context_answer(context);
		if (context->json)
			threads_json(context, frames);
		else
			threads_text(context, frames);
	}
	for (i = 0; i < read; i++)
		pyr_frames_deinit(&frames[i]);
	free(frames);
	return err;
}
