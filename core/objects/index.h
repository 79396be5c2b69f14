/* Address of an object -> its id, in constant time: two levels of tables lead to a page's
 * bitmap, whose words each know the id that comes first. A page's granules are of 16
 * bytes where all of its objects are aligned to that, else of 8. */
#ifndef PYR_OBJECTS_INDEX_H
#define PYR_OBJECTS_INDEX_H

#include <string.h>

#include "base/control.h"
#include "base/error.h"
#include "base/vec.h"

#define PYR_INDEX_PAGE_SHIFT 12
#define PYR_INDEX_LEAF_SHIFT 30
#define PYR_INDEX_LEAF_PAGES (1u << (PYR_INDEX_LEAF_SHIFT - PYR_INDEX_PAGE_SHIFT))

/* 64 granules. Twelve bytes: a bitmap, halved for its alignment. */
struct pyr_index_unit {
	uint32_t bits[2];
	uint32_t first; /* id of the first object in the unit, or behind it */
};

struct pyr_index {
	/* by address >> 30; each 2^18 pages, 0: no objects, else twice the number of the
	 * page's first unit + 2, + 1 for granules of 8 bytes */
	uint32_t **leaves;
	struct pyr_index_unit *units; /* four for a page, eight where granules are of 8 bytes */
};

/* @addresses: sorted, without repetition, multiples of 8, below 2^47. */
pyr_error *pyr_index_create(const pyr_addr *addresses, uint32_t count, struct pyr_control *control,
			    struct pyr_index **ret);
void pyr_index_destroy(struct pyr_index *index); /* NULL is allowed */

/* Looking up in two steps, so that many can be under way at once: the unit of an address
 * (NULL: no object starts there) and the granule in it, then what the unit says. */
static inline const struct pyr_index_unit *pyr_index_unit_of(const struct pyr_index *index,
							     pyr_addr addr, uint8_t *granule)
{
	const uint32_t *leaf;
	uint32_t place;
	unsigned shift;

	if (addr >> 47 || addr & 7 || !(leaf = index->leaves[addr >> PYR_INDEX_LEAF_SHIFT]) ||
	    !(place = leaf[addr >> PYR_INDEX_PAGE_SHIFT & (PYR_INDEX_LEAF_PAGES - 1)]))
		return NULL;
	shift = 4 - (place & 1);
	if (addr & ((1u << shift) - 1))
		return NULL;
	*granule = addr >> shift & 63;
	return &index->units[place / 2 - 1 + ((addr & 0xfff) >> (shift + 6))];
}

/* UINT32_MAX: no object starts there. */
static inline __attribute__((always_inline)) uint32_t
pyr_index_unit_find(const struct pyr_index_unit *unit, uint8_t granule)
{
	uint64_t bits;

	memcpy(&bits, unit->bits, sizeof(bits));
	if (!(bits >> granule & 1))
		return UINT32_MAX;
	return unit->first + (uint32_t)__builtin_popcountll(bits & ((UINT64_C(1) << granule) - 1));
}

/* UINT32_MAX: no object starts at @addr. */
uint32_t pyr_index_find(const struct pyr_index *index, pyr_addr addr);

#endif
