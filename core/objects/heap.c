/* The heap model: the survey's objects, sorted, with ids. */
#include "objects/heap.h"

#include <stdlib.h>
#include <string.h>

#include "base/blocks.h"
#include "base/parallel.h"
#include "objects/index.h"
#include "objects/enumeration.h"
#include "runtime/access.h"

/* An object of an arena, until all are known. */
struct heap_found {
	pyr_addr address;
	uint32_t type;
	union {
		uint32_t found;   /* PYR_FOUND_* */
		int32_t refcount; /* in a heap of tracked objects */
	};
};

/* What one worker found, in that order. */
#define BLOCK (PYR_HUGE_PAGE / sizeof(struct heap_found))
struct heap_stream {
	struct pyr_blocks blocks; /* all full but the last */
	struct heap_found *last;
	size_t room; /* in the last block */
	enum pyr_trait_value encoding;
};

/* The objects of one arena. */
struct heap_chunk {
	unsigned worker;
	uint64_t from, count; /* in the worker's stream, by address */
	size_t missed;        /* the first in builder.missed of those that the scan missed */
	size_t missed_count;
	uint32_t first; /* id of the first */
};

struct heap_builder {
	struct pyr_enumeration enumeration;
	struct heap_chunk *chunks;   /* one per arena */
	struct heap_stream *streams; /* one per worker */
	struct pyr_heap *heap;
	PYR_VEC(struct pyr_outside) missed; /* list nodes in arenas, by address */
	bool tracked;                       /* only objects on lists */
};

static inline void keep(struct pyr_scanner *s, struct heap_stream *stream, struct heap_found object)
{
	struct heap_found *block;

	if (__builtin_expect(!stream->room, 0)) {
		if (!(block = pyr_blocks_add(&stream->blocks))) {
			s->classifier.out_of_memory = true;
			return;
		}
		stream->last = block;
		stream->room = BLOCK;
	}
	stream->last[BLOCK - stream->room--] = object;
}

static inline void keep_object(struct pyr_scanner *s, struct pyr_type_facts *kind, pyr_addr addr,
			       const uint8_t *object, bool tracked, void *ctx)
{
	struct heap_found f = {.address = addr, .type = kind->index};

	(void)object;
	f.found = PYR_FOUND_BLOCK | (tracked ? PYR_FOUND_GC_LIST : 0);
	keep(s, ctx, f);
}

static inline void keep_tracked(struct pyr_scanner *s, struct pyr_type_facts *kind, pyr_addr addr,
				const uint8_t *object, bool tracked, void *ctx)
{
	struct heap_stream *stream = ctx;
	struct heap_found f = {.address = addr, .type = kind->index};

	if (!tracked)
		return;
	f.refcount = pyr_count_of(stream->encoding, pyr_load64(object + s->classifier.refcnt_at));
	keep(s, stream, f);
}

static uint64_t kept(const struct heap_stream *s)
{
	return (uint64_t)s->blocks.all.count * BLOCK - s->room;
}

static const struct heap_found *at(const struct heap_stream *s, uint64_t i)
{
	return (const struct heap_found *)s->blocks.all.data[i / BLOCK] + i % BLOCK;
}

static pyr_error *scan_arenas(void *ctx, unsigned index, size_t begin, size_t end)
{
	struct heap_builder *b = ctx;
	struct pyr_scanner *s = b->enumeration.scanners[index];
	struct heap_stream *stream = &b->streams[index];

	for (; begin < end; begin++) {
		const struct pyr_arena *arena = &b->enumeration.obmalloc.arenas.data[begin];
		struct heap_chunk *chunk = &b->chunks[begin];

		chunk->worker = index;
		chunk->from = kept(stream);
		if (b->tracked)
			pyr_scan_arena(s, arena, false, keep_tracked, stream);
		else
			pyr_scan_arena(s, arena, true, keep_object, stream);
		chunk->count = kept(stream) - chunk->from;
	}
	return pyr_scanner_check(s);
}

/* --- ids --- */

static int by_address(const void *a, const void *b)
{
	const struct pyr_outside *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

static pyr_error *allocate(struct heap_builder *b, uint64_t count)
{
	struct pyr_heap *h = b->heap;

	if (count >= UINT32_MAX)
		return pyr_error_create(PYR_E_NO_MEMORY,
					"%llu objects are more than ids of 32 bits can name",
					(unsigned long long)count);
	h->count = (uint32_t)count;
	h->address = pyr_large_alloc(count + 1, sizeof(*h->address));
	h->type = pyr_large_alloc(count + 1, sizeof(*h->type));
	h->generation = pyr_large_alloc(count + 1, 1);
	h->found = pyr_large_alloc(count + 1, 1);
	/* Zero it is: pages that are not written to cost nothing. */
	h->interpreter = calloc(count + 1, 1);
	if (b->tracked)
		h->refcount = pyr_large_alloc(count + 1, sizeof(*h->refcount));
	return h->address && h->type && h->generation && h->interpreter && h->found &&
			       (h->refcount || !b->tracked)
		       ? NULL
		       : pyr_error_no_memory();
}

/* An object outside of all arenas, or one that the scan of its arena missed. @reader: of the
 * thread. */
static void put_other(struct heap_builder *b, struct pyr_reader *reader, uint32_t id,
		      const struct pyr_outside *o)
{
	const struct pyr_layout *l = &b->enumeration.python->layout;
	struct pyr_heap *h = b->heap;
	uint64_t word;

	h->address[id] = o->address;
	h->type[id] = o->type;
	h->found[id] = o->found;
	h->generation[id] = PYR_GEN_UNTRACKED;
	if (!b->tracked)
		return;
	if (!pyr_try_u64(reader, o->address + (pyr_addr)pyr_offset(l, PyObject, ob_refcnt), &word))
		word = 0;
	h->refcount[id] = pyr_count_of(pyr_trait(l, immortal_encoding), word);
}

/* @count objects of one block of the stream. */
static void put_run(struct heap_builder *b, uint32_t id, const struct heap_found *f, size_t count)
{
	struct pyr_heap *h = b->heap;
	size_t i;

	for (i = 0; i < count; i++) {
		h->address[id + i] = f[i].address;
		h->type[id + i] = f[i].type;
	}
	memset(h->generation + id, PYR_GEN_UNTRACKED, count);
	if (b->tracked) {
		memset(h->found + id, PYR_FOUND_BLOCK | PYR_FOUND_GC_LIST, count);
		for (i = 0; i < count; i++)
			h->refcount[id + i] = f[i].refcount;
	} else {
		for (i = 0; i < count; i++)
			h->found[id + i] = (uint8_t)f[i].found;
	}
}

static void copy_chunk(struct heap_builder *b, struct pyr_reader *reader,
		       const struct heap_chunk *chunk)
{
	const struct pyr_outside *missed = b->missed.data + chunk->missed;
	struct heap_stream *stream = &b->streams[chunk->worker];
	uint64_t i = chunk->from, end = chunk->from + chunk->count, n;
	size_t m = 0;
	uint32_t id = chunk->first;

	while (i < end || m < chunk->missed_count) {
		if (i == end ||
		    (m < chunk->missed_count && missed[m].address < at(stream, i)->address)) {
			put_other(b, reader, id++, &missed[m++]);
			continue;
		}
		n = BLOCK - i % BLOCK < end - i ? BLOCK - i % BLOCK : end - i;
		if (m < chunk->missed_count)
			n = 1;
		put_run(b, id, at(stream, i), n);
		id += (uint32_t)n;
		i += n;
	}
	pyr_blocks_release(&stream->blocks, end / BLOCK);
}

/* Each stream is copied in its order, so that it can be given back on the way. */
static pyr_error *copy_stream(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct heap_builder *b = ctx;
	struct pyr_reader *reader = &b->enumeration.scanners[worker]->classifier.far;
	size_t i;

	(void)end;
	for (i = 0; i < b->enumeration.obmalloc.arenas.count; i++)
		if (b->chunks[i].worker == begin)
			copy_chunk(b, reader, &b->chunks[i]);
	return pyr_reader_check(reader);
}

/* List nodes that the scan of the arenas missed belong among its objects. */
static pyr_error *move_inside(struct heap_builder *b)
{
	struct pyr_enumeration *s = &b->enumeration;
	struct heap_chunk *chunk;
	size_t i, kept = 0;

	for (i = 0; i < s->outside.count; i++) {
		if (!pyr_obmalloc_arena_at(&s->obmalloc, s->outside.data[i].address))
			s->outside.data[kept++] = s->outside.data[i];
		else if (!pyr_vec_push(&b->missed, s->outside.data[i]))
			return pyr_error_no_memory();
	}
	s->outside.count = kept;
	if (b->missed.count)
		qsort(b->missed.data, b->missed.count, sizeof(*b->missed.data), by_address);
	for (i = 0; i < b->missed.count; i++) {
		chunk = &b->chunks[pyr_obmalloc_arena_at(&s->obmalloc, b->missed.data[i].address) -
				   s->obmalloc.arenas.data];
		if (!chunk->missed_count++)
			chunk->missed = i;
	}
	return NULL;
}

/* Ids in order of address: no object outside lies between those of one arena. */
static pyr_error *merge(struct heap_builder *b)
{
	struct pyr_enumeration *s = &b->enumeration;
	struct pyr_reader *reader = &s->scanners[0]->classifier.far;
	const struct pyr_outside *outside = s->outside.data;
	size_t i, o = 0, n;
	uint64_t count;
	uint32_t id = 0;
	pyr_error *err;

	if ((err = move_inside(b)))
		return err;
	count = n = s->outside.count;
	for (i = 0; i < s->obmalloc.arenas.count; i++)
		count += b->chunks[i].count + b->chunks[i].missed_count;
	if ((err = allocate(b, count)))
		return err;
	if (n)
		qsort(s->outside.data, n, sizeof(*s->outside.data), by_address);
	for (i = 0; i <= s->obmalloc.arenas.count; i++) {
		for (; o < n && (i == s->obmalloc.arenas.count ||
				 outside[o].address < s->obmalloc.arenas.data[i].address);
		     o++)
			put_other(b, reader, id++, &outside[o]);
		if (i < s->obmalloc.arenas.count) {
			b->chunks[i].first = id;
			id += (uint32_t)(b->chunks[i].count + b->chunks[i].missed_count);
		}
	}
	return pyr_parallel(s->control, NULL, s->workers, s->workers, 1, copy_stream, b);
}

static void set_generation(void *ctx, size_t list, pyr_addr object)
{
	struct heap_builder *b = ctx;
	uint32_t id = pyr_heap_id(b->heap, object);

	if (id == PYR_NO_ID)
		return; /* told by the proof, which fails */
	b->heap->generation[id] = (uint8_t)b->enumeration.lists.lists.data[list].generation;
	if (b->enumeration.lists.lists.data[list].interpreter)
		b->heap->interpreter[id] =
			(uint8_t)b->enumeration.lists.lists.data[list].interpreter;
}

/* Tracked objects that no walk met; see census.c, remainder_of(). */
static void place_remainder(struct heap_builder *b)
{
	const struct pyr_lists *l = &b->enumeration.lists;
	struct pyr_heap *h = b->heap;
	uint8_t generation = PYR_GEN_UNTRACKED, interpreter = 0;
	uint32_t id;
	size_t i;

	if (l->has_rest) {
		generation = (uint8_t)l->rest_generation;
		interpreter = (uint8_t)l->rest_interpreter;
	} else if (l->collecting) {
		generation = PYR_GEN_COLLECTING;
	} else if (!l->lists.count) {
		generation = PYR_GEN_2;
	} else {
		for (i = 0; i < l->lists.count; i++)
			if (l->lists.data[i].broken) {
				generation = (uint8_t)l->lists.data[i].generation;
				interpreter = (uint8_t)l->lists.data[i].interpreter;
				break;
			}
	}
	for (id = 0; id < h->count; id++) {
		if (h->found[id] & PYR_FOUND_GC_LIST && h->generation[id] == PYR_GEN_UNTRACKED) {
			h->generation[id] = generation;
			if (interpreter)
				h->interpreter[id] = interpreter;
		}
	}
}

static void ignore_node(void *ctx, size_t list, pyr_addr object)
{
	(void)ctx;
	(void)list;
	(void)object;
}

/* *found: the heap was built. */
static pyr_error *build(struct heap_builder *b, struct pyr_control *control, bool *found)
{
	struct pyr_enumeration *s = &b->enumeration;
	struct pyr_reader *far = &s->scanners[0]->classifier.far;
	pyr_error *err;
	unsigned w;

	*found = !b->tracked || !s->lists.collecting;
	if (!*found)
		return NULL;
	b->chunks = calloc(s->obmalloc.arenas.count + 1, sizeof(*b->chunks));
	b->streams = calloc(s->workers, sizeof(*b->streams));
	if (!b->chunks || !b->streams)
		return pyr_error_no_memory();
	for (w = 0; w < s->workers; w++)
		b->streams[w].encoding = pyr_trait(&s->python->layout, immortal_encoding);
	/* Short lists are walked twice: first to prove the rest, then to name ids. */
	if ((err = pyr_lists_walk(&s->lists, far, control, ignore_node, NULL)) ||
	    (err = pyr_parallel(control, "reading arenas", s->workers, s->obmalloc.arenas.count, 4,
				scan_arenas, b)) ||
	    (err = b->tracked ? pyr_enumeration_tracked(s) : pyr_enumeration_outside(s)))
		return err;
	*found = !b->tracked || s->proven;
	if (!*found)
		return NULL;
	if ((err = merge(b)) ||
	    (err = pyr_index_create(b->heap->address, b->heap->count, control, &b->heap->index)))
		return err;
	pyr_lists_rewind(&s->lists);
	if ((err = pyr_lists_walk(&s->lists, far, control, set_generation, b)))
		return err;
	if (!s->proven && (err = pyr_lists_walk_rest(&s->lists, far, control, set_generation, b)))
		return err;
	place_remainder(b);
	b->heap->proven = s->proven;
	pyr_enumeration_diagnose(s);
	return NULL;
}

static void builder_deinit(struct heap_builder *b)
{
	unsigned w;

	for (w = 0; b->streams && w < b->enumeration.workers; w++)
		pyr_blocks_deinit(&b->streams[w].blocks);
	free(b->streams);
	free(b->chunks);
	pyr_vec_deinit(&b->missed);
	pyr_enumeration_close(&b->enumeration);
}

/* *@ret is NULL where only the whole heap will do. */
static pyr_error *make(struct pyr_types *types, struct pyr_control *control, bool tracked,
		       struct pyr_heap **ret)
{
	struct heap_builder b = {.tracked = tracked};
	bool found = false;
	pyr_error *err;

	if ((err = pyr_enumeration_open(types, control, &b.enumeration)))
		return err;
	b.heap = calloc(1, sizeof(*b.heap));
	if (b.heap)
		b.heap->obmalloc = malloc(sizeof(*b.heap->obmalloc));
	if (!b.heap || !b.heap->obmalloc) {
		err = pyr_error_no_memory();
	} else {
		b.heap->types = types;
		b.heap->tracked_only = tracked;
		err = build(&b, control, &found);
		/* The arenas go with the heap. */
		*b.heap->obmalloc = b.enumeration.obmalloc;
		memset(&b.enumeration.obmalloc, 0, sizeof(b.enumeration.obmalloc));
	}
	builder_deinit(&b);
	if (err || !found) {
		pyr_heap_destroy(b.heap);
		b.heap = NULL;
	}
	if (!err)
		*ret = b.heap;
	return err;
}

pyr_error *pyr_heap_build(struct pyr_types *types, struct pyr_control *control,
			  struct pyr_heap **ret)
{
	return make(types, control, false, ret);
}

pyr_error *pyr_heap_build_tracked(struct pyr_types *types, struct pyr_control *control,
				  struct pyr_heap **ret)
{
	return make(types, control, true, ret);
}

void pyr_heap_destroy(struct pyr_heap *heap)
{
	if (!heap)
		return;
	pyr_index_destroy(heap->index);
	if (heap->obmalloc)
		pyr_obmalloc_deinit(heap->obmalloc);
	free(heap->obmalloc);
	free(heap->address);
	free(heap->type);
	free(heap->generation);
	free(heap->interpreter);
	free(heap->found);
	free(heap->refcount);
	free(heap);
}

uint32_t pyr_heap_id(const struct pyr_heap *heap, pyr_addr addr)
{
	return pyr_index_find(heap->index, addr);
}
