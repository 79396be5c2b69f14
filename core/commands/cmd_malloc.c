/* malloc: what the process got from it, whose that is, and what lies free in it. */
#include <stdlib.h>
#include <string.h>

#include "analysis/memory/chunks.h"
#include "analysis/memory/memory.h"
#include "views/held_as.h"
#include "views/native_memory.h"
#include "views/show.h"

#define LARGEST 10u /* chunks that are told one by one to a person */
#define LARGEST_JSON 100u
#define HOLDERS_MAX 20u /* of the largest, asked who holds them */

struct malloc_answer {
	struct pyr_native_view view;
	struct pyr_chunks chunks;
	struct pyr_mallinfo2 info;
	uint64_t in_use, tcache, free, top, mmapped; /* bytes */
	uint64_t trimmable, *arena_trimmable;
	char *holders[HOLDERS_MAX]; /* of the largest chunks' owners; NULL: none, not asked */
	bool has_holders;
};

static uint64_t arena_in_use(const struct pyr_glibc_arena *arena)
{
	return arena->system_mem - arena->top_size - pyr_glibc_arena_free(arena) -
	       arena->tcache.bytes;
}

static pyr_error *learn(struct pyr_context *context, struct malloc_answer *a)
{
	struct pyr_glibc *g = &a->view.glibc;
	struct pyr_chunks_input input = {
		.target = a->view.target,
		.heap = a->view.heap,
		.buffers = a->view.heap ? &a->view.buffers : NULL,
		.glibc = g,
		.mapped = &a->view.mapped,
		.keep = context->json ? LARGEST_JSON : LARGEST,
	};
	pyr_error *err;
	size_t i;

	a->arena_trimmable = calloc(g->arenas.count + 1, sizeof(*a->arena_trimmable));
	if (!a->arena_trimmable)
		return pyr_error_no_memory();
	if ((err = pyr_chunks_find(&input, &context->session->control, &a->chunks)) ||
	    (err = pyr_memory_trimmable(a->view.target, &a->view.reader, g, a->arena_trimmable,
					&a->trimmable)))
		return err;
	pyr_glibc_mallinfo2(g, &a->info);
	for (i = 0; i < g->arenas.count; i++) {
		const struct pyr_glibc_arena *arena = &g->arenas.data[i];

		a->top += arena->top_size;
		a->free += pyr_glibc_arena_free(arena);
		a->tcache += arena->tcache.bytes;
	}
	a->mmapped = g->has_parameters ? g->mmapped_bytes : a->view.mapped.bytes;
	a->in_use = a->info.uordblks - a->tcache + a->mmapped;
	if (a->chunks.damaged)
		pyr_context_incomplete(context,
				       "%llu regions of malloc could not be walked to their end",
				       (unsigned long long)a->chunks.damaged);
	return NULL;
}

static pyr_error *find_holders(struct pyr_context *context, struct malloc_answer *a)
{
	struct pyr_retention_cache *retention;
	pyr_error *err;
	size_t i;

	if ((err = pyr_session_retention_cache(context->session, &retention)))
		return err;
	a->has_holders = true;
	for (i = 0; i < HOLDERS_MAX && i < a->chunks.largest.count; i++) {
		const struct pyr_chunk *c = &a->chunks.largest.data[i];

		if (c->id == PYR_NO_ID)
			continue;
		if ((err = pyr_control_progress(&context->session->control, "looking for holders",
						i, HOLDERS_MAX)) ||
		    (err = pyr_holder_find(context, retention, c->id, &a->holders[i])))
			return err;
	}
	return NULL;
}

/* --- names --- */

static const char *type_name(const struct malloc_answer *a, uint64_t index)
{
	struct pyr_types *types = a->view.heap->types;

	return pyr_type_name(types, pyr_types_at(types, (uint32_t)index));
}

static const char *base(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path ? path : "?";
}

/* "vtable for N (libfoo.so)", "libfoo.so + 0x12340" */
static void symbol_text(const struct malloc_answer *a, pyr_addr word, struct pyr_strbuf *text)
{
	const struct pyr_image *image = pyr_target_image_at(a->view.target, word);
	const char *name;
	uint64_t offset;

	if (!image) {
		pyr_strbuf_add(text, "?");
		return;
	}
	if (!pyr_image_symbol_at(a->view.target, image, word, &name, &offset))
		pyr_strbuf_printf(text, "begins with %s + 0x%llx", base(image->path),
				  (unsigned long long)(word - image->start));
	else if (!strncmp(name, "_ZTV", 4))
		pyr_strbuf_printf(text, "a C++ object, vtable %s (%s)", name + 4,
				  base(image->path));
	else if (offset)
		pyr_strbuf_printf(text, "begins with %s + 0x%llx (%s)", name,
				  (unsigned long long)offset, base(image->path));
	else
		pyr_strbuf_printf(text, "begins with %s (%s)", name, base(image->path));
}

/* "items of a list"; of another type "app.Stack: items of a list". */
static void buffer_text(const char *type, enum pyr_buffer_name name, struct pyr_strbuf *text)
{
	const char *what = pyr_buffer_text(name);
	size_t n = strlen(what), k = strlen(type);

	if (n > k && !strcmp(what + n - k, type) && what[n - k - 1] == ' ')
		pyr_strbuf_add(text, what);
	else
		pyr_strbuf_printf(text, "%s: %s", type, what);
}

static void owner_text(const struct malloc_answer *a, enum pyr_chunk_owner owner, uint64_t x,
		       uint64_t y, struct pyr_strbuf *text)
{
	pyr_strbuf_clear(text);
	switch (owner) {
	case PYR_CHUNK_OF_OBJECT:
		pyr_strbuf_printf(text, "%s objects", pyr_short_type(type_name(a, x)));
		break;
	case PYR_CHUNK_OF_BUFFER:
		buffer_text(pyr_short_type(type_name(a, x)), (enum pyr_buffer_name)y, text);
		break;
	case PYR_CHUNK_OF_INTERPRETER:
		pyr_strbuf_printf(text, "the interpreter: %s",
				  pyr_buffer_text((enum pyr_buffer_name)y));
		break;
	case PYR_CHUNK_OF_SYMBOL:
		pyr_strbuf_add(text, "native: ");
		symbol_text(a, x, text);
		break;
	case PYR_CHUNK_OF_IMAGE: {
		const struct pyr_image *image = pyr_target_image_at(a->view.target, x);

		pyr_strbuf_printf(text, "native: begins with other pointers into %s",
				  image ? base(image->path) : "?");
		break;
	}
	case PYR_CHUNK_OF_LOADER:
		pyr_strbuf_add(text, "native: the dynamic linker's records of libraries");
		break;
	case PYR_CHUNK_OF_SIZE:
		pyr_strbuf_printf(text,
				  x > 1024 ? "native: chunks up to %s" : "native: chunks of %s",
				  pyr_bytes(x).text);
		break;
	}
}

static const char *owner_kind(enum pyr_chunk_owner owner)
{
	static const char *const names[] = {
		[PYR_CHUNK_OF_OBJECT] = "object",
		[PYR_CHUNK_OF_BUFFER] = "buffer",
		[PYR_CHUNK_OF_INTERPRETER] = "interpreter",
		[PYR_CHUNK_OF_SYMBOL] = "symbol",
		[PYR_CHUNK_OF_IMAGE] = "image",
		[PYR_CHUNK_OF_LOADER] = "loader",
		[PYR_CHUNK_OF_SIZE] = "size",
	};

	return names[owner];
}

/* --- JSON --- */

static void owner_json(struct pyr_json *json, const struct malloc_answer *a,
		       enum pyr_chunk_owner owner, uint64_t x, uint64_t y)
{
	pyr_json_string(json, "kind", owner_kind(owner));
	pyr_json_bool(json, "python", pyr_chunk_is_python(owner));
	if (owner == PYR_CHUNK_OF_OBJECT || owner == PYR_CHUNK_OF_BUFFER)
		pyr_json_string(json, "type", type_name(a, x));
	if (owner == PYR_CHUNK_OF_BUFFER || owner == PYR_CHUNK_OF_INTERPRETER)
		pyr_json_string(json, "buffer", pyr_buffer_name((enum pyr_buffer_name)y));
}

static void bin_json(struct pyr_json *json, const char *bytes, const char *chunks,
		     const struct pyr_glibc_free *bin)
{
	pyr_json_uint(json, bytes, bin->bytes);
	pyr_json_uint(json, chunks, bin->chunks);
}

static void arenas_json(struct pyr_json *json, const struct malloc_answer *a)
{
	size_t i;

	pyr_json_begin_list(json, "arenas");
	for (i = 0; i < a->view.glibc.arenas.count; i++) {
		const struct pyr_glibc_arena *arena = &a->view.glibc.arenas.data[i];

		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", arena->address);
		pyr_json_bool(json, "main", i == 0);
		pyr_json_uint(json, "system", arena->system_mem);
		pyr_json_uint(json, "in_use", arena_in_use(arena));
		bin_json(json, "tcache", "tcache_chunks", &arena->tcache);
		pyr_json_uint(json, "free", pyr_glibc_arena_free(arena));
		bin_json(json, "fast", "fast_chunks", &arena->fast);
		bin_json(json, "unsorted", "unsorted_chunks", &arena->unsorted);
		bin_json(json, "small", "small_chunks", &arena->small);
		bin_json(json, "large", "large_chunks", &arena->large);
		pyr_json_uint(json, "largest_free", arena->largest_free);
		pyr_json_uint(json, "top", arena->top_size);
		pyr_json_uint(json, "heaps", arena->heaps);
		pyr_json_uint(json, "trimmable", a->arena_trimmable[i]);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
}

static void groups_json(struct pyr_context *context, const struct malloc_answer *a)
{
	struct pyr_json *json = context->json;
	struct pyr_strbuf text = {0};
	uint64_t omitted = 0;
	size_t i;

	pyr_json_begin_list(json, "owners");
	for (i = 0; i < a->chunks.groups.count; i++) {
		const struct pyr_chunk_group *g = &a->chunks.groups.data[i];

		if (i >= context->limit) {
			omitted++;
			continue;
		}
		owner_text(a, g->owner, g->a, g->b, &text);
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "what", pyr_strbuf_str(&text));
		owner_json(json, a, g->owner, g->a, g->b);
		pyr_json_uint(json, "chunks", g->count);
		pyr_json_uint(json, "bytes", g->bytes);
		pyr_json_uint(json, "largest", g->largest);
		pyr_json_address(json, "example", g->example);
		if (g->example_id != PYR_NO_ID)
			pyr_json_address(json, "example_owner",
					 a->view.heap->address[g->example_id]);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", omitted);
	pyr_json_begin_list(json, "largest");
	for (i = 0; i < a->chunks.largest.count; i++) {
		const struct pyr_chunk *c = &a->chunks.largest.data[i];

		owner_text(a, c->owner, c->a, c->b, &text);
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", c->memory);
		pyr_json_uint(json, "size", c->size);
		pyr_json_bool(json, "mmapped", c->mapped);
		pyr_json_string(json, "what", pyr_strbuf_str(&text));
		owner_json(json, a, c->owner, c->a, c->b);
		if (c->id != PYR_NO_ID)
			pyr_json_address(json, "owner", a->view.heap->address[c->id]);
		if (i < HOLDERS_MAX && a->has_holders)
			pyr_json_string(json, "held_by", a->holders[i]);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_strbuf_deinit(&text);
}

static void sizes_json(struct pyr_json *json, const struct malloc_answer *a)
{
	size_t i;

	pyr_json_begin_list(json, "sizes");
	for (i = 0; i < a->chunks.size_count; i++) {
		const struct pyr_chunk_size *s = &a->chunks.sizes[i];

		if (!s->count)
			continue;
		pyr_json_begin_object(json, NULL);
		pyr_json_uint(json, "up_to", s->up_to);
		pyr_json_uint(json, "chunks", s->count);
		pyr_json_uint(json, "bytes", s->bytes);
		pyr_json_uint(json, "python_chunks", s->python_count);
		pyr_json_uint(json, "python_bytes", s->python_bytes);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
}

static void malloc_json(struct pyr_context *context, const struct malloc_answer *a)
{
	const struct pyr_glibc *g = &a->view.glibc;
	struct pyr_json *json = context->json;

	pyr_json_string(json, "allocator", a->view.allocator.name);
	pyr_json_string(json, "allocator_source", a->view.allocator.how);
	pyr_json_string(json, "allocator_file",
			a->view.allocator.image ? a->view.allocator.image->path : NULL);
	if (!g->arenas.count)
		return;
	pyr_json_uint(json, "in_use", a->in_use);
	pyr_json_uint(json, "tcache", a->tcache);
	pyr_json_uint(json, "free", a->free);
	pyr_json_uint(json, "top", a->top);
	pyr_json_uint(json, "mmapped", a->mmapped);
	pyr_json_uint(json, "trimmable", a->trimmable);
	pyr_json_uint(json, "chunks", a->chunks.count);
	pyr_json_uint(json, "python_bytes", a->chunks.python_bytes);
	pyr_json_uint(json, "python_chunks", a->chunks.python_count);
	pyr_json_uint(json, "native_bytes", a->chunks.bytes - a->chunks.python_bytes);
	pyr_json_uint(json, "native_chunks", a->chunks.count - a->chunks.python_count);
	pyr_json_begin_object(json, "mallinfo2");
	pyr_json_uint(json, "arena", a->info.arena);
	pyr_json_uint(json, "ordblks", a->info.ordblks);
	pyr_json_uint(json, "smblks", a->info.smblks);
	pyr_json_uint(json, "hblks", a->info.hblks);
	pyr_json_uint(json, "hblkhd", a->info.hblkhd);
	pyr_json_uint(json, "fsmblks", a->info.fsmblks);
	pyr_json_uint(json, "uordblks", a->info.uordblks);
	pyr_json_uint(json, "fordblks", a->info.fordblks);
	pyr_json_uint(json, "keepcost", a->info.keepcost);
	pyr_json_end_object(json);
	if (g->has_parameters) {
		pyr_json_uint(json, "mmap_threshold", g->mmap_threshold);
		pyr_json_bool(json, "mmap_threshold_dynamic", g->dynamic_threshold);
	}
	pyr_json_uint(json, "tcaches", g->tcaches.count);
	arenas_json(json, a);
	groups_json(context, a);
	sizes_json(json, a);
}

/* --- text --- */

/* sysmalloc(), free(): a freed mapped chunk raises the threshold to its size. */
static void threshold_text(const struct malloc_answer *a, struct pyr_strbuf *text)
{
	const struct pyr_glibc *g = &a->view.glibc;

	if (g->has_parameters && g->dynamic_threshold && g->mmap_threshold > 128 * 1024)
		pyr_strbuf_printf(text,
				  " Only what is larger than %s is mapped by itself by now: the "
				  "limit grew from 128 KiB with what was freed "
				  "(MALLOC_MMAP_THRESHOLD_ would fix it).",
				  pyr_bytes(g->mmap_threshold).text);
}

static void malloc_sentence(const struct malloc_answer *a, struct pyr_strbuf *text)
{
	uint64_t lies_free = a->free + a->top + a->tcache;

	pyr_strbuf_printf(text, "malloc (%s) has handed out %s: ", a->view.allocator.name,
			  pyr_bytes(a->in_use).text);
	if (a->view.heap)
		pyr_strbuf_printf(text, "%s are Python's, %s native code's. ",
				  pyr_bytes(a->chunks.python_bytes).text,
				  pyr_bytes(a->chunks.bytes - a->chunks.python_bytes).text);
	else
		pyr_strbuf_printf(text, "%s chunks. ", pyr_count(a->chunks.count).text);
	pyr_strbuf_printf(text, "%s lie free in it; malloc_trim(0) would return %s of them.",
			  pyr_bytes(lies_free).text, pyr_bytes(a->trimmable).text);
	threshold_text(a, text);
}

static void print_arenas(struct pyr_context *context, const struct malloc_answer *a)
{
	static const struct pyr_column columns[] = {
		{"ARENA", false, false, PYR_CUT_END},
		{"FROM SYSTEM", true, false, PYR_CUT_END},
		{"IN USE", true, false, PYR_CUT_END},
		{"TCACHE", true, false, PYR_CUT_END},
		{"FREE", true, false, PYR_CUT_END},
		{"CHUNKS", true, false, PYR_CUT_END},
		{"LARGEST", true, false, PYR_CUT_END},
		{"TOP", true, false, PYR_CUT_END},
		{"TRIM RETURNS", true, false, PYR_CUT_END},
	};
	const struct pyr_glibc *g = &a->view.glibc;
	struct pyr_table table;
	size_t i;

	pyr_out_text(context->out, "\n");
	pyr_table_init(&table, context->out, columns, 9);
	for (i = 0; i < g->arenas.count && i < context->limit; i++) {
		const struct pyr_glibc_arena *arena = &g->arenas.data[i];

		if (i)
			pyr_table_text(&table, pyr_address(arena->address).text);
		else
			pyr_table_text(&table, "main");
		pyr_table_text(&table, pyr_bytes(arena->system_mem).text);
		pyr_table_text(&table, pyr_bytes(arena_in_use(arena)).text);
		pyr_table_text(&table, pyr_bytes(arena->tcache.bytes).text);
		pyr_table_text(&table, pyr_bytes(pyr_glibc_arena_free(arena)).text);
		pyr_table_text(&table, pyr_count(arena->unsorted.chunks + arena->small.chunks +
						 arena->large.chunks + arena->fast.chunks)
					       .text);
		pyr_table_text(&table, pyr_bytes(arena->largest_free).text);
		pyr_table_text(&table, pyr_bytes(arena->top_size).text);
		pyr_table_text(&table, pyr_bytes(a->arena_trimmable[i]).text);
	}
	if (a->mmapped) {
		pyr_table_text(&table, "mapped chunks");
		pyr_table_text(&table, pyr_bytes(a->mmapped).text);
		pyr_table_text(&table, pyr_bytes(a->mmapped).text);
		for (i = 0; i < 6; i++)
			pyr_table_text(&table, "");
	}
	pyr_table_finish(&table);
	pyr_context_more(context, context->limit, g->arenas.count, "arena", "arenas");
}

static void print_owners(struct pyr_context *context, const struct malloc_answer *a)
{
	static const struct pyr_column columns[] = {
		{"WHOSE", false, true, PYR_CUT_END},   {"CHUNKS", true, false, PYR_CUT_END},
		{"BYTES", true, false, PYR_CUT_END},   {"SHARE", true, false, PYR_CUT_END},
		{"LARGEST", true, false, PYR_CUT_END}, {"FOR EXAMPLE", false, false, PYR_CUT_END},
	};
	struct pyr_strbuf text = {0};
	struct pyr_table table;
	size_t i;

	pyr_out_text(context->out, "\n");
	pyr_table_init(&table, context->out, columns, 6);
	for (i = 0; i < a->chunks.groups.count && i < context->limit; i++) {
		const struct pyr_chunk_group *g = &a->chunks.groups.data[i];
		pyr_addr example = g->example_id == PYR_NO_ID
					   ? g->example
					   : a->view.heap->address[g->example_id];

		owner_text(a, g->owner, g->a, g->b, &text);
		pyr_table_text(&table, pyr_strbuf_str(&text));
		pyr_table_text(&table, pyr_count(g->count).text);
		pyr_table_text(&table, pyr_bytes(g->bytes).text);
		pyr_table_text(&table, pyr_release_count(g->bytes, a->chunks.bytes).text);
		pyr_table_text(&table, pyr_bytes(g->largest).text);
		pyr_table_text(&table, pyr_address(example).text);
		if (g->example_id != PYR_NO_ID)
			pyr_session_result(context->session, example);
	}
	pyr_table_finish(&table);
	pyr_context_more(context, i, a->chunks.groups.count, "owner", "owners");
	pyr_strbuf_deinit(&text);
}

static void print_largest(struct pyr_context *context, const struct malloc_answer *a)
{
	static const struct pyr_column columns[] = {
		{"LARGEST", true, false, PYR_CUT_END}, {"WHOSE", false, true, PYR_CUT_END},
		{"OWNER", false, false, PYR_CUT_END},  {"VALUE", false, true, PYR_CUT_END},
		{"HELD BY", false, true, PYR_CUT_END},
	};
	struct pyr_strbuf text = {0};
	struct pyr_table table;
	size_t i;
	char *repr;

	pyr_out_text(context->out, "\n");
	pyr_table_init(&table, context->out, columns, a->has_holders ? 5 : 4);
	for (i = 0; i < a->chunks.largest.count; i++) {
		const struct pyr_chunk *c = &a->chunks.largest.data[i];
		pyr_addr owner = c->id == PYR_NO_ID ? c->memory : a->view.heap->address[c->id];

		owner_text(a, c->owner, c->a, c->b, &text);
		repr = c->id == PYR_NO_ID ? NULL : pyr_context_repr(context, owner, 60);
		pyr_table_text(&table, pyr_bytes(c->size).text);
		pyr_table_text(&table, pyr_strbuf_str(&text));
		pyr_table_text(&table, pyr_address(owner).text);
		pyr_table_text(&table, repr ? repr : "");
		if (a->has_holders)
			pyr_table_text(&table, a->holders[i] ? a->holders[i] : "");
		if (c->id != PYR_NO_ID)
			pyr_session_result(context->session, owner);
		free(repr);
	}
	pyr_table_finish(&table);
	pyr_strbuf_deinit(&text);
}

static void print_sizes(struct pyr_context *context, const struct malloc_answer *a)
{
	static const struct pyr_column columns[] = {
		{"CHUNKS OF", true, false, PYR_CUT_END}, {"COUNT", true, false, PYR_CUT_END},
		{"BYTES", true, false, PYR_CUT_END},     {"SHARE", true, false, PYR_CUT_END},
		{"PYTHON'S", true, false, PYR_CUT_END},  {"NATIVE", true, false, PYR_CUT_END},
	};
	struct pyr_table table;
	size_t i;

	pyr_out_text(context->out, "\n");
	pyr_table_init(&table, context->out, columns, 6);
	for (i = 0; i < a->chunks.size_count; i++) {
		const struct pyr_chunk_size *s = &a->chunks.sizes[i];

		if (!s->count)
			continue;
		pyr_table_cell(&table, s->up_to > 1024 ? "<= %s" : "%s", pyr_bytes(s->up_to).text);
		pyr_table_text(&table, pyr_count(s->count).text);
		pyr_table_text(&table, pyr_bytes(s->bytes).text);
		pyr_table_text(&table, pyr_release_count(s->bytes, a->chunks.bytes).text);
		pyr_table_text(&table, pyr_bytes(s->python_bytes).text);
		pyr_table_text(&table, pyr_bytes(s->bytes - s->python_bytes).text);
	}
	pyr_table_finish(&table);
}

static void malloc_text(struct pyr_context *context, const struct malloc_answer *a, bool by_size)
{
	struct pyr_strbuf text = {0};

	if (a->view.glibc.arenas.count)
		malloc_sentence(a, &text);
	else
		pyr_strbuf_printf(&text,
				  "The process does not use glibc's malloc but %s (%s%s%s): its "
				  "chunks are not walked; `memory` tells how much it has.",
				  a->view.allocator.name, a->view.allocator.how,
				  a->view.allocator.image ? " of " : "",
				  a->view.allocator.image ? a->view.allocator.image->path : "");
	pyr_out_paragraph(context->out, PYR_STYLE_STRONG, pyr_strbuf_str(&text));
	pyr_strbuf_deinit(&text);
	if (!a->view.glibc.arenas.count)
		return;
	if (by_size) {
		print_sizes(context, a);
		return;
	}
	print_arenas(context, a);
	print_owners(context, a);
	print_largest(context, a);
}

pyr_error *pyr_cmd_malloc(struct pyr_context *context)
{
	struct malloc_answer a;
	pyr_error *err;
	size_t i;

	memset(&a, 0, sizeof(a));
	if ((err = pyr_native_view_open(context, &a.view)))
		return err;
	if (a.view.glibc.arenas.count && a.view.allocator.kind != PYR_MALLOC_GLIBC)
		pyr_context_incomplete(
			context,
			"the process uses %s; what is told is the little that libc's "
			"own malloc has",
			a.view.allocator.name);
	err = a.view.glibc.arenas.count ? learn(context, &a) : NULL;
	if (!err && a.view.heap && pyr_context_option(context, PYR_OPT_malloc_holders)->given)
		err = find_holders(context, &a);
	if (!err) {
		pyr_context_answer(context);
		if (context->json)
			malloc_json(context, &a);
		else
			malloc_text(context, &a,
				    pyr_context_option(context, PYR_OPT_malloc_by)->number == 1);
	}
	for (i = 0; i < HOLDERS_MAX; i++)
		free(a.holders[i]);
	free(a.arena_trimmable);
	pyr_chunks_deinit(&a.chunks);
	pyr_native_view_close(&a.view);
	return err;
}
