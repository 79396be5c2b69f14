#include "command/spec.h"

#include <stdint.h>
#include <string.h>

static const struct pyr_option_spec common_options[] = {
#define COMMON(id, name, letter, kind, value, default_value, help)                                 \
	{name, letter, PYR_VALUE_##kind, value, default_value, help},
#include "command/common.def"
#undef COMMON
};

/* The own options of each command; the last element is empty. */
#define NO_ARGUMENTS
#define NO_OPTIONS
#define ARGUMENT(...)
#define OPTION(command, id, name, letter, kind, value, default_value, help)                        \
	{name, letter, PYR_VALUE_##kind, value, default_value, help},
#define COMMAND(name, group, source, arguments, options, ...)                                      \
	static const struct pyr_option_spec options_of_##name[] = {                                \
		options{NULL, 0, PYR_VALUE_FLAG, NULL, NULL, NULL}};
#include "command/commands.def"
#undef ARGUMENT
#undef OPTION
#undef COMMAND

#define REQUIRED true
#define OPTIONAL false
#define NOTHING false
#define TARGET true
#define ARGUMENT(name, kind, required, help) {name, PYR_VALUE_##kind, required, help},
#define OPTION(...)
#define COMMAND(name, group, source, arguments, options, summary, help, examples)                  \
	{#name,                                                                                    \
	 group,                                                                                    \
	 source,                                                                                   \
	 {arguments},                                                                              \
	 options_of_##name,                                                                        \
	 sizeof(options_of_##name) / sizeof(options_of_##name[0]) - 1,                             \
	 summary,                                                                                  \
	 help,                                                                                     \
	 examples,                                                                                 \
	 pyr_cmd_##name},
const struct pyr_command_spec pyr_commands[] = {
#include "command/commands.def"
};
const size_t pyr_commands_count = sizeof(pyr_commands) / sizeof(pyr_commands[0]);

const struct pyr_command_spec *pyr_command_find(const char *name)
{
	size_t i;

	for (i = 0; i < pyr_commands_count; i++)
		if (!strcmp(pyr_commands[i].name, name))
			return &pyr_commands[i];
	return NULL;
}

size_t pyr_option_count(const struct pyr_command_spec *command)
{
	return PYR_OPT_COMMON + command->option_count;
}

const struct pyr_option_spec *pyr_option_at(const struct pyr_command_spec *command, size_t index)
{
	return index < PYR_OPT_COMMON ? &common_options[index]
				      : &command->options[index - PYR_OPT_COMMON];
}

size_t pyr_option_find(const struct pyr_command_spec *command, const char *name)
{
	const struct pyr_option_spec *option;
	size_t i, count = pyr_option_count(command), dashes = strspn(name, "-");

	name += dashes;
	for (i = 0; i < count; i++) {
		option = pyr_option_at(command, i);
		if (dashes != 1 && !strcmp(option->name, name))
			return i;
		if (dashes < 2 && option->letter && name[0] == option->letter && !name[1])
			return i;
	}
	return count;
}

#define SUGGEST_MAX 32u

/* Edits (insert, delete, replace, swap neighbours) from @a to @b. */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), i, j, best;
	size_t d[SUGGEST_MAX + 1][SUGGEST_MAX + 1];

	if (n > SUGGEST_MAX || m > SUGGEST_MAX)
		return SIZE_MAX;
	for (i = 0; i <= n; i++)
		d[i][0] = i;
	for (j = 0; j <= m; j++)
		d[0][j] = j;
	for (i = 1; i <= n; i++) {
		for (j = 1; j <= m; j++) {
			best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

/* Is @candidate nearer to @word than *best was? Words may differ in a third of
 * their letters; a beginning counts as near. */
static void consider(const char *word, const char *candidate, const char **best, size_t *nearest)
{
	size_t length = strlen(word), d = distance(word, candidate);

	if (length >= 2 && !strncmp(word, candidate, length))
		d = 0;
	if (d < *nearest && d <= (length + 2) / 3) {
		*nearest = d;
		*best = candidate;
	}
}

const char *pyr_command_suggest(const char *word)
{
	const char *best = NULL;
	size_t nearest = SIZE_MAX, i;

	for (i = 0; i < pyr_commands_count; i++)
		consider(word, pyr_commands[i].name, &best, &nearest);
	return best;
}

const char *pyr_option_suggest(const struct pyr_command_spec *command, const char *word)
{
	const char *best = NULL;
	size_t nearest = SIZE_MAX, i, count = pyr_option_count(command);

	word += strspn(word, "-");
	for (i = 0; i < count; i++)
		consider(word, pyr_option_at(command, i)->name, &best, &nearest);
	return best;
}

int pyr_choice_find(const char *choices, const char *word)
{
	size_t length = strlen(word), n;
	int index = 0;

	for (;; index++) {
		n = strcspn(choices, "|");
		if (n == length && !strncmp(choices, word, n))
			return index;
		if (!choices[n])
			return -1;
		choices += n + 1;
	}
}
