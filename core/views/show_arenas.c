#include "views/show_arenas.h"

#include <stdio.h>

#include "render/svg.h"

#define PER_ROW 64u        /* arenas in one row of a picture */
#define SVG_ROWS_MAX 2000u /* arenas that get a row of their own */

/* Eighths, as high as the pool is full. */
static const char *glyph(uint8_t fill)
{
	static const char *const eighths[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

	switch (fill) {
	case PYR_FILL_NEVER:
		return " ";
	case PYR_FILL_FREE:
		return ".";
	case PYR_FILL_ABSENT:
		return "?";
	case PYR_FILL_CORRUPT:
		return "!";
	default:
		return eighths[fill >= 100 ? 7 : (fill - 1) * 8 / 100];
	}
}

/* A whole arena as one pool. */
static uint8_t arena_fill(const struct pyr_arenas *a, size_t i)
{
	const struct pyr_arena *arena = &a->obmalloc->arenas.data[i];
	uint64_t size = arena->end - arena->address, percent;

	if (!a->uses[i].pools)
		return a->uses[i].free_pools == a->uses[i].fills ? PYR_FILL_FREE : PYR_FILL_ABSENT;
	percent = a->uses[i].bytes_in_use * 100 / size;
	return percent < 1 ? 1 : percent > 100 ? 100 : (uint8_t)percent;
}

static void legend(struct pyr_context *context, const char *what)
{
	pyr_out_styled(context->out, PYR_STYLE_FAINT,
		       "  each character is %s: ▁▂▃▄▅▆▇█ as full as it is, \".\" free, \" \" never "
		       "used\n",
		       what);
}

static void overview(struct pyr_context *context, const struct pyr_arenas *a)
{
	size_t i, n = a->obmalloc->arenas.count;

	legend(context, "an arena");
	for (i = 0; i < n; i++) {
		if (i % PER_ROW == 0)
			pyr_out_printf(context->out, "%s  %s  ", i ? "\n" : "",
				       pyr_address(a->obmalloc->arenas.data[i].address).text);
		pyr_out_text(context->out, glyph(arena_fill(a, i)));
	}
	pyr_out_printf(context->out, "\n  (--limit 0 shows every pool of the %s)\n",
		       pyr_counted(n, "arena", "arenas").text);
}

void pyr_show_arena_map(struct pyr_context *context, const struct pyr_arenas *a)
{
	size_t i, n = a->obmalloc->arenas.count;
	const struct pyr_arena *arena;
	uint32_t k;

	if (n > context->limit) {
		overview(context, a);
		return;
	}
	legend(context, "a pool, each line an arena");
	for (i = 0; i < n; i++) {
		arena = &a->obmalloc->arenas.data[i];
		pyr_out_printf(context->out, "  %s ", pyr_address(arena->address).text);
		for (k = 0; k < a->uses[i].fills; k++) {
			if (k && k % PER_ROW == 0)
				pyr_out_printf(context->out, "\n  %*s", 15, "");
			pyr_out_text(context->out, glyph(a->fill[a->uses[i].first_fill + k]));
		}
		for (; k < PER_ROW; k++)
			pyr_out_text(context->out, " ");
		pyr_out_printf(
			context->out, "  %s\n",
			pyr_release_count(a->uses[i].bytes_in_use, arena->end - arena->address)
				.text);
	}
}

void pyr_show_arena_map_json(struct pyr_context *context, const struct pyr_arenas *a)
{
	struct pyr_json *json = context->json;
	size_t i, n = a->obmalloc->arenas.count;
	const struct pyr_arena *arena;
	struct pyr_strbuf picture = {0};
	uint32_t k;

	pyr_json_begin_list(json, "arena_list");
	for (i = 0; i < n && i < context->limit; i++) {
		arena = &a->obmalloc->arenas.data[i];
		pyr_strbuf_clear(&picture);
		for (k = 0; k < a->uses[i].fills; k++)
			pyr_strbuf_add(&picture, glyph(a->fill[a->uses[i].first_fill + k]));
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", arena->address);
		pyr_json_uint(json, "bytes", arena->end - arena->address);
		pyr_json_uint(json, "bytes_in_use", a->uses[i].bytes_in_use);
		pyr_json_uint(json, "blocks_used", a->uses[i].blocks_used);
		pyr_json_uint(json, "pools", a->uses[i].pools);
		pyr_json_uint(json, "free_pools", a->uses[i].free_pools);
		pyr_json_string(json, "map", pyr_strbuf_str(&picture));
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "arenas_omitted", n > i ? n - i : 0);
	pyr_strbuf_deinit(&picture);
}

/* --- SVG --- */

#define CELL 10u
#define LEFT 120u
#define TOP 84u

static const char *class_of(uint8_t fill)
{
	static const char *const classes[] = {"f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8"};

	switch (fill) {
	case PYR_FILL_NEVER:
		return "never";
	case PYR_FILL_FREE:
		return "free";
	case PYR_FILL_ABSENT:
	case PYR_FILL_CORRUPT:
		return "gone";
	default:
		return classes[fill >= 100 ? 7 : (fill - 1) * 8 / 100];
	}
}

static void svg_legend(struct pyr_out *out)
{
	static const struct {
		const char *class, *text;
	} words[] = {{"f1", "almost empty"},  {"f4", "half full"},
		     {"f8", "full"},          {"free", "free"},
		     {"never", "never used"}, {"gone", "not in the target"}};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		pyr_svg_rect(out, words[i].class, 16 + i * 118, 56, CELL, CELL, NULL);
		pyr_svg_text(out, "key", 30 + i * 118, 65, "%s", words[i].text);
	}
}

/* Neighbours that look alike become one rectangle. */
static void svg_arena(struct pyr_out *out, const struct pyr_arenas *a, size_t i, unsigned y)
{
	const struct pyr_arena *arena = &a->obmalloc->arenas.data[i];
	const uint8_t *fill = a->fill + a->uses[i].first_fill;
	uint32_t k, from;
	char hint[300];

	snprintf(hint, sizeof(hint), "%s: %s in use by %s", pyr_address(arena->address).text,
		 pyr_bytes(a->uses[i].bytes_in_use).text,
		 pyr_counted(a->uses[i].blocks_used, "block", "blocks").text);
	pyr_svg_text(out, "mono", 16, y + CELL - 2, "%s", pyr_address(arena->address).text);
	for (from = 0; from < a->uses[i].fills && from < PER_ROW; from = k) {
		for (k = from + 1; k < a->uses[i].fills && k < PER_ROW &&
				   class_of(fill[k]) == class_of(fill[from]);
		     k++)
			;
		pyr_svg_rect(out, class_of(fill[from]), LEFT + from * CELL, y,
			     (k - from) * CELL - 1, CELL - 1, hint);
	}
}

void pyr_show_arena_svg(struct pyr_context *context, const struct pyr_arenas *a)
{
	static const char style[] =
		".f1 { fill: #fde0dd } .f2 { fill: #fcc5c0 } .f3 { fill: #fa9fb5 } .f4 { fill: "
		"#f768a1 }\n.f5 { fill: #dd3497 } .f6 { fill: #ae017e } .f7 { fill: #7a0177 } .f8 "
		"{ "
		"fill: #49006a }\n.free { fill: #b8e0c0 } .never { fill: #eee } .gone { fill: #999 "
		"}\n";
	size_t i, n = a->obmalloc->arenas.count;
	bool rows = n <= SVG_ROWS_MAX;
	unsigned height, width = LEFT + PER_ROW * CELL + 16;
	char title[300], hint[300];

	height = TOP + 16 + CELL * (unsigned)(rows ? n : (n + PER_ROW - 1) / PER_ROW);
	snprintf(title, sizeof(title), "%s of pymalloc: %s, %s in use",
		 pyr_counted(n, "arena", "arenas").text, pyr_bytes(a->process.bytes).text,
		 pyr_bytes(a->process.bytes_in_use).text);
	pyr_svg_begin(context->out, width, height, title, style);
	pyr_svg_text(context->out, "head", 16, 24, "%s", title);
	pyr_svg_text(context->out, "key", 16, 44,
		     rows ? "each square is a pool, each line an arena"
			  : "each square is an arena, in the order of their addresses");
	svg_legend(context->out);
	for (i = 0; i < n; i++) {
		if (rows) {
			svg_arena(context->out, a, i, TOP + (unsigned)i * CELL);
			continue;
		}
		if (i % PER_ROW == 0)
			pyr_svg_text(context->out, "mono", 16,
				     TOP + (unsigned)(i / PER_ROW) * CELL + CELL - 2, "%s",
				     pyr_address(a->obmalloc->arenas.data[i].address).text);
		snprintf(hint, sizeof(hint), "%s: %s in use",
			 pyr_address(a->obmalloc->arenas.data[i].address).text,
			 pyr_bytes(a->uses[i].bytes_in_use).text);
		pyr_svg_rect(context->out, class_of(arena_fill(a, i)),
			     LEFT + (unsigned)(i % PER_ROW) * CELL,
			     TOP + (unsigned)(i / PER_ROW) * CELL, CELL - 1, CELL - 1, hint);
	}
	pyr_svg_end(context->out);
}
