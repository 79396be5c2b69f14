/* Dominator tree and retained sizes.
 *
 * Node d dominates node n when every path from the roots to n goes through d;
 * were d gone, n would be unreachable. The immediate dominator is the last such
 * d before n. A node's retained size is its own and that of all it dominates.
 *
 * Semi-NCA (Georgiadis, Tarjan, Werneck: Finding Dominators in Practice, 2006)
 * without recursion; close to linear on heaps. 41 bytes per node at the peak, the
 * results' 12 included. */
#ifndef PYR_ANALYSIS_RETENTION_DOMINATORS_H
#define PYR_ANALYSIS_RETENTION_DOMINATORS_H

#include "graph/graph.h"

#define PYR_DOMINATED_BY_ROOTS (UINT32_MAX - 1) /* held from several places, or a root itself */
#define PYR_NOT_REACHABLE UINT32_MAX

struct pyr_dominators {
	uint32_t *parent;   /* immediate dominator, or one of the two above */
	uint64_t *retained; /* bytes; 0 for nodes that are not reachable */
};

/* @graph needs both directions. @roots may repeat; @sizes are shallow bytes per
 * node. */
pyr_error *pyr_dominators_compute(struct pyr_control *control, const struct pyr_graph *graph,
				  const uint32_t *roots, size_t root_count, const uint64_t *sizes,
				  struct pyr_dominators *ret);
/* Roots in @phases: those of phase i end at roots[phase_ends[i]]. A root counts only if
 * nothing of an earlier phase reaches it; *@reached (may be NULL, else @phases long) is
 * how many nodes each phase reached that no earlier one did. */
pyr_error *pyr_dominators_compute_phased(struct pyr_control *control, const struct pyr_graph *graph,
					 const uint32_t *roots, const size_t *phase_ends,
					 size_t phases, const uint64_t *sizes, uint32_t *reached,
					 struct pyr_dominators *ret);
void pyr_dominators_deinit(struct pyr_dominators *dominators);

#endif
