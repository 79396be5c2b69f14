/* Help texts, from the table of commands. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/context.h"
#include "render/text.h"

#define HELP_COLUMNS 78u
#define HELP_GUTTER 26u

void pyr_help_option(const struct pyr_option_spec *option, struct pyr_strbuf *out)
{
	if (option->letter)
		pyr_strbuf_printf(out, "-%c%s%s, ", option->letter, option->value_name ? " " : "",
				  option->value_name ? option->value_name : "");
	pyr_strbuf_printf(out, "--%s", option->name);
	if (option->value_name)
		pyr_strbuf_printf(out, " %s", option->value_name);
}

void pyr_help_usage(const struct pyr_command_spec *command, struct pyr_strbuf *out)
{
	const struct pyr_argument_spec *argument;
	const struct pyr_option_spec *option;
	size_t i;

	pyr_strbuf_add(out, command->name);
	for (i = 0; i < PYR_ARGUMENTS_MAX && command->arguments[i].name; i++) {
		argument = &command->arguments[i];
		pyr_strbuf_printf(out, argument->required ? " %s" : " [%s]", argument->name);
	}
	for (i = 0; i < command->option_count; i++) {
		option = &command->options[i];
		pyr_strbuf_printf(out, " [--%s%s%s]", option->name, option->value_name ? " " : "",
				  option->value_name ? option->value_name : "");
	}
	if (command->needs_target)
		pyr_strbuf_add(out, " [--json] [--limit N] [-o FILE]");
}

/* "  left      right, wrapped" */
static void two_columns(struct pyr_strbuf *out, const char *left, const char *right, size_t columns)
{
	struct pyr_strbuf text = {0};
	size_t width = pyr_text_columns(left, strlen(left)), i;
	const char *line, *end;

	pyr_text_wrap(&text, right, columns > HELP_GUTTER + 20 ? columns - HELP_GUTTER : 0, 0);
	pyr_strbuf_printf(out, "  %s", left);
	width += 2;
	if (width + 2 > HELP_GUTTER) {
		pyr_strbuf_add_char(out, '\n');
		width = 0;
	}
	for (line = pyr_strbuf_str(&text); *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		for (i = width; i < HELP_GUTTER; i++)
			pyr_strbuf_add_char(out, ' ');
		pyr_strbuf_add_bytes(out, line, (size_t)(end - line));
		pyr_strbuf_add_char(out, '\n');
		width = 0;
	}
	pyr_strbuf_deinit(&text);
}

void pyr_help_overview(struct pyr_strbuf *out, size_t columns)
{
	const char *group = NULL;
	size_t i;

	pyr_text_wrap(
		out,
		"pyretain reads CPython's memory from a core file or a process, from outside, "
		"and explains it.",
		columns, 0);
	for (i = 0; i < pyr_commands_count; i++) {
		if (!group || strcmp(group, pyr_commands[i].group)) {
			group = pyr_commands[i].group;
			pyr_strbuf_printf(out, "\n%s\n", group);
		}
		two_columns(out, pyr_commands[i].name, pyr_commands[i].summary, columns);
	}
	pyr_strbuf_add(out, "\n");
	pyr_text_wrap(out,
		      "Every command takes --json (one JSON object), --limit N (rows of a list; 0: "
		      "all) and -o FILE. `help COMMAND` tells more.",
		      columns, 0);
}

static void choice_default(const struct pyr_option_spec *option, struct pyr_strbuf *text)
{
	pyr_strbuf_add(text, option->help);
	if (option->default_value)
		pyr_strbuf_printf(text, " (%s)", option->default_value);
}

void pyr_help_command(const struct pyr_command_spec *command, struct pyr_strbuf *out,
		      size_t columns)
{
	struct pyr_strbuf left = {0}, right = {0};
	const char *line, *end;
	size_t i;

	pyr_strbuf_printf(out, "%s: %s\n\nusage: ", command->name, command->summary);
	pyr_help_usage(command, out);
	pyr_strbuf_add(out, "\n\n");
	pyr_text_wrap(out, command->help, columns, 0);
	for (i = 0; i < PYR_ARGUMENTS_MAX && command->arguments[i].name; i++) {
		if (i == 0)
			pyr_strbuf_add(out, "\nArguments\n");
		two_columns(out, command->arguments[i].name, command->arguments[i].help, columns);
	}
	pyr_strbuf_add(out, "\nOptions\n");
	for (i = 0; i < pyr_option_count(command); i++) {
		/* its own first: they are what help was asked for */
		size_t at = (i + PYR_OPT_COMMON) % pyr_option_count(command);

		if (at < PYR_OPT_COMMON && !command->needs_target && at != PYR_OPT_json &&
		    at != PYR_OPT_output)
			continue;
		pyr_strbuf_clear(&left);
		pyr_strbuf_clear(&right);
		pyr_help_option(pyr_option_at(command, at), &left);
		choice_default(pyr_option_at(command, at), &right);
		two_columns(out, pyr_strbuf_str(&left), pyr_strbuf_str(&right), columns);
	}
	pyr_strbuf_add(out, strchr(command->examples, '\n') ? "\nExamples\n" : "\nExample\n");
	for (line = command->examples; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		pyr_strbuf_add(out, "  ");
		pyr_strbuf_add_bytes(out, line, (size_t)(end - line));
		pyr_strbuf_add_char(out, '\n');
	}
	pyr_strbuf_deinit(&left);
	pyr_strbuf_deinit(&right);
}

const char *pyr_help(pyr_session *session, const char *name)
{
	const struct pyr_command_spec *command = name ? pyr_command_find(name) : NULL;
	struct pyr_strbuf text = {0};

	if (name && !command)
		return NULL;
	if (command)
		pyr_help_command(command, &text, HELP_COLUMNS);
	else
		pyr_help_overview(&text, HELP_COLUMNS);
	free(session->help_text);
	session->help_text = pyr_strbuf_take(&text);
	pyr_strbuf_deinit(&text);
	return session->help_text ? session->help_text : "";
}
