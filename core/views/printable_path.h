/* A path made ready to be shown: every edge read again from memory, steps that a person
 * takes for one folded (names/display_fold.h), and the whole as one expression,
 * `app.cache.SESSIONS['abc'].user`. */
#ifndef PYR_VIEWS_PRINTABLE_PATH_H
#define PYR_VIEWS_PRINTABLE_PATH_H

#include "command/context.h"
#include "command/retention_cache.h"
#include "names/display_fold.h"

struct pyr_printable_path {
	const struct pyr_root *root; /* borrowed; NULL: the path begins at an object */
	char *root_name;             /* NULL without a root; owned, as all below */
	uint32_t *nodes;
	size_t count;
	/* Of a very long path only the ends are kept when only they are shown: after
	 * nodes[cut - 1], `left` nodes are missing. 0: all are there. */
	size_t cut;
	uint64_t left;
	size_t cut_display;     /* display steps before the gap */
	struct pyr_step *steps; /* count - 1: from nodes[i] to nodes[i + 1] */
	uint64_t *times;        /* by how many references; 0: memory does not show it again */
	struct pyr_display display;
	char *expression;
};

/* Takes over the nodes of @path. */
pyr_error *pyr_printable_path_make(struct pyr_context *context,
				   struct pyr_retention_cache *retention,
				   const struct pyr_root *root, struct pyr_path *path, bool raw,
				   struct pyr_printable_path *ret);
void pyr_printable_path_deinit(struct pyr_printable_path *route);

/* `app.cache.SESSIONS['abc']`: the first @shown display steps as an expression. */
void pyr_printable_path_expression(const struct pyr_printable_path *route,
				   struct pyr_context *context, size_t shown,
				   struct pyr_strbuf *out);
/* "exact", "inferred" or "possible": as the weakest step or the root is. */
const char *pyr_printable_path_certainty(const struct pyr_printable_path *route);
/* The object that a display step leads to, and the one that holds it. */
uint32_t pyr_printable_path_target(const struct pyr_printable_path *route, size_t display_step);
uint32_t pyr_printable_path_owner(const struct pyr_printable_path *route, size_t display_step);

/* One line for each step, cut in the middle at the context's limit. */
void pyr_printable_path_print(struct pyr_context *context, const struct pyr_printable_path *route);
/* {"root": ..., "steps": [...], "folded": [...]}: every reference, and what is shown. */
void pyr_printable_path_json(struct pyr_context *context, const struct pyr_printable_path *route);

#endif
