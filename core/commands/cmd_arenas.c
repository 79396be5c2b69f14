/* arenas: pymalloc, how full its arenas are. */
#include <stdlib.h>
#include <string.h>

#include "views/show_arenas.h"
#include "pymalloc/obmalloc_map.h"

/* The interpreters that allocate from a state: all when they share one. */
static bool allocates(const struct pyr_obmalloc_state *state, size_t interpreter)
{
	return interpreter >= 64 ? state->interpreters == UINT64_MAX
				 : state->interpreters >> interpreter & 1;
}

static void sum_json(struct pyr_json *json, const struct pyr_arenas_sum *sum)
{
	unsigned i;

	pyr_json_uint(json, "arenas", sum->arenas);
	pyr_json_uint(json, "pools", sum->pools);
	pyr_json_uint(json, "free_pools", sum->free_pools);
	pyr_json_uint(json, "bytes", sum->bytes);
	pyr_json_uint(json, "bytes_in_use", sum->bytes_in_use);
	pyr_json_uint(json, "bytes_free", sum->bytes_partly_used + sum->bytes_free_pools);
	pyr_json_uint(json, "bytes_free_pools", sum->bytes_free_pools);
	pyr_json_uint(json, "bytes_partly_used_pools", sum->bytes_partly_used);
	pyr_json_uint(json, "bytes_pool_headers", sum->bytes_headers);
	pyr_json_uint(json, "bytes_pool_tails", sum->bytes_tails);
	pyr_json_uint(json, "bytes_alignment", sum->bytes_alignment);
	pyr_json_uint(json, "bytes_unknown", sum->bytes_unknown);
	pyr_json_uint(json, "bytes_rounding", sum->bytes_rounding);
	pyr_json_uint(json, "rounding_blocks", sum->rounding_blocks);
	pyr_json_uint(json, "blocks_used", sum->blocks_used);
	pyr_json_uint(json, "blocks_free", sum->blocks_free);
	pyr_json_begin_list(json, "size_classes");
	for (i = 0; i < PYR_POOL_CLASSES_MAX; i++) {
		if (!sum->classes[i].pools)
			continue;
		pyr_json_begin_object(json, NULL);
		pyr_json_uint(json, "size", sum->classes[i].size);
		pyr_json_uint(json, "pools", sum->classes[i].pools);
		pyr_json_uint(json, "blocks_used", sum->classes[i].blocks_used);
		pyr_json_uint(json, "blocks_free", sum->classes[i].blocks_free);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
}

/* The radix tree that knows the arenas (3.10+). */
static void map_json(struct pyr_context *context, const struct pyr_arenas *a, size_t i)
{
	struct pyr_python *python = context->session->python;
	struct pyr_json *json = context->json;
	struct pyr_arena_map map;

	if (i >= a->obmalloc->states.count ||
	    !pyr_arena_map_read(python, a->obmalloc, &a->obmalloc->states.data[i], &map))
		return;
	pyr_json_begin_object(json, "arena_map");
	pyr_json_uint(json, "mid_nodes", map.mid_nodes);
	pyr_json_uint(json, "bot_nodes", map.bot_nodes);
	pyr_json_uint(json, "bytes_root", map.root_bytes);
	pyr_json_uint(json, "bytes_mid", map.mid_bytes);
	pyr_json_uint(json, "bytes_bot", map.bot_bytes);
	pyr_json_end_object(json);
}

static void state_json(struct pyr_context *context, const struct pyr_arenas *a, size_t i)
{
	const struct pyr_python *python = context->session->python;
	const struct pyr_obmalloc *m = a->obmalloc;
	struct pyr_json *json = context->json;
	size_t k;

	pyr_json_begin_object(json, NULL);
	pyr_json_begin_list(json, "interpreters");
	for (k = 0; k < python->interpreters.count; k++)
		if (i >= m->states.count || allocates(&m->states.data[i], k))
			pyr_json_int(json, NULL, python->interpreters.data[k].id);
	pyr_json_end_list(json);
	if (i < m->states.count && m->states.data[i].address)
		pyr_json_address(json, "state", m->states.data[i].address);
	if (i < m->states.count && m->states.data[i].has_raw_allocated_blocks)
		pyr_json_uint(json, "malloc_blocks", m->states.data[i].raw_allocated_blocks);
	sum_json(json, &a->states[i]);
	map_json(context, a, i);
	pyr_json_end_object(json);
}

static void arenas_json(struct pyr_context *context, const struct pyr_arenas *a,
			const struct pyr_pins *pins, const struct pyr_pin_holders *holders,
			unsigned percent)
{
	const struct pyr_obmalloc *m = a->obmalloc;
	struct pyr_json *json = context->json;
	size_t i;

	pyr_json_string(json, "allocator", context->session->python->malloc_name);
	pyr_json_string(json, "found_by", pyr_obmalloc_source_name(m->source));
	pyr_json_uint(json, "arena_size", m->arena_size);
	pyr_json_uint(json, "pool_size", m->pool_size);
	sum_json(json, &a->states[0]); /* of the main interpreter */
	map_json(context, a, 0);
	if (a->has_allocated_blocks)
		pyr_json_uint(json, "allocated_blocks", a->allocated_blocks);
	else
		pyr_json_null(json, "allocated_blocks");
	pyr_json_begin_object(json, "process");
	sum_json(json, &a->process);
	pyr_json_end_object(json);
	pyr_json_begin_list(json, "by_interpreter");
	for (i = 0; i < a->state_count; i++)
		state_json(context, a, i);
	pyr_json_end_list(json);
	if (pyr_context_option(context, PYR_OPT_arenas_map)->given)
		pyr_show_arena_map_json(context, a);
	if (pins)
		pyr_show_pins_json(context, a, pins, holders, percent);
	pyr_json_uint(json, "omitted", 0);
}

/* --- text --- */

static void no_arenas(struct pyr_context *context)
{
	const char *name = context->session->python->malloc_name;

	if (!strncmp(name, "pymalloc", 8))
		pyr_out_styled(context->out, PYR_STYLE_STRONG, "pymalloc has no arenas.\n");
	else if (!strncmp(name, "mimalloc", 8))
		pyr_out_styled(
			context->out, PYR_STYLE_STRONG,
			"Objects are allocated by mimalloc here (%s): there are no arenas of "
			"pymalloc.\n",
			name);
	else
		pyr_out_styled(context->out, PYR_STYLE_STRONG,
			       "Objects are allocated by the C library's malloc() here (%s): there "
			       "are no arenas of pymalloc; see `malloc`.\n",
			       name);
}

static void arenas_sentence(struct pyr_context *context, const struct pyr_arenas *a)
{
	unsigned percent = (unsigned)pyr_context_option(context, PYR_OPT_arenas_below)->number;
	const struct pyr_arenas_sum *s = &a->process;
	uint64_t almost = 0;
	size_t i;

	for (i = 0; i < a->obmalloc->arenas.count; i++)
		almost += pyr_arena_is_almost_empty(a, i, percent);

	pyr_out_style(context->out, PYR_STYLE_STRONG);
	pyr_out_printf(context->out,
		       "%s of pymalloc hold %s: ", pyr_counted(s->arenas, "arena", "arenas").text,
		       pyr_bytes(s->bytes).text);
	pyr_out_printf(context->out, "%s (%s) in use by %s, %s free.\n",
		       pyr_bytes(s->bytes_in_use).text,
		       pyr_release_count(s->bytes_in_use, s->bytes).text,
		       pyr_counted(s->blocks_used, "block", "blocks").text,
		       pyr_bytes(s->bytes_partly_used + s->bytes_free_pools).text);
	pyr_out_style(context->out, PYR_STYLE_PLAIN);
	pyr_out_text(context->out,
		     "An arena goes back to the system when every pool of it is free");
	if (almost)
		pyr_out_printf(context->out,
			       "; %s at most %u %% full: `arenas --pins` tells what keeps %s",
			       pyr_counted(almost, "is", "are").text, percent,
			       almost == 1 ? "it" : "them");
	pyr_out_text(context->out, ".\n");
}

static void row(struct pyr_table *table, const char *what, uint64_t bytes, uint64_t whole,
		const char *detail)
{
	if (!bytes)
		return;
	pyr_table_text(table, what);
	pyr_table_text(table, pyr_bytes(bytes).text);
	pyr_table_text(table, pyr_release_count(bytes, whole).text);
	pyr_table_text(table, detail);
}

static void print_bytes(struct pyr_context *context, const struct pyr_arenas *a)
{
	static const struct pyr_column columns[] = {
		{"BYTES OF THE ARENAS", false, false, PYR_CUT_END},
		{"SIZE", true, false, PYR_CUT_END},
		{"SHARE", true, false, PYR_CUT_END},
		{"", false, true, PYR_CUT_END},
	};
	const struct pyr_arenas_sum *s = &a->process;
	struct pyr_strbuf text = {0};
	struct pyr_table table;

	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	pyr_strbuf_add(&text, pyr_counted(s->blocks_used, "block", "blocks").text);
	if (s->rounding_blocks)
		pyr_strbuf_printf(&text, "; rounding up %s of them costs %s",
				  s->rounding_blocks == s->blocks_used
					  ? "all"
					  : pyr_count(s->rounding_blocks).text,
				  pyr_bytes(s->bytes_rounding).text);
	row(&table, "blocks in use", s->bytes_in_use, s->bytes, pyr_strbuf_str(&text));
	row(&table, "free blocks of pools in use", s->bytes_partly_used, s->bytes,
	    pyr_counted(s->blocks_free, "block", "blocks").text);
	row(&table, "free pools", s->bytes_free_pools, s->bytes,
	    pyr_counted(s->free_pools, "pool", "pools").text);
	row(&table, "pool headers", s->bytes_headers, s->bytes,
	    pyr_counted(s->pools, "pool", "pools").text);
	row(&table, "tails of pools", s->bytes_tails, s->bytes, "too small for a block");
	row(&table, "alignment of arenas", s->bytes_alignment, s->bytes, "too small for a pool");
	row(&table, "not known", s->bytes_unknown, s->bytes,
	    "pools that the target lacks or that are damaged");
	pyr_table_finish(&table);
	pyr_strbuf_deinit(&text);
}

static int by_bytes(const void *a, const void *b)
{
	const struct pyr_size_class *x = a, *y = b;
	uint64_t left = (x->blocks_used + x->blocks_free) * x->size;
	uint64_t right = (y->blocks_used + y->blocks_free) * y->size;

	return left != right ? (left < right ? 1 : -1) : (x->size > y->size) - (x->size < y->size);
}

static void print_classes(struct pyr_context *context, const struct pyr_arenas *a)
{
	static const struct pyr_column columns[] = {
		{"BLOCK SIZE", true, false, PYR_CUT_END}, {"POOLS", true, false, PYR_CUT_END},
		{"USED", true, false, PYR_CUT_END},       {"FREE", true, false, PYR_CUT_END},
		{"FULL", true, false, PYR_CUT_END},       {"BYTES USED", true, false, PYR_CUT_END},
		{"BYTES FREE", true, false, PYR_CUT_END},
	};
	struct pyr_size_class classes[PYR_POOL_CLASSES_MAX], *c;
	struct pyr_table table;
	size_t i, n = 0;

	for (i = 0; i < PYR_POOL_CLASSES_MAX; i++)
		if (a->process.classes[i].pools)
			classes[n++] = a->process.classes[i];
	if (!n)
		return;
	qsort(classes, n, sizeof(classes[0]), by_bytes);
	pyr_out_raw(context->out, "\n", 1);
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < n && i < context->limit; i++) {
		c = &classes[i];
		pyr_table_cell(&table, "%u", c->size);
		pyr_table_text(&table, pyr_count(c->pools).text);
		pyr_table_text(&table, pyr_count(c->blocks_used).text);
		pyr_table_text(&table, pyr_count(c->blocks_free).text);
		pyr_table_text(
			&table,
			pyr_release_count(c->blocks_used, c->blocks_used + c->blocks_free).text);
		pyr_table_text(&table, pyr_bytes(c->blocks_used * c->size).text);
		pyr_table_text(&table, pyr_bytes(c->blocks_free * c->size).text);
	}
	pyr_table_finish(&table);
	pyr_context_more(context, i, n, "size class", "size classes");
}

static void print_interpreters(struct pyr_context *context, const struct pyr_arenas *a)
{
	static const struct pyr_column columns[] = {
		{"INTERPRETERS", false, true, PYR_CUT_END}, {"ARENAS", true, false, PYR_CUT_END},
		{"BYTES", true, false, PYR_CUT_END},        {"IN USE", true, false, PYR_CUT_END},
		{"FREE", true, false, PYR_CUT_END},
	};
	const struct pyr_python *python = context->session->python;
	struct pyr_strbuf text = {0};
	struct pyr_table table;
	size_t i, k;

	if (a->state_count < 2)
		return;
	pyr_out_raw(context->out, "\n", 1);
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < a->state_count && i < context->limit; i++) {
		pyr_strbuf_clear(&text);
		for (k = 0; k < python->interpreters.count; k++)
			if (allocates(&a->obmalloc->states.data[i], k))
				pyr_strbuf_printf(&text, "%s%lld", text.length ? ", " : "",
						  (long long)python->interpreters.data[k].id);
		pyr_table_text(&table, pyr_strbuf_str(&text));
		pyr_table_text(&table, pyr_count(a->states[i].arenas).text);
		pyr_table_text(&table, pyr_bytes(a->states[i].bytes).text);
		pyr_table_text(&table, pyr_bytes(a->states[i].bytes_in_use).text);
		pyr_table_text(&table, pyr_bytes(a->states[i].bytes_partly_used +
						 a->states[i].bytes_free_pools)
					       .text);
	}
	pyr_table_finish(&table);
	pyr_context_more(context, i, a->state_count, "interpreter", "interpreters");
	pyr_strbuf_deinit(&text);
}

static void print_map_size(struct pyr_context *context, const struct pyr_arenas *a)
{
	struct pyr_arena_map map;
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < a->obmalloc->states.count; i++)
		if (pyr_arena_map_read(context->session->python, a->obmalloc,
				       &a->obmalloc->states.data[i], &map))
			bytes += map.root_bytes + map.mid_bytes + map.bot_bytes;
	if (bytes)
		pyr_out_printf(
			context->out,
			"\n  its map of arenas, a radix tree, takes %s besides, mostly of pages "
			"that were never touched",
			pyr_bytes(bytes).text);
}

static void arenas_text(struct pyr_context *context, const struct pyr_arenas *a)
{
	if (!a->process.arenas) {
		no_arenas(context);
		return;
	}
	arenas_sentence(context, a);
	pyr_out_raw(context->out, "\n", 1);
	if (pyr_context_option(context, PYR_OPT_arenas_map)->given) {
		pyr_show_arena_map(context, a);
		return;
	}
	print_bytes(context, a);
	print_classes(context, a);
	print_interpreters(context, a);
	print_map_size(context, a);
	if (a->has_allocated_blocks)
		pyr_out_printf(
			context->out,
			"\n  sys.getallocatedblocks() would answer %s: with the %s that went on "
			"to malloc()\n",
			pyr_count(a->allocated_blocks).text,
			pyr_count(a->allocated_blocks - a->process.blocks_used).text);
}

static void tell_what_lacks(struct pyr_context *context, const struct pyr_arenas *a)
{
	const struct pyr_arenas_sum *s = &a->process;

	if (s->unreadable_pools)
		pyr_context_incomplete(context, "%s of pymalloc are not in the target",
				       pyr_counted(s->unreadable_pools, "pool", "pools").text);
	if (s->corrupt_pools)
		pyr_context_incomplete(context, "%s of pymalloc with a corrupt header",
				       pyr_counted(s->corrupt_pools, "pool", "pools").text);
	if (s->inconsistent_pools)
		pyr_context_incomplete(context,
				       "%s of pymalloc whose free list disagrees with the count",
				       pyr_counted(s->inconsistent_pools, "pool", "pools").text);
	if (a->obmalloc->dropped_arenas)
		pyr_context_incomplete(
			context, "%s of pymalloc's table of arenas that make no sense",
			pyr_counted(a->obmalloc->dropped_arenas, "entry", "entries").text);
	if (a->obmalloc->source == PYR_OBMALLOC_SCAN)
		pyr_context_incomplete(context, "pymalloc's state was not found: its arenas are "
						"the runs of pools that the memory holds");
}

static pyr_error *show(struct pyr_context *context, const struct pyr_arenas *arenas)
{
	const struct pyr_value *below = pyr_context_option(context, PYR_OPT_arenas_below);
	bool svg = pyr_context_option(context, PYR_OPT_arenas_format)->number == 1;
	bool wanted = pyr_context_option(context, PYR_OPT_arenas_pins)->given && !svg;
	unsigned percent = below->number > 100 ? 100 : (unsigned)below->number;
	struct pyr_pin_holders holders = {0};
	struct pyr_pins pins = {0};
	struct pyr_heap *heap;
	pyr_error *err;

	if (wanted &&
	    ((err = pyr_session_heap(context->session, &heap)) ||
	     (err = pyr_pins_find(heap, arenas, percent, &context->session->control, &pins))))
		return err;
	if (wanted && (err = pyr_pin_holders_find(context, &pins, &holders))) {
		pyr_pins_deinit(&pins);
		return err;
	}
	if (pins.left_out)
		pyr_context_incomplete(context,
				       "%s almost empty with pools that are not known: left out",
				       pyr_counted(pins.left_out, "arena is", "arenas are").text);
	if (!svg)
		tell_what_lacks(context, arenas);
	pyr_context_answer(context);
	if (svg)
		pyr_show_arena_svg(context, arenas);
	else if (context->json)
		arenas_json(context, arenas, wanted ? &pins : NULL, &holders, percent);
	else if (wanted && arenas->process.arenas)
		pyr_show_pins(context, arenas, &pins, &holders, percent);
	else
		arenas_text(context, arenas);
	pyr_pin_holders_deinit(&holders);
	pyr_pins_deinit(&pins);
	return NULL;
}

pyr_error *pyr_cmd_arenas(struct pyr_context *context)
{
	struct pyr_obmalloc obmalloc;
	struct pyr_arenas arenas;
	struct pyr_types *types;
	pyr_error *err;

	if (pyr_context_option(context, PYR_OPT_arenas_format)->number == 1 && context->json)
		return pyr_error_create(PYR_E_USAGE, "--json and --format svg exclude each other");
	if ((err = pyr_session_types(context->session, &types)) ||
	    (err = pyr_obmalloc_open(context->session->python, &obmalloc)))
		return err;
	err = pyr_arenas_run(types, &obmalloc, &context->session->control, &arenas);
	if (!err) {
		err = show(context, &arenas);
		pyr_arenas_deinit(&arenas);
	}
	pyr_obmalloc_deinit(&obmalloc);
	return err;
}
