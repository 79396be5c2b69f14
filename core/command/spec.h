/* The table of commands (commands.def) as data. */
#ifndef PYR_COMMAND_SPEC_H
#define PYR_COMMAND_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum pyr_value_kind {
	PYR_VALUE_FLAG,       /* an option without a value */
	PYR_VALUE_COUNT,      /* 0, 1, 2, ... */
	PYR_VALUE_SIZE,       /* a count of bytes, with k, m, g */
	PYR_VALUE_GENERATION, /* 0, 1 or 2 */
	PYR_VALUE_CHOICE,     /* one of the words of value_name */
	PYR_VALUE_REGEX,      /* POSIX extended */
	PYR_VALUE_ATTRIBUTE,  /* NAME or NAME=REGEX */
	PYR_VALUE_ADDRESS,    /* 0x... or decimal; debuggers evaluate expressions */
	PYR_VALUE_THREAD,     /* an id or a number */
	PYR_VALUE_PATH,
	PYR_VALUE_COMMAND, /* the name of a command */
};

struct pyr_option_spec {
	const char *name; /* without dashes */
	char letter;      /* 0: none */
	enum pyr_value_kind kind;
	const char *value_name;    /* "RE"; of a choice its words: "type|module|size" */
	const char *default_value; /* or NULL */
	const char *help;
};

struct pyr_argument_spec {
	const char *name; /* NULL ends the list */
	enum pyr_value_kind kind;
	bool required;
	const char *help;
};

#define PYR_ARGUMENTS_MAX 3

struct pyr_context;

struct pyr_command_spec {
	const char *name, *group;
	bool needs_target;
	struct pyr_argument_spec arguments[PYR_ARGUMENTS_MAX];
	const struct pyr_option_spec *options; /* its own; see pyr_option_at() */
	size_t option_count;
	const char *summary, *help, *examples;
	pyr_error *(*run)(struct pyr_context *context);
};

extern const struct pyr_command_spec pyr_commands[];
extern const size_t pyr_commands_count;

/* NULL when there is none of that name. */
const struct pyr_command_spec *pyr_command_find(const char *name);
/* The options a command takes: those that all have first, then its own. */
size_t pyr_option_count(const struct pyr_command_spec *command);
const struct pyr_option_spec *pyr_option_at(const struct pyr_command_spec *command, size_t index);
/* By "name", "--name", "x" or "-x"; pyr_option_count() when there is none. */
size_t pyr_option_find(const struct pyr_command_spec *command, const char *name);
/* The command that @word was probably meant to be, or NULL. */
const char *pyr_command_suggest(const char *word);
const char *pyr_option_suggest(const struct pyr_command_spec *command, const char *word);
/* One of the words separated by bars in @choices, as an index, or -1. */
int pyr_choice_find(const char *choices, const char *word);

/* Indexes for pyr_option_at() and pyr_args: the common options are
 * PYR_OPT_json ..., those of commands PYR_OPT_census_by ... */
enum pyr_common_option {
#define COMMON(id, ...) PYR_OPT_##id,
#include "command/common.def"
#undef COMMON
	PYR_OPT_COMMON
};

#define NO_ARGUMENTS
#define NO_OPTIONS
#define ARGUMENT(...)
#define OPTION(command, id, ...) PYR_OPT_##command##_##id,
#define COMMAND(name, group, source, arguments, options, ...)                                      \
	enum pyr_option_of_##name{PYR_OPT_##name##_none = PYR_OPT_COMMON - 1, options};
#include "command/commands.def"
#undef NO_ARGUMENTS
#undef NO_OPTIONS
#undef ARGUMENT
#undef OPTION
#undef COMMAND

#define NO_ARGUMENTS
#define NO_OPTIONS
#define ARGUMENT(...)
#define OPTION(...)
#define COMMAND(name, ...) pyr_error *pyr_cmd_##name(struct pyr_context *context);
#include "command/commands.def"
#undef NO_ARGUMENTS
#undef NO_OPTIONS
#undef ARGUMENT
#undef OPTION
#undef COMMAND

#endif
