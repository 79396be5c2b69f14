/* What an object holds, by name: attributes of instances, items of containers. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "views/show.h"
#include "values/values.h"

#define KEY_LENGTH 60u

struct reading {
	struct pyr_context *context;
	struct pyr_contents *contents;
	uint64_t limit;
};

/* Takes @name. Answers false to stop. */
static bool add(struct reading *reading, char *name, pyr_addr key, pyr_addr value)
{
	struct pyr_content row = {.name = name, .key = key, .value = value};

	reading->contents->count++;
	if (!name || reading->contents->rows.count >= reading->limit ||
	    !pyr_vec_push(&reading->contents->rows, row))
		free(name);
	return !pyr_control_cancelled(&reading->context->session->control);
}

static bool wanted(const struct reading *reading)
{
	return reading->contents->rows.count < reading->limit;
}

static bool add_attribute(void *ctx, const char *name, pyr_addr value)
{
	struct reading *reading = ctx;

	return add(reading, wanted(reading) ? strdup(name) : NULL, 0, value);
}

static void read_dict(struct reading *reading, pyr_addr addr)
{
	struct pyr_context *context = reading->context;
	struct pyr_dict_iter iter;
	pyr_addr key, value;
	pyr_error *err;

	reading->contents->what = "items";
	err = pyr_dict_iter_init(context->session->types, &context->session->python->reader, addr,
				 &iter);
	if (err) {
		pyr_error_destroy(err);
		reading->contents->damaged = true;
		return;
	}
	while (pyr_dict_iter_next(&iter, &key, &value))
		if (!add(reading,
			 wanted(reading) ? pyr_context_repr(context, key, KEY_LENGTH) : NULL, key,
			 value))
			break;
}

static void read_sequence(struct reading *reading, pyr_addr addr)
{
	struct pyr_context *context = reading->context;
	struct pyr_reader *reader = &context->session->python->reader;
	uint64_t count, i;
	pyr_addr items, value;
	pyr_error *err;
	char *name;

	reading->contents->what = "items";
	err = pyr_sequence_items(context->session->types, reader, addr, &items, &count);
	if (err) {
		pyr_error_destroy(err);
		reading->contents->damaged = true;
		return;
	}
	for (i = 0; i < count; i++) {
		if (!wanted(reading)) { /* only the count is left to tell */
			reading->contents->count = count;
			return;
		}
		if (!pyr_try_u64(reader, items + i * 8, &value)) {
			reading->contents->damaged = true;
			return;
		}
		if (asprintf(&name, "%llu", (unsigned long long)i) < 0)
			return;
		if (!add(reading, name, 0, value))
			return;
	}
}

/* setobject.c: a slot without a key, or with the dummy (hash -1), is free. */
static void read_set(struct reading *reading, pyr_addr addr)
{
	struct pyr_context *context = reading->context;
	struct pyr_reader *reader = &context->session->python->reader;
	uint64_t slots, used, i, key, hash;
	pyr_addr table;
	pyr_error *err;

	reading->contents->what = "elements";
	err = pyr_set_table(context->session->types, reader, addr, &table, &slots, &used);
	if (err) {
		pyr_error_destroy(err);
		reading->contents->damaged = true;
		return;
	}
	for (i = 0; i < slots && reading->contents->count < used; i++) {
		if (!pyr_try_u64(reader, table + i * 16, &key) ||
		    !pyr_try_u64(reader, table + i * 16 + 8, &hash)) {
			reading->contents->damaged = true;
			return;
		}
		if (key && hash != UINT64_MAX &&
		    !add(reading, wanted(reading) ? strdup("") : NULL, 0, key))
			return;
	}
}

void pyr_contents_read(struct pyr_context *context, pyr_addr addr,
		       const struct pyr_object_header *header, bool attributes, uint64_t limit,
		       struct pyr_contents *ret)
{
	struct reading reading = {.context = context, .contents = ret, .limit = limit};
	pyr_error *err;

	memset(ret, 0, sizeof(*ret));
	if (attributes) {
		ret->what = "attributes";
		err = pyr_object_attributes(context->session->types,
					    &context->session->python->reader, addr, add_attribute,
					    &reading);
		if (err) {
			pyr_error_destroy(err);
			ret->damaged = true;
		}
		return;
	}
	switch (header->type->shape) {
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_ODICT:
		read_dict(&reading, addr);
		break;
	case PYR_SHAPE_LIST:
	case PYR_SHAPE_TUPLE:
		read_sequence(&reading, addr);
		break;
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
		read_set(&reading, addr);
		break;
	default:
		break;
	}
}

void pyr_contents_deinit(struct pyr_contents *contents)
{
	size_t i;

	for (i = 0; i < contents->rows.count; i++)
		free(contents->rows.data[i].name);
	pyr_vec_deinit(&contents->rows);
}

void pyr_show_contents(struct pyr_context *context, const struct pyr_contents *contents)
{
	static const struct pyr_column columns[] = {
		{"", false, true, PYR_CUT_END},
		{"", false, false, PYR_CUT_END},
		{"", false, true, PYR_CUT_START},
		{"", false, true, PYR_CUT_END},
	};
	const struct pyr_content *row;
	struct pyr_table table;
	size_t i;
	char *repr;

	if (!contents->what || (!contents->count && !contents->damaged))
		return;
	pyr_out_printf(context->out, "\n%s %.*s\n", pyr_count(contents->count).text,
		       (int)strlen(contents->what) - (contents->count == 1), contents->what);
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < contents->rows.count; i++) {
		row = &contents->rows.data[i];
		repr = row->value ? pyr_context_repr(context, row->value, PYR_REPR_IN_TABLE) : NULL;
		pyr_table_text(&table, row->name);
		pyr_table_text(&table, pyr_address(row->value).text);
		pyr_table_text(&table,
			       row->value ? pyr_context_type_name(context, row->value) : "");
		pyr_table_text(&table, repr ? repr : "NULL");
		pyr_session_result(context->session, row->value);
		free(repr);
	}
	pyr_table_finish(&table);
	pyr_context_more(context, contents->rows.count, contents->count, "", "");
	if (contents->damaged)
		pyr_out_styled(context->out, PYR_STYLE_WARNING, "  … the rest cannot be read\n");
}

void pyr_show_contents_json(struct pyr_context *context, const struct pyr_contents *contents)
{
	struct pyr_json *json = context->json;
	const struct pyr_content *row;
	char *repr, key[64];
	size_t i;

	if (!contents->what)
		return;
	pyr_json_begin_list(json, contents->what);
	for (i = 0; i < contents->rows.count; i++) {
		row = &contents->rows.data[i];
		repr = row->value ? pyr_context_repr(context, row->value, PYR_REPR_IN_JSON) : NULL;
		pyr_json_begin_object(json, NULL);
		if (row->key) {
			pyr_json_string(json, "key", row->name);
			pyr_json_address(json, "key_address", row->key);
		} else if (!strcmp(contents->what, "attributes")) {
			pyr_json_string(json, "name", row->name);
		} else if (row->name[0]) {
			pyr_json_uint(json, "index", i);
		}
		pyr_json_address(json, "address", row->value);
		pyr_json_string(json, "type",
				row->value ? pyr_context_type_name(context, row->value) : NULL);
		pyr_json_string(json, "repr", repr);
		pyr_json_end_object(json);
		free(repr);
	}
	pyr_json_end_list(json);
	snprintf(key, sizeof(key), "%s_count", contents->what);
	pyr_json_uint(json, key, contents->count);
	snprintf(key, sizeof(key), "%s_omitted", contents->what);
	pyr_json_uint(json, key, contents->count - contents->rows.count);
	if (contents->damaged)
		pyr_json_bool(json, "damaged", true);
}
