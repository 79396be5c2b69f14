#include "objects/index.h"

#include <stdlib.h>

#include "base/large.h"
#include "base/parallel.h"

#define PIECE 65536u /* objects that one thread enters as one piece */
#define LEAVES (UINT64_C(1) << (47 - PYR_INDEX_LEAF_SHIFT))

void pyr_index_destroy(struct pyr_index *index)
{
	size_t i;

	if (!index)
		return;
	for (i = 0; index->leaves && i < LEAVES; i++)
		free(index->leaves[i]);
	free(index->leaves);
	free(index->units);
	free(index);
}

struct index_builder {
	struct pyr_index *index;
	const pyr_addr *addresses;
	uint32_t count;
	uint32_t *units; /* of the pages that begin in each piece; then its first unit */
};

/* Several threads may want the same leaf. */
static bool enter_page(struct pyr_index *index, pyr_addr addr, uint32_t unit, bool fine)
{
	uint32_t **place = &index->leaves[addr >> PYR_INDEX_LEAF_SHIFT], *fresh,
		 *leaf = __atomic_load_n(place, __ATOMIC_ACQUIRE);

	if (!leaf) {
		if (!(fresh = calloc(PYR_INDEX_LEAF_PAGES, sizeof(*fresh))))
			return false;
		if (__atomic_compare_exchange_n(place, &leaf, fresh, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			leaf = fresh;
		else
			free(fresh);
	}
	leaf[addr >> PYR_INDEX_PAGE_SHIFT & (PYR_INDEX_LEAF_PAGES - 1)] =
		2 * (unit + 1) + (uint32_t)fine;
	return true;
}

/* How many of @addresses lie on the same page as the first, and whether that needs
 * granules of 8 bytes. */
static uint32_t same_page(const pyr_addr *addresses, uint32_t count, bool *fine)
{
	uint64_t page = addresses[0] >> PYR_INDEX_PAGE_SHIFT, all = 0;
	uint32_t n;

	for (n = 0; n < count && addresses[n] >> PYR_INDEX_PAGE_SHIFT == page; n++)
		all |= addresses[n];
	*fine = (all & 8) != 0;
	return n;
}

/* @count objects of one page, of ids from @id on. */
static void fill_page(struct pyr_index_unit *units, const pyr_addr *addresses, uint32_t id,
		      uint32_t count, bool fine)
{
	unsigned i, shift = fine ? 3 : 4;
	uint64_t bits;
	uint32_t n = 0;

	for (i = 0; i < (fine ? 8u : 4u); i++) {
		units[i].first = id + n;
		for (bits = 0; n < count && (addresses[n] & 0xfff) >> (shift + 6) == i; n++)
			bits |= UINT64_C(1) << (addresses[n] >> shift & 63);
		memcpy(units[i].bits, &bits, sizeof(bits));
	}
}

/* The first page that begins in the piece from @begin on. */
static size_t first_page(const struct index_builder *b, size_t begin, size_t end)
{
	while (begin && begin < end &&
	       b->addresses[begin] >> PYR_INDEX_PAGE_SHIFT ==
		       b->addresses[begin - 1] >> PYR_INDEX_PAGE_SHIFT)
		begin++;
	return begin;
}

static pyr_error *count_units(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct index_builder *b = ctx;
	uint32_t *units = &b->units[begin / PIECE];
	size_t i;
	bool fine;

	(void)worker;
	for (i = first_page(b, begin, end); i < end; *units += fine ? 8 : 4)
		i += same_page(&b->addresses[i], b->count - (uint32_t)i, &fine);
	return NULL;
}

static pyr_error *fill_units(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct index_builder *b = ctx;
	uint32_t unit = b->units[begin / PIECE], n;
	size_t i;
	bool fine;

	(void)worker;
	for (i = first_page(b, begin, end); i < end; i += n, unit += fine ? 8 : 4) {
		n = same_page(&b->addresses[i], b->count - (uint32_t)i, &fine);
		if (!enter_page(b->index, b->addresses[i], unit, fine))
			return pyr_error_no_memory();
		fill_page(&b->index->units[unit], &b->addresses[i], (uint32_t)i, n, fine);
	}
	return NULL;
}

static pyr_error *fill(struct index_builder *b, struct pyr_control *control)
{
	unsigned workers = pyr_parallel_workers();
	uint64_t all = 0;
	uint32_t n, i;
	pyr_error *err;

	if (!b->units || !(b->index->leaves = calloc(LEAVES, sizeof(*b->index->leaves))))
		return pyr_error_no_memory();
	if ((err = pyr_parallel(control, NULL, workers, b->count, PIECE, count_units, b)))
		return err;
	for (i = 0; i < b->count / PIECE + 1; i++) {
		n = b->units[i];
		b->units[i] = (uint32_t)all;
		all += n;
	}
	/* A leaf's entry has 31 bits for it. */
	if (all >= UINT32_MAX / 2 ||
	    !(b->index->units = pyr_large_alloc(all, sizeof(*b->index->units))))
		return pyr_error_no_memory();
	return pyr_parallel(control, NULL, workers, b->count, PIECE, fill_units, b);
}

pyr_error *pyr_index_create(const pyr_addr *addresses, uint32_t count, struct pyr_control *control,
			    struct pyr_index **ret)
{
	struct index_builder b = {
		.index = calloc(1, sizeof(*b.index)),
		.addresses = addresses,
		.count = count,
		.units = calloc(count / PIECE + 1, sizeof(*b.units)),
	};
	pyr_error *err = b.index ? fill(&b, control) : pyr_error_no_memory();

	free(b.units);
	if (err)
		pyr_index_destroy(b.index);
	else
		*ret = b.index;
	return err;
}

uint32_t pyr_index_find(const struct pyr_index *index, pyr_addr addr)
{
	uint8_t granule;
	const struct pyr_index_unit *unit = pyr_index_unit_of(index, addr, &granule);

	return unit ? pyr_index_unit_find(unit, granule) : UINT32_MAX;
}
