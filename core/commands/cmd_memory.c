/* memory: what every byte of the process is used for. */
#include <stdlib.h>
#include <string.h>

#include "analysis/collection/garbage.h"
#include "analysis/memory/memory.h"
#include "views/native_memory.h"
#include "views/show_waste.h"
#include "roots/zombie_frames.h"
#include "runtime/gcstate.h"
#include "target/residency.h"

static const char *const basis_name[] = {
	[PYR_MEMORY_RESIDENT] = "resident",
	[PYR_MEMORY_DUMPED] = "dumped",
	[PYR_MEMORY_MAPPED] = "mapped",
};

struct memory_answer {
	struct pyr_memory memory;
	struct pyr_native_view view;
	struct pyr_freelists freelists;
	bool other_malloc;       /* not glibc's */
	uint64_t *garbage;       /* bit by id; NULL: not looked for */
	uint64_t unreachable;    /* objects */
	bool enabled, has_state; /* the main interpreter's collector */
	int32_t threshold;
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

static void memory_sentence(const struct memory_answer *a, struct pyr_strbuf *text)
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
	if (tells(m->total_zeros, total))
		pyr_strbuf_printf(text, ", %s of it pages of zeros",
				  pyr_bytes(m->total_zeros).text);
	bytes = SUM(m, PYR_MEMORY_OBJECTS, PYR_MEMORY_BLOCKS, PYR_MEMORY_BUFFERS);
	if (bytes)
		clause(text, &any,
		       a->garbage ? "%s are live Python objects and what they own"
				  : "%s are Python objects, live or not, and what they own",
		       pyr_bytes(bytes).text);
	bytes = SUM(m, PYR_MEMORY_GARBAGE);
	if (bytes >= total / 100 && bytes) {
		clause(text, &any, "%s are garbage cycles that the collector has not reached",
		       pyr_bytes(bytes).text);
		if (a->has_state && !a->enabled)
			pyr_strbuf_add(text, ": gc is disabled");
		else if (a->has_state && a->threshold == 0)
			pyr_strbuf_add(text, ": its threshold is 0");
	}
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
	bytes = SUM(m, PYR_MEMORY_OTHER_ALLOCATOR);
	if (tells(bytes, total) && !a->other_malloc)
		clause(text, &any, "%s are kept by CPython's mimalloc, free or not",
		       pyr_bytes(bytes).text);
	bytes = SUM(m, PYR_MEMORY_NATIVE);
	if (a->other_malloc)
		bytes += SUM(m, PYR_MEMORY_OTHER_ALLOCATOR);
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

/* Does the row say anything of this target? */
static bool known(const struct memory_answer *a, enum pyr_memory_category c)
{
	switch (c) {
	case PYR_MEMORY_GARBAGE:
		return a->garbage != NULL;
	case PYR_MEMORY_FREE_LISTS:
		return !a->freelists.statics_unknown;
	default:
		return true;
	}
}

static void how(const struct memory_answer *a, enum pyr_memory_category c, struct pyr_strbuf *text)
{
	pyr_strbuf_clear(text);
	if (c == PYR_MEMORY_GARBAGE && !a->garbage) {
		pyr_strbuf_add(text, "not looked for");
		return;
	}
	if (c == PYR_MEMORY_FREE_LISTS && a->freelists.statics_unknown) {
		pyr_strbuf_add(text,
			       "unknown: without symbols they cannot be told from what objects "
			       "keep in pymalloc");
		return;
	}
	pyr_strbuf_add(text, pyr_memory_how(c));
	if (c == PYR_MEMORY_OTHER_ALLOCATOR && a->memory.bytes[c])
		pyr_strbuf_printf(text, ": of %s",
				  a->other_malloc ? a->view.allocator.name
						  : "the mimalloc that CPython brings");
	if (a->memory.zeros[c] > a->memory.bytes[c] / 20)
		pyr_strbuf_printf(text, "; %s are zeros", pyr_bytes(a->memory.zeros[c]).text);
	if (c == PYR_MEMORY_FILE_PAGES && a->memory.basis == PYR_MEMORY_DUMPED)
		pyr_strbuf_add(text, "; a core leaves most of them out");
}

static void memory_json(struct pyr_context *context, const struct memory_answer *a)
{
	const struct pyr_residency *residency = a->view.target->residency;
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
	if (m->basis == PYR_MEMORY_DUMPED)
		pyr_json_uint(json, "zeros", m->total_zeros);
	pyr_json_uint(json, "trimmable", m->trimmable);
	pyr_json_string(json, "allocator", a->view.allocator.name);
	if (a->garbage)
		pyr_json_uint(json, "unreachable", a->unreachable);
	memory_sentence(a, &text);
	pyr_json_string(json, "summary", pyr_strbuf_str(&text));
	pyr_json_begin_list(json, "rows");
	for (c = 0; c < PYR_MEMORY_CATEGORIES; c++) {
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "category", pyr_memory_name(c));
		pyr_json_uint(json, "bytes", m->bytes[c]);
		pyr_json_uint(json, "swapped", m->swapped[c]);
		if (m->basis == PYR_MEMORY_DUMPED)
			pyr_json_uint(json, "zeros", m->zeros[c]);
		pyr_json_bool(json, "known", known(a, c));
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

static void memory_text(struct pyr_context *context, const struct memory_answer *a)
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
	struct pyr_strbuf text = {0};
	bool swap = m->total_swapped != 0;
	struct pyr_table table;
	int c;

	memory_sentence(a, &text);
	pyr_out_paragraph(context->out, PYR_STYLE_STRONG, pyr_strbuf_str(&text));
	pyr_out_text(context->out, "\n");
	pyr_table_init(&table, context->out, swap ? swap_columns : columns, swap ? 5 : 4);
	for (c = 0; c < PYR_MEMORY_CATEGORIES; c++) {
		if (!m->bytes[c] && !m->swapped[c] && known(a, c))
			continue;
		how(a, c, &text);
		pyr_table_text(&table, pyr_memory_text(c));
		pyr_table_text(&table, known(a, c) ? pyr_bytes(m->bytes[c]).text : "?");
		pyr_table_text(&table,
			       known(a, c) ? pyr_release_count(m->bytes[c], m->total).text : "");
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
	if (m->basis == PYR_MEMORY_DUMPED) {
		pyr_out_text(context->out, "\nA core does not say what was resident: ");
		if (m->total_zeros)
			pyr_out_printf(context->out,
				       "%s of it are pages of zeros, as what was never touched is "
				       "dumped;\n",
				       pyr_bytes(m->total_zeros).text);
		pyr_out_text(context->out, "most pages of files were left out.\n");
	}
	pyr_strbuf_deinit(&text);
}

/* --- what is asked of the heap --- */

static void mark(struct memory_answer *a, const struct pyr_address_bitmap *gone)
{
	pyr_addr addr;
	uint32_t id;

	for (addr = 0; pyr_address_bitmap_next(gone, &addr); addr += 8)
		if ((id = pyr_heap_id(a->view.heap, addr)) != PYR_NO_ID)
			a->garbage[id >> 6] |= UINT64_C(1) << (id & 63);
}

static pyr_error *find_garbage(struct pyr_context *context, struct memory_answer *a)
{
	struct pyr_control *control = &context->session->control;
	const struct pyr_python *python = context->session->python;
	size_t i, interpreters = python->interpreters.count;
	struct pyr_address_bitmap gone;
	struct pyr_garbage g;
	struct pyr_model *model;
	pyr_error *err;

	if ((err = pyr_session_model(context->session, &model)))
		return err;
	a->garbage = calloc(a->view.heap->count / 64 + 1, sizeof(*a->garbage));
	if (!a->garbage)
		return pyr_error_no_memory();
	/* Until 3.8 all interpreters have one collector. */
	if (interpreters && python->interpreters.data[0].gc == 0)
		interpreters = 1;
	for (i = 0; i < interpreters; i++) {
		if (i && python->interpreters.data[i].gc == python->interpreters.data[0].gc)
			continue;
		if ((err = pyr_garbage_find(model, control, 2, i, &g)))
			return err;
		if (!(err = pyr_garbage_weigh(&g, control, NULL, &gone))) {
			a->unreachable += g.count;
			mark(a, &gone);
			pyr_address_bitmap_deinit(&gone);
		}
		pyr_garbage_deinit(&g);
		if (err)
			return err;
	}
	if (!a->unreachable)
		return NULL;
	/* What garbage keeps in pymalloc goes with it. */
	return pyr_native_view_buffers(&a->view, control, true);
}

static pyr_error *ask_heap(struct pyr_context *context, struct memory_answer *a)
{
	struct pyr_types *types = a->view.heap->types;
	struct pyr_gc_state *states;
	pyr_error *err;
	size_t count;

	if ((err = pyr_freelists_read(types, a->view.heap->obmalloc, &a->freelists)) ||
	    (err = pyr_zombie_frames_add(a->view.heap, &a->freelists)))
		return err;
	err = pyr_gc_states_read(context->session->python, &context->session->python->reader,
				 &states, &count);
	if (!err) {
		a->has_state = count > 0;
		a->enabled = count && states[0].enabled;
		a->threshold = count ? states[0].generations[0].threshold : 0;
		pyr_gc_states_destroy(states, count);
	} else {
		pyr_error_destroy(err); /* the sentence does without it */
	}
	if (pyr_context_option(context, PYR_OPT_memory_quick)->given)
		return NULL;
	err = find_garbage(context, a);
	if (err && err->code != PYR_E_INTERRUPTED && err->code != PYR_E_NO_MEMORY) {
		pyr_context_incomplete(context, "garbage is not told apart: %s", err->message);
		pyr_error_destroy(err);
		free(a->garbage);
		a->garbage = NULL;
		return NULL;
	}
	return err;
}

static pyr_error *account(struct pyr_context *context, struct memory_answer *a)
{
	const struct pyr_python *python = context->session->python;
	struct pyr_memory_input input = {
		.target = a->view.target,
		.heap = a->view.heap,
		.buffers = a->view.heap ? &a->view.buffers : NULL,
		.glibc = &a->view.glibc,
		.mapped = &a->view.mapped,
		.other_allocator = a->other_malloc,
		.other_objects = python && python->malloc_name &&
				 !strncmp(python->malloc_name, "mimalloc", 8),
		.garbage = a->garbage,
		.freelists = &a->freelists,
	};
	pyr_error *err = pyr_memory_account(&input, &context->session->control, &a->memory);

	if (!err && a->memory.damaged)
		pyr_context_incomplete(context,
				       "%llu regions of malloc could not be walked to their end",
				       (unsigned long long)a->memory.damaged);
	return err;
}

pyr_error *pyr_cmd_memory(struct pyr_context *context)
{
	struct memory_answer a;
	pyr_error *err;

	if (pyr_context_option(context, PYR_OPT_memory_waste)->given)
		return pyr_show_waste(context,
				      !pyr_context_option(context, PYR_OPT_memory_quick)->given);
	memset(&a, 0, sizeof(a));
	if ((err = pyr_native_view_open(context, &a.view)))
		return err;
	a.other_malloc = a.view.allocator.kind != PYR_MALLOC_GLIBC &&
			 a.view.allocator.kind != PYR_MALLOC_UNKNOWN;
	if (a.view.heap)
		err = ask_heap(context, &a);
	if (!err && !(err = account(context, &a))) {
		pyr_context_answer(context);
		if (context->json)
			memory_json(context, &a);
		else
			memory_text(context, &a);
		pyr_memory_deinit(&a.memory);
	}
	free(a.garbage);
	pyr_freelists_deinit(&a.freelists);
	pyr_native_view_close(&a.view);
	return err;
}
