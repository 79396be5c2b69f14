/* The options of the `pyretain` command itself, as a table: for the command and for its manual,
 * each of which is one file and has the table to itself. */
#ifndef PYR_COMMAND_GLOBALS_H
#define PYR_COMMAND_GLOBALS_H

enum global {
#define GLOBAL(id, ...) GLOBAL_##id,
#include "command/globals.def"
#undef GLOBAL
	GLOBAL_COUNT
};

static const struct {
	const char *name;
	char letter;
	const char *value_name, *session_option, *help;
} globals[] = {
#define GLOBAL(id, name, letter, value, option, help) {name, letter, value, option, help},
#include "command/globals.def"
#undef GLOBAL
};

#endif
