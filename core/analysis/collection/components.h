/* The cycles of a graph or of a part of one: strongly connected components, sets of nodes
 * that all reach one another.
 *
 * Tarjan's algorithm (SIAM J. Comput. 1(2), 1972) without recursion, in Pearce's form
 * (Inf. Process. Lett. 116, 2016), one number per node. Nodes that reach what is outside
 * of the part may be in larger components than can be seen in it: they stay open. */
#ifndef PYR_ANALYSIS_COLLECTION_COMPONENTS_H
#define PYR_ANALYSIS_COLLECTION_COMPONENTS_H

#include "base/control.h"
#include "base/error.h"
#include "base/vec.h"

/* Of a node, beside its row. */
#define PYR_NODE_LEAVES 1u /* it leads out of the part */
#define PYR_NODE_SELF 2u   /* it leads to itself */

/* What `of` says of nodes in no cycle. */
#define PYR_NODE_OPEN UINT32_MAX
#define PYR_NODE_ALONE (UINT32_MAX - 1)
#define PYR_CYCLES_MAX (UINT32_MAX - 2)

/* Zeroed at first; may be used for one part after the other, and keeps its memory. */
struct pyr_components {
	/* To be filled in: node n's successors are out.data[start.data[n]] .. [start.data[n + 1]),
	 * those that are nodes of the part. */
	uint32_t nodes;
	PYR_VEC(uint64_t) start; /* nodes + 1 */
	PYR_VEC(uint32_t) out;
	PYR_VEC(uint8_t) marks; /* PYR_NODE_* */

	/* The answer. */
	PYR_VEC(uint32_t) of;    /* node -> its cycle, PYR_NODE_OPEN or PYR_NODE_ALONE */
	PYR_VEC(uint32_t) sizes; /* cycle -> nodes; cycles come after those that they lead to */
	/* order.data[nodes - closed] .. [nodes): what is not open, each node after the nodes of
	 * other components that lead to it */
	PYR_VEC(uint32_t) order;
	uint32_t closed;

	/* Of the search. */
	PYR_VEC(uint32_t) stack;
	PYR_VEC(uint64_t) cursor;
};

pyr_error *pyr_components_find(struct pyr_components *components,
			       const struct pyr_control *control);
void pyr_components_deinit(struct pyr_components *components);

#endif
