/* The list of all buffers: collected on all cores, sorted by radix, made disjoint. */
#include "objects/buffers.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/search.h"
#include "objects/pages.h"
#include "runtime/access.h"
#include "pymalloc/obmalloc.h"

#define GRAIN 16384
#define RECENT 1024u /* shared tables that a worker remembers */
#define DIGIT 12u
#define DIGITS 4u /* 48 bits of address */
#define CHUNKS_MAX 65536u

struct buffer_worker {
	struct pyr_reader reader;
	PYR_VEC(struct pyr_buffer) found;
	pyr_addr recent[RECENT]; /* tables of keys told last: those of split dicts repeat */
	uint32_t owner;
	bool failed;
};

struct buffer_builder {
	struct pyr_heap *heap;
	struct pyr_buffer_source source;
	struct buffer_worker *workers;
};

static void add(void *ctx, pyr_addr start, uint64_t size, enum pyr_buffer_name name)
{
	struct buffer_worker *w = ctx;
	pyr_addr *slot;

	if (name == PYR_BUFFER_DICT_KEYS) {
		slot = &w->recent[(start >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 54 & (RECENT - 1)];
		if (*slot == start)
			return;
		*slot = start;
	}
	if (!pyr_vec_push(&w->found,
			  (struct pyr_buffer){start, start + size, w->owner, (uint8_t)name}))
		w->failed = true;
}

static pyr_error *collect(void *ctx, unsigned index, size_t begin, size_t end)
{
	struct buffer_builder *b = ctx;
	struct buffer_worker *w = &b->workers[index];
	const struct pyr_heap *heap = b->heap;
	size_t i;

	for (i = begin; i < end; i++) {
		if (heap->type[i] >= b->source.count || !b->source.what[heap->type[i]])
			continue;
		w->owner = (uint32_t)i;
		pyr_object_buffers(&b->source, &w->reader, pyr_types_at(heap->types, heap->type[i]),
				   heap->address[i], add, w);
	}
	return w->failed ? pyr_error_no_memory() : pyr_reader_check(&w->reader);
}

/* What the interpreter itself allocates: thread and interpreter states, frames,
 * pymalloc's table. Those that are C variables lie in no allocation, and harm nothing. */
static void collect_runtime(struct buffer_builder *b, struct buffer_worker *w)
{
	struct pyr_python *python = pyr_types_python(b->heap->types);
	const struct pyr_layout *l = &python->layout;
	const struct pyr_obmalloc *o = b->heap->obmalloc;
	uint64_t thread = pyr_sizeof(l, _PyThreadStateImpl), size;
	pyr_addr chunk;
	unsigned steps;
	size_t i;

	w->owner = PYR_NO_ID;
	if (!thread)
		thread = pyr_sizeof(l, PyThreadState);
	for (i = 0; i < python->threads.count; i++) {
		if (thread)
			add(w, python->threads.data[i].address, thread, PYR_BUFFER_THREAD_STATE);
		chunk = pyr_get_addr(l, &w->reader, python->threads.data[i].address, PyThreadState,
				     datastack_chunk);
		for (steps = 0; chunk && steps < CHUNKS_MAX; steps++) {
			if (!pyr_get_u64(l, &w->reader, chunk, _PyStackChunk, size, &size) ||
			    !size || size > UINT64_C(1) << 40)
				break;
			add(w, chunk, size, PYR_BUFFER_DATA_STACK);
			chunk = pyr_get_addr(l, &w->reader, chunk, _PyStackChunk, previous);
		}
	}
	for (i = 0; i < python->interpreters.count && pyr_sizeof(l, PyInterpreterState); i++)
		add(w, python->interpreters.data[i].address, pyr_sizeof(l, PyInterpreterState),
		    PYR_BUFFER_INTERPRETER_STATE);
	for (i = 0; o && i < o->states.count && pyr_sizeof(l, arena_object); i++)
		if (o->states.data[i].arenas)
			add(w, o->states.data[i].arenas,
			    (uint64_t)o->states.data[i].maxarenas * pyr_sizeof(l, arena_object),
			    PYR_BUFFER_ARENA_TABLE);
}

/* By start; equal ones stay in order. The result is in @v. */
static pyr_error *sort(struct pyr_buffer *v, size_t count)
{
	struct pyr_buffer *spare = malloc((count ? count : 1) * sizeof(*spare)), *from = v,
			  *to = spare, *swap;
	static const uint32_t buckets = 1u << DIGIT;
	size_t *at = malloc(buckets * sizeof(*at)), i, sum, n;
	unsigned digit;

	if (!spare || !at) {
		free(spare);
		free(at);
		return pyr_error_no_memory();
	}
	for (digit = 0; digit < DIGITS; digit++) {
		memset(at, 0, buckets * sizeof(*at));
		for (i = 0; i < count; i++)
			at[from[i].start >> (DIGIT * digit) & (buckets - 1)]++;
		for (i = 0, sum = 0; i < buckets; i++) {
			n = at[i];
			at[i] = sum;
			sum += n;
		}
		for (i = 0; i < count; i++)
			to[at[from[i].start >> (DIGIT * digit) & (buckets - 1)]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	_Static_assert(DIGITS % 2 == 0, "the result is where it began");
	free(at);
	free(spare);
	return NULL;
}

/* Of those that begin together the class's stays (ht_cached_keys), else the first. */
static bool better(const struct pyr_buffer *a, const struct pyr_buffer *b)
{
	if ((a->name == PYR_BUFFER_CACHED_KEYS) != (b->name == PYR_BUFFER_CACHED_KEYS))
		return a->name == PYR_BUFFER_CACHED_KEYS;
	return a->owner < b->owner;
}

static size_t make_disjoint(struct pyr_buffer *v, size_t count)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++) {
		if (kept && v[kept - 1].start == v[i].start) {
			if (better(&v[i], &v[kept - 1]))
				v[kept - 1] = v[i];
			continue;
		}
		if (kept && v[kept - 1].end > v[i].start)
			v[kept - 1].end = v[i].start;
		v[kept++] = v[i];
	}
	return kept;
}

static pyr_error *join(struct buffer_builder *b, unsigned workers, struct pyr_buffers *ret)
{
	struct pyr_buffers all = {0};
	struct pyr_buffer *shrunk;
	size_t i, count = 0;
	pyr_error *err;

	for (i = 0; i < workers; i++)
		count += b->workers[i].found.count;
	all.data = malloc((count ? count : 1) * sizeof(*all.data));
	if (!all.data)
		return pyr_error_no_memory();
	for (i = 0; i < workers; i++) {
		struct buffer_worker *w = &b->workers[i];
		size_t k;

		for (k = 0; k < w->found.count; k++)
			if (w->found.data[k].start < UINT64_C(1) << (DIGIT * DIGITS))
				all.data[all.count++] = w->found.data[k];
		pyr_vec_deinit(&w->found);
	}
	if ((err = sort(all.data, all.count))) {
		free(all.data);
		return err;
	}
	all.count = make_disjoint(all.data, all.count);
	shrunk = realloc(all.data, (all.count ? all.count : 1) * sizeof(*all.data));
	if (shrunk)
		all.data = shrunk;
	*ret = all;
	return NULL;
}

pyr_error *pyr_buffers_build(struct pyr_heap *heap, struct pyr_control *control, bool inside,
			     struct pyr_buffers *ret)
{
	struct pyr_target *target = pyr_types_python(heap->types)->target;
	unsigned workers = pyr_target_concurrent(target) ? pyr_parallel_workers() : 1, i;
	struct buffer_builder b = {.heap = heap};
	struct pyr_pages arenas = {0};
	pyr_error *err;
	size_t k;

	if ((err = pyr_pages_init(&arenas)))
		return err;
	for (k = 0; !err && heap->obmalloc && k < heap->obmalloc->arenas.count; k++)
		err = pyr_pages_add(&arenas, heap->obmalloc->arenas.data[k].address,
				    heap->obmalloc->arenas.data[k].end);
	if (err || (err = pyr_buffer_source_init(heap->types, &b.source))) {
		pyr_pages_deinit(&arenas);
		return err;
	}
	b.source.skip = inside ? NULL : &arenas;
	b.workers = calloc(workers, sizeof(*b.workers));
	if (!b.workers) {
		err = pyr_error_no_memory();
		workers = 0;
	}
	for (i = 0; i < workers; i++)
		pyr_reader_init(&b.workers[i].reader, target);
	if (!err && !(err = pyr_parallel(control, "looking for buffers", workers, heap->count,
					 GRAIN, collect, &b))) {
		collect_runtime(&b, &b.workers[0]);
		err = b.workers[0].failed ? pyr_error_no_memory() : join(&b, workers, ret);
	}
	for (i = 0; i < workers; i++) {
		pyr_vec_deinit(&b.workers[i].found);
		pyr_reader_deinit(&b.workers[i].reader);
	}
	free(b.workers);
	pyr_buffer_source_deinit(&b.source);
	pyr_pages_deinit(&arenas);
	return err;
}

void pyr_buffers_deinit(struct pyr_buffers *buffers)
{
	free(buffers->data);
	memset(buffers, 0, sizeof(*buffers));
}

const struct pyr_buffer *pyr_buffers_from(const struct pyr_buffers *buffers, pyr_addr addr)
{
	size_t i = pyr_search(k, buffers->count, buffers->data[k].end <= addr);

	return i < buffers->count ? &buffers->data[i] : NULL;
}

const struct pyr_buffer *pyr_buffers_at(const struct pyr_buffers *buffers, pyr_addr addr)
{
	const struct pyr_buffer *b = pyr_buffers_from(buffers, addr);

	return b && b->start <= addr ? b : NULL;
}

void pyr_buffers_allocation(const struct pyr_buffers *buffers, const struct pyr_heap *heap,
			    pyr_addr start, pyr_addr end, struct pyr_allocation *ret)
{
	struct pyr_allocation a = {.owner = PYR_NO_ID};
	uint32_t id = (uint32_t)pyr_search(k, heap->count, heap->address[k] < start);

	if (id < heap->count && heap->address[id] < end) {
		a.owner = id;
		a.object = true;
	} else {
		a.buffer = pyr_buffers_from(buffers, start);
		if (a.buffer && a.buffer->start < end)
			a.owner = a.buffer->owner;
		else
			a.buffer = NULL;
	}
	*ret = a;
}
