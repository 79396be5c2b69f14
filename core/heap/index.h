/* Address of an object -> its id, in constant time: two levels of tables lead to
 * a page's bitmap of 8-byte granules, which counts the objects before each. */
#ifndef PYR_HEAP_INDEX_H
#define PYR_HEAP_INDEX_H

#include "base/error.h"
#include "base/vec.h"

struct pyr_index_page {
	uint64_t bits[8];   /* 512 granules of 8 bytes */
	uint32_t first;     /* id of the first object on the page */
	uint16_t before[8]; /* objects on the page before each word */
};

struct pyr_index {
	uint32_t **leaves; /* by address >> 30; each 2^18 pages: number + 1, 0: no objects */
	struct pyr_index_page *pages;
	size_t page_count;
};

/* @addresses: sorted, without repetition, multiples of 8, below 2^47. */
pyr_error *pyr_index_create(const pyr_addr *addresses, uint32_t count, struct pyr_index **ret);
void pyr_index_destroy(struct pyr_index *index);                       /* NULL is allowed */
uint32_t pyr_index_find(const struct pyr_index *index, pyr_addr addr); /* UINT32_MAX: none */

#endif
