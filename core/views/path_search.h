/* Paths from roots to one object, one after another, each apart from those before. */
#ifndef PYR_VIEWS_PATH_SEARCH_H
#define PYR_VIEWS_PATH_SEARCH_H

#include "views/printable_path.h"

struct pyr_path_search_edge {
	uint32_t from, to;
};

struct pyr_path_search {
	struct pyr_context *context;
	struct pyr_retention_cache *retention;
	const struct pyr_value *exclude; /* REGEX, or NULL */
	uint32_t target;
	unsigned phase; /* of the search under way; roots of later phases do not count */
	/* What no further path may use. */
	PYR_VEC(uint32_t) nodes;
	PYR_VEC(struct pyr_path_search_edge) edges;
	PYR_VEC(size_t) roots; /* indices into retention->roots */
	uint64_t looked;       /* nodes that the last search saw */
	bool failed;           /* without memory */
};

/* @exclude may be NULL. */
void pyr_path_search_init(struct pyr_path_search *finder, struct pyr_context *context,
			  struct pyr_retention_cache *retention, uint32_t target,
			  const struct pyr_value *exclude);
void pyr_path_search_deinit(struct pyr_path_search *finder);

/* The most telling path that is still allowed; @ret->count is 0 when there is none.
 * *@root is where it begins. Roots of the phases 0 .. @last_phase count, those of a
 * later phase only when there is no path from an earlier one. */
pyr_error *pyr_path_search_next(struct pyr_path_search *finder, unsigned last_phase,
				struct pyr_path *ret, const struct pyr_root **root);
/* Let no further path share the inside of this one (modules and their namespaces do not
 * count); where there is no inside, the last reference or the root. */
void pyr_path_search_block(struct pyr_path_search *finder, const struct pyr_path *path,
			   const struct pyr_root *root);
/* Is there a path from exact or lasting roots to the target without the reference from
 * @from to @to (or, with @root, without this root)? */
pyr_error *pyr_path_search_is_needed(struct pyr_context *context,
				     struct pyr_retention_cache *retention, uint32_t target,
				     uint32_t from, uint32_t to, const struct pyr_root *root,
				     bool *ret);

#endif
