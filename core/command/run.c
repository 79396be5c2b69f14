/* One command: parse, run, and what all answers have in common. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "command/context.h"

#define TEXT_LIMIT 20u

const char *pyr_version(void)
{
	return "0.1.0";
}

/* --- Ctrl-C --- */

static _Atomic(struct pyr_session *) interrupted_session;

static void on_sigint(int number)
{
	struct pyr_session *session = atomic_load(&interrupted_session);

	(void)number;
	if (session)
		pyr_session_interrupt(session);
}

static bool catch_sigint(struct pyr_session *session, struct sigaction *old)
{
	struct sigaction action = {.sa_handler = on_sigint, .sa_flags = SA_RESTART};

	sigemptyset(&action.sa_mask);
	atomic_store(&interrupted_session, session);
	return sigaction(SIGINT, &action, old) == 0;
}

static void release_sigint(const struct sigaction *old)
{
	sigaction(SIGINT, old, NULL);
	atomic_store(&interrupted_session, NULL);
}

static bool report_progress(void *ctx, const char *phase, uint64_t done, uint64_t total)
{
	const struct pyr_sink *sink = ctx;

	return sink->progress(sink->ctx, phase, done, total) == 0;
}

/* --- what stands below every answer --- */

static size_t incomplete_count(const struct pyr_context *context)
{
	const struct pyr_target *target = context->session->target;

	return context->incomplete.count + (target ? target->incomplete.count : 0);
}

static const char *incomplete_at(const struct pyr_context *context, size_t i)
{
	const struct pyr_target *target = context->session->target;
	size_t n = target ? target->incomplete.count : 0;

	return i < n ? target->incomplete.data[i] : context->incomplete.data[i - n];
}

static void tail_json(struct pyr_context *context)
{
	const struct pyr_control *control = &context->session->control;
	struct pyr_json *json = context->json;
	size_t i, n = incomplete_count(context);

	if (context->args->command->needs_target && n) {
		pyr_json_begin_list(json, "incomplete");
		for (i = 0; i < n; i++)
			pyr_json_string(json, NULL, incomplete_at(context, i));
		pyr_json_end_list(json);
	}
	if (control->diagnostic_count) {
		pyr_json_begin_list(json, "diagnostics");
		for (i = 0; i < control->diagnostic_count; i++) {
			pyr_json_begin_object(json, NULL);
			pyr_json_string(json, "message", control->diagnostics[i].message);
			pyr_json_uint(json, "times", control->diagnostics[i].times);
			pyr_json_end_object(json);
		}
		pyr_json_end_list(json);
		pyr_json_uint(json, "diagnostics_omitted", control->diagnostics_omitted);
	}
	pyr_json_end_object(json);
}

static void tail_text(struct pyr_context *context)
{
	size_t i, n = incomplete_count(context);

	if (!context->args->command->needs_target)
		return;
	for (i = 0; i < n; i++)
		pyr_out_styled(context->out, PYR_STYLE_WARNING, "%sincomplete: %s\n", i ? "" : "\n",
			       incomplete_at(context, i));
}

#define WARNINGS_SHOWN 10u

static void warnings(struct pyr_context *context, const struct pyr_sink *sink)
{
	const struct pyr_control *control = &context->session->control;
	const struct pyr_diagnostic *d;
	struct pyr_out err;
	uint64_t left = control->diagnostics_omitted;
	size_t i;

	pyr_out_init(&err, sink, 2);
	for (i = 0; i < control->diagnostic_count; i++) {
		d = &control->diagnostics[i];
		if (i >= WARNINGS_SHOWN) {
			left += d->times;
			continue;
		}
		pyr_out_styled(&err, PYR_STYLE_WARNING, "warning: %s", d->message);
		if (d->times > 1)
			pyr_out_printf(&err, " (%s times)", pyr_count(d->times).text);
		pyr_out_raw(&err, "\n", 1);
	}
	if (left)
		pyr_out_printf(&err, "warning: … and %s (--json lists them)\n",
			       pyr_counted(left, "warning more", "warnings more").text);
	pyr_out_deinit(&err);
}

/* --- errors --- */

/* What helps in general; the message itself tells the case at hand. */
static const char *hint(const struct pyr_session *session, const pyr_error *err)
{
	switch (err->code) {
	case PYR_E_NO_PERMISSION:
		return session->origin == PYR_ORIGIN_PID && !strstr(err->message, "root")
			       ? "run pyretain as the process's user or as root"
			       : NULL;
	case PYR_E_NOT_AN_OBJECT:
		return "`find` and `census` list what there is";
	case PYR_E_NO_SPACE:
		return strstr(err->message, "tmpdir") ? NULL : "--tmpdir DIR puts it elsewhere";
	default:
		return NULL;
	}
}

static void print_error(struct pyr_session *session, const struct pyr_sink *sink,
			const struct pyr_args *args, const pyr_error *err)
{
	const char *advice = hint(session, err);
	struct pyr_strbuf usage = {0};
	struct pyr_json json;
	struct pyr_out out;

	pyr_out_init(&out, sink, 2);
	if (args->wants_json) {
		/* on one line, so that it can be told from warnings around it */
		pyr_json_init(&json, &out);
		json.flat = true;
		pyr_json_begin_object(&json, NULL);
		pyr_json_begin_object(&json, "error");
		pyr_json_string(&json, "code", pyr_error_code_name(err->code));
		pyr_json_string(&json, "message", err->message);
		if (err->has_address)
			pyr_json_format(&json, "address", "0x%llx",
					(unsigned long long)err->address);
		else
			pyr_json_null(&json, "address");
		pyr_json_end_object(&json);
		pyr_json_end_object(&json);
	} else {
		pyr_out_styled(&out, PYR_STYLE_ERROR, "pyretain: ");
		if (args->command)
			pyr_out_printf(&out, "%s: ", args->command->name);
		pyr_out_text(&out, err->message);
		if (advice)
			pyr_out_printf(&out, " (%s)", advice);
		pyr_out_raw(&out, "\n", 1);
		if (err->code == PYR_E_USAGE && args->command) {
			pyr_help_usage(args->command, &usage);
			pyr_out_printf(&out, "usage: %s\n", pyr_strbuf_str(&usage));
		}
	}
	pyr_strbuf_deinit(&usage);
	pyr_out_deinit(&out);
}

/* --- the call --- */

static pyr_error *run_parsed(struct pyr_context *context)
{
	const struct pyr_value *output = &context->args->options[PYR_OPT_output];
	const struct pyr_value *limit = &context->args->options[PYR_OPT_limit];
	pyr_error *err;

	if (output->given && (err = pyr_out_to_file(context->out, output->text)))
		return err;
	if (context->args->wants_json) {
		pyr_json_init(&context->json_state, context->out);
		context->json = &context->json_state;
	}
	context->limit = limit->given ? limit->number : context->json == NULL ? TEXT_LIMIT : 0;
	if (context->limit == 0)
		context->limit = UINT64_MAX;
	if ((err = context->args->command->run(context)))
		return err;
	/* an interrupt while it printed: what came is not the whole answer */
	if ((err = pyr_control_check(&context->session->control)))
		return err;
	pyr_context_answer(context);
	if (context->json)
		tail_json(context);
	else
		tail_text(context);
	return pyr_out_finish(context->out);
}

int pyr_run(pyr_session *session, int argc, const char *const *argv, const struct pyr_sink *sink)
{
	struct pyr_context context = {.session = session};
	struct sigaction old;
	struct pyr_args args;
	struct pyr_out out;
	pyr_error *err;
	bool caught = false;
	int status = 0;
	size_t i;

	pyr_control_clear(&session->control);
	pyr_out_init(&out, sink, 1);
	context.out = &out;
	context.args = &args;
	err = pyr_args_parse(&args, argc, argv);
	if (!err) {
		/* a usage error leaves the last results be */
		if (args.command->needs_target)
			session->results.count = 0;
		session->control.progress = sink->progress ? report_progress : NULL;
		session->control.progress_ctx = (void *)sink;
		if (sink->catch_sigint)
			caught = catch_sigint(session, &old);
		err = run_parsed(&context);
		/* Memory could not be had any more: whatever was made of it is not the answer. */
		if (session->target && session->target->failure) {
			pyr_error_destroy(err);
			err = session->target->failure;
			session->target->failure = NULL;
			pyr_session_close(session);
		}
		if (caught)
			release_sigint(&old);
		session->control.progress = NULL;
	}
	pyr_out_deinit(&out); /* what was printed comes before what is told about it */
	if (!err && !args.wants_json)
		warnings(&context, sink);
	if (err) {
		if (context.answered && !args.wants_json)
			warnings(&context, sink);
		print_error(session, sink, &args, err);
		status = err->code == PYR_E_USAGE ? 2 : 1;
		pyr_error_destroy(err);
	}
	/* a process that stands still must not wait for a person */
	if (session->target && session->target->stopped)
		pyr_session_close(session);
	pyr_args_deinit(&args);
	for (i = 0; i < context.incomplete.count; i++)
		free(context.incomplete.data[i]);
	pyr_vec_deinit(&context.incomplete);
	return status;
}

int pyr_run_line(pyr_session *session, const char *line, const struct pyr_sink *sink)
{
	static const char *const nothing[] = {"", NULL};
	struct pyr_args args = {0};
	struct pyr_argv words;
	pyr_error *err;
	int status;

	if ((err = pyr_argv_split(line, false, &words))) {
		args.wants_json = strstr(line, "--json") != NULL;
		print_error(session, sink, &args, err);
		status = err->code == PYR_E_USAGE ? 2 : 1;
		pyr_error_destroy(err);
		return status;
	}
	status = words.argc ? pyr_run(session, words.argc, (const char *const *)words.argv, sink)
			    : pyr_run(session, 1, nothing, sink);
	pyr_argv_deinit(&words);
	return status;
}
