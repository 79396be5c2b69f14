#include "analysis/memory/memory.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/memory/memory_internal.h"
#include "base/search.h"
#include "native/mappings.h"
#include "pymalloc/obmalloc.h"

static const struct {
	const char *name, *text, *how;
} categories[] = {
#define CATEGORY(id, name, text, how) {name, text, how},
#include "analysis/memory/memory.def"
#undef CATEGORY
};

const char *pyr_memory_name(enum pyr_memory_category category)
{
	return categories[category].name;
}

const char *pyr_memory_text(enum pyr_memory_category category)
{
	return categories[category].text;
}

const char *pyr_memory_how(enum pyr_memory_category category)
{
	return categories[category].how;
}

/* --- what is in an area --- */

/* Goes upwards through objects and buffers. */
struct owners {
	const struct pyr_memory_input *input;
	uint32_t id;
	size_t buffer, free_list;
};

static void owners_at(struct owners *o, const struct pyr_memory_input *input, pyr_addr addr)
{
	const struct pyr_heap *h = input->heap;
	const struct pyr_buffers *b = input->buffers;
	const struct pyr_freelists *f = input->freelists;

	memset(o, 0, sizeof(*o));
	o->input = input;
	o->id = (uint32_t)pyr_search(i, h ? h->count : 0, h->address[i] < addr);
	o->buffer = pyr_search(i, b ? b->count : 0, b->data[i].start < addr);
	o->free_list = pyr_search(i, f ? f->entries.count : 0, f->entries.data[i].address < addr);
}

static inline bool is_garbage(const struct pyr_memory_input *input, uint32_t id)
{
	return input->garbage && id != PYR_NO_ID && input->garbage[id >> 6] >> (id & 63) & 1;
}

/* Whose the allocation [start, end) is; @owned when it is a buffer of a live object,
 * @nobody when nothing is known. */
static inline enum pyr_memory_category owner_of(struct owners *o, pyr_addr start, pyr_addr end,
						enum pyr_memory_category owned,
						enum pyr_memory_category nobody)
{
	const struct pyr_memory_input *in = o->input;
	const struct pyr_buffer *b;
	enum pyr_memory_category found = nobody;

	while (in->freelists && o->free_list < in->freelists->entries.count &&
	       in->freelists->entries.data[o->free_list].address < end)
		if (in->freelists->entries.data[o->free_list++].address >= start)
			found = PYR_MEMORY_FREE_LISTS;
	while (in->buffers && o->buffer < in->buffers->count &&
	       in->buffers->data[o->buffer].start < end) {
		b = &in->buffers->data[o->buffer++];
		if (b->start >= start && found == nobody)
			found = b->owner == PYR_NO_ID      ? PYR_MEMORY_INTERPRETER
				: is_garbage(in, b->owner) ? PYR_MEMORY_GARBAGE
							   : owned;
	}
	while (in->heap && o->id < in->heap->count && in->heap->address[o->id] < end) {
		if (in->heap->address[o->id] >= start && found != PYR_MEMORY_FREE_LISTS)
			found = is_garbage(in, o->id) ? PYR_MEMORY_GARBAGE : PYR_MEMORY_OBJECTS;
		o->id++;
	}
	return found;
}

static void paint_pool(struct memory_account *a, const struct pyr_pool *pool, struct owners *owners,
		       struct pyr_painter *p)
{
	const struct pyr_obmalloc *o = a->input->heap->obmalloc;
	uint32_t at, size = pool->block_size;
	pyr_addr block;

	pyr_paint(p, pool->address, pool->address + PYR_POOL_HEADER, PYR_MEMORY_PYMALLOC_OVERHEAD);
	for (at = PYR_POOL_HEADER; at < pool->end && at + size <= o->pool_size; at += size) {
		block = pool->address + at;
		if (pyr_pool_is_free(o, pool, at))
			pyr_paint(p, block, block + size, PYR_MEMORY_PYMALLOC_FREE);
		else
			pyr_paint(p, block, block + size,
				  owner_of(owners, block, block + size, PYR_MEMORY_BLOCKS,
					   PYR_MEMORY_BLOCKS));
	}
	/* Blocks that were never handed out, and what is too small for one. */
	for (; at + size <= o->pool_size; at += size)
		pyr_paint(p, pool->address + at, pool->address + at + size,
			  PYR_MEMORY_PYMALLOC_FREE);
	pyr_paint(p, pool->address + at, pool->address + o->pool_size,
		  PYR_MEMORY_PYMALLOC_OVERHEAD);
}

static void paint_arena(struct memory_account *a, const struct memory_area *area,
			struct pyr_reader *reader, struct pyr_painter *p)
{
	const struct pyr_obmalloc *o = a->input->heap->obmalloc;
	const struct pyr_arena *arena = &o->arenas.data[area->index];
	struct owners owners;
	struct pyr_pool pool;
	pyr_addr at, carved;

	owners_at(&owners, a->input, arena->address);
	pyr_paint(p, arena->address, arena->first_pool, PYR_MEMORY_PYMALLOC_OVERHEAD);
	for (at = arena->first_pool; at < arena->pool_end; at += o->pool_size) {
		switch (pyr_pool_read(o, reader, arena, at, &pool)) {
		case PYR_POOL_LIVE:
			paint_pool(a, &pool, &owners, p);
			break;
		case PYR_POOL_EMPTY:
			pyr_paint(p, at, at + o->pool_size, PYR_MEMORY_PYMALLOC_FREE);
			break;
		case PYR_POOL_UNREADABLE:
		case PYR_POOL_CORRUPT:
			pyr_paint(p, at, at + o->pool_size, PYR_MEMORY_PYMALLOC_OVERHEAD);
			break;
		}
	}
	/* Whole pools that were never used, and the end that is too small for one. */
	carved = at;
	if (carved < arena->end)
		carved += (arena->end - carved) / o->pool_size * o->pool_size;
	pyr_paint(p, at, carved, PYR_MEMORY_PYMALLOC_FREE);
	pyr_paint(p, carved, arena->end, PYR_MEMORY_PYMALLOC_OVERHEAD);
}

struct region {
	struct pyr_painter *painter, trim;
	struct owners owners;
	pyr_addr at; /* painted up to here */
};

static bool paint_chunk(void *ctx, pyr_addr memory, uint64_t size, enum pyr_chunk_state state,
			size_t index)
{
	struct region *r = ctx;
	pyr_addr chunk = memory - 16;
	enum pyr_memory_category category = PYR_MEMORY_MALLOC_FREE;

	(void)index;
	pyr_paint(r->painter, r->at, chunk, PYR_MEMORY_MALLOC_OVERHEAD);
	if (state == PYR_CHUNK_TCACHE)
		category = PYR_MEMORY_MALLOC_CACHED;
	else if (state == PYR_CHUNK_IN_USE)
		category = owner_of(&r->owners, chunk, chunk + size, PYR_MEMORY_BUFFERS,
				    PYR_MEMORY_NATIVE);
	pyr_paint(r->painter, chunk, chunk + size, category);
	r->at = chunk + size;
	return true;
}

static void paint_trim(void *ctx, pyr_addr start, pyr_addr end, size_t index)
{
	struct region *r = ctx;

	(void)index;
	pyr_painter_begin(&r->trim, start, end, PYR_MEMORY_MALLOC_FREE, PYR_MEMORY_MALLOC_FREE);
	pyr_paint(&r->trim, start, end, PYR_MEMORY_MALLOC_FREE);
}

/* Pages of zeros in [from, to). One look tells most of the others. */
static uint64_t zeros_in(struct pyr_reader *r, pyr_addr from, pyr_addr to, uint64_t page)
{
	uint64_t i, word, zeros = 0;
	const uint8_t *run;
	size_t n, at;

	while (from < to && to - from >= page) {
		n = pyr_peek_run(r, from, to - from, &run);
		for (at = 0; at + page <= n; at += page) {
			for (i = 0, word = 0; i < page && !word; i += 8)
				memcpy(&word, run + at + i, 8);
			zeros += word ? 0 : page;
		}
		from += at ? at : page;
	}
	return zeros;
}

/* Of what a core holds. */
static void count_zeros(struct memory_account *a, unsigned worker, pyr_addr from, pyr_addr to,
			enum pyr_memory_category category)
{
	uint64_t page = a->input->target->page_size;
	const struct pyr_resident *r, *end = a->held.data + a->held.count;
	pyr_addr first, last;

	if (a->held.basis != PYR_MEMORY_DUMPED)
		return;
	for (r = a->held.data + pyr_held_from(&a->held, from); r < end && r->start < to; r++) {
		first = r->start > from ? r->start : from;
		last = r->end < to ? r->end : to;
		first = (first + page - 1) & ~(page - 1);
		if (first < last)
			a->zeros[worker][category] +=
				zeros_in(&a->readers[worker], first, last, page);
	}
}

static pyr_error *paint_region(struct memory_account *a, const struct memory_area *area,
			       unsigned worker)
{
	const struct pyr_glibc *g = a->input->glibc;
	const struct pyr_glibc_region *region = &g->regions.data[area->index];
	struct region r = {
		.painter = &a->painters[worker], .trim = {.held = &a->held}, .at = region->begins};
	struct pyr_glibc_visitor visitor = {.chunk = paint_chunk, .trim = paint_trim, .ctx = &r};
	const struct pyr_glibc_arena *arena = &g->arenas.data[region->arena];
	pyr_error *err;

	owners_at(&r.owners, a->input, region->begins);
	err = pyr_glibc_walk_region(g, &a->readers[worker], area->index, &visitor);
	/* Where a walk ended before its time, the rest is what the master cannot tell. */
	if (arena->top >= r.at && arena->top + arena->top_size <= region->stops) {
		pyr_paint(r.painter, r.at, arena->top, PYR_MEMORY_MALLOC_OVERHEAD);
		pyr_paint(r.painter, arena->top, arena->top + arena->top_size,
			  PYR_MEMORY_MALLOC_TOP);
		count_zeros(a, worker, arena->top, arena->top + arena->top_size,
			    PYR_MEMORY_MALLOC_TOP);
		r.at = arena->top + arena->top_size;
	}
	pyr_paint(r.painter, r.at, region->stops, PYR_MEMORY_MALLOC_OVERHEAD);
	a->trimmable[worker] += r.trim.bytes[PYR_MEMORY_MALLOC_FREE];
	a->damaged[worker] += visitor.damaged;
	return err;
}

/* An area of one category, but for the objects and buffers that lie in it. */
static void paint_plain(struct memory_account *a, const struct memory_area *area, unsigned worker)
{
	struct pyr_reader *reader = &a->readers[worker];
	struct pyr_painter *p = &a->painters[worker];
	const struct pyr_memory_input *in = a->input;
	pyr_addr at = area->start, start, end;
	enum pyr_memory_category category;
	struct owners o;

	/* Static objects are part of the static data. */
	if (area->own == PYR_MEMORY_STATIC) {
		pyr_paint_pages(p, area->start, area->end, area->own, area->file);
		return;
	}
	owners_at(&o, in, area->start);
	for (;;) {
		pyr_addr object =
			in->heap && o.id < in->heap->count ? in->heap->address[o.id] : UINT64_MAX;
		const struct pyr_buffer *b = in->buffers && o.buffer < in->buffers->count
						     ? &in->buffers->data[o.buffer]
						     : NULL;

		if (object >= area->end && (!b || b->start >= area->end))
			break;
		if (b && b->start <= object) {
			start = b->start;
			end = b->end;
			category = b->owner == PYR_NO_ID      ? PYR_MEMORY_INTERPRETER
				   : is_garbage(in, b->owner) ? PYR_MEMORY_GARBAGE
							      : PYR_MEMORY_BUFFERS;
			o.buffer++;
		} else {
			const struct pyr_type *type =
				pyr_types_at(in->heap->types, in->heap->type[o.id]);
			uint64_t size = 0;
			bool exact;

			pyr_error_destroy(pyr_object_size(in->heap->types, reader, type, object,
							  &size, &exact));
			if (size < 16 || size > area->end - object)
				size = 16;
			start = object - type->gc_head - type->pre_header;
			end = object + size;
			category = is_garbage(in, o.id) ? PYR_MEMORY_GARBAGE : PYR_MEMORY_OBJECTS;
			o.id++;
			/* Its size may count what lies elsewhere. */
			if (o.id < in->heap->count && end > in->heap->address[o.id])
				end = in->heap->address[o.id];
		}
		if (start < at)
			start = at;
		if (end > area->end)
			end = area->end;
		if (start >= end)
			continue;
		pyr_paint_pages(p, at, start, area->own, area->file);
		count_zeros(a, worker, at, start, area->own);
		pyr_paint(p, start, end, category);
		at = end;
	}
	pyr_paint_pages(p, at, area->end, area->own, area->file);
	if (area->own != PYR_MEMORY_FILE_PAGES)
		count_zeros(a, worker, at, area->end, area->own);
}

static pyr_error *paint_areas(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct memory_account *a = ctx;
	struct pyr_painter *p = &a->painters[worker];
	enum pyr_memory_category category;
	struct owners owners;
	uint64_t before;
	pyr_error *err;

	for (; begin < end; begin++) {
		const struct memory_area *area = &a->areas.v.data[begin];

		pyr_painter_begin(p, area->start, area->end, area->own, area->file);
		switch (area->master) {
		case MEMORY_OF_PYMALLOC:
			paint_arena(a, area, &a->readers[worker], p);
			break;
		case MEMORY_OF_MALLOC:
			if ((err = paint_region(a, area, worker)))
				return err;
			break;
		case MEMORY_OF_CHUNK:
			owners_at(&owners, a->input, area->start);
			category = owner_of(&owners, area->start, area->end, PYR_MEMORY_BUFFERS,
					    PYR_MEMORY_NATIVE);
			pyr_paint(p, area->start, area->end, category);
			count_zeros(a, worker, area->start, area->end, category);
			break;
		case MEMORY_OF_PLAIN:
		case MEMORY_OF_ANONYMOUS:
			before = p->bytes[PYR_MEMORY_UNCLAIMED];
			paint_plain(a, area, worker);
			a->unclaimed[begin] = p->bytes[PYR_MEMORY_UNCLAIMED] - before;
			break;
		}
		pyr_painter_end(p);
	}
	return pyr_reader_check(&a->readers[worker]);
}

/* --- the result --- */

static int by_bytes(const void *x, const void *y)
{
	const struct pyr_unclaimed *a = x, *b = y;

	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return a->start < b->start ? -1 : 1;
}

static pyr_error *list_unclaimed(struct memory_account *a, struct pyr_memory *m)
{
	size_t i;

	for (i = 0; i < a->areas.v.count; i++) {
		const struct memory_area *area = &a->areas.v.data[i];
		struct pyr_unclaimed u = {.start = area->start, .end = area->end};

		if (!a->unclaimed[i])
			continue;
		u.bytes = a->unclaimed[i];
		u.looks = pyr_bytes_look_like(a->input->target, &a->readers[0], u.start, u.end);
		if (!pyr_vec_push(&m->unclaimed, u))
			return pyr_error_no_memory();
	}
	if (m->unclaimed.count)
		qsort(m->unclaimed.data, m->unclaimed.count, sizeof(*m->unclaimed.data), by_bytes);
	return NULL;
}

static pyr_error *sum(struct memory_account *a, unsigned workers, struct pyr_memory *m)
{
	uint64_t rows = 0, swapped = 0;
	unsigned w, c;
	size_t i;

	m->basis = a->held.basis;
	for (w = 0; w < workers; w++) {
		for (c = 0; c < PYR_MEMORY_CATEGORIES; c++) {
			m->bytes[c] += a->painters[w].bytes[c];
			m->swapped[c] += a->painters[w].swapped[c];
			rows += a->painters[w].bytes[c];
			swapped += a->painters[w].swapped[c];
			m->zeros[c] += a->zeros[w][c];
			m->total_zeros += a->zeros[w][c];
		}
		m->trimmable += a->trimmable[w];
		m->damaged += a->damaged[w];
	}
	for (i = 0; i < a->held.count; i++) {
		const struct pyr_resident *r = &a->held.data[i];

		*(r->kind == PYR_PAGE_SWAPPED ? &m->total_swapped : &m->total) += r->end - r->start;
	}
	if (rows != m->total || swapped != m->total_swapped)
		return pyr_error_create(PYR_E_CORRUPT,
					"the rows add up to %llu bytes, the target holds %llu",
					(unsigned long long)rows, (unsigned long long)m->total);
	return list_unclaimed(a, m);
}

pyr_error *pyr_memory_account(const struct pyr_memory_input *input, struct pyr_control *control,
			      struct pyr_memory *ret)
{
	unsigned workers = pyr_target_concurrent(input->target) ? pyr_parallel_workers() : 1, w;
	struct memory_account a = {.input = input};
	struct pyr_memory memory = {0};
	pyr_error *err;

	if ((err = pyr_held_find(input->target, &a.held)))
		return err;
	a.painters = calloc(workers, sizeof(*a.painters));
	a.readers = calloc(workers, sizeof(*a.readers));
	a.trimmable = calloc(workers, sizeof(*a.trimmable));
	a.damaged = calloc(workers, sizeof(*a.damaged));
	a.zeros = calloc(workers, sizeof(*a.zeros));
	err = a.painters && a.readers && a.trimmable && a.damaged && a.zeros
		      ? NULL
		      : pyr_error_no_memory();
	for (w = 0; w < workers && !err; w++) {
		pyr_reader_init(&a.readers[w], input->target);
		a.painters[w].held = &a.held;
	}
	if (!err && !(err = pyr_memory_areas(&a)) &&
	    !(err = pyr_parallel(control, "accounting for the memory", workers, a.areas.v.count, 8,
				 paint_areas, &a)))
		err = sum(&a, workers, &memory);
	for (w = 0; a.readers && w < workers; w++)
		pyr_reader_deinit(&a.readers[w]);
	free(a.readers);
	free(a.painters);
	free(a.trimmable);
	free(a.damaged);
	free(a.zeros);
	free(a.unclaimed);
	pyr_vec_deinit(&a.areas.v);
	pyr_held_deinit(&a.held);
	if (err)
		pyr_memory_deinit(&memory);
	else
		*ret = memory;
	return err;
}

void pyr_memory_deinit(struct pyr_memory *memory)
{
	pyr_vec_deinit(&memory->unclaimed);
}
