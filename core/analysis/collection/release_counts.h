/* Objects that are held by several references, some of which were let go of: how many are
 * left, and who let go last. Open addressing over addresses, 16 bytes each; one thread's. */
#ifndef PYR_ANALYSIS_COLLECTION_RELEASE_COUNTS_H
#define PYR_ANALYSIS_COLLECTION_RELEASE_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PYR_RELEASED_NEVER UINT32_MAX /* left: what never goes */

struct pyr_release_count {
	pyr_addr address; /* 0: a free slot */
	uint32_t left;
	uint32_t owner; /* the largest place among those that let go */
};

struct pyr_release_counts {
	struct pyr_release_count *slots;
	size_t count, mask;
};

pyr_error *pyr_release_counts_init(struct pyr_release_counts *shares);
void pyr_release_counts_deinit(struct pyr_release_counts *shares);

static inline struct pyr_release_count *pyr_release_counts_slot(const struct pyr_release_counts *s,
								pyr_addr addr)
{
	size_t i = (size_t)(addr * UINT64_C(0x9e3779b97f4a7c15) >> 32) & s->mask;

	while (s->slots[i].address && s->slots[i].address != addr)
		i = (i + 1) & s->mask;
	return &s->slots[i];
}

/* NULL: not there. What is found stays where it is until the next pyr_release_counts_add(). */
static inline struct pyr_release_count *pyr_release_counts_find(const struct pyr_release_counts *s,
								pyr_addr addr)
{
	struct pyr_release_count *slot = pyr_release_counts_slot(s, addr);

	return slot->address ? slot : NULL;
}

/* Of an address (not 0) that is not there. False without memory. */
bool pyr_release_counts_add(struct pyr_release_counts *shares, struct pyr_release_count share);

#endif
