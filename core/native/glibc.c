/* Free memory of glibc's malloc in bins, and its totals. */
#include "native/glibc.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "native/glibc_internal.h"

struct pyr_glibc_arena *glibc_arena_of(struct pyr_glibc *g, pyr_addr chunk)
{
	const struct pyr_glibc_region *region =
		pyr_search_range(g->regions.data, g->regions.count, start, end, chunk);

	return region ? &g->arenas.data[region->arena] : NULL;
}

/* The arenas' version is not known; an address that is not aligned is a mangled one. */
bool glibc_reveal(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr place, pyr_addr *ret)
{
	uint64_t stored, plain;

	if (!pyr_try_u64(r, place, &stored))
		return false;
	plain = stored ^ place >> 12;
	if (plain == 0 || (plain % 16 == 0 && pyr_peek(r, plain, 8))) {
		g->safe_linking = g->safe_linking || stored != plain;
		*ret = plain;
		return true;
	}
	*ret = stored;
	return stored == 0 || (stored % 16 == 0 && pyr_peek(r, stored, 8));
}

/* Free chunks of the bins: rings through fd. Bin 1 is the unsorted one, 2 to 63 hold
 * chunks of one size below 1 KiB. */
static void read_bins(struct pyr_reader *r, struct pyr_glibc *g, struct pyr_glibc_arena *a)
{
	pyr_addr bins = a->address + glibc_bins_at(g->layout), head, chunk;
	struct pyr_glibc_free *kind;
	uint64_t size, steps;
	unsigned i;

	for (i = 0; i < GLIBC_BINS; i++) {
		kind = i == 0 ? &a->unsorted : i < 63 ? &a->small : &a->large;
		head = bins + 16 * i - 16;
		if (!pyr_try_u64(r, head + 16, &chunk)) {
			g->damaged++;
			return;
		}
		for (steps = 0; chunk != head; steps++) {
			if (steps == GLIBC_LIST_MAX || chunk % 16 ||
			    !glibc_chunk_size(r, chunk, &size) ||
			    (size & GLIBC_SIZE_MASK) < GLIBC_MINSIZE ||
			    (size & GLIBC_SIZE_MASK) > a->system_mem) {
				g->damaged++;
				break;
			}
			size &= GLIBC_SIZE_MASK;
			kind->chunks++;
			kind->bytes += size;
			if (size > a->largest_free)
				a->largest_free = size;
			if (!pyr_try_u64(r, chunk + 16, &chunk)) {
				g->damaged++;
				break;
			}
		}
	}
}

static bool read_fastbins(struct pyr_reader *r, struct pyr_glibc *g, struct pyr_glibc_arena *a)
{
	pyr_addr first = a->address + glibc_bins_at(g->layout) - 16 - 8 * GLIBC_FASTBINS, chunk;
	uint64_t size, steps;
	unsigned i;

	for (i = 0; g->layout != PYR_GLIBC_2_43 && i < GLIBC_FASTBINS; i++) {
		if (!pyr_try_u64(r, first + 8 * i, &chunk)) {
			g->damaged++;
			break;
		}
		for (steps = 0; chunk; steps++) {
			if (steps == GLIBC_LIST_MAX || !glibc_chunk_size(r, chunk, &size) ||
			    (size & GLIBC_SIZE_MASK) > a->system_mem) {
				g->damaged++;
				break;
			}
			a->fast.chunks++;
			a->fast.bytes += size & GLIBC_SIZE_MASK;
			if (!pyr_vec_push(&g->cached, chunk | 1))
				return false;
			if (!glibc_reveal(r, g, chunk + 16, &chunk)) {
				g->damaged++;
				break;
			}
		}
	}
	return true;
}

static bool read_free(struct pyr_target *target, struct pyr_reader *reader, struct pyr_glibc *g)
{
	struct pyr_glibc_arena *a;
	size_t i;

	for (i = 0; i < g->arenas.count; i++) {
		a = &g->arenas.data[i];
		/* attached_threads, then system_mem (2.23+). */
		if (!pyr_try_u64(reader, a->address + glibc_bins_at(g->layout) + 2072,
				 &a->system_mem))
			g->damaged++;
		read_bins(reader, g, a);
		if (!read_fastbins(reader, g, a))
			return false;
	}
	if (!pyr_glibc_read_tcaches(target, reader, g))
		return false;
	if (g->cached.count)
		qsort(g->cached.data, g->cached.count, sizeof(*g->cached.data), pyr_by_word);
	return true;
}

void pyr_glibc_deinit(struct pyr_glibc *g)
{
	pyr_vec_deinit(&g->arenas);
	pyr_vec_deinit(&g->regions);
	pyr_vec_deinit(&g->cached);
	pyr_vec_deinit(&g->tcaches);
	memset(g, 0, sizeof(*g));
}

pyr_error *pyr_glibc_read(struct pyr_target *target, struct pyr_reader *reader,
			  struct pyr_glibc *ret)
{
	struct pyr_glibc g = {.page_size = target->page_size ? target->page_size : 4096};
	pyr_error *err;

	if (pyr_glibc_find_arenas(target, reader, &g)) {
		pyr_glibc_find_parameters(target, reader, &g);
		if (!pyr_glibc_find_regions(target, reader, &g) || !read_free(target, reader, &g)) {
			pyr_glibc_deinit(&g);
			return pyr_error_no_memory();
		}
	}
	if ((err = pyr_reader_check(reader))) {
		pyr_glibc_deinit(&g);
		return err;
	}
	*ret = g;
	return NULL;
}

/* int_mallinfo() and __libc_mallinfo2(), malloc.c. */
void pyr_glibc_mallinfo2(const struct pyr_glibc *g, struct pyr_mallinfo2 *ret)
{
	struct pyr_mallinfo2 m = {.hblks = g->mmapped_chunks, .hblkhd = g->mmapped_bytes};
	uint64_t available;
	size_t i;

	for (i = 0; i < g->arenas.count; i++) {
		const struct pyr_glibc_arena *a = &g->arenas.data[i];

		available = a->top_size + pyr_glibc_arena_free(a);
		m.arena += a->system_mem;
		m.ordblks += a->unsorted.chunks + a->small.chunks + a->large.chunks + 1; /* top */
		m.smblks += a->fast.chunks;
		m.fsmblks += a->fast.bytes;
		m.fordblks += available;
		m.uordblks += a->system_mem - available;
	}
	if (g->arenas.count)
		m.keepcost = g->arenas.data[0].top_size;
	*ret = m;
}
