/* What a command is given, and what all commands print alike. */
#ifndef PYR_COMMAND_CONTEXT_H
#define PYR_COMMAND_CONTEXT_H

#include "command/args.h"
#include "command/session.h"
#include "render/json.h"
#include "render/out.h"
#include "render/table.h"
#include "render/units.h"

/* A command does all that can fail first, then prints: to `json` when that is
 * not NULL, else to `out`. The outermost JSON object, its head (command,
 * version, target) and its tail (incomplete, diagnostics) are not the
 * command's work. It calls pyr_context_answer() before it prints. */
struct pyr_context {
	struct pyr_session *session;
	const struct pyr_args *args;
	struct pyr_out *out;
	struct pyr_json *json;
	struct pyr_json json_state;
	uint64_t limit; /* rows of a list; UINT64_MAX: all */
	bool answered;
	PYR_VEC(char *) incomplete; /* reasons of the command's own; owned */
};

/* Begin the answer: in JSON the outermost object and its head. */
void pyr_context_answer(struct pyr_context *context);
/* The answer lacks something; told at its end. */
void pyr_context_incomplete(struct pyr_context *context, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static inline const struct pyr_value *pyr_context_option(const struct pyr_context *context,
							 size_t option)
{
	return &context->args->options[option];
}

/* The repr of the object at @addr as a string that the caller frees; "" without memory. */
char *pyr_context_repr(struct pyr_context *context, pyr_addr addr, size_t max_length);
/* "builtins.dict" of the object at @addr, or "?"; borrowed. */
const char *pyr_context_type_name(struct pyr_context *context, pyr_addr addr);
/* "… and N more <noun> (--limit 0 shows all)" when @all > @shown; the nouns may be "". */
void pyr_context_more(struct pyr_context *context, uint64_t shown, uint64_t all, const char *one,
		      const char *many);

/* A type's name as people read it: without "builtins.". */
const char *pyr_short_type(const char *name);

/* What is looked at: report.c */
/* "process 1234 (python3), copied, stopped for 12.3 ms" */
void pyr_report_target(const struct pyr_session *session, struct pyr_strbuf *out);
void pyr_report_target_json(const struct pyr_session *session, struct pyr_json *json);

/* Help: help.c */
void pyr_help_overview(struct pyr_strbuf *out, size_t columns);
void pyr_help_command(const struct pyr_command_spec *command, struct pyr_strbuf *out,
		      size_t columns);
void pyr_help_usage(const struct pyr_command_spec *command, struct pyr_strbuf *out);
/* "--by type|module|size", "-o FILE, --output FILE" */
void pyr_help_option(const struct pyr_option_spec *option, struct pyr_strbuf *out);

#endif
