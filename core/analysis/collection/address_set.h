/* A set of addresses that several threads fill at once: a bit for every 8 bytes, in tables
 * that take memory only around members (64 bytes where there is one in a page). */
#ifndef PYR_ANALYSIS_COLLECTION_ADDRESS_SET_H
#define PYR_ANALYSIS_COLLECTION_ADDRESS_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PYR_ADDRESS_SET_SHIFT 30
#define PYR_ADDRESS_SET_LIMIT (UINT64_C(1) << 47)

struct pyr_address_set {
	uint64_t **leaves; /* by address >> 30; NULL where nothing is */
};

pyr_error *pyr_address_set_init(struct pyr_address_set *set);
void pyr_address_set_deinit(struct pyr_address_set *set);

/* Multiples of 8 below PYR_ADDRESS_SET_LIMIT can be members. */
static inline bool pyr_address_set_takes(pyr_addr addr)
{
	return !(addr & 7) && addr < PYR_ADDRESS_SET_LIMIT;
}

/* The word of such an address; NULL: nothing that is near is a member. */
static inline uint64_t *pyr_address_set_word(const struct pyr_address_set *set, pyr_addr addr)
{
	uint64_t *leaf =
		__atomic_load_n(&set->leaves[addr >> PYR_ADDRESS_SET_SHIFT], __ATOMIC_ACQUIRE);

	return leaf ? &leaf[(addr & ((UINT64_C(1) << PYR_ADDRESS_SET_SHIFT) - 1)) >> 9] : NULL;
}

static inline bool pyr_address_set_has(const struct pyr_address_set *set, pyr_addr addr)
{
	const uint64_t *word = pyr_address_set_word(set, addr);

	return word && __atomic_load_n(word, __ATOMIC_RELAXED) >> (addr >> 3 & 63) & 1;
}

/* Add those of the 64 addresses from @addr (a multiple of 512) on that have a bit in @members;
 * *@added: those that were not there. False without memory. */
bool pyr_address_set_add_word(struct pyr_address_set *set, pyr_addr addr, uint64_t members,
			      uint64_t *added);

/* The first member that is @addr or behind it; false: none. */
bool pyr_address_set_next(const struct pyr_address_set *set, pyr_addr *addr);

#endif
