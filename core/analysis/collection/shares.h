/* Objects that are held by several references, some of which were let go of: how many are
 * left, and who let go last. Open addressing over addresses, 16 bytes each; one thread's. */
#ifndef PYR_ANALYSIS_COLLECTION_SHARES_H
#define PYR_ANALYSIS_COLLECTION_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PYR_SHARES_FOREVER UINT32_MAX /* left: what never goes */

struct pyr_share {
	pyr_addr address; /* 0: a free slot */
	uint32_t left;
	uint32_t owner; /* the largest place among those that let go */
};

struct pyr_shares {
	struct pyr_share *slots;
	size_t count, mask;
};

pyr_error *pyr_shares_init(struct pyr_shares *shares);
void pyr_shares_deinit(struct pyr_shares *shares);

static inline struct pyr_share *pyr_shares_slot(const struct pyr_shares *s, pyr_addr addr)
{
	size_t i = (size_t)(addr * UINT64_C(0x9e3779b97f4a7c15) >> 32) & s->mask;

	while (s->slots[i].address && s->slots[i].address != addr)
		i = (i + 1) & s->mask;
	return &s->slots[i];
}

/* NULL: not there. What is found stays where it is until the next pyr_shares_add(). */
static inline struct pyr_share *pyr_shares_find(const struct pyr_shares *s, pyr_addr addr)
{
	struct pyr_share *slot = pyr_shares_slot(s, addr);

	return slot->address ? slot : NULL;
}

/* Of an address (not 0) that is not there. False without memory. */
bool pyr_shares_add(struct pyr_shares *shares, struct pyr_share share);

#endif
