/* The cycles among some objects: strongly connected components, like ones grouped, each
 * group with one ring of references as its example.
 *
 * A component counts as a cycle when its objects reach themselves. What cycles hold
 * besides (objects of the set that are in none) is added to the first cycle that leads
 * to it. Two cycles are alike when their rings have the same shape (ring.h). Shapes are
 * computed for one cycle of each *kind*: the set of its references, each by the types
 * at both ends and its name; see cycle_kinds.h. */
#ifndef PYR_ANALYSIS_CYCLES_H
#define PYR_ANALYSIS_CYCLES_H

#include "analysis/components.h"
#include "analysis/ring.h"
#include "analysis/subset.h"

#define PYR_NO_CYCLE UINT32_MAX

struct pyr_cycle_group {
	char *shape;      /* owned */
	uint64_t cycles;  /* components */
	uint64_t members; /* objects in them */
	uint64_t objects; /* and what they hold besides */
	uint64_t bytes;   /* of all */
	uint32_t example; /* a component */
	struct pyr_ring ring;
};

struct pyr_cycles {
	struct pyr_model *model; /* borrowed */
	const uint32_t *objects; /* ids, sorted; borrowed */
	uint32_t count;          /* of them */
	struct pyr_graph graph;  /* visited references among them, by place in `objects` */
	struct pyr_components components;
	uint32_t *start;  /* by component: its first place in order[] */
	uint32_t *order;  /* places by component */
	uint32_t *holder; /* by place: the cycle it belongs to or hangs off; PYR_NO_CYCLE */
	uint32_t *group;  /* by component: index into groups; PYR_NO_CYCLE: no cycle */
	PYR_VEC(struct pyr_cycle_group) groups; /* most bytes first */
};

/* @weights: by place, bytes; NULL: none. @besides: what cycles hold besides counts with
 * them. Calling thread only. */
pyr_error *pyr_cycles_find(struct pyr_model *model, struct pyr_control *control,
			   const uint32_t *objects, uint32_t count, const struct pyr_subset *subset,
			   const uint64_t *weights, bool besides, struct pyr_cycles *ret);
void pyr_cycles_deinit(struct pyr_cycles *cycles);

static inline bool pyr_cycles_is_cycle(const struct pyr_cycles *c, uint32_t component)
{
	uint32_t place = c->order[c->start[component]];
	uint64_t e;

	if (c->components.size[component] > 1)
		return true;
	for (e = c->graph.out_start[place]; e < c->graph.out_start[place + 1]; e++)
		if (c->graph.out[e] == place)
			return true;
	return false;
}

#endif
