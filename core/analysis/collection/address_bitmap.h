/* A set of addresses that several threads fill at once: a bit for every 8 bytes, in tables
 * that take memory only around members (64 bytes where there is one in a page). */
#ifndef PYR_ANALYSIS_COLLECTION_ADDRESS_BITMAP_H
#define PYR_ANALYSIS_COLLECTION_ADDRESS_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PYR_ADDRESS_BITMAP_SHIFT 30
#define PYR_ADDRESS_BITMAP_LIMIT (UINT64_C(1) << 47)

struct pyr_address_bitmap {
	uint64_t **leaves; /* by address >> 30; NULL where nothing is */
};

pyr_error *pyr_address_bitmap_init(struct pyr_address_bitmap *set);
void pyr_address_bitmap_deinit(struct pyr_address_bitmap *set);

/* Multiples of 8 below PYR_ADDRESS_BITMAP_LIMIT can be members. */
static inline bool pyr_address_bitmap_takes(pyr_addr addr)
{
	return !(addr & 7) && addr < PYR_ADDRESS_BITMAP_LIMIT;
}

/* The word of such an address; NULL: nothing that is near is a member. */
static inline uint64_t *pyr_address_bitmap_word(const struct pyr_address_bitmap *set, pyr_addr addr)
{
	uint64_t *leaf =
		__atomic_load_n(&set->leaves[addr >> PYR_ADDRESS_BITMAP_SHIFT], __ATOMIC_ACQUIRE);

	return leaf ? &leaf[(addr & ((UINT64_C(1) << PYR_ADDRESS_BITMAP_SHIFT) - 1)) >> 9] : NULL;
}

static inline bool pyr_address_bitmap_has(const struct pyr_address_bitmap *set, pyr_addr addr)
{
	const uint64_t *word = pyr_address_bitmap_word(set, addr);

	return word && __atomic_load_n(word, __ATOMIC_RELAXED) >> (addr >> 3 & 63) & 1;
}

/* Add those of the 64 addresses from @addr (a multiple of 512) on that have a bit in @members;
 * *@added: those that were not there. False without memory. */
bool pyr_address_bitmap_add_word(struct pyr_address_bitmap *set, pyr_addr addr, uint64_t members,
				 uint64_t *added);

/* The first member that is @addr or behind it; false: none. */
bool pyr_address_bitmap_next(const struct pyr_address_bitmap *set, pyr_addr *addr);

#endif
