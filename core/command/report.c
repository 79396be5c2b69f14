#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/context.h"
#include "values/object.h"

void pyr_report_target(const struct pyr_session *session, struct pyr_strbuf *out)
{
	const struct pyr_target *target = session->target;

	if (!target) {
		pyr_strbuf_add(out, "nothing");
		return;
	}
	pyr_strbuf_add(out, target->description ? target->description : "a target");
	if (target->kind == PYR_TARGET_LIVE && target->pause_ns)
		pyr_strbuf_printf(out, ", stopped for %s", pyr_duration(target->pause_ns).text);
	if (target->signal)
		pyr_strbuf_printf(out, ", ended by signal %d (%s)", target->signal,
				  strsignal(target->signal));
}

void pyr_report_target_json(const struct pyr_session *session, struct pyr_json *json)
{
	static const char *const kinds[] = {
		[PYR_TARGET_CORE] = "core",
		[PYR_TARGET_LIVE] = "process",
		[PYR_TARGET_DEBUGGER] = "debugger",
		[PYR_TARGET_MOCK] = "mock",
	};
	const struct pyr_target *target = session->target;

	if (!target) {
		pyr_json_null(json, "target");
		return;
	}
	pyr_json_begin_object(json, "target");
	pyr_json_string(json, "kind", kinds[target->kind]);
	pyr_json_string(json, "description", target->description);
	if (session->core_path)
		pyr_json_string(json, "path", session->core_path);
	if (target->pid)
		pyr_json_int(json, "pid", target->pid);
	else
		pyr_json_null(json, "pid");
	pyr_json_string(json, "machine", pyr_layout_machine_name(target->machine));
	pyr_json_string(json, "executable", target->exe);
	pyr_json_string(json, "name", target->command_name);
	if (target->signal)
		pyr_json_int(json, "signal", target->signal);
	if (target->kind == PYR_TARGET_LIVE) {
		pyr_json_real(json, "pause_ms", (double)target->pause_ns / 1e6);
		pyr_json_bool(json, "consistent", !target->inconsistent);
	}
	if (session->route)
		pyr_json_string(json, "route", session->route);
	pyr_json_end_object(json);
}

void pyr_context_answer(struct pyr_context *context)
{
	if (context->answered)
		return;
	context->answered = true;
	if (!context->json)
		return;
	pyr_json_begin_object(context->json, NULL);
	pyr_json_string(context->json, "command", context->args->command->name);
	pyr_json_string(context->json, "pyretain", pyr_version());
	if (context->args->command->needs_target)
		pyr_report_target_json(context->session, context->json);
}

void pyr_context_incomplete(struct pyr_context *context, const char *format, ...)
{
	va_list args;
	char *text;
	size_t i;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		return;
	for (i = 0; i < context->incomplete.count; i++) {
		if (!strcmp(context->incomplete.data[i], text)) {
			free(text);
			return;
		}
	}
	if (!pyr_vec_push(&context->incomplete, text))
		free(text);
}

char *pyr_context_repr(struct pyr_context *context, pyr_addr addr, size_t max_length)
{
	struct pyr_repr_options options = {.max_length = max_length};
	struct pyr_strbuf text = {0};
	char *ret;

	pyr_object_repr(context->session->types, &context->session->python->reader, addr, &options,
			&text);
	ret = pyr_strbuf_take(&text);
	pyr_strbuf_deinit(&text);
	return ret;
}

const char *pyr_context_type_name(struct pyr_context *context, pyr_addr addr)
{
	struct pyr_object_header header;
	pyr_error *err;

	err = pyr_object_header(context->session->types, &context->session->python->reader, addr,
				&header);
	if (err) {
		pyr_error_destroy(err);
		return "?";
	}
	return pyr_type_name(context->session->types, header.type);
}

const char *pyr_short_type(const char *name)
{
	static const char prefix[] = "builtins.";

	return strncmp(name, prefix, sizeof(prefix) - 1) ? name : name + sizeof(prefix) - 1;
}

void pyr_context_more(struct pyr_context *context, uint64_t shown, uint64_t all, const char *one,
		      const char *many)
{
	if (all > shown)
		pyr_out_printf(context->out, "  … and %s more%s%s (--limit 0 shows all)\n",
			       pyr_count(all - shown).text, one[0] ? " " : "",
			       all - shown == 1 ? one : many);
}
