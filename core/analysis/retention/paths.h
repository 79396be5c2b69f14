/* Cheapest ways through the graph: from whatever holds an object to the object.
 *
 * Edges cost 0 - PYR_EDGE_COST_MAX; how much decides who calls (edge_costs.h:
 * the more an edge tells a person, the less it costs). With small costs Dijkstra's
 * algorithm needs no heap but a ring of buckets (Dial, CACM 12(11), 1969): linear in
 * the edges that are looked at, without recursion.
 *
 * One path is searched backwards from its end and stops at the nearest source, so
 * that it seldom sees much of a large heap. The tree of all paths is searched
 * forwards, once. */
#ifndef PYR_ANALYSIS_RETENTION_PATHS_H
#define PYR_ANALYSIS_RETENTION_PATHS_H

#include <stdbool.h>

#include "graph/graph.h"

#define PYR_EDGE_COST_MAX 63u
#define PYR_SOURCE_COST_MAX 255u

struct pyr_path_costs {
	/* What graph->out[@edge], an edge of @from, costs. NULL: each costs 1. */
	unsigned (*cost)(void *ctx, uint32_t from, uint64_t edge);
	void *ctx;
};

/* --- one path --- */

struct pyr_path_query {
	uint32_t target;
	/* May a path begin at @node, and at what cost (at most PYR_SOURCE_COST_MAX)? */
	bool (*source)(void *ctx, uint32_t node, unsigned *cost);
	/* May the path go from @from to @to? NULL: it may. Asked only of edges that are
	 * about to be used. */
	bool (*allow)(void *ctx, uint32_t from, uint32_t to);
	void *ctx;
};

struct pyr_path {
	uint32_t *nodes; /* from the source to the target; owned */
	size_t count;    /* 0: there is no path */
	uint64_t cost;   /* the source's included */
	uint64_t looked; /* nodes that were visited */
};

/* @graph needs both directions. 8 bytes per node of address space, of which what is
 * visited is touched. */
pyr_error *pyr_path_find(struct pyr_control *control, const struct pyr_graph *graph,
			 const struct pyr_path_costs *costs, const struct pyr_path_query *query,
			 struct pyr_path *ret);
void pyr_path_deinit(struct pyr_path *path);

/* --- all paths --- */

#define PYR_PATH_NONE UINT32_MAX         /* nothing reaches the node */
#define PYR_PATH_SOURCE (UINT32_MAX - 1) /* its cheapest path begins at itself */

/* Sources of a later phase count only for what those of earlier ones do not reach. */
struct pyr_path_source {
	uint32_t node;
	uint8_t cost, phase;
};

struct pyr_path_tree {
	uint32_t *parent; /* the node before, or one of the two above */
	uint32_t *order;  /* nodes in the order in which they were reached: parents first */
	uint32_t reached;
};

/* @sources by phase. 12 bytes per node while it runs, 8 after. */
pyr_error *pyr_path_tree_build(struct pyr_control *control, const struct pyr_graph *graph,
			       const struct pyr_path_costs *costs,
			       const struct pyr_path_source *sources, size_t source_count,
			       struct pyr_path_tree *ret);
void pyr_path_tree_deinit(struct pyr_path_tree *tree);

#endif
