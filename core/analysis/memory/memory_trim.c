/* What malloc_trim(0) would return, of pages that are there. */
#include "analysis/memory/memory_paint.h"

struct trim {
	const struct pyr_glibc *glibc;
	struct pyr_painter painter;
	uint64_t *by_arena, total;
};

static bool pass(void *ctx, pyr_addr memory, uint64_t size, enum pyr_chunk_state state,
		 size_t region)
{
	(void)ctx;
	(void)memory;
	(void)size;
	(void)state;
	(void)region;
	return true;
}

static void add(void *ctx, pyr_addr start, pyr_addr end, size_t region)
{
	struct trim *t = ctx;
	uint64_t before = t->painter.bytes[PYR_MEMORY_MALLOC_FREE];

	pyr_painter_begin(&t->painter, start, end, PYR_MEMORY_MALLOC_FREE, PYR_MEMORY_MALLOC_FREE);
	pyr_paint(&t->painter, start, end, PYR_MEMORY_MALLOC_FREE);
	before = t->painter.bytes[PYR_MEMORY_MALLOC_FREE] - before;
	t->total += before;
	if (t->by_arena)
		t->by_arena[t->glibc->regions.data[region].arena] += before;
}

pyr_error *pyr_memory_trimmable(const struct pyr_target *target, struct pyr_reader *reader,
				const struct pyr_glibc *glibc, uint64_t *by_arena, uint64_t *ret)
{
	struct trim trim = {.glibc = glibc, .by_arena = by_arena};
	struct pyr_glibc_visitor visitor = {.chunk = pass, .trim = add, .ctx = &trim};
	struct pyr_held held;
	pyr_error *err;

	if ((err = pyr_held_find(target, &held)))
		return err;
	trim.painter.held = &held;
	err = pyr_glibc_walk(glibc, reader, &visitor);
	pyr_held_deinit(&held);
	if (!err)
		*ret = trim.total;
	return err;
}
