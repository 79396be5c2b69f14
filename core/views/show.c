#include "views/show.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/access.h"

/* What a cell holds, or @value itself: a reader wants the variable's value. */
static pyr_addr unwrap(struct pyr_context *context, const struct pyr_variable *variable)
{
	struct pyr_python *python = context->session->python;
	struct pyr_object_header header;
	uint64_t content;
	pyr_error *err;

	if (variable->kind != PYR_VARIABLE_CELL && variable->kind != PYR_VARIABLE_FREE)
		return variable->value;
	err = pyr_object_header(context->session->types, &python->reader, variable->value, &header);
	if (err) {
		pyr_error_destroy(err);
		return variable->value;
	}
	if (header.type->shape == PYR_SHAPE_CELL &&
	    pyr_field_u64(&python->layout, &python->reader, variable->value,
			  PYR_FIELD(PyCellObject, ob_ref), &content) &&
	    content)
		return content;
	return variable->value;
}

static const char *kind_name(enum pyr_variable_kind kind)
{
	static const char *const names[] = {
		[PYR_VARIABLE_LOCAL] = "local",
		[PYR_VARIABLE_CELL] = "cell",
		[PYR_VARIABLE_FREE] = "free",
		[PYR_VARIABLE_STACK] = "stack",
	};

	return names[kind];
}

static bool shown(const struct pyr_variable *variable, unsigned variables)
{
	return variables &
	       (variable->kind == PYR_VARIABLE_STACK ? PYR_SHOW_OPERANDS : PYR_SHOW_LOCALS);
}

void pyr_show_frame_json(struct pyr_context *context, const char *key,
			 const struct pyr_frame *frame, unsigned variables)
{
	const struct pyr_variable *variable;
	struct pyr_json *json = context->json;
	pyr_addr value;
	char *repr;
	size_t i;

	pyr_json_begin_object(json, key);
	pyr_json_string(json, "function", frame->name);
	pyr_json_string(json, "file", frame->filename);
	if (frame->line > 0)
		pyr_json_int(json, "line", frame->line);
	else
		pyr_json_null(json, "line");
	pyr_json_address(json, "address", frame->address);
	pyr_json_address(json, "code", frame->code);
	if (frame->generator)
		pyr_json_address(json, "generator", frame->generator);
	if (variables) {
		pyr_json_begin_list(json, "locals");
		for (i = 0; i < frame->variables.count; i++) {
			variable = &frame->variables.data[i];
			if (!shown(variable, variables))
				continue;
			value = unwrap(context, variable);
			repr = pyr_context_repr(context, value, PYR_REPR_IN_JSON);
			pyr_json_begin_object(json, NULL);
			pyr_json_string(json, "name", variable->name);
			pyr_json_string(json, "type", pyr_context_type_name(context, value));
			pyr_json_string(json, "repr", repr);
			pyr_json_address(json, "address", value);
			pyr_json_string(json, "kind", kind_name(variable->kind));
			if (value != variable->value)
				pyr_json_address(json, "cell", variable->value);
			pyr_json_end_object(json);
			pyr_session_result(context->session, value);
			free(repr);
		}
		pyr_json_end_list(json);
	}
	pyr_json_end_object(json);
}

void pyr_show_frame(struct pyr_context *context, const struct pyr_frame *frame, unsigned variables)
{
	static const struct pyr_column columns[] = {
		{"", false, false, PYR_CUT_END},
		{"", false, false, PYR_CUT_END},
		{"", false, true, PYR_CUT_START},
		{"", false, true, PYR_CUT_END},
	};
	const struct pyr_variable *variable;
	struct pyr_table table;
	pyr_addr value;
	char *repr;
	size_t i;

	pyr_out_styled(context->out, PYR_STYLE_STRONG, "  %s", frame->name);
	pyr_out_printf(context->out, "  %s", frame->filename);
	if (frame->line > 0)
		pyr_out_printf(context->out, ":%d", frame->line);
	pyr_out_raw(context->out, "\n", 1);
	if (!variables)
		return;
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < frame->variables.count; i++) {
		variable = &frame->variables.data[i];
		if (!shown(variable, variables))
			continue;
		value = unwrap(context, variable);
		repr = pyr_context_repr(context, value, PYR_REPR_IN_TABLE);
		pyr_table_cell(&table, "    %s", variable->name ? variable->name : "(operand)");
		pyr_table_text(&table, pyr_address(value).text);
		pyr_table_text(&table, pyr_context_type_name(context, value));
		pyr_table_text(&table, repr ? repr : "");
		pyr_session_result(context->session, value);
		free(repr);
	}
	pyr_table_finish(&table);
}

const char *pyr_show_thread_name(const struct pyr_session *session,
				 const struct pyr_python_thread *thread)
{
	const struct pyr_target *target = session->target;

	if (thread->name)
		return thread->name;
	if (thread->os_thread >= 0 && (size_t)thread->os_thread < target->threads.count)
		return target->threads.data[thread->os_thread].name;
	return "";
}

void pyr_show_thread_json(struct pyr_context *context, const struct pyr_python_thread *thread)
{
	const struct pyr_python *python = context->session->python;
	struct pyr_json *json = context->json;

	if (thread->native_id)
		pyr_json_uint(json, "tid", thread->native_id);
	else
		pyr_json_null(json, "tid");
	if (thread->native_id)
		pyr_json_uint(json, "native_id", thread->native_id);
	else
		pyr_json_null(json, "native_id");
	if (thread->thread_id)
		pyr_json_uint(json, "ident", thread->thread_id);
	else
		pyr_json_null(json, "ident");
	pyr_json_string(json, "name", thread->name);
	pyr_json_bool(json, "main", thread == &python->threads.data[0]);
	if (thread->interpreter < python->interpreters.count)
		pyr_json_int(json, "interpreter",
			     python->interpreters.data[thread->interpreter].id);
	pyr_json_bool(json, "holds_gil", thread->holds_gil);
	pyr_json_bool(json, "alive", thread->os_thread >= 0);
	pyr_json_address(json, "address", thread->address);
}
