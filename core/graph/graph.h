/* A directed graph over dense ids in compressed rows, one way or both.
 *
 * Node n's successors are out[out_start[n]] .. out[out_start[n + 1]) with
 * multiplicity; its predecessors likewise in `in`. 8 bytes per node and 4 per
 * edge and direction. */
#ifndef PYR_GRAPH_GRAPH_H
#define PYR_GRAPH_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "base/control.h"
#include "base/error.h"

struct pyr_graph {
	uint32_t nodes;
	uint64_t edges;
	uint64_t *out_start, *in_start; /* nodes + 1 each; in_start NULL: no reverse */
	uint32_t *out, *in;
};

/* Tell every successor of @node with @add; called twice per node, from several
 * threads when @workers > 1, and must tell the same both times. */
struct pyr_graph_source {
	void *ctx;
	unsigned workers;
	uint32_t nodes;
	void (*successors)(void *ctx, unsigned worker, uint32_t node,
			   void (*add)(void *sink, uint32_t successor), void *sink);
};

pyr_error *pyr_graph_build(struct pyr_control *control, const struct pyr_graph_source *source,
			   struct pyr_graph *ret);
/* Add the predecessors. */
pyr_error *pyr_graph_reverse(struct pyr_control *control, struct pyr_graph *graph);
void pyr_graph_deinit(struct pyr_graph *graph);

#endif
