/* help: the commands, or one of them. */
#include <string.h>

#include "command/context.h"

static void command_json(struct pyr_json *json, const struct pyr_command_spec *command)
{
	const struct pyr_option_spec *option;
	struct pyr_strbuf usage = {0};
	size_t i;

	pyr_help_usage(command, &usage);
	pyr_json_begin_object(json, NULL);
	pyr_json_string(json, "name", command->name);
	pyr_json_string(json, "summary", command->summary);
	pyr_json_string(json, "usage", pyr_strbuf_str(&usage));
	pyr_json_string(json, "help", command->help);
	pyr_json_begin_list(json, "options");
	for (i = 0; i < pyr_option_count(command); i++) {
		option = pyr_option_at(command, i);
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "name", option->name);
		pyr_json_string(json, "value", option->value_name);
		pyr_json_string(json, "default", option->default_value);
		pyr_json_string(json, "help", option->help);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_string(json, "examples", command->examples);
	pyr_json_end_object(json);
	pyr_strbuf_deinit(&usage);
}

pyr_error *pyr_cmd_help(struct pyr_context *context)
{
	const char *name = context->args->arguments[0].text, *near;
	const struct pyr_command_spec *command = name ? pyr_command_find(name) : NULL;
	size_t columns = context->out->width > 0 && context->out->width < 100
				 ? (size_t)context->out->width
				 : 78;
	struct pyr_strbuf text = {0};
	size_t i;

	if (name && !command) {
		near = pyr_command_suggest(name);
		return near ? pyr_error_create(PYR_E_USAGE,
					       "there is no command '%s' (did you mean %s?)", name,
					       near)
			    : pyr_error_create(PYR_E_USAGE, "there is no command '%s'", name);
	}
	pyr_context_answer(context);
	if (context->json) {
		pyr_json_begin_list(context->json, "commands");
		for (i = 0; i < pyr_commands_count; i++)
			if (!command || command == &pyr_commands[i])
				command_json(context->json, &pyr_commands[i]);
		pyr_json_end_list(context->json);
		return NULL;
	}
	if (command)
		pyr_help_command(command, &text, columns);
	else
		pyr_help_overview(&text, columns);
	pyr_out_text(context->out, pyr_strbuf_str(&text));
	pyr_strbuf_deinit(&text);
	return NULL;
}
