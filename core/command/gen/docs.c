/* Writes docs/commands/ and docs/pyretain.1 from the table of commands.
 * usage: gen-docs DIRECTORY */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command/context.h"
#include "command/globals.h"

static FILE *create(const char *directory, const char *name)
{
	char *path;
	FILE *file;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		exit(1);
	file = fopen(path, "w");
	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	free(path);
	return file;
}

static void each_line(FILE *out, const char *text, const char *before, const char *after)
{
	const char *end;

	for (; *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		fprintf(out, "%s%.*s%s", before, (int)(end - text), text, after);
	}
}

/* --- Markdown --- */

static void markdown_paragraphs(FILE *out, const char *text)
{
	struct pyr_strbuf wrapped = {0};

	pyr_text_wrap(&wrapped, text, 100, 0);
	fputs(pyr_strbuf_str(&wrapped), out);
	pyr_strbuf_deinit(&wrapped);
}

/* In a table a bar ends the cell, in code too. */
static void markdown_cell(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void markdown_option(FILE *out, const struct pyr_option_spec *option)
{
	struct pyr_strbuf left = {0};

	pyr_help_option(option, &left);
	fputs("| `", out);
	markdown_cell(out, pyr_strbuf_str(&left));
	fputs("` | ", out);
	markdown_cell(out, option->help);
	fprintf(out, " | %s%s%s |\n", option->default_value ? "`" : "",
		option->default_value ? option->default_value : "",
		option->default_value ? "`" : "");
	pyr_strbuf_deinit(&left);
}

static void markdown_page(const char *directory, const struct pyr_command_spec *command)
{
	struct pyr_strbuf usage = {0};
	char name[64];
	FILE *out;
	size_t i;

	snprintf(name, sizeof(name), "%s.md", command->name);
	out = create(directory, name);
	pyr_help_usage(command, &usage);
	fprintf(out, "# %s\n\n", command->name);
	fprintf(out, "%c%s.\n\n```\n%s\n```\n\n",
		command->summary[0] >= 'a' && command->summary[0] <= 'z'
			? command->summary[0] - 'a' + 'A'
			: command->summary[0],
		command->summary + 1, pyr_strbuf_str(&usage));
	markdown_paragraphs(out, command->help);
	for (i = 0; i < PYR_ARGUMENTS_MAX && command->arguments[i].name; i++) {
		if (i == 0)
			fputs("\n| argument | |\n|---|---|\n", out);
		fprintf(out, "| `%s` | ", command->arguments[i].name);
		markdown_cell(out, command->arguments[i].help);
		fprintf(out, "%s |\n", command->arguments[i].required ? "" : " (may be left out)");
	}
	fputs("\n| option | | default |\n|---|---|---|\n", out);
	for (i = 0; i < pyr_option_count(command); i++)
		markdown_option(out, pyr_option_at(command, (i + PYR_OPT_COMMON) %
								    pyr_option_count(command)));
	fputs("\n```\n", out);
	each_line(out, command->examples, "pyretain ", "\n");
	fputs("```\n", out);
	fclose(out);
	pyr_strbuf_deinit(&usage);
}

static void markdown_index(const char *directory)
{
	FILE *out = create(directory, "README.md");
	const char *group = NULL;
	size_t i;

	fputs("# Commands\n\n"
	      "Each of them works alike in a shell (`pyretain -c CORE COMMAND`, `pyretain -p PID "
	      "COMMAND`),\nin gdb and in lldb (`pyretain COMMAND`, or `pyr COMMAND`).\n",
	      out);
	for (i = 0; i < pyr_commands_count; i++) {
		if (!group || strcmp(group, pyr_commands[i].group)) {
			group = pyr_commands[i].group;
			fprintf(out, "\n## %s\n\n| command | |\n|---|---|\n", group);
		}
		fprintf(out, "| [%s](%s.md) | %s |\n", pyr_commands[i].name, pyr_commands[i].name,
			pyr_commands[i].summary);
	}
	fclose(out);
}

/* --- the man page --- */

static void roff(FILE *out, const char *text)
{
	bool begin = true;

	for (; *text; text++) {
		if (begin && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else if (*text == '`') /* code stands in the text's own font */
			fputs("\\&", out);
		else if (*text == '\n' && text[1] == '\n') {
			fputs("\n.PP\n", out);
			text++;
		} else
			fputc(*text, out);
		begin = *text == '\n';
	}
}

static void roff_command(FILE *out, const struct pyr_command_spec *command)
{
	struct pyr_strbuf text = {0};
	size_t i;

	pyr_help_usage(command, &text);
	fputs(".SS ", out);
	roff(out, pyr_strbuf_str(&text));
	fputs("\n", out);
	roff(out, command->help);
	fputs("\n", out);
	for (i = 0; i < PYR_ARGUMENTS_MAX && command->arguments[i].name; i++) {
		fprintf(out, ".TP\n.I %s\n", command->arguments[i].name);
		roff(out, command->arguments[i].help);
		fputs("\n", out);
	}
	for (i = 0; i < command->option_count; i++) {
		pyr_strbuf_clear(&text);
		pyr_help_option(&command->options[i], &text);
		fputs(".TP\n.B ", out);
		roff(out, pyr_strbuf_str(&text));
		fputs("\n", out);
		roff(out, command->options[i].help);
		if (command->options[i].default_value) {
			fputs(" (", out);
			roff(out, command->options[i].default_value);
			fputs(")", out);
		}
		fputs("\n", out);
	}
	fputs(".PP\n.RS\n.nf\n", out);
	pyr_strbuf_clear(&text);
	pyr_strbuf_add(&text, command->examples);
	roff(out, pyr_strbuf_str(&text));
	fputs("\n.fi\n.RE\n", out);
	pyr_strbuf_deinit(&text);
}

static void roff_global(FILE *out, size_t i)
{
	fputs(".TP\n", out);
	if (globals[i].letter && globals[i].value_name)
		fprintf(out, ".BI \\-%c \" %s\\fR, \" ", globals[i].letter, globals[i].value_name);
	else if (globals[i].letter)
		fprintf(out, ".BR \\-%c \", \" ", globals[i].letter);
	else if (globals[i].value_name)
		fputs(".BI ", out);
	else
		fputs(".B ", out);
	fputs("\\-\\-", out);
	roff(out, globals[i].name);
	if (globals[i].value_name)
		fprintf(out, " \" %s\"", globals[i].value_name);
	fputs("\n", out);
	roff(out, globals[i].help);
	fputs("\n", out);
}

static void man_page(const char *directory)
{
	FILE *out = create(directory, "pyretain.1");
	struct pyr_strbuf text = {0};
	size_t i;

	fprintf(out,
		".\\\" Made from the table of commands by `make docs`.\n"
		".TH PYRETAIN 1 \"\" \"pyretain %s\" \"User Commands\"\n"
		".SH NAME\npyretain \\- explain the memory of a CPython process or core dump\n"
		".SH SYNOPSIS\n.B pyretain\n"
		".RB [ \\-c\n.IR CORE \" |\"\n.B \\-p\n.IR PID ]\n"
		".RI [ OPTION .\\|.\\|.]\n.RI [ COMMAND\n.RI [ ARGUMENT .\\|.\\|.]]\n"
		".SH DESCRIPTION\n",
		pyr_version());
	roff(out,
	     "pyretain reads the memory of a CPython process from outside, from a core dump or "
	     "from the running process, and explains it. No code runs in the target, nothing "
	     "is written to it, and no debug symbols are needed. A running process is copied, "
	     "stopped only for a moment at the end, and runs again before anything is "
	     "analysed.\n\nWithout a COMMAND it is an interactive shell on a terminal, and "
	     "reads commands from standard input, one a line, otherwise.");
	fputs("\n.SH OPTIONS\n", out);
	for (i = 0; i < GLOBAL_COUNT; i++)
		roff_global(out, i);
	fputs(".SH COMMANDS\nEvery command takes these options:\n", out);
	for (i = 0; i < PYR_OPT_COMMON; i++) {
		pyr_strbuf_clear(&text);
		pyr_help_option(pyr_option_at(&pyr_commands[0], i), &text);
		fputs(".TP\n.B ", out);
		roff(out, pyr_strbuf_str(&text));
		fputs("\n", out);
		roff(out, pyr_option_at(&pyr_commands[0], i)->help);
		fputs("\n", out);
	}
	for (i = 0; i < pyr_commands_count; i++)
		roff_command(out, &pyr_commands[i]);
	fputs(".SH EXIT STATUS\n"
	      "0: answered, also when the target lacks something, which is then said.\n"
	      "1: it could not be answered; with \\-\\-json standard error holds one line\n"
	      "{\"error\": {\"code\", \"message\", \"address\"}}.\n"
	      "2: wrong usage.\n"
	      ".SH ENVIRONMENT\n"
	      ".TP\n.B NO_COLOR\nno colours on a terminal\n"
	      ".TP\n.B XDG_STATE_HOME\nthe shell's history lies in pyretain/history below it "
	      "(~/.local/state)\n"
	      ".TP\n.B PYRETAIN_THREADS\nhow many threads to work with (one for each processor)\n"
	      ".TP\n.B DEBUGINFOD_URLS\nwhere missing debug information may be fetched from; "
	      "unset: "
	      "nowhere\n"
	      ".SH SEE ALSO\n.BR gdb (1),\n.BR lldb (1),\n.BR core (5)\n",
	      out);
	pyr_strbuf_deinit(&text);
	fclose(out);
}

int main(int argc, char **argv)
{
	char *commands;
	size_t i;

	if (argc != 2 || asprintf(&commands, "%s/commands", argv[1]) < 0) {
		fputs("usage: gen-docs DIRECTORY\n", stderr);
		return 2;
	}
	mkdir(argv[1], 0777);
	mkdir(commands, 0777);
	markdown_index(commands);
	for (i = 0; i < pyr_commands_count; i++)
		markdown_page(commands, &pyr_commands[i]);
	man_page(argv[1]);
	free(commands);
	return 0;
}
