/* The cycles among some objects: strongly connected components, like ones grouped, each
 * group with one ring of references as its example.
 *
 * A component counts as a cycle when its objects reach themselves. What cycles hold
 * besides (objects of the set that are in none) is added to the first cycle that leads
 * to it (cycle_pieces.h). Two cycles are alike when their rings have the same shape
 * (ring.h). Shapes are computed for one cycle of each *kind*: the set of its references,
 * each by the types at both ends and its name; see cycle_kinds.h. */
#ifndef PYR_ANALYSIS_COLLECTION_CYCLES_H
#define PYR_ANALYSIS_COLLECTION_CYCLES_H

#include "analysis/collection/cycle_pieces.h"
#include "analysis/collection/ring.h"
#include "analysis/collection/id_subset.h"

struct pyr_cycle_group {
	char *shape;       /* owned */
	uint64_t cycles;   /* components */
	uint64_t members;  /* objects in them */
	uint64_t objects;  /* and what they hold besides */
	uint64_t bytes;    /* of all */
	uint32_t *example; /* one of the cycles, a small one: ids, sorted; owned */
	uint32_t example_count;
	struct pyr_ring ring; /* in the example */
};

struct pyr_cycles {
	struct pyr_model *model;                /* borrowed */
	const uint32_t *objects;                /* ids, sorted; borrowed */
	uint32_t count;                         /* of them */
	const struct pyr_id_subset *subset;     /* the same; borrowed */
	struct pyr_cycle_places found;          /* until they are in groups */
	uint64_t with_modules;                  /* cycles that were left out */
	PYR_VEC(struct pyr_cycle_group) groups; /* most bytes first */
};

/* @weights: by place, bytes; NULL: none. @besides: what cycles hold besides counts with
 * them. @without_modules: leave out cycles that modules are part of. Calling thread only. */
pyr_error *pyr_cycles_find(struct pyr_model *model, struct pyr_control *control,
			   const uint32_t *objects, uint32_t count,
			   const struct pyr_id_subset *subset, const uint64_t *weights,
			   bool besides, bool without_modules, struct pyr_cycles *ret);
void pyr_cycles_deinit(struct pyr_cycles *cycles);

#endif
