#include "analysis/collection/address_bitmap.h"

#include <stdlib.h>
#include <string.h>

#define LEAVES (PYR_ADDRESS_BITMAP_LIMIT >> PYR_ADDRESS_BITMAP_SHIFT)
#define WORDS (UINT64_C(1) << (PYR_ADDRESS_BITMAP_SHIFT - 9))

pyr_error *pyr_address_bitmap_init(struct pyr_address_bitmap *set)
{
	set->leaves = calloc(LEAVES, sizeof(*set->leaves));
	return set->leaves ? NULL : pyr_error_no_memory();
}

void pyr_address_bitmap_deinit(struct pyr_address_bitmap *set)
{
	size_t i;

	for (i = 0; set->leaves && i < LEAVES; i++)
		free(set->leaves[i]);
	free(set->leaves);
	memset(set, 0, sizeof(*set));
}

/* What is allocated here is not touched: the system gives memory where bits are set. */
static bool make_leaf(struct pyr_address_bitmap *set, pyr_addr addr)
{
	uint64_t *leaf = calloc(WORDS, sizeof(*leaf)), *none = NULL;

	if (!leaf)
		return false;
	if (!__atomic_compare_exchange_n(&set->leaves[addr >> PYR_ADDRESS_BITMAP_SHIFT], &none,
					 leaf, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		free(leaf);
	return true;
}

bool pyr_address_bitmap_add_word(struct pyr_address_bitmap *set, pyr_addr addr, uint64_t members,
				 uint64_t *added)
{
	uint64_t *word = pyr_address_bitmap_word(set, addr);

	if (!word) {
		if (!make_leaf(set, addr))
			return false;
		word = pyr_address_bitmap_word(set, addr);
	}
	*added = members & ~__atomic_fetch_or(word, members, __ATOMIC_RELAXED);
	return true;
}

bool pyr_address_bitmap_next(const struct pyr_address_bitmap *set, pyr_addr *addr)
{
	pyr_addr at = *addr;
	const uint64_t *word;
	uint64_t bits;

	while (at < PYR_ADDRESS_BITMAP_LIMIT) {
		if (!(word = pyr_address_bitmap_word(set, at))) {
			at = ((at >> PYR_ADDRESS_BITMAP_SHIFT) + 1) << PYR_ADDRESS_BITMAP_SHIFT;
			continue;
		}
		bits = *word >> (at >> 3 & 63);
		if (bits) {
			*addr = (at & ~UINT64_C(7)) + 8 * (pyr_addr)__builtin_ctzll(bits);
			return true;
		}
		at = ((at >> 9) + 1) << 9;
	}
	return false;
}
