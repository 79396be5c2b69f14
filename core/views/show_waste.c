#include "views/show_waste.h"

#include <stdlib.h>

#include "analysis/memory/waste.h"
#include "views/held_as.h"
#include "views/show.h"

/* A path is searched for each object: not for all of a large heap's, unless --limit says so. */
#define HOLDERS_MAX 200u

struct waste_answer {
	struct pyr_context *context;
	struct pyr_heap *heap;
	struct pyr_waste waste;
	char **holders; /* by item; NULL entries: not known */
	size_t asked;   /* items whose holders were looked for: the first ones */
};

static const char *type_of(const struct waste_answer *a, uint32_t id)
{
	return pyr_type_name(a->heap->types, pyr_types_at(a->heap->types, a->heap->type[id]));
}

static void print_json(struct waste_answer *a)
{
	struct pyr_json *json = a->context->json;
	const struct pyr_waste_item *item;
	size_t i;

	pyr_json_uint(json, "bytes", a->waste.bytes);
	pyr_json_begin_list(json, "waste");
	for (i = 0; i < PYR_WASTE_COUNT; i++) {
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "kind", pyr_waste_name((enum pyr_waste_kind)i));
		pyr_json_string(json, "what", pyr_waste_text((enum pyr_waste_kind)i));
		pyr_json_uint(json, "objects", a->waste.totals[i].objects);
		pyr_json_uint(json, "bytes", a->waste.totals[i].bytes);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_begin_list(json, "objects");
	for (i = 0; i < a->waste.items.count; i++) {
		item = &a->waste.items.data[i];
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", a->heap->address[item->id]);
		pyr_json_string(json, "type", type_of(a, item->id));
		pyr_json_string(json, "kind", pyr_waste_name((enum pyr_waste_kind)item->kind));
		pyr_json_uint(json, "bytes", item->bytes);
		pyr_json_uint(json, "used", item->used);
		pyr_json_uint(json, "room", item->room);
		if (i < a->asked)
			pyr_json_string(json, "held_by", a->holders[i]);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	if (a->holders)
		pyr_json_uint(json, "holders_omitted", a->waste.items.count - a->asked);
	pyr_json_uint(json, "omitted", a->waste.omitted);
}

#define VALUE_LENGTH 32u /* bytes of a string that are shown */

/* "12 items, room for 1,000,000", "2,902 times 'GET'" */
static void explain(const struct waste_answer *a, const struct pyr_waste_item *item,
		    struct pyr_strbuf *out)
{
	char *repr;

	switch ((enum pyr_waste_kind)item->kind) {
	case PYR_WASTE_LIST:
	case PYR_WASTE_DICT:
	case PYR_WASTE_SET:
		pyr_strbuf_printf(out, "%s, room for %s",
				  pyr_counted(item->used, "item", "items").text,
				  pyr_count(item->room).text);
		break;
	case PYR_WASTE_BYTEARRAY:
		pyr_strbuf_printf(out, "%s, room for %s", pyr_bytes(item->used).text,
				  pyr_bytes(item->room).text);
		break;
	case PYR_WASTE_DEQUE:
		pyr_strbuf_printf(out, "%s, needs %s",
				  pyr_counted(item->room, "block", "blocks").text,
				  pyr_count(item->used).text);
		break;
	case PYR_WASTE_VIEW:
		pyr_strbuf_printf(out, "views show %s of %s", pyr_bytes(item->used).text,
				  pyr_bytes(item->room).text);
		break;
	case PYR_WASTE_STR:
	case PYR_WASTE_BYTES:
		repr = pyr_context_repr(a->context, a->heap->address[item->id], VALUE_LENGTH);
		pyr_strbuf_printf(out, "%s times %s", pyr_count(item->room).text, repr ? repr : "");
		free(repr);
		break;
	case PYR_WASTE_COUNT:
		break;
	}
}

static void print_kinds(struct waste_answer *a)
{
	static const struct pyr_column columns[] = {
		{"BYTES", true, false, PYR_CUT_END},
		{"OBJECTS", true, false, PYR_CUT_END},
		{"WHAT", false, true, PYR_CUT_END},
	};
	int order[PYR_WASTE_COUNT], i, k, t;
	struct pyr_table table;

	for (i = 0; i < PYR_WASTE_COUNT; i++) {
		order[i] = i;
		for (k = i;
		     k && a->waste.totals[order[k]].bytes > a->waste.totals[order[k - 1]].bytes;
		     k--) {
			t = order[k];
			order[k] = order[k - 1];
			order[k - 1] = t;
		}
	}
	pyr_table_init(&table, a->context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < PYR_WASTE_COUNT; i++) {
		if (!a->waste.totals[order[i]].objects)
			continue;
		pyr_table_text(&table, pyr_bytes(a->waste.totals[order[i]].bytes).text);
		pyr_table_text(&table, pyr_count(a->waste.totals[order[i]].objects).text);
		pyr_table_text(&table, pyr_waste_text((enum pyr_waste_kind)order[i]));
	}
	pyr_table_finish(&table);
}

static void print_items(struct waste_answer *a)
{
	static const struct pyr_column columns[] = {
		{"BYTES", true, false, PYR_CUT_END},  {"ADDRESS", false, false, PYR_CUT_END},
		{"TYPE", false, true, PYR_CUT_START}, {"WHY", false, false, PYR_CUT_END},
		{"VALUE", false, true, PYR_CUT_END},
	};
	static const struct pyr_column held[] = {
		{"BYTES", true, false, PYR_CUT_END},   {"ADDRESS", false, false, PYR_CUT_END},
		{"TYPE", false, true, PYR_CUT_START},  {"WHY", false, false, PYR_CUT_END},
		{"HELD BY", false, true, PYR_CUT_END},
	};
	const struct pyr_waste_item *item;
	struct pyr_strbuf text = {0};
	struct pyr_table table;
	char *repr;
	size_t i;

	pyr_table_init(&table, a->context->out, a->holders ? held : columns,
		       sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < a->waste.items.count; i++) {
		item = &a->waste.items.data[i];
		pyr_strbuf_clear(&text);
		explain(a, item, &text);
		pyr_table_text(&table, pyr_bytes(item->bytes).text);
		pyr_table_text(&table, pyr_address(a->heap->address[item->id]).text);
		pyr_table_text(&table, pyr_short_type(type_of(a, item->id)));
		pyr_table_text(&table, pyr_strbuf_str(&text));
		if (a->holders) {
			pyr_table_text(&table, a->holders[i] ? a->holders[i] : "");
		} else {
			repr = pyr_context_repr(a->context, a->heap->address[item->id], 60);
			pyr_table_text(&table, repr ? repr : "");
			free(repr);
		}
		pyr_session_result(a->context->session, a->heap->address[item->id]);
	}
	pyr_table_finish(&table);
	pyr_context_more(a->context, i, i + a->waste.omitted, "object", "objects");
	pyr_strbuf_deinit(&text);
}

static pyr_error *find_holders(struct waste_answer *a)
{
	struct pyr_retention_cache *retention;
	pyr_error *err;
	size_t i;

	if ((err = pyr_session_retention_cache(a->context->session, &retention)))
		return err;
	a->holders = calloc(a->waste.items.count + 1, sizeof(*a->holders));
	if (!a->holders)
		return pyr_error_no_memory();
	a->asked = a->waste.items.count < HOLDERS_MAX ||
				   a->context->args->options[PYR_OPT_limit].number
			   ? a->waste.items.count
			   : HOLDERS_MAX;
	for (i = 0; i < a->asked; i++)
		if ((err = pyr_control_progress(&a->context->session->control,
						"looking for holders", i, a->asked)) ||
		    (err = pyr_holder_find(a->context, retention, a->waste.items.data[i].id,
					   &a->holders[i])))
			return err;
	return NULL;
}

pyr_error *pyr_show_waste(struct pyr_context *context, bool holders)
{
	struct waste_answer a = {.context = context};
	pyr_error *err;
	size_t i;

	if ((err = pyr_session_heap(context->session, &a.heap)) ||
	    (err = pyr_waste_find(a.heap, &context->session->control, context->limit, &a.waste)))
		return err;
	if (holders && a.waste.items.count)
		err = find_holders(&a);
	if (!err) {
		pyr_context_answer(context);
		if (context->json) {
			print_json(&a);
		} else {
			pyr_out_styled(context->out, PYR_STYLE_STRONG,
				       "%s need not be: over-allocated containers, views that keep "
				       "whole buffers, copies of equal strings.\n",
				       pyr_bytes(a.waste.bytes).text);
			if (a.waste.bytes) {
				pyr_out_raw(context->out, "\n", 1);
				print_kinds(&a);
				pyr_out_raw(context->out, "\n", 1);
				print_items(&a);
			}
		}
	}
	for (i = 0; a.holders && i < a.waste.items.count; i++)
		free(a.holders[i]);
	free(a.holders);
	pyr_waste_deinit(&a.waste);
	return err;
}
