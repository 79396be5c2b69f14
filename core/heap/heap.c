/* The heap model: the survey's objects, sorted, with ids. */
#include "heap/heap.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "heap/index.h"
#include "heap/survey.h"

/* An object of an arena, until all are known. */
struct found {
	pyr_addr address;
	uint32_t type;
	uint8_t found; /* PYR_FOUND_* */
};

struct chunk {
	PYR_VEC(struct found) objects; /* of one arena, by address */
	uint32_t first;                /* id of the first */
	bool unsorted;
};

struct builder {
	struct pyr_survey survey;
	struct chunk *chunks; /* one per arena */
	struct pyr_heap *heap;
	struct pyr_outside *outside; /* sorted */
};

static inline void keep_object(struct pyr_scanner *s, struct pyr_kind *kind, pyr_addr addr,
			       const uint8_t *object, bool tracked, void *ctx)
{
	struct chunk *chunk = ctx;

	(void)object;
	if (!pyr_vec_push(&chunk->objects,
			  (struct found){addr, kind->index,
					 PYR_FOUND_BLOCK | (tracked ? PYR_FOUND_GC_LIST : 0)}))
		s->classifier.out_of_memory = true;
}

static pyr_error *scan_arenas(void *ctx, unsigned index, size_t begin, size_t end)
{
	struct builder *b = ctx;
	struct pyr_scanner *s = b->survey.scanners[index];

	for (; begin < end; begin++) {
		struct chunk *chunk = &b->chunks[begin];
		struct found *shrunk;

		pyr_scan_arena(s, &b->survey.obmalloc.arenas.data[begin], keep_object, chunk);
		if (!chunk->objects.count)
			continue;
		shrunk = realloc(chunk->objects.data, chunk->objects.count * sizeof(*shrunk));
		if (shrunk) {
			chunk->objects.data = shrunk;
			chunk->objects.capacity = chunk->objects.count;
		}
	}
	return pyr_scanner_check(s);
}

static int by_address(const void *a, const void *b)
{
	const struct pyr_outside *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

static pyr_error *allocate(struct builder *b, uint64_t count)
{
	struct pyr_heap *h = b->heap;

	if (count >= UINT32_MAX)
		return pyr_error_create(PYR_E_NO_MEMORY,
					"%llu objects are more than ids of 32 bits can name",
					(unsigned long long)count);
	h->count = (uint32_t)count;
	h->address = malloc((count + 1) * sizeof(*h->address));
	h->type = malloc((count + 1) * sizeof(*h->type));
	h->generation = malloc(count + 1);
	h->interpreter = calloc(count + 1, 1);
	h->found = malloc(count + 1);
	return h->address && h->type && h->generation && h->interpreter && h->found
		       ? NULL
		       : pyr_error_no_memory();
}

static void put(struct pyr_heap *h, uint32_t id, pyr_addr address, uint32_t type, uint8_t found)
{
	h->address[id] = address;
	h->type[id] = type;
	h->found[id] = found;
	h->generation[id] = PYR_GEN_UNTRACKED;
}

static pyr_error *copy_chunks(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct builder *b = ctx;
	size_t i, k;

	(void)worker;
	for (i = begin; i < end; i++) {
		struct chunk *chunk = &b->chunks[i];

		for (k = 0; k < chunk->objects.count; k++) {
			const struct found *f = &chunk->objects.data[k];

			put(b->heap, chunk->first + (uint32_t)k, f->address, f->type, f->found);
		}
		pyr_vec_deinit(&chunk->objects);
	}
	return NULL;
}

static int found_by_address(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* List nodes that the scan of the arenas missed belong among its objects. */
static pyr_error *move_inside(struct builder *b)
{
	struct pyr_survey *s = &b->survey;
	const struct pyr_arena *arena;
	struct pyr_outside *o;
	struct chunk *chunk;
	size_t i, kept = 0;

	for (i = 0; i < s->outside.count; i++) {
		o = &s->outside.data[i];
		arena = pyr_obmalloc_arena_at(&s->obmalloc, o->address);
		if (!arena) {
			s->outside.data[kept++] = *o;
			continue;
		}
		chunk = &b->chunks[arena - s->obmalloc.arenas.data];
		if (!pyr_vec_push(&chunk->objects, (struct found){o->address, o->type, o->found}))
			return pyr_error_no_memory();
		chunk->unsorted = true;
	}
	s->outside.count = kept;
	for (i = 0; i < s->obmalloc.arenas.count; i++)
		if (b->chunks[i].unsorted)
			qsort(b->chunks[i].objects.data, b->chunks[i].objects.count,
			      sizeof(struct found), found_by_address);
	return NULL;
}

/* Ids in order of address: no object outside lies between those of one arena. */
static pyr_error *merge(struct builder *b)
{
	struct pyr_survey *s = &b->survey;
	size_t i, o = 0, n;
	uint64_t count;
	uint32_t id = 0;
	pyr_error *err;

	if ((err = move_inside(b)))
		return err;
	count = n = s->outside.count;
	for (i = 0; i < s->obmalloc.arenas.count; i++)
		count += b->chunks[i].objects.count;
	if ((err = allocate(b, count)))
		return err;
	b->outside = s->outside.data;
	if (n)
		qsort(b->outside, n, sizeof(*b->outside), by_address);
	for (i = 0; i <= s->obmalloc.arenas.count; i++) {
		for (; o < n && (i == s->obmalloc.arenas.count ||
				 b->outside[o].address < s->obmalloc.arenas.data[i].address);
		     o++)
			put(b->heap, id++, b->outside[o].address, b->outside[o].type,
			    b->outside[o].found);
		if (i < s->obmalloc.arenas.count) {
			b->chunks[i].first = id;
			id += (uint32_t)b->chunks[i].objects.count;
		}
	}
	err = pyr_parallel(s->control, NULL, s->workers, s->obmalloc.arenas.count, 16, copy_chunks,
			   b);
#ifdef __GLIBC__
	/* Until 3.9 arenas are small, and so are their chunks: free() keeps those, 16 bytes for
	 * each object. */
	malloc_trim(0);
#endif
	return err;
}

static void set_generation(void *ctx, size_t list, pyr_addr object)
{
	struct builder *b = ctx;
	uint32_t id = pyr_heap_id(b->heap, object);

	if (id == PYR_NO_ID)
		return; /* told by the proof, which fails */
	b->heap->generation[id] = (uint8_t)b->survey.lists.lists.data[list].generation;
	/* Zero it is: pages that are not written to cost nothing. */
	if (b->survey.lists.lists.data[list].interpreter)
		b->heap->interpreter[id] = (uint8_t)b->survey.lists.lists.data[list].interpreter;
}

/* Tracked objects that no walk met; see census.c, remainder_of(). */
static void place_remainder(struct builder *b)
{
	const struct pyr_lists *l = &b->survey.lists;
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

static pyr_error *build(struct builder *b, struct pyr_control *control)
{
	struct pyr_survey *s = &b->survey;
	struct pyr_reader *far = &s->scanners[0]->classifier.far;
	pyr_error *err;

	b->chunks = calloc(s->obmalloc.arenas.count + 1, sizeof(*b->chunks));
	if (!b->chunks)
		return pyr_error_no_memory();
	/* Short lists are walked twice: first to prove the rest, then to name ids. */
	if ((err = pyr_lists_walk(&s->lists, far, control, ignore_node, NULL)) ||
	    (err = pyr_parallel(control, "reading arenas", s->workers, s->obmalloc.arenas.count, 4,
				scan_arenas, b)) ||
	    (err = pyr_survey_outside(s)) || (err = merge(b)) ||
	    (err = pyr_index_create(b->heap->address, b->heap->count, control, &b->heap->index)))
		return err;
	pyr_lists_rewind(&s->lists);
	if ((err = pyr_lists_walk(&s->lists, far, control, set_generation, b)))
		return err;
	if (!s->proven && (err = pyr_lists_walk_rest(&s->lists, far, control, set_generation, b)))
		return err;
	place_remainder(b);
	b->heap->proven = s->proven;
	pyr_survey_diagnose(s);
	return NULL;
}

pyr_error *pyr_heap_build(struct pyr_types *types, struct pyr_control *control,
			  struct pyr_heap **ret)
{
	struct builder b = {.heap = NULL};
	pyr_error *err;
	size_t i;

	if ((err = pyr_survey_open(types, control, &b.survey)))
		return err;
	b.heap = calloc(1, sizeof(*b.heap));
	if (b.heap)
		b.heap->obmalloc = malloc(sizeof(*b.heap->obmalloc));
	if (!b.heap || !b.heap->obmalloc) {
		err = pyr_error_no_memory();
	} else {
		b.heap->types = types;
		err = build(&b, control);
		/* The arenas go with the heap. */
		*b.heap->obmalloc = b.survey.obmalloc;
	}
	for (i = 0; b.chunks && i < b.survey.obmalloc.arenas.count; i++)
		pyr_vec_deinit(&b.chunks[i].objects);
	free(b.chunks);
	if (b.heap && b.heap->obmalloc)
		memset(&b.survey.obmalloc, 0, sizeof(b.survey.obmalloc));
	pyr_survey_close(&b.survey);
	if (err)
		pyr_heap_destroy(b.heap);
	else
		*ret = b.heap;
	return err;
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
	free(heap);
}

uint32_t pyr_heap_id(const struct pyr_heap *heap, pyr_addr addr)
{
	return pyr_index_find(heap->index, addr);
}
