/* A command line, checked against the table of commands. */
#ifndef PYR_COMMAND_ARGS_H
#define PYR_COMMAND_ARGS_H

#include <regex.h>
#include <stdint.h>

#include "command/spec.h"

struct pyr_value {
	bool given;       /* on the command line, not by default */
	const char *text; /* as typed or the default; NULL: neither. Borrowed. */
	uint64_t number;  /* COUNT, SIZE, GENERATION, ADDRESS, THREAD; index of a CHOICE */
	const char *name; /* ATTRIBUTE: the name, owned by the pyr_args */
	regex_t *regex;   /* REGEX, ATTRIBUTE with a value; NULL without */
};

#define PYR_OPTIONS_MAX 24

struct pyr_args {
	const struct pyr_command_spec *command;
	struct pyr_value arguments[PYR_ARGUMENTS_MAX];
	struct pyr_value options[PYR_OPTIONS_MAX]; /* by PYR_OPT_* */
	bool wants_json; /* --json is there, even when the rest is wrong */
	regex_t regexes[PYR_OPTIONS_MAX];
	char *names[PYR_OPTIONS_MAX];
	size_t regex_count, name_count;
};

/* @argv[0] is the command's name. The strings are borrowed. On a usage error
 * `command` (when known) and `wants_json` are set all the same;
 * pyr_args_deinit() is due in every case. */
pyr_error *pyr_args_parse(struct pyr_args *args, int argc, const char *const *argv);
void pyr_args_deinit(struct pyr_args *args);

/* Does @value hold for @text? Without a regular expression all does. */
bool pyr_value_matches(const struct pyr_value *value, const char *text);

/* --- one line into words, as a POSIX shell would --- */
struct pyr_argv {
	char **argv; /* NULL-terminated */
	int argc;
	bool open; /* the last word is unfinished: no blank after it */
};
/* Usage error on a quote that does not end, unless @lenient. */
pyr_error *pyr_argv_split(const char *line, bool lenient, struct pyr_argv *ret);
void pyr_argv_deinit(struct pyr_argv *words);

#endif
