#define _GNU_SOURCE
#include "command/args.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static pyr_error *bad(const char *what, const char *text, const char *wanted)
{
	return pyr_error_create(PYR_E_USAGE, "%s '%s' is not %s", what, text, wanted);
}

static bool parse_number(const char *text, uint64_t *ret, char **end)
{
	int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*ret = strtoull(text, end, base);
	return errno == 0;
}

static bool parse_size(const char *text, uint64_t *ret)
{
	unsigned shift = 0;
	char *end;

	if (!parse_number(text, ret, &end))
		return false;
	switch (tolower((unsigned char)*end)) {
	case 'g':
		shift += 10;
		/* fall through */
	case 'm':
		shift += 10;
		/* fall through */
	case 'k':
		shift += 10;
		end++;
		break;
	default:
		break;
	}
	if (!strcasecmp(end, "ib") || !strcasecmp(end, "b"))
		end += strlen(end);
	if (*end || (shift && *ret > UINT64_MAX >> shift))
		return false;
	*ret <<= shift;
	return true;
}

static pyr_error *parse_regex(struct pyr_args *args, const char *what, const char *text,
			      regex_t **ret)
{
	char message[160];
	regex_t *regex;
	int status;

	if (args->regex_count == PYR_OPTIONS_MAX)
		return pyr_error_create(PYR_E_USAGE, "too many regular expressions");
	regex = &args->regexes[args->regex_count];
	status = regcomp(regex, text, REG_EXTENDED | REG_NOSUB);
	if (status) {
		regerror(status, regex, message, sizeof(message));
		return pyr_error_create(PYR_E_USAGE, "%s '%s': %s", what, text, message);
	}
	args->regex_count++;
	*ret = regex;
	return NULL;
}

static pyr_error *parse_attribute(struct pyr_args *args, const char *what, const char *text,
				  struct pyr_value *ret)
{
	size_t length = strcspn(text, "=");
	char *name;

	if (!length)
		return bad(what, text, "NAME or NAME=RE");
	name = strndup(text, length);
	if (!name)
		return pyr_error_no_memory();
	args->names[args->name_count++] = name;
	ret->name = name;
	return text[length] ? parse_regex(args, what, text + length + 1, &ret->regex) : NULL;
}

/* @what: "--limit" or "ADDR", for messages. */
static pyr_error *parse_value(struct pyr_args *args, enum pyr_value_kind kind, const char *what,
			      const char *choices, const char *text, struct pyr_value *ret)
{
	char *end = NULL;
	int choice;

	ret->text = text;
	switch (kind) {
	case PYR_VALUE_COUNT:
		if (!parse_number(text, &ret->number, &end) || *end)
			return bad(what, text, "a number");
		return NULL;
	case PYR_VALUE_SIZE:
		return parse_size(text, &ret->number)
			       ? NULL
			       : bad(what, text, "a number of bytes (4096, 64k, 1m, 2g)");
	case PYR_VALUE_GENERATION:
		if (!parse_number(text, &ret->number, &end) || *end || ret->number > 2)
			return bad(what, text, "a generation: 0, 1 or 2");
		return NULL;
	case PYR_VALUE_ADDRESS:
		if (!parse_number(text, &ret->number, &end) || *end)
			return bad(what, text, "an address (0x7f3c5a1b2e40)");
		return NULL;
	case PYR_VALUE_THREAD:
		if (!parse_number(text, &ret->number, &end) || *end)
			return bad(what, text, "a thread's id or number");
		return NULL;
	case PYR_VALUE_CHOICE:
		choice = pyr_choice_find(choices, text);
		if (choice < 0)
			return pyr_error_create(PYR_E_USAGE, "%s '%s' is not one of %s", what, text,
						choices);
		ret->number = (uint64_t)choice;
		return NULL;
	case PYR_VALUE_REGEX:
		return parse_regex(args, what, text, &ret->regex);
	case PYR_VALUE_ATTRIBUTE:
		return parse_attribute(args, what, text, ret);
	case PYR_VALUE_COMMAND:
	case PYR_VALUE_PATH:
	case PYR_VALUE_FLAG:
		break;
	}
	return NULL;
}

static pyr_error *unknown_option(const struct pyr_command_spec *command, const char *word)
{
	size_t length = strcspn(word, "=");
	const char *near;
	pyr_error *err;
	char *name;

	name = strndup(word, length);
	if (!name)
		return pyr_error_no_memory();
	near = pyr_option_suggest(command, name);
	if (near)
		err = pyr_error_create(PYR_E_USAGE, "there is no option %s (did you mean --%s?)",
				       name, near);
	else
		err = pyr_error_create(PYR_E_USAGE, "there is no option %s", name);
	free(name);
	return err;
}

/* argv[*at] is an option; *at moves past its value. */
static pyr_error *parse_option(struct pyr_args *args, int argc, const char *const *argv, int *at)
{
	const char *word = argv[*at], *value = NULL;
	const struct pyr_option_spec *option;
	char name[64];
	size_t index, length = strcspn(word, "=");

	if (word[1] == '-') {
		if (length >= sizeof(name))
			return unknown_option(args->command, word);
		memcpy(name, word, length);
		name[length] = '\0';
		value = word[length] ? word + length + 1 : NULL;
	} else {
		name[0] = '-';
		name[1] = word[1];
		name[2] = '\0';
		value = word[2] ? word + 2 : NULL;
	}
	index = pyr_option_find(args->command, name);
	if (index == pyr_option_count(args->command) || index >= PYR_OPTIONS_MAX)
		return unknown_option(args->command, word);
	option = pyr_option_at(args->command, index);
	args->options[index].given = true;
	if (option->kind == PYR_VALUE_FLAG)
		return value ? pyr_error_create(PYR_E_USAGE, "--%s takes no value", option->name)
			     : NULL;
	if (!value) {
		if (*at + 1 >= argc)
			return pyr_error_create(PYR_E_USAGE, "%s wants a value: %s", name,
						option->value_name);
		value = argv[++*at];
	}
	return parse_value(args, option->kind, name, option->value_name, value,
			   &args->options[index]);
}

static pyr_error *parse_defaults(struct pyr_args *args)
{
	const struct pyr_option_spec *option;
	size_t i, count = pyr_option_count(args->command);
	pyr_error *err;

	for (i = 0; i < count && i < PYR_OPTIONS_MAX; i++) {
		option = pyr_option_at(args->command, i);
		if (!option->default_value)
			continue;
		if ((err = parse_value(args, option->kind, option->name, option->value_name,
				       option->default_value, &args->options[i])))
			return err;
	}
	return NULL;
}

static pyr_error *unknown_command(const char *name)
{
	const char *near = pyr_command_suggest(name);

	if (near)
		return pyr_error_create(PYR_E_USAGE, "there is no command '%s' (did you mean %s?)",
					name, near);
	return pyr_error_create(PYR_E_USAGE, "there is no command '%s' (`help` lists them)", name);
}

pyr_error *pyr_args_parse(struct pyr_args *args, int argc, const char *const *argv)
{
	const struct pyr_argument_spec *spec;
	size_t n = 0;
	bool options = true;
	pyr_error *err;
	int i;

	memset(args, 0, sizeof(*args));
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--json"))
			args->wants_json = true;
	if (argc < 1 || !argv[0][0])
		return pyr_error_create(PYR_E_USAGE, "a command is missing (`help` lists them)");
	args->command = pyr_command_find(argv[0]);
	if (!args->command)
		return unknown_command(argv[0]);
	if ((err = parse_defaults(args)))
		return err;
	for (i = 1; i < argc; i++) {
		if (options && !strcmp(argv[i], "--")) {
			options = false;
			continue;
		}
		if (options && argv[i][0] == '-' && argv[i][1]) {
			if ((err = parse_option(args, argc, argv, &i)))
				return err;
			continue;
		}
		spec = &args->command->arguments[n];
		if (n == PYR_ARGUMENTS_MAX || !spec->name)
			return pyr_error_create(PYR_E_USAGE, "'%s' is one argument too many",
						argv[i]);
		args->arguments[n].given = true;
		if ((err = parse_value(args, spec->kind, spec->name, NULL, argv[i],
				       &args->arguments[n])))
			return err;
		n++;
	}
	if (n < PYR_ARGUMENTS_MAX && args->command->arguments[n].name &&
	    args->command->arguments[n].required)
		return pyr_error_create(PYR_E_USAGE, "%s is missing: %s",
					args->command->arguments[n].name,
					args->command->arguments[n].help);
	return NULL;
}

void pyr_args_deinit(struct pyr_args *args)
{
	size_t i;

	for (i = 0; i < args->regex_count; i++)
		regfree(&args->regexes[i]);
	for (i = 0; i < args->name_count; i++)
		free(args->names[i]);
	args->regex_count = args->name_count = 0;
}

bool pyr_value_matches(const struct pyr_value *value, const char *text)
{
	return !value->regex || regexec(value->regex, text, 0, NULL, 0) == 0;
}
