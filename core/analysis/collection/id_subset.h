/* Some of the objects, numbered anew: id -> place among them in constant time. One bit
 * and a half per object of the heap. */
#ifndef PYR_ANALYSIS_COLLECTION_ID_SUBSET_H
#define PYR_ANALYSIS_COLLECTION_ID_SUBSET_H

#include <stdint.h>

#include "base/bits.h"
#include "base/control.h"
#include "base/error.h"

#define PYR_NOT_IN_SUBSET UINT32_MAX

struct pyr_id_subset {
	uint64_t *bits;   /* by id */
	uint32_t *before; /* members before each word of bits */
	uint32_t nodes;   /* ids are below this */
	uint32_t count;
};

/* @ids: sorted, without repetition, below @nodes. */
pyr_error *pyr_id_subset_create(struct pyr_control *control, const uint32_t *ids, uint32_t count,
				uint32_t nodes, struct pyr_id_subset *ret);
void pyr_id_subset_deinit(struct pyr_id_subset *subset);

static inline uint32_t pyr_id_subset_place(const struct pyr_id_subset *s, uint32_t id)
{
	uint64_t word = s->bits[id / 64], bit = UINT64_C(1) << id % 64;

	return word & bit ? s->before[id / 64] + pyr_bits_set(word & (bit - 1)) : PYR_NOT_IN_SUBSET;
}

#endif
