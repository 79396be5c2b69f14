/* The walk over all chunks, and what malloc_trim(0) would give back of them. */
#include "base/search.h"
#include "native/glibc_internal.h"

/* Free chunks that malloc_consolidate() would join, on their way by. */
struct run {
	const struct pyr_glibc *glibc;
	const struct pyr_glibc_visitor *visitor;
	size_t region;
	pyr_addr start;
	uint64_t size;
};

/* mtrim(), malloc.c: whole pages behind the header and links of a free chunk. */
static void flush(struct run *run)
{
	uint64_t page = run->glibc->page_size, size = run->size;
	pyr_addr from;

	run->size = 0;
	if (size <= page - 1 + 48)
		return;
	from = (run->start + 48 + page - 1) & ~(page - 1);
	size -= from - run->start;
	if (size > page - 1)
		run->visitor->trim(run->visitor->ctx, from, from + (size & ~(page - 1)),
				   run->region);
}

/* systrim(), malloc.c: all of the main top but MINSIZE and a byte, in whole pages from
 * its end. A fastbin chunk before it becomes part of it. */
static void flush_top(struct run *run, bool fast)
{
	const struct pyr_glibc_region *region = &run->glibc->regions.data[run->region];
	const struct pyr_glibc_arena *a = &run->glibc->arenas.data[region->arena];
	uint64_t page = run->glibc->page_size, size = a->top_size, extra;

	if (region->end != a->top) {
		flush(run);
		return;
	}
	if (fast)
		size += run->size;
	else
		flush(run);
	run->size = 0;
	if (region->arena == 0 && (a->top + a->top_size) % page == 0 && size > GLIBC_MINSIZE + 1) {
		extra = (size - GLIBC_MINSIZE - 1) & ~(page - 1);
		if (extra)
			run->visitor->trim(run->visitor->ctx, a->top + a->top_size - extra,
					   a->top + a->top_size, run->region);
	}
}

pyr_error *pyr_glibc_walk_region(const struct pyr_glibc *g, struct pyr_reader *reader, size_t index,
				 struct pyr_glibc_visitor *visitor)
{
	const struct pyr_glibc_region *region = &g->regions.data[index];
	struct run run = {.glibc = g, .visitor = visitor, .region = index};
	size_t cached = pyr_search(k, g->cached.count, g->cached.data[k] < region->start);
	enum pyr_chunk_state state;
	bool has_fast = false, whole = true;
	uint64_t size, next;
	pyr_addr chunk;

	for (chunk = region->start; chunk < region->end; chunk += size) {
		if (!glibc_chunk_size(reader, chunk, &size)) {
			visitor->damaged++;
			whole = false;
			break;
		}
		size &= GLIBC_SIZE_MASK;
		/* Fence posts where the heap was not contiguous: 16 bytes, or none. */
		if (size != 16 &&
		    (size < GLIBC_MINSIZE || size % 16 || size > region->end - chunk)) {
			visitor->damaged += size != 0;
			whole = false;
			break;
		}
		if (size == 16) {
			state = PYR_CHUNK_IN_USE;
		} else {
			while (cached < g->cached.count && g->cached.data[cached] < chunk)
				cached++;
			if (cached < g->cached.count &&
			    (g->cached.data[cached] & ~UINT64_C(1)) == chunk)
				state = g->cached.data[cached] & 1 ? PYR_CHUNK_FAST
								   : PYR_CHUNK_TCACHE;
			else if (glibc_chunk_size(reader, chunk + size, &next) &&
				 !(next & GLIBC_PREV_INUSE))
				state = PYR_CHUNK_FREE;
			else
				state = PYR_CHUNK_IN_USE;
			if (!visitor->chunk(visitor->ctx, chunk + 16, size, state, index))
				return NULL;
		}
		if (!visitor->trim)
			continue;
		if (state == PYR_CHUNK_FREE || state == PYR_CHUNK_FAST) {
			if (!run.size) {
				run.start = chunk;
				has_fast = false;
			}
			run.size += size;
			has_fast |= state == PYR_CHUNK_FAST;
		} else if (run.size) {
			flush(&run);
		}
	}
	if (visitor->trim && whole)
		flush_top(&run, has_fast);
	else if (visitor->trim)
		flush(&run);
	return pyr_reader_check(reader);
}

pyr_error *pyr_glibc_walk(const struct pyr_glibc *g, struct pyr_reader *reader,
			  struct pyr_glibc_visitor *visitor)
{
	pyr_error *err = NULL;
	size_t i;

	for (i = 0; i < g->regions.count && !err; i++)
		err = pyr_glibc_walk_region(g, reader, i, visitor);
	return err;
}
