/* The collector's own algorithm on a snapshot: which objects does nothing outside of
 * the set that it looks at hold, directly or through others of the set?
 *
 * deduce_unreachable() of Modules/gcmodule.c (3.12-) and Python/gc.c: every object of
 * the set starts with its reference count (update_refs()); every reference that a
 * tp_traverse of the set visits takes one off its target (subtract_refs()); what is
 * left over is held from outside, and with it all that can be reached from it
 * (move_unreachable()). The rest is garbage.
 *
 * Only exact references are taken off. Inferred ones keep alive; so does a count that
 * fell below zero, which no heap that makes sense has. So nothing is ever called
 * garbage falsely. */
#ifndef PYR_ANALYSIS_COLLECTION_COLLECTOR_H
#define PYR_ANALYSIS_COLLECTION_COLLECTOR_H

#include <stdbool.h>

#include "graph/graph.h"
#include "objects/heap.h"

struct pyr_collector_input {
	const struct pyr_graph *graph;
	const uint8_t *flags; /* by out edge, as in struct pyr_model */
	/* Follow inferred references as the collector would follow visited ones: the most
	 * that could be garbage, were every guess right. */
	bool believe_inferred;
	unsigned workers;
};

struct pyr_collector_result {
	uint32_t *objects; /* unreachable, by id; owned */
	uint32_t count;
	uint64_t negative; /* objects that were visited more often than they are counted */
	uint32_t first_negative;
};

/* @refs: by object, its reference count, or PYR_COUNT_NONE outside of the set; used up. Memory
 * while it runs: nothing but what is still to be visited. */
pyr_error *pyr_collector_run(struct pyr_control *control, const struct pyr_collector_input *input,
			     int32_t *refs, struct pyr_collector_result *ret);
void pyr_collector_result_deinit(struct pyr_collector_result *result);

#endif
