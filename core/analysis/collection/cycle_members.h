/* The members of one cycle after the other, found from the one that is known of each. */
#ifndef PYR_ANALYSIS_COLLECTION_CYCLE_MEMBERS_H
#define PYR_ANALYSIS_COLLECTION_CYCLE_MEMBERS_H

#include "analysis/collection/cycles.h"

struct pyr_cycle_members {
	const struct pyr_cycles *cycles; /* borrowed; its model, objects, subset and found */
	PYR_VEC(uint32_t) places;        /* of the cycle that was asked for last, sorted */
	uint32_t *index;                 /* place of a member -> index into places */
};

pyr_error *pyr_cycle_members_init(const struct pyr_cycles *cycles, struct pyr_cycle_members *ret);
pyr_error *pyr_cycle_members_find(struct pyr_cycle_members *members, uint32_t cycle);
void pyr_cycle_members_deinit(struct pyr_cycle_members *members);

#endif
