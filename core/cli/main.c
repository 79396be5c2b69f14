/* pyretain [OPTION...] [COMMAND [ARGUMENT...]] */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/front.h"
#include "command/globals.h"

static void print_usage(FILE *out)
{
	fputs("usage: pyretain [-c CORE | -p PID] [OPTION...] [COMMAND [ARGUMENT...]]\n", out);
}

static void print_help(pyr_session *session)
{
	char left[80];
	size_t i;

	print_usage(stdout);
	fputs("\n", stdout);
	fputs(pyr_help(session, NULL), stdout);
	fputs("\nWithout a COMMAND: an interactive shell, or commands from standard input.\n"
	      "\nOptions\n",
	      stdout);
	for (i = 0; i < GLOBAL_COUNT; i++) {
		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", globals[i].letter ? '-' : ' ',
			 globals[i].letter ? globals[i].letter : ' ',
			 globals[i].letter ? ", " : "  ", globals[i].name,
			 globals[i].value_name ? " " : "",
			 globals[i].value_name ? globals[i].value_name : "");
		printf("  %-25s %s\n", left, globals[i].help);
	}
}

__attribute__((format(printf, 1, 2))) static int usage_error(const char *format, ...)
{
	va_list args;

	fputs("pyretain: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\n", stderr);
	print_usage(stderr);
	return 2;
}

/* The option that @word names; *@value is what follows "=" or the letter, or NULL. */
static int global_of(const char *word, const char **value)
{
	size_t i, length = strcspn(word, "=");

	*value = NULL;
	for (i = 0; i < GLOBAL_COUNT; i++) {
		if (word[1] == '-' && strlen(globals[i].name) == length - 2 &&
		    !strncmp(word + 2, globals[i].name, length - 2)) {
			if (word[length])
				*value = word + length + 1;
			return (int)i;
		}
		if (word[1] != '-' && globals[i].letter && word[1] == globals[i].letter) {
			if (word[2])
				*value = word + 2;
			return (int)i;
		}
	}
	return -1;
}

static int apply(pyr_session *session, int global, const char *value)
{
	char *end;
	long pid;

	switch (global) {
	case GLOBAL_core:
		return pyr_session_use_core(session, value) ? usage_error("out of memory") : 0;
	case GLOBAL_pid:
		errno = 0;
		pid = strtol(value, &end, 10);
		if (errno || end == value || *end || pid <= 0 || pid > 0x7fffffff)
			return usage_error("'%s' is not a process id", value);
		return pyr_session_use_pid(session, (int)pid) ? usage_error("out of memory") : 0;
	default:
		if (pyr_session_option(session, globals[global].session_option, value))
			return usage_error("--%s cannot be '%s'", globals[global].name,
					   value ? value : "");
		return 0;
	}
}

static bool is_command(const char *word)
{
	size_t i;

	for (i = 0; i < pyr_command_count(); i++)
		if (!strcmp(pyr_command_name(i), word))
			return true;
	return false;
}

/* A file or a number where a command belongs: the option was forgotten. */
static int check_command(const char *word)
{
	if (is_command(word))
		return 0;
	if (word[strspn(word, "0123456789")] == '\0')
		return usage_error("'%s' is no command (did you mean -p %s?)", word, word);
	if (access(word, F_OK) == 0)
		return usage_error("'%s' is no command (did you mean -c %s?)", word, word);
	return 0;
}

int main(int argc, char **argv)
{
	pyr_session *session = pyr_session_create();
	struct pyr_front front;
	const char *value;
	bool core = false, pid = false;
	int i, global, status = 0;

	if (!session)
		return 1;
	signal(SIGPIPE, SIG_DFL); /* `| head` ends us quietly */
	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		global = global_of(argv[i], &value);
		if (global < 0) {
			status = usage_error("there is no option %s", argv[i]);
			goto out;
		}
		if (globals[global].value_name && !value) {
			if (i + 1 == argc) {
				status = usage_error("--%s wants a value: %s", globals[global].name,
						     globals[global].value_name);
				goto out;
			}
			value = argv[++i];
		} else if (!globals[global].value_name && value) {
			status = usage_error("--%s takes no value", globals[global].name);
			goto out;
		}
		if (global == GLOBAL_version) {
			printf("pyretain %s\n", pyr_version());
			goto out;
		}
		if (global == GLOBAL_help) {
			print_help(session);
			goto out;
		}
		core = core || global == GLOBAL_core;
		pid = pid || global == GLOBAL_pid;
		if ((status = apply(session, global, value)))
			goto out;
	}
	if (core && pid) {
		status = usage_error("-c and -p: one of them");
		goto out;
	}
	pyr_front_init(&front);
	if (i == argc) {
		status = pyr_front_shell(session, &front);
	} else if (!(status = check_command(argv[i]))) {
		status = pyr_run(session, argc - i, (const char *const *)argv + i, &front.sink);
		pyr_front_end(&front);
	}
out:
	pyr_session_destroy(session);
	return status;
}
