/* Address of an object -> its id, in constant time: two levels of tables lead to
 * a page's bitmap of 8-byte granules; each word of it knows the id that comes first. */
#ifndef PYR_HEAP_INDEX_H
#define PYR_HEAP_INDEX_H

#include <string.h>

#include "base/error.h"
#include "base/vec.h"

#define PYR_INDEX_PAGE_SHIFT 12
#define PYR_INDEX_LEAF_SHIFT 30
#define PYR_INDEX_LEAF_PAGES (1u << (PYR_INDEX_LEAF_SHIFT - PYR_INDEX_PAGE_SHIFT))

/* 64 granules, 512 bytes of the target. Twelve bytes: a bitmap, halved for its alignment. */
struct pyr_index_unit {
	uint32_t bits[2];
	uint32_t first; /* id of the first object in the unit, or behind it */
};

struct pyr_index {
	uint32_t **leaves; /* by address >> 30; each 2^18 pages: number + 1, 0: no objects */
	struct pyr_index_unit *units; /* eight for a page */
	size_t page_count;
};

/* @addresses: sorted, without repetition, multiples of 8, below 2^47. */
pyr_error *pyr_index_create(const pyr_addr *addresses, uint32_t count, struct pyr_index **ret);
void pyr_index_destroy(struct pyr_index *index); /* NULL is allowed */

/* Looking up in two steps, so that many can be under way at once: the unit of an
 * address (NULL: no object is near) to be fetched, then what it says. */
static inline const struct pyr_index_unit *pyr_index_unit_of(const struct pyr_index *index,
							     pyr_addr addr)
{
	const uint32_t *leaf;
	uint32_t number;

	if (addr >> 47 || addr & 7 || !(leaf = index->leaves[addr >> PYR_INDEX_LEAF_SHIFT]) ||
	    !(number = leaf[addr >> PYR_INDEX_PAGE_SHIFT & (PYR_INDEX_LEAF_PAGES - 1)]))
		return NULL;
	return &index->units[(size_t)(number - 1) * 8 + (addr >> 9 & 7)];
}

/* @granule: address >> 3, of which 6 bits count. UINT32_MAX: no object starts there. */
static inline __attribute__((always_inline)) uint32_t
pyr_index_unit_find(const struct pyr_index_unit *unit, unsigned granule)
{
	uint64_t bits;

	granule &= 63;
	memcpy(&bits, unit->bits, sizeof(bits));
	if (!(bits >> granule & 1))
		return UINT32_MAX;
	return unit->first + (uint32_t)__builtin_popcountll(bits & ((UINT64_C(1) << granule) - 1));
}

/* UINT32_MAX: no object starts at @addr. */
uint32_t pyr_index_find(const struct pyr_index *index, pyr_addr addr);

#endif
