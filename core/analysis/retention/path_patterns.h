/* The paths of many objects, those of one shape as one.
 *
 * The shape of a path is what a person would say of all of them: names stay, and keys
 * and indices that differ from object to object become […]: `app.cache.SESSIONS[…].user`.
 * A chain that repeats itself (a linked list) has the shape of one round.
 *
 * Shapes are made along the tree of paths (paths.h), once for each object on it, without
 * recursion: a path of ten million steps is no longer than another. */
#ifndef PYR_ANALYSIS_RETENTION_PATH_PATTERNS_H
#define PYR_ANALYSIS_RETENTION_PATH_PATTERNS_H

#include "analysis/retention/edge_costs.h"
#include "base/vec.h"

#define PYR_SHAPE_NONE UINT32_MAX

struct pyr_merged_row {
	uint32_t shape, type; /* type: index; shape PYR_SHAPE_NONE: nothing holds them */
	uint64_t count, bytes;
	uint32_t example; /* an object */
	char *text;       /* "app.cache.SESSIONS[…].user"; owned; NULL: nothing holds them */
};

struct pyr_merged {
	PYR_VEC(struct pyr_merged_row) rows; /* by count, descending */
	uint64_t count, bytes;
};

/* All objects whose type is marked (@wanted by type index, @types long), over a tree of
 * paths of the model. 4 bytes per object while it runs. */
pyr_error *pyr_merged_compute(struct pyr_model *model, const struct pyr_roots *roots,
			      const struct pyr_edge_costs *edge_costs,
			      const struct pyr_path_tree *tree, const bool *wanted, uint32_t types,
			      struct pyr_control *control, struct pyr_merged *ret);
void pyr_merged_deinit(struct pyr_merged *merged);

#endif
