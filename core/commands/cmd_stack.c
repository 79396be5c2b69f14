/* stack: the Python frames of a thread, with their variables. */
#include <stdlib.h>
#include <string.h>

#include "views/show.h"

static pyr_error *no_such_thread(const struct pyr_python *python, const char *text)
{
	struct pyr_strbuf ids = {0};
	const struct pyr_python_thread *thread;
	pyr_error *err;
	size_t i;

	for (i = 0; i < python->threads.count && i < 16; i++) {
		thread = &python->threads.data[i];
		pyr_strbuf_printf(&ids, "%s%llu", i ? ", " : "",
				  (unsigned long long)(thread->native_id ? thread->native_id
									 : thread->thread_id));
	}
	if (python->threads.count > i)
		pyr_strbuf_add(&ids, ", ...");
	err = pyr_error_create(PYR_E_NO_SUCH_THREAD, "no Python thread has the id %s; there is %s",
			       text, ids.length ? pyr_strbuf_str(&ids) : "none");
	pyr_strbuf_deinit(&ids);
	return err;
}

static void print_thread(struct pyr_context *context, const struct pyr_python_thread *thread,
			 const struct pyr_frames *frames, unsigned variables)
{
	const char *name = pyr_show_thread_name(context->session, thread);
	size_t i, shown = frames->frames.count;

	pyr_out_styled(
		context->out, PYR_STYLE_STRONG, "Thread %llu%s%s%s%s: %s",
		(unsigned long long)(thread->native_id ? thread->native_id : thread->thread_id),
		name[0] ? " (" : "", name, name[0] ? ")" : "",
		thread->holds_gil ? ", holds the GIL" : "",
		frames->frames.count
			? pyr_counted(frames->frames.count, "Python frame", "Python frames").text
			: "no Python frame");
	pyr_out_text(context->out, shown > 1 ? ", innermost first\n" : "\n");
	if (shown > context->limit)
		shown = (size_t)context->limit;
	for (i = 0; i < shown; i++)
		pyr_show_frame(context, &frames->frames.data[i], variables);
	pyr_context_more(context, shown, frames->frames.count, "frame", "frames");
	if (frames->truncated)
		pyr_out_styled(context->out, PYR_STYLE_WARNING, "  … the stack is cut here: %s\n",
			       frames->why ? frames->why : "unknown");
}

static void stack_json(struct pyr_context *context, const struct pyr_python_thread *thread,
		       const struct pyr_frames *frames, unsigned variables)
{
	size_t i, shown = frames->frames.count;

	if (shown > context->limit)
		shown = (size_t)context->limit;
	pyr_json_begin_object(context->json, NULL);
	pyr_show_thread_json(context, thread);
	pyr_json_begin_list(context->json, "frames");
	for (i = 0; i < shown; i++)
		pyr_show_frame_json(context, NULL, &frames->frames.data[i], variables);
	pyr_json_end_list(context->json);
	pyr_json_uint(context->json, "omitted", frames->frames.count - shown);
	pyr_json_bool(context->json, "truncated", frames->truncated);
	pyr_json_end_object(context->json);
}

static pyr_error *one_thread(struct pyr_context *context, size_t index, bool first)
{
	unsigned variables =
		(pyr_context_option(context, PYR_OPT_stack_no_locals)->given ? 0
									     : PYR_SHOW_LOCALS) |
		(pyr_context_option(context, PYR_OPT_stack_operands)->given ? PYR_SHOW_OPERANDS
									    : 0);
	struct pyr_python *python = context->session->python;
	const struct pyr_python_thread *thread = &python->threads.data[index];
	struct pyr_frames frames = {0};
	pyr_error *err;

	if ((err = pyr_thread_frames(context->session->types, &python->reader, index, &frames)))
		return err;
	if (frames.truncated && !python->target->stacks_lost)
		pyr_context_incomplete(context, "the stack of thread %llu: %s",
				       (unsigned long long)thread->native_id,
				       frames.why ? frames.why : "cut");
	if (context->json) {
		stack_json(context, thread, &frames, variables);
	} else {
		if (!first)
			pyr_out_raw(context->out, "\n", 1);
		print_thread(context, thread, &frames, variables);
	}
	pyr_frames_deinit(&frames);
	return pyr_control_check(&context->session->control);
}

pyr_error *pyr_cmd_stack(struct pyr_context *context)
{
	const struct pyr_value *wanted = &context->args->arguments[0];
	const struct pyr_python_thread *thread;
	struct pyr_python *python;
	struct pyr_types *types;
	pyr_error *err;
	size_t i, found = 0;

	if ((err = pyr_session_types(context->session, &types)))
		return err;
	python = context->session->python;
	for (i = 0; i < python->threads.count; i++) {
		thread = &python->threads.data[i];
		if (!wanted->given || wanted->number == thread->native_id ||
		    wanted->number == thread->thread_id)
			found++;
	}
	if (!found && wanted->given)
		return no_such_thread(python, wanted->text);
	pyr_context_answer(context);
	if (context->json)
		pyr_json_begin_list(context->json, "threads");
	else if (!found)
		pyr_out_text(context->out, "There is no Python thread.\n");
	for (i = 0, found = 0; i < python->threads.count && !err; i++) {
		thread = &python->threads.data[i];
		if (!wanted->given || wanted->number == thread->native_id ||
		    wanted->number == thread->thread_id)
			err = one_thread(context, i, found++ == 0);
	}
	if (context->json)
		pyr_json_end_list(context->json);
	return err;
}
