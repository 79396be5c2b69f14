/* Strongly connected components: sets of nodes that all reach one another.
 *
 * Tarjan's algorithm (SIAM J. Comput. 1(2), 1972) without recursion, over the
 * whole graph or the nodes that @member marks. 17 bytes per node while it runs. */
#ifndef PYR_ANALYSIS_COMPONENTS_H
#define PYR_ANALYSIS_COMPONENTS_H

#include <stdbool.h>

#include "heap/graph.h"

#define PYR_NO_COMPONENT UINT32_MAX

struct pyr_components {
	uint32_t count;
	uint32_t *of;   /* node -> component, in reverse topological order; PYR_NO_COMPONENT
			 * outside of the marked nodes */
	uint32_t *size; /* component -> number of nodes */
};

/* @member: a byte per node, nonzero: take part; NULL: all do. */
pyr_error *pyr_components_compute(struct pyr_control *control, const struct pyr_graph *graph,
				  const uint8_t *member, struct pyr_components *ret);
void pyr_components_deinit(struct pyr_components *components);

#endif
