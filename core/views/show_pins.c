/* What keeps almost empty arenas, for the command `arenas`. */
#include <stdlib.h>
#include <string.h>

#include "views/held_as.h"
#include "views/show.h"
#include "views/show_arenas.h"

/* A path is searched for each. */
#define HOLDERS_MAX 500u

static void want(struct pyr_pin_holders *holders, const struct pyr_pins *pins, uint32_t pin)
{
	if (pins->pins.data[pin].owner != PYR_NO_ID)
		holders->asked[pin] = true;
}

/* The pins that will be shown, and the first ones of all. */
static void choose(struct pyr_context *context, const struct pyr_pins *pins,
		   struct pyr_pin_holders *holders)
{
	size_t i, n = 0;

	for (i = 0; i < pins->groups.count && i < context->limit; i++)
		want(holders, pins, pins->groups.data[i].example);
	for (i = 0; i < pins->arenas.count; i++) {
		const struct pyr_pinned_arena *arena = &pins->arenas.data[i];
		uint32_t k;

		if (i < context->limit && i < HOLDERS_MAX)
			want(holders, pins, arena->first_pin);
		for (k = 0; k < arena->pins && n < HOLDERS_MAX; k++, n++)
			want(holders, pins, arena->first_pin + k);
	}
}

/* `app.AUDIT[117].took` as `app.AUDIT[…]`: up to the first item by number, or whole. */
static char *way_of(const char *name)
{
	struct pyr_strbuf text = {0};
	const char *at;
	char *ret;

	for (at = strchr(name, '['); at; at = strchr(at + 1, '['))
		if (at[1] >= '0' && at[1] <= '9')
			break;
	if (at) {
		pyr_strbuf_add_bytes(&text, name, (size_t)(at - name));
		pyr_strbuf_add(&text, "[…]");
	} else {
		pyr_strbuf_add(&text, name);
	}
	ret = pyr_strbuf_take(&text);
	pyr_strbuf_deinit(&text);
	return ret;
}

static bool same_way(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool add_way(struct pyr_pin_holders *holders, const char *name, uint32_t arena)
{
	char *way = name ? way_of(name) : NULL;
	struct pyr_pin_holder *row;
	size_t i;

	if (name && !way)
		return false;
	for (i = 0;
	     i < holders->walk_cache.count && !same_way(holders->walk_cache.data[i].name, way); i++)
		;
	if (i < holders->walk_cache.count) {
		free(way);
	} else if (!pyr_vec_push(&holders->walk_cache, (struct pyr_pin_holder){.name = way})) {
		free(way);
		return false;
	}
	row = &holders->walk_cache.data[i];
	row->blocks++;
	row->arenas += row->last_arena != arena + 1;
	row->last_arena = arena + 1;
	return true;
}

static int by_arenas(const void *a, const void *b)
{
	const struct pyr_pin_holder *x = a, *y = b;

	if (x->arenas != y->arenas)
		return x->arenas < y->arenas ? 1 : -1;
	if (x->blocks != y->blocks)
		return x->blocks < y->blocks ? 1 : -1;
	return strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

static pyr_error *merge_ways(const struct pyr_pins *pins, struct pyr_pin_holders *holders)
{
	const struct pyr_pinned_arena *arena;
	uint32_t pin;
	size_t i;

	for (i = 0; i < pins->arenas.count; i++) {
		arena = &pins->arenas.data[i];
		for (pin = arena->first_pin; pin < arena->first_pin + arena->pins; pin++)
			if (holders->asked[pin] &&
			    !add_way(holders, holders->names[pin], (uint32_t)i))
				return pyr_error_no_memory();
	}
	if (holders->walk_cache.count)
		qsort(holders->walk_cache.data, holders->walk_cache.count,
		      sizeof(*holders->walk_cache.data), by_arenas);
	return NULL;
}

pyr_error *pyr_pin_holders_find(struct pyr_context *context, const struct pyr_pins *pins,
				struct pyr_pin_holders *ret)
{
	struct pyr_pin_holders holders = {.count = pins->pins.count};
	struct pyr_retention_cache *retention;
	pyr_error *err = NULL;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	if (!holders.count)
		return NULL;
	if ((err = pyr_session_retention_cache(context->session, &retention)))
		return err;
	holders.names = calloc(holders.count, sizeof(*holders.names));
	holders.asked = calloc(holders.count, sizeof(*holders.asked));
	if (!holders.names || !holders.asked)
		err = pyr_error_no_memory();
	else
		choose(context, pins, &holders);
	for (i = 0; !err && i < holders.count; i++) {
		if (!holders.asked[i])
			holders.omitted += pins->pins.data[i].owner != PYR_NO_ID;
		else if (!(err = pyr_control_progress(&context->session->control,
						      "looking for holders", i, holders.count)))
			err = pyr_holder_find(context, retention, pins->pins.data[i].owner,
					      &holders.names[i]);
	}
	for (i = 0; !err && i < holders.count; i++)
		holders.asked_count += holders.asked[i];
	if (!err)
		err = merge_ways(pins, &holders);
	if (err)
		pyr_pin_holders_deinit(&holders);
	else
		*ret = holders;
	return err;
}

void pyr_pin_holders_deinit(struct pyr_pin_holders *holders)
{
	size_t i;

	for (i = 0; holders->names && i < holders->count; i++)
		free(holders->names[i]);
	for (i = 0; i < holders->walk_cache.count; i++)
		free(holders->walk_cache.data[i].name);
	pyr_vec_deinit(&holders->walk_cache);
	free(holders->names);
	free(holders->asked);
	memset(holders, 0, sizeof(*holders));
}

/* "dict", "items of a list of list", "free list of tuple". */
static void group_name(struct pyr_context *context, const struct pyr_pin_group *g,
		       struct pyr_strbuf *out)
{
	struct pyr_types *types = context->session->types;
	const char *type =
		g->type == UINT32_MAX
			? NULL
			: pyr_short_type(pyr_type_name(types, pyr_types_at(types, g->type)));

	switch ((enum pyr_pin_kind)g->kind) {
	case PYR_PIN_OBJECT:
		pyr_strbuf_add(out, type ? type : "?");
		break;
	case PYR_PIN_BUFFER:
		pyr_strbuf_printf(out, "%s", pyr_buffer_text((enum pyr_buffer_name)g->buffer));
		if (type)
			pyr_strbuf_printf(out, " (%s)", type);
		break;
	case PYR_PIN_FREELIST:
		pyr_strbuf_printf(out, "free list of %s", pyr_short_type(g->list));
		break;
	case PYR_PIN_UNKNOWN:
		pyr_strbuf_add(out, "not known: memory of C code");
		break;
	}
}

static pyr_addr object_of(struct pyr_context *context, const struct pyr_pin *pin)
{
	return pin->owner == PYR_NO_ID ? 0 : context->session->heap->address[pin->owner];
}

static const char *kind_name(uint8_t kind)
{
	static const char *const names[] = {[PYR_PIN_OBJECT] = "object",
					    [PYR_PIN_BUFFER] = "buffer",
					    [PYR_PIN_FREELIST] = "free_list",
					    [PYR_PIN_UNKNOWN] = "unknown"};

	return names[kind];
}

static void pin_json(struct pyr_context *context, const struct pyr_pins *pins,
		     const struct pyr_pin_holders *holders, uint32_t index)
{
	const struct pyr_pin *pin = &pins->pins.data[index];
	const struct pyr_pin_group *g = &pins->groups.data[pin->group];
	struct pyr_types *types = context->session->types;
	struct pyr_json *json = context->json;
	pyr_addr object = object_of(context, pin);

	pyr_json_begin_object(json, NULL);
	pyr_json_address(json, "block", pin->address);
	pyr_json_uint(json, "size", pin->size);
	pyr_json_string(json, "kind", kind_name(pin->kind));
	if (object) {
		pyr_json_address(json, "address", object);
		pyr_json_string(json, "type", pyr_type_name(types, pyr_types_at(types, g->type)));
	}
	if (pin->kind == PYR_PIN_BUFFER)
		pyr_json_string(json, "buffer", pyr_buffer_name((enum pyr_buffer_name)pin->buffer));
	if (g->list)
		pyr_json_string(json, "type", g->list);
	if (holders->asked[index])
		pyr_json_string(json, "held_by", holders->names[index]);
	pyr_json_end_object(json);
}

void pyr_show_pins_json(struct pyr_context *context, const struct pyr_arenas *a,
			const struct pyr_pins *pins, const struct pyr_pin_holders *holders,
			unsigned percent)
{
	struct pyr_json *json = context->json;
	const struct pyr_pinned_arena *arena;
	const struct pyr_pin_group *g;
	struct pyr_strbuf text = {0};
	pyr_addr object;
	size_t i, k;

	pyr_json_begin_object(json, "pins");
	pyr_json_uint(json, "percent", percent);
	pyr_json_uint(json, "bytes", pins->bytes);
	pyr_json_uint(json, "bytes_in_use", pins->bytes_in_use);
	pyr_json_uint(json, "blocks", pins->pins.count);
	pyr_json_begin_list(json, "held_by");
	for (i = 0; i < holders->walk_cache.count; i++) {
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "held_by", holders->walk_cache.data[i].name);
		pyr_json_uint(json, "blocks", holders->walk_cache.data[i].blocks);
		pyr_json_uint(json, "arenas", holders->walk_cache.data[i].arenas);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_begin_list(json, "kept_by");
	for (i = 0; i < pins->groups.count; i++) {
		g = &pins->groups.data[i];
		object = object_of(context, &pins->pins.data[g->example]);
		pyr_strbuf_clear(&text);
		group_name(context, g, &text);
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "what", pyr_strbuf_str(&text));
		pyr_json_string(json, "kind", kind_name(g->kind));
		pyr_json_uint(json, "blocks", g->pins);
		pyr_json_uint(json, "bytes", g->bytes);
		pyr_json_uint(json, "arenas", g->arenas);
		pyr_json_uint(json, "arenas_alone", g->alone);
		pyr_json_uint(json, "bytes_alone", g->alone_bytes);
		pyr_json_address(json, "example", object);
		if (holders->asked[g->example])
			pyr_json_string(json, "held_by", holders->names[g->example]);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_begin_list(json, "arenas");
	for (i = 0; i < pins->arenas.count && i < context->limit; i++) {
		arena = &pins->arenas.data[i];
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", a->obmalloc->arenas.data[arena->arena].address);
		pyr_json_uint(json, "bytes", arena->bytes);
		pyr_json_uint(json, "bytes_in_use", arena->bytes_in_use);
		pyr_json_begin_list(json, "blocks");
		for (k = 0; k < arena->pins; k++)
			pin_json(context, pins, holders, arena->first_pin + (uint32_t)k);
		pyr_json_end_list(json);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "arenas_omitted", pins->arenas.count - i);
	pyr_json_uint(json, "holders_omitted", holders->omitted);
	pyr_json_end_object(json);
	pyr_strbuf_deinit(&text);
}

/* --- text --- */

static void print_groups(struct pyr_context *context, const struct pyr_pins *pins,
			 const struct pyr_pin_holders *holders)
{
	static const struct pyr_column columns[] = {
		{"KEPT BY", false, true, PYR_CUT_END},
		{"BLOCKS", true, false, PYR_CUT_END},
		{"BYTES", true, false, PYR_CUT_END},
		{"ARENAS", true, false, PYR_CUT_END},
		{"ALONE IN", true, false, PYR_CUT_END},
		{"FOR EXAMPLE, AND WHO HOLDS IT", false, true, PYR_CUT_END},
	};
	const struct pyr_pin_group *g;
	struct pyr_strbuf text = {0};
	struct pyr_table table;
	pyr_addr object;
	size_t i;

	pyr_out_raw(context->out, "\n", 1);
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < pins->groups.count && i < context->limit; i++) {
		g = &pins->groups.data[i];
		object = object_of(context, &pins->pins.data[g->example]);
		pyr_strbuf_clear(&text);
		group_name(context, g, &text);
		pyr_table_text(&table, pyr_strbuf_str(&text));
		pyr_table_text(&table, pyr_count(g->pins).text);
		pyr_table_text(&table, pyr_bytes(g->bytes).text);
		pyr_table_text(&table, pyr_count(g->arenas).text);
		pyr_table_text(&table, g->alone ? pyr_count(g->alone).text : "");
		if (object)
			pyr_table_cell(&table, "%s  %s", pyr_address(object).text,
				       holders->names[g->example] ? holders->names[g->example]
								  : "");
		else
			pyr_table_text(&table, "");
		if (object)
			pyr_session_result(context->session, object);
	}
	pyr_table_finish(&table);
	pyr_context_more(context, i, pins->groups.count, "kind", "kinds");
	pyr_strbuf_deinit(&text);
}

static void print_ways(struct pyr_context *context, const struct pyr_pin_holders *holders)
{
	static const struct pyr_column columns[] = {
		{"ARENAS", true, false, PYR_CUT_END},
		{"BLOCKS", true, false, PYR_CUT_END},
		{"HELD BY", false, true, PYR_CUT_END},
	};
	struct pyr_table table;
	size_t i;

	if (!holders->walk_cache.count)
		return;
	pyr_out_raw(context->out, "\n", 1);
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < holders->walk_cache.count && i < context->limit; i++) {
		pyr_table_text(&table, pyr_count(holders->walk_cache.data[i].arenas).text);
		pyr_table_text(&table, pyr_count(holders->walk_cache.data[i].blocks).text);
		pyr_table_text(&table,
			       holders->walk_cache.data[i].name
				       ? holders->walk_cache.data[i].name
				       : "nothing that was found: garbage, or held by C code");
	}
	pyr_table_finish(&table);
	pyr_context_more(context, i, holders->walk_cache.count, "holder", "holders");
	if (holders->omitted)
		pyr_out_printf(context->out, "  (asked of %s; %s were not)\n",
			       pyr_counted(holders->asked_count, "block", "blocks").text,
			       pyr_count(holders->omitted).text);
}

static void print_arenas(struct pyr_context *context, const struct pyr_arenas *a,
			 const struct pyr_pins *pins, const struct pyr_pin_holders *holders)
{
	static const struct pyr_column columns[] = {
		{"ARENA", false, false, PYR_CUT_END},
		{"FULL", true, false, PYR_CUT_END},
		{"BLOCKS", true, false, PYR_CUT_END},
		{"MOST OF THEM", false, true, PYR_CUT_END},
		{"THE FIRST IS HELD BY", false, true, PYR_CUT_END},
	};
	const struct pyr_pinned_arena *arena;
	struct pyr_strbuf text = {0};
	struct pyr_table table;
	uint32_t *counts, most, k;
	size_t i;

	counts = calloc(pins->groups.count + 1, sizeof(*counts));
	if (!counts)
		return;
	pyr_out_raw(context->out, "\n", 1);
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < pins->arenas.count && i < context->limit; i++) {
		arena = &pins->arenas.data[i];
		most = pins->pins.data[arena->first_pin].group;
		for (k = 0; k < arena->pins; k++) {
			uint32_t g = pins->pins.data[arena->first_pin + k].group;

			if (++counts[g] > counts[most])
				most = g;
		}
		pyr_strbuf_clear(&text);
		pyr_strbuf_printf(&text, "%u × ", counts[most]);
		group_name(context, &pins->groups.data[most], &text);
		if (arena->groups > 1)
			pyr_strbuf_printf(&text, ", and %u other %s", arena->groups - 1,
					  arena->groups == 2 ? "kind" : "kinds");
		pyr_table_text(&table,
			       pyr_address(a->obmalloc->arenas.data[arena->arena].address).text);
		pyr_table_text(&table, pyr_release_count(arena->bytes_in_use, arena->bytes).text);
		pyr_table_text(&table, pyr_count(arena->pins).text);
		pyr_table_text(&table, pyr_strbuf_str(&text));
		pyr_table_text(&table, holders->names[arena->first_pin]
					       ? holders->names[arena->first_pin]
					       : "");
		for (k = 0; k < arena->pins; k++)
			counts[pins->pins.data[arena->first_pin + k].group] = 0;
	}
	pyr_table_finish(&table);
	pyr_context_more(context, i, pins->arenas.count, "arena", "arenas");
	pyr_strbuf_deinit(&text);
	free(counts);
}

void pyr_show_pins(struct pyr_context *context, const struct pyr_arenas *a,
		   const struct pyr_pins *pins, const struct pyr_pin_holders *holders,
		   unsigned percent)
{
	pyr_out_style(context->out, PYR_STYLE_STRONG);
	if (!pins->arenas.count)
		pyr_out_printf(context->out, "None of the %s is at most %u %% full.\n",
			       pyr_counted(a->process.arenas, "arena", "arenas").text, percent);
	else
		pyr_out_printf(context->out,
			       "%s of %s at most %u %% full: %s would go back to the system if ",
			       pyr_count(pins->arenas.count).text,
			       pyr_counted(a->process.arenas, "arena is", "arenas are").text,
			       percent, pyr_bytes(pins->bytes).text);
	if (pins->arenas.count)
		pyr_out_printf(context->out, "%s (%s) in them went.\n",
			       pyr_counted(pins->pins.count, "block", "blocks").text,
			       pyr_bytes(pins->bytes_in_use).text);
	pyr_out_style(context->out, PYR_STYLE_PLAIN);
	if (!pins->arenas.count)
		return;
	print_ways(context, holders);
	print_groups(context, pins, holders);
	print_arenas(context, a, pins, holders);
}
