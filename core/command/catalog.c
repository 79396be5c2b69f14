/* The table of commands as front-ends see it, and completion from it. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/args.h"
#include "command/session.h"

size_t pyr_command_count(void)
{
	return pyr_commands_count;
}

const char *pyr_command_name(size_t index)
{
	return index < pyr_commands_count ? pyr_commands[index].name : NULL;
}

const char *pyr_command_summary(size_t index)
{
	return index < pyr_commands_count ? pyr_commands[index].summary : NULL;
}

unsigned pyr_command_address_arguments(const char *name)
{
	const struct pyr_command_spec *command = pyr_command_find(name);
	unsigned ret = 0, i;

	for (i = 0; command && i < PYR_ARGUMENTS_MAX && command->arguments[i].name; i++)
		if (command->arguments[i].kind == PYR_VALUE_ADDRESS)
			ret |= 1u << i;
	return ret;
}

static const struct pyr_option_spec *option_of(const char *name, const char *option)
{
	const struct pyr_command_spec *command = pyr_command_find(name);
	size_t index;

	if (!command)
		return NULL;
	index = pyr_option_find(command, option);
	return index < pyr_option_count(command) ? pyr_option_at(command, index) : NULL;
}

int pyr_option_is_address(const char *command, const char *option)
{
	const struct pyr_option_spec *spec = option_of(command, option);

	return spec && spec->kind == PYR_VALUE_ADDRESS;
}

int pyr_option_takes_value(const char *command, const char *option)
{
	const struct pyr_option_spec *spec = option_of(command, option);

	return spec ? spec->kind != PYR_VALUE_FLAG : -1;
}

/* --- completion --- */

struct completion {
	const char *prefix;
	void (*add)(void *ctx, const char *word);
	void *ctx;
};

static void offer(const struct completion *c, const char *word)
{
	if (!strncmp(word, c->prefix, strlen(c->prefix)))
		c->add(c->ctx, word);
}

static void offer_commands(const struct completion *c)
{
	size_t i;

	for (i = 0; i < pyr_commands_count; i++)
		offer(c, pyr_commands[i].name);
}

static void offer_options(const struct completion *c, const struct pyr_command_spec *command)
{
	const struct pyr_option_spec *option;
	char word[80];
	size_t i;

	for (i = 0; i < pyr_option_count(command); i++) {
		option = pyr_option_at(command, i);
		snprintf(word, sizeof(word), "--%s", option->name);
		offer(c, word);
	}
}

/* Values of @kind; of a choice those of @choices, each after @before ("--by=" or ""). */
static void offer_values(const struct completion *c, const struct pyr_session *session,
			 enum pyr_value_kind kind, const char *choices, const char *before)
{
	const struct pyr_python_thread *thread;
	char word[120];
	size_t i, n;

	if (kind == PYR_VALUE_COMMAND)
		offer_commands(c);
	while (choices && (kind == PYR_VALUE_CHOICE || kind == PYR_VALUE_GENERATION)) {
		n = strcspn(choices, "|");
		snprintf(word, sizeof(word), "%s%.*s", before, (int)n, choices);
		offer(c, word);
		choices = choices[n] ? choices + n + 1 : NULL;
	}
	/* only what is known already: completion opens nothing */
	if (kind == PYR_VALUE_THREAD && session && session->python) {
		for (i = 0; i < session->python->threads.count; i++) {
			thread = &session->python->threads.data[i];
			snprintf(word, sizeof(word), "%" PRIu64,
				 thread->native_id ? thread->native_id : thread->thread_id);
			offer(c, word);
		}
	}
}

void pyr_complete(pyr_session *session, const char *line, void (*add)(void *ctx, const char *word),
		  void *ctx)
{
	struct completion c = {.prefix = "", .add = add, .ctx = ctx};
	const struct pyr_command_spec *command;
	const struct pyr_option_spec *option;
	struct pyr_argv words;
	size_t position = 0, length;
	char before[80];
	pyr_error *err;
	int i, before_last;

	if ((err = pyr_argv_split(line, true, &words))) {
		pyr_error_destroy(err);
		return;
	}
	if (words.open)
		c.prefix = words.argv[words.argc - 1];
	before_last = words.open ? words.argc - 1 : words.argc; /* finished words */
	if (before_last == 0) {
		offer_commands(&c);
		goto out;
	}
	command = pyr_command_find(words.argv[0]);
	if (!command)
		goto out;
	for (i = 1; i < before_last; i++) {
		if (words.argv[i][0] != '-') {
			position++;
			continue;
		}
		option = option_of(command->name, words.argv[i]);
		if (!option || option->kind == PYR_VALUE_FLAG)
			continue;
		if (++i == before_last) { /* the value is what is typed */
			offer_values(&c, session, option->kind, option->value_name, "");
			goto out;
		}
	}
	length = strcspn(c.prefix, "=");
	if (c.prefix[0] == '-' && c.prefix[length] && length + 2 < sizeof(before)) {
		memcpy(before, c.prefix, length);
		before[length] = '\0';
		option = option_of(command->name, before);
		memcpy(before + length, "=", 2);
		if (option)
			offer_values(&c, session, option->kind, option->value_name, before);
	} else if (c.prefix[0] == '-') {
		offer_options(&c, command);
	} else {
		if (position < PYR_ARGUMENTS_MAX && command->arguments[position].name)
			offer_values(&c, session, command->arguments[position].kind, NULL, "");
		if (!c.prefix[0])
			offer_options(&c, command);
	}
out:
	pyr_argv_deinit(&words);
}
