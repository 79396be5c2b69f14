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

static bool enter_page(struct pyr_index *index, pyr_addr addr, uint32_t number)
{
	uint32_t **leaf = &index->leaves[addr >> PYR_INDEX_LEAF_SHIFT];

	if (!*leaf && !(*leaf = calloc(PYR_INDEX_LEAF_PAGES, sizeof(**leaf))))
		return false;
	(*leaf)[addr >> PYR_INDEX_PAGE_SHIFT & (PYR_INDEX_LEAF_PAGES - 1)] = number + 1;
	return true;
}

/* The ids of one page: @addresses from @id on. Answers the first id behind it. */
static uint32_t fill_page(struct pyr_index_unit units[8], const pyr_addr *addresses, uint32_t id,
			  uint32_t count)
{
	uint64_t bits, page = addresses[id] >> PYR_INDEX_PAGE_SHIFT;
	unsigned i;

	for (i = 0; i < 8; i++) {
		units[i].first = id;
		for (bits = 0; id < count && addresses[id] >> 9 == (page << 3 | i); id++)
			bits |= UINT64_C(1) << (addresses[id] >> 3 & 63);
		memcpy(units[i].bits, &bits, sizeof(bits));
	}
	return id;
}

pyr_error *pyr_index_create(const pyr_addr *addresses, uint32_t count, struct pyr_index **ret)
{
	struct pyr_index *index = calloc(1, sizeof(*index));
	uint64_t last = UINT64_MAX;
	size_t pages = 0;
	uint32_t i;

	for (i = 0; i < count; i++) {
		pages += addresses[i] >> PYR_INDEX_PAGE_SHIFT != last;
		last = addresses[i] >> PYR_INDEX_PAGE_SHIFT;
	}
	if (!index || !(index->leaves = calloc(LEAVES, sizeof(*index->leaves))) ||
	    !(index->units = pyr_large_alloc(pages * 8, sizeof(*index->units))))
		goto fail;
	for (i = 0; i < count;) {
		if (!enter_page(index, addresses[i], (uint32_t)index->page_count))
			goto fail;
		i = fill_page(&index->units[index->page_count++ * 8], addresses, i, count);
	}
	*ret = index;
	return NULL;
fail:
	pyr_index_destroy(index);
	return pyr_error_no_memory();
}

uint32_t pyr_index_find(const struct pyr_index *index, pyr_addr addr)
{
	const struct pyr_index_unit *unit = pyr_index_unit_of(index, addr);

	return unit ? pyr_index_unit_find(unit, (unsigned)(addr >> 3)) : UINT32_MAX;
}
