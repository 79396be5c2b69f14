/* memory: what every byte of the process is used for. */
#include <stdlib.h>
#include <string.h>

#include "analysis/memory.h"
#include "command/native_view.h"
#include "target/residency.h"

static const char *const basis_name[] = {
	[PYR_MEMORY_RESIDENT] = "resident",
	[PYR_MEMORY_DUMPED] = "dumped",
	[PYR_MEMORY_MAPPED] = "mapped",
};

struct answer {
	struct pyr_memory memory;
	const struct pyr_native_view *view;
};

static uint64_t sum(const struct pyr_memory *m, const enum pyr_memory_category *categories,
		    size_t count)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < count; i++)
		bytes += m->bytes[categories[i]];
	return bytes;
}
#define SUM(m, ...)                                                                                \
	sum(m, (const enum pyr_memory_category[]){__VA_ARGS__},                                    \
	    sizeof((const enum pyr_memory_category[]){__VA_ARGS__}) /                              \
		    sizeof(enum pyr_memory_category))

static void clause(struct pyr_strbuf *text, bool *any, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void clause(struct pyr_strbuf *text, bool *any, const char *format, ...)
{
	va_list args;

	pyr_strbuf_add(text, *any ? ", " : ": ");
	va_start(args, format);
	pyr_strbuf_vprintf(text, format, args);
	va_end(args);
	*any = true;
}

/* Worth a place in the sentence: a twentieth of all. */
static bool tells(uint64_t bytes, uint64_t total)
{
	return bytes >= total / 20 && bytes;
}

static void sentence(const struct answer *a, struct pyr_strbuf *text)
{
	static const char *const total_text[] = {
		[PYR_MEMORY_RESIDENT] = "RSS %s",
		[PYR_MEMORY_DUMPED] = "The core holds %s",
		[PYR_MEMORY_MAPPED] = "%s are mapped (which of it is in memory cannot be known)",
	};
	const struct pyr_memory *m = &a->memory;
	uint64_t total = m->total, bytes;
	bool any = false;

	pyr_strbuf_printf(text, total_text[m->basis], pyr_bytes(total).text);
	bytes = SUM(m, PYR_MEMORY_OBJECTS, PYR_MEMORY_BLOCKS, PYR_MEMORY_BUFFERS);
	if (bytes)
		clause(text, &any, "%s are live Python objects and what they own",
		       pyr_bytes(bytes).text);
	bytes = SUM(m, PYR_MEMORY_PYMALLOC_FREE, PYR_MEMORY_PYMALLOC_OVERHEAD,
		    PYR_MEMORY_FREE_LISTS);
	if (tells(bytes, total))
		clause(text, &any, "%s are kept by pymalloc's arenas for later objects",
		       pyr_bytes(bytes).text);
	bytes = SUM(m, PYR_MEMORY_MALLOC_FREE, PYR_MEMORY_MALLOC_TOP, PYR_MEMORY_MALLOC_CACHED);
	if (tells(bytes, total)) {
		clause(text, &any, "%s lie free inside malloc", pyr_bytes(bytes).text);
		if (m->trimmable >= bytes / 10)
			pyr_strbuf_printf(text, " (malloc_trim could return %s)",
					  pyr_bytes(m->trimmable).text);
		else
			pyr_strbuf_add(text, " (too scattered for malloc_trim to return)");
	}
	bytes = SUM(m, PYR_MEMORY_NATIVE, PYR_MEMORY_OTHER_ALLOCATOR);
	if (tells(bytes, total))
		clause(text, &any, "%s are native code's", pyr_bytes(bytes).text);
	bytes = SUM(m, PYR_MEMORY_FILE_PAGES, PYR_MEMORY_FILE_OWN, PYR_MEMORY_STATIC);
	if (tells(bytes, total))
		clause(text, &any, "%s are programs, libraries and other files",
		       pyr_bytes(bytes).text);
	bytes = SUM(m, PYR_MEMORY_SHARED);
	if (tells(bytes, total))
		clause(text, &any, "%s are shared memory", pyr_bytes(bytes).text);
	bytes = SUM(m, PYR_MEMORY_STACKS, PYR_MEMORY_ENDED_STACKS);
	if (tells(bytes, total))
		clause(text, &any, "%s are thread stacks", pyr_bytes(bytes).text);
	bytes = SUM(m, PYR_MEMORY_UNCLAIMED);
	if (tells(bytes, total))
		clause(text, &any, "%s are anonymous memory that nobody claims",
		       pyr_bytes(bytes).text);
	pyr_strbuf_add(text, ".");
	if (m->total_swapped)
		pyr_strbuf_printf(text, " Another %s are in swap.",
				  pyr_bytes(m->total_swapped).text);
}

static void how(const struct answer *a, enum pyr_memory_category c, struct pyr_strbuf *text)
{
	pyr_strbuf_clear(text);
	pyr_strbuf_add(text, pyr_memory_how(c));
	if (c == PYR_MEMORY_OTHER_ALLOCATOR)
		pyr_strbuf_printf(text, ": %s", a->view->allocator.name);
	if (c == PYR_MEMORY_FILE_PAGES && a->memory.basis == PYR_MEMORY_DUMPED)
		pyr_strbuf_add(text, "; a core leaves most of them out");
}

static void print_json(struct pyr_context *context, const struct answer *a)
{
	const struct pyr_residency *residency = a->view->target->residency;
	const struct pyr_memory *m = &a->memory;
	struct pyr_json *json = context->json;
	struct pyr_strbuf text = {0};
	uint64_t omitted = 0;
	size_t i;
	int c;

	pyr_json_uint(json, "total", m->total);
	pyr_json_string(json, "basis", basis_name[m->basis]);
	pyr_json_uint(json, "swapped", m->total_swapped);
	if (residency && residency->has_rollup)
		pyr_json_uint(json, "rss", residency->rss);
	pyr_json_uint(json, "trimmable", m->trimmable);
	pyr_json_string(json, "allocator", a->view->allocator.name);
	sentence(a, &text);
	pyr_json_string(json, "summary", pyr_strbuf_str(&text));
	pyr_json_begin_list(json, "rows");
	for (c = 0; c < PYR_MEMORY_CATEGORIES; c++) {
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "category", pyr_memory_name(c));
		pyr_json_uint(json, "bytes", m->bytes[c]);
		pyr_json_uint(json, "swapped", m->swapped[c]);
		pyr_json_string(json, "what", pyr_memory_text(c));
		how(a, c, &text);
		pyr_json_string(json, "how", pyr_strbuf_str(&text));
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_begin_list(json, "unclaimed");
	for (i = 0; i < m->unclaimed.count; i++) {
		const struct pyr_unclaimed *u = &m->unclaimed.data[i];

		if (i >= context->limit) {
			omitted++;
			continue;
		}
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", u->start);
		pyr_json_uint(json, "size", u->end - u->start);
		pyr_json_uint(json, "bytes", u->bytes);
		pyr_json_string(json, "looks_like", u->looks[0] ? u->looks : NULL);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", omitted);
	pyr_strbuf_deinit(&text);
}

#define UNCLAIMED_MIN (UINT64_C(256) << 10) /* smaller ones are not listed to a person */

static void print_unclaimed(struct pyr_context *context, const struct pyr_memory *m)
{
	static const struct pyr_column columns[] = {
		{"ADDRESS", false, false, PYR_CUT_END},
		{"MAPPED", true, false, PYR_CUT_END},
		{"HELD", true, false, PYR_CUT_END},
		{"LOOKS LIKE", false, true, PYR_CUT_END},
	};
	struct pyr_table table;
	size_t i, large = 0;

	while (large < m->unclaimed.count && m->unclaimed.data[large].bytes >= UNCLAIMED_MIN)
		large++;
	if (!large)
		return;
	pyr_out_text(context->out, "\nNobody claims:\n");
	pyr_table_init(&table, context->out, columns, 4);
	for (i = 0; i < large && i < context->limit; i++) {
		const struct pyr_unclaimed *u = &m->unclaimed.data[i];

		pyr_table_text(&table, pyr_address(u->start).text);
		pyr_table_text(&table, pyr_bytes(u->end - u->start).text);
		pyr_table_text(&table, pyr_bytes(u->bytes).text);
		pyr_table_text(&table, u->looks);
	}
	pyr_table_finish(&table);
	pyr_context_more(context, i, large, "mapping", "mappings");
}

static void print_text(struct pyr_context *context, const struct answer *a)
{
	static const struct pyr_column columns[] =
		{
			{"WHAT", false, false, PYR_CUT_END},
			{"BYTES", true, false, PYR_CUT_END},
			{"SHARE", true, false, PYR_CUT_END},
			{"HOW IT IS KNOWN", false, true, PYR_CUT_END},
		},
				       swap_columns[] = {
					       {"WHAT", false, false, PYR_CUT_END},
					       {"BYTES", true, false, PYR_CUT_END},
					       {"SHARE", true, false, PYR_CUT_END},
					       {"IN SWAP", true, false, PYR_CUT_END},
					       {"HOW IT IS KNOWN", false, true, PYR_CUT_END},
				       };
	const struct pyr_memory *m = &a->memory;
	struct pyr_strbuf text = {0}, wrapped = {0};
	bool swap = m->total_swapped != 0;
	struct pyr_table table;
	int c;

	sentence(a, &text);
	pyr_text_wrap(&wrapped, pyr_strbuf_str(&text),
		      context->out->width > 0 ? (size_t)context->out->width : 100, 0);
	pyr_out_styled(context->out, PYR_STYLE_STRONG, "%s", pyr_strbuf_str(&wrapped));
	pyr_out_style(context->out, PYR_STYLE_PLAIN);
	pyr_out_text(context->out, "\n");
	pyr_table_init(&table, context->out, swap ? swap_columns : columns, swap ? 5 : 4);
	for (c = 0; c < PYR_MEMORY_CATEGORIES; c++) {
		if (!m->bytes[c] && !m->swapped[c])
			continue;
		how(a, c, &text);
		pyr_table_text(&table, pyr_memory_text(c));
		pyr_table_text(&table, pyr_bytes(m->bytes[c]).text);
		pyr_table_text(&table, pyr_share(m->bytes[c], m->total).text);
		if (swap)
			pyr_table_text(&table, pyr_bytes(m->swapped[c]).text);
		pyr_table_text(&table, pyr_strbuf_str(&text));
	}
	pyr_table_text(&table, "total");
	pyr_table_text(&table, pyr_bytes(m->total).text);
	pyr_table_text(&table, "");
	if (swap)
		pyr_table_text(&table, pyr_bytes(m->total_swapped).text);
	pyr_table_cell(&table, "%s bytes", pyr_count(m->total).text);
	pyr_table_finish(&table);
	print_unclaimed(context, m);
	if (m->basis == PYR_MEMORY_DUMPED)
		pyr_out_text(
			context->out,
			"\nA core does not say what was resident: pages that were never touched "
			"may be in it as zeros, and pages of files were left out.\n");
	pyr_strbuf_deinit(&text);
	pyr_strbuf_deinit(&wrapped);
}

pyr_error *pyr_cmd_memory(struct pyr_context *context)
{
	struct pyr_memory_input input = {0};
	struct pyr_native_view view;
	struct answer answer;
	pyr_error *err;

	if ((err = pyr_native_view_open(context, &view)))
		return err;
	input.target = view.target;
	input.heap = view.heap;
	input.buffers = view.heap ? &view.buffers : NULL;
	input.glibc = &view.glibc;
	input.mapped = &view.mapped;
	input.other_allocator = view.allocator.kind != PYR_MALLOC_GLIBC &&
				view.allocator.kind != PYR_MALLOC_UNKNOWN;
	answer.view = &view;
	err = pyr_memory_account(&input, &context->session->control, &answer.memory);
	if (!err) {
		if (answer.memory.damaged)
			pyr_context_incomplete(
				context, "%llu regions of malloc could not be walked to their end",
				(unsigned long long)answer.memory.damaged);
		pyr_context_answer(context);
		if (context->json)
			print_json(context, &answer);
		else
			print_text(context, &answer);
		pyr_memory_deinit(&answer.memory);
	}
	pyr_native_view_close(&view);
	return err;
}
