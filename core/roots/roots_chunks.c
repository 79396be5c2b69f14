/* Memory of native code: malloc's chunks in use that are neither objects nor what objects
 * own apart (buffers.h). Chunks are listed on the calling thread and read on all cores. */
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "objects/buffers.h"
#include "roots/possible_words.h"
#include "native/allocators.h"
#include "native/glibc.h"
#include "values/object.h"
#include "pymalloc/obmalloc.h"

#define GRAIN (UINT64_C(1) << 20) /* bytes of chunks that a worker takes at a time */
#define MAPPED_HEAD 16u
#define ENTRY_LEAST 24u /* bytes of an entry of a table of pointers, and of its chunk */
#define ENTRY_MOST 56u
#define HEADS_MAX 64u /* bytes before an object: debug allocators, the collector, attributes */

struct root_chunk {
	pyr_addr memory;
	uint64_t size; /* usable */
};

struct chunk_found {
	uint32_t object;
	pyr_addr slot;
	struct root_chunk chunk;
};

struct chunk_worker {
	struct pyr_reader reader;
	PYR_VEC(struct chunk_found) found;
	bool failed;
};

struct chunk_search {
	struct pyr_roots *roots;
	const struct pyr_possible_words *words;
	struct pyr_buffers buffers;
	const struct pyr_buffer *buffer; /* the first that ends behind the place */
	uint32_t next;                   /* the first object that starts behind it */
	bool failed;
	PYR_VEC(struct root_chunk) chunks;
	PYR_VEC(size_t) pieces; /* chunks of about GRAIN bytes begin here */
	uint64_t piece_bytes;
	struct chunk_worker *workers;
};

/* An object that nothing of the heap refers to, by the header that the chunk begins with,
 * behind the heads of the debug allocators, of the collector and of attributes; NULL: none.
 * *@dead: it is one that was freed and is kept for later (free lists, zombie frames). */
static const struct pyr_type *object_in(const struct pyr_roots *roots, pyr_addr memory,
					uint64_t size, bool *dead)
{
	struct pyr_types *types = roots->model->heap->types;
	struct pyr_python *python = pyr_types_python(types);
	uint64_t at, type_at = (uint64_t)pyr_offset(&python->layout, PyObject, ob_type), word;
	struct pyr_object_header header;
	const struct pyr_type *type;
	pyr_error *err;

	*dead = false;
	for (at = 0; at <= HEADS_MAX && at + type_at + 8 <= size; at += 8) {
		if (!pyr_try_u64(&python->reader, memory + at + type_at, &word) || !word ||
		    !(type = pyr_types_find(types, word)) || type->basicsize < 0 ||
		    at + (uint64_t)type->basicsize > size ||
		    (at != (uint64_t)type->gc_head + type->pre_header && !python->debug_allocator))
			continue;
		err = pyr_object_header(types, &python->reader, memory + at, &header);
		*dead = err && err->code == PYR_E_FREED && type->gc;
		if (!err || *dead) {
			pyr_error_destroy(err);
			return type;
		}
		pyr_error_destroy(err);
	}
	return NULL;
}

/* Are the words of such objects no references? */
static bool holds_data(const struct pyr_type *type)
{
	switch (type->shape) {
	case PYR_SHAPE_BYTES:
	case PYR_SHAPE_STR:
	case PYR_SHAPE_INT:
	case PYR_SHAPE_FLOAT:
	case PYR_SHAPE_COMPLEX:
		return true;
	default:
		return false;
	}
}

/* Take the chunk unless an object or a buffer begins in it. Rising addresses. */
static bool take(void *ctx, pyr_addr memory, uint64_t size, enum pyr_chunk_state state,
		 size_t region)
{
	struct chunk_search *s = ctx;
	const struct pyr_heap *heap = s->roots->model->heap;
	const struct pyr_buffer *last = s->buffers.data + s->buffers.count;
	pyr_addr end = memory + size - 8; /* up to the size word of the next chunk */
	const struct pyr_type *type;
	bool dead;

	(void)region;
	if (state != PYR_CHUNK_IN_USE)
		return true;
	while (s->next < heap->count && heap->address[s->next] < memory)
		s->next++;
	while (s->buffer < last && s->buffer->end <= memory)
		s->buffer++;
	if ((s->next < heap->count && heap->address[s->next] < end) ||
	    (s->buffer < last && s->buffer->start < end))
		return true;
	type = object_in(s->roots, memory, size - 8, &dead);
	if (type && (dead || holds_data(type)))
		return true;
	if (s->piece_bytes >= GRAIN || !s->pieces.count) {
		s->failed = s->failed || !pyr_vec_push(&s->pieces, s->chunks.count);
		s->piece_bytes = 0;
	}
	s->piece_bytes += size;
	s->failed = s->failed || !pyr_vec_push(&s->chunks, (struct root_chunk){memory, size - 8});
	return !s->failed;
}

/* An entry of CPython's table of pointers: next, hash, key, value. Its key is no reference
 * (tracemalloc's have the address of every block), nor is what malloc left behind it. */
static bool is_hashed_entry(struct chunk_worker *w, const struct root_chunk *chunk)
{
	const uint8_t *words;
	uint64_t hash, key;

	if (chunk->size < ENTRY_LEAST || chunk->size > ENTRY_MOST ||
	    !(words = pyr_peek(&w->reader, chunk->memory, ENTRY_LEAST)))
		return false;
	memcpy(&hash, words + 8, 8);
	memcpy(&key, words + 16, 8);
	return key && pyr_possible_words_hashed(hash, key);
}

static void scan(struct chunk_search *s, struct chunk_worker *w, const struct root_chunk *chunk)
{
	pyr_addr at = chunk->memory, end = chunk->memory + chunk->size;
	const uint8_t *run;
	uint64_t word;
	size_t n, i;
	uint32_t id;

	if (is_hashed_entry(w, chunk))
		return;
	while (pyr_peek_words(&w->reader, &at, end, &run, &n))
		for (i = 0; i < n; i++, at += 8) {
			memcpy(&word, run + 8 * i, 8);
			if (!word || (id = pyr_possible_words_object(s->words, word)) == PYR_NO_ID)
				continue;
			if (!pyr_vec_push(&w->found, (struct chunk_found){id, at, *chunk}))
				w->failed = true;
		}
}

static pyr_error *scan_pieces(void *ctx, unsigned index, size_t begin, size_t end)
{
	struct chunk_search *s = ctx;
	struct chunk_worker *w = &s->workers[index];
	size_t i, last;

	i = s->pieces.data[begin];
	last = end < s->pieces.count ? s->pieces.data[end] : s->chunks.count;
	for (; i < last; i++)
		scan(s, w, &s->chunks.data[i]);
	return w->failed ? pyr_error_no_memory() : pyr_reader_check(&w->reader);
}

static pyr_error *take_mapped(struct chunk_search *s, struct pyr_glibc *glibc,
			      struct pyr_target *target, struct pyr_reader *reader)
{
	const struct pyr_obmalloc *o = s->roots->model->heap->obmalloc;
	PYR_VEC(struct pyr_glibc_mapped) taken = {0};
	struct pyr_glibc_mapped_list list;
	pyr_error *err;
	size_t i;

	for (i = 0; o && i < o->arenas.count; i++)
		if (!pyr_vec_push(&taken, (struct pyr_glibc_mapped){o->arenas.data[i].address,
								    o->arenas.data[i].end})) {
			pyr_vec_deinit(&taken);
			return pyr_error_no_memory();
		}
	err = pyr_glibc_find_mapped(glibc, target, reader, taken.data, taken.count, &list);
	pyr_vec_deinit(&taken);
	if (err)
		return err;
	s->next = 0;
	s->buffer = s->buffers.data;
	for (i = 0; i < list.v.count; i++)
		take(s, list.v.data[i].start + MAPPED_HEAD,
		     list.v.data[i].end - list.v.data[i].start - 8, PYR_CHUNK_IN_USE, 0);
	pyr_glibc_mapped_deinit(&list);
	return NULL;
}

static pyr_error *list_chunks(struct chunk_search *s, struct pyr_control *control)
{
	struct pyr_python *python = pyr_roots_python(s->roots);
	struct pyr_glibc_visitor visitor = {.chunk = take, .ctx = s};
	struct pyr_malloc allocator;
	struct pyr_glibc glibc = {0};
	bool foreign;
	pyr_error *err;

	if ((err = pyr_glibc_read(python->target, &python->reader, &glibc)))
		return err;
	pyr_malloc_recognise(python->target, &glibc, &allocator);
	foreign = allocator.kind != PYR_MALLOC_GLIBC;
	if (!glibc.arenas.count || (foreign && allocator.kind != PYR_MALLOC_UNKNOWN))
		pyr_control_diagnose(control,
				     "memory of native code was not searched for references: its "
				     "allocator is %s",
				     foreign && allocator.kind != PYR_MALLOC_UNKNOWN
					     ? allocator.name
					     : "not known");
	if (glibc.arenas.count) {
		err = pyr_buffers_build(s->roots->model->heap, control, false, &s->buffers);
		s->buffer = s->buffers.data;
		if (!err && !(err = pyr_glibc_walk(&glibc, &python->reader, &visitor)))
			err = take_mapped(s, &glibc, python->target, &python->reader);
	}
	pyr_glibc_deinit(&glibc);
	return !err && s->failed ? pyr_error_no_memory() : err;
}

static pyr_error *read_chunks(struct chunk_search *s, struct pyr_control *control)
{
	struct pyr_target *target = pyr_roots_python(s->roots)->target;
	unsigned workers = pyr_target_concurrent(target) ? pyr_parallel_workers() : 1, i;
	pyr_error *err;
	size_t k;

	s->workers = calloc(workers, sizeof(*s->workers));
	if (!s->workers)
		return pyr_error_no_memory();
	for (i = 0; i < workers; i++)
		pyr_reader_init(&s->workers[i].reader, target);
	err = pyr_parallel(control, "native memory", workers, s->pieces.count, 1, scan_pieces, s);
	for (i = 0; i < workers; i++) {
		struct chunk_worker *w = &s->workers[i];

		for (k = 0; k < w->found.count && !err; k++)
			pyr_roots_push_id(s->roots, PYR_ROOT_NATIVE, PYR_ROOT_POSSIBLE,
					  w->found.data[k].object, w->found.data[k].slot,
					  w->found.data[k].chunk.memory,
					  w->found.data[k].chunk.size);
		pyr_vec_deinit(&w->found);
		pyr_reader_deinit(&w->reader);
	}
	free(s->workers);
	return err;
}

pyr_error *pyr_roots_chunks(struct pyr_roots *roots, const struct pyr_possible_words *words,
			    struct pyr_control *control)
{
	struct chunk_search s = {.roots = roots, .words = words};
	pyr_error *err;

	if (!(err = list_chunks(&s, control)))
		err = read_chunks(&s, control);
	pyr_vec_deinit(&s.chunks);
	pyr_vec_deinit(&s.pieces);
	pyr_buffers_deinit(&s.buffers);
	return err;
}

/* --- names --- */

/* The class of a virtual table's symbol: _ZTV3Foo, _ZTVN3app5StoreE (Itanium C++ ABI,
 * 5.1); false where it is no plain name. */
static bool class_of_table(const char *symbol, struct pyr_strbuf *out)
{
	bool nested, first = true;
	const char *p;
	char *end;
	size_t n;

	if (strncmp(symbol, "_ZTV", 4))
		return false;
	p = symbol + 4;
	nested = *p == 'N';
	if (nested)
		p++;
	while (*p >= '1' && *p <= '9') {
		n = strtoul(p, &end, 10);
		if (strnlen(end, n) < n)
			return false;
		pyr_strbuf_add(out, first ? "" : "::");
		pyr_strbuf_add_bytes(out, end, n);
		first = false;
		p = end + n;
	}
	return !first && !strcmp(p, nested ? "E" : "");
}

/* What the chunk says of itself: its first word is the address of a class's table of
 * virtual functions, or of another symbol. */
static void describe(const struct pyr_roots *roots, pyr_addr memory, uint64_t size,
		     struct pyr_strbuf *out)
{
	struct pyr_target *target = pyr_roots_python(roots)->target;
	struct pyr_reader *reader = &pyr_roots_python(roots)->reader;
	bool dead;
	const struct pyr_type *type = object_in(roots, memory, size, &dead);
	struct pyr_strbuf name = {0};
	const struct pyr_image *image;
	const char *symbol;
	uint64_t first, offset;
	bool named;

	if (type) {
		pyr_strbuf_printf(out, ", a %s that no object refers to",
				  pyr_type_name(roots->model->heap->types, type));
		return;
	}
	if (!pyr_try_u64(reader, memory, &first) || !(image = pyr_target_image_at(target, first)))
		return;
	named = pyr_image_symbol_at(target, image, first, &symbol, &offset);
	/* The link of a free list that the chunk was on once. */
	if (named && !strcmp(symbol, "main_arena"))
		return;
	if (named && class_of_table(symbol, &name)) {
		pyr_strbuf_printf(out, ", probably an instance of %s", pyr_strbuf_str(&name));
	} else {
		pyr_strbuf_add(out, ", begins with ");
		pyr_image_place_name(target, image, first, out);
	}
	pyr_strbuf_deinit(&name);
}

void pyr_root_chunk_name(const struct pyr_roots *roots, const struct pyr_root *root,
			 struct pyr_strbuf *out)
{
	pyr_strbuf_printf(out, "malloc chunk 0x%llx (%llu bytes", (unsigned long long)root->a,
			  (unsigned long long)root->b);
	describe(roots, root->a, root->b, out);
	pyr_strbuf_add_char(out, ')');
	if (root->slot != root->a)
		pyr_strbuf_printf(out, "+0x%llx", (unsigned long long)(root->slot - root->a));
}
