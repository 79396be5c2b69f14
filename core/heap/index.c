#include "heap/index.h"

#include <stdlib.h>

#include "base/large.h"

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

static bool enter_page(struct pyr_index *index, pyr_addr addr, uint32_t unit, bool fine)
{
	uint32_t **leaf = &index->leaves[addr >> PYR_INDEX_LEAF_SHIFT];

	if (!*leaf && !(*leaf = calloc(PYR_INDEX_LEAF_PAGES, sizeof(**leaf))))
		return false;
	(*leaf)[addr >> PYR_INDEX_PAGE_SHIFT & (PYR_INDEX_LEAF_PAGES - 1)] =
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

pyr_error *pyr_index_create(const pyr_addr *addresses, uint32_t count, struct pyr_index **ret)
{
	struct pyr_index *index = calloc(1, sizeof(*index));
	uint32_t i, n, unit = 0;
	uint64_t units = 0;
	bool fine;

	for (i = 0; i < count; i += same_page(&addresses[i], count - i, &fine), units += 8)
		;
	/* Eight for each: what is not needed is never touched. */
	if (!index || units >= UINT32_MAX / 2 ||
	    !(index->leaves = calloc(LEAVES, sizeof(*index->leaves))) ||
	    !(index->units = pyr_large_alloc(units, sizeof(*index->units))))
		goto fail;
	for (i = 0; i < count; i += n, unit += fine ? 8 : 4) {
		n = same_page(&addresses[i], count - i, &fine);
		if (!enter_page(index, addresses[i], unit, fine))
			goto fail;
		fill_page(&index->units[unit], &addresses[i], i, n, fine);
	}
	*ret = index;
	return NULL;
fail:
	pyr_index_destroy(index);
	return pyr_error_no_memory();
}

uint32_t pyr_index_find(const struct pyr_index *index, pyr_addr addr)
{
	uint8_t granule;
	const struct pyr_index_unit *unit = pyr_index_unit_of(index, addr, &granule);

	return unit ? pyr_index_unit_find(unit, granule) : UINT32_MAX;
}
