/* How a worker walks the objects of each type by their addresses, found once per type. */
#ifndef PYR_ANALYSIS_COLLECTION_WALK_CACHE_H
#define PYR_ANALYSIS_COLLECTION_WALK_CACHE_H

#include "objects/classify.h"
#include "references/refs_plan.h"

struct pyr_cached_walk {
	struct pyr_type_facts *kind; /* NULL: not asked yet */
	const struct pyr_traverse_plan *plan;
	enum pyr_walked walked;
};

struct pyr_walk_cache {
	struct pyr_classifier *classifier; /* borrowed: the worker's */
	struct pyr_refs *refs;             /* borrowed */
	struct pyr_cached_walk *at;        /* by type index */
	uint32_t count;
};

/* The slow half of the two below. */
struct pyr_cached_walk *pyr_walk_cache_make(struct pyr_walk_cache *walk_cache,
					    struct pyr_type_facts *kind);
struct pyr_cached_walk *pyr_walk_cache_make_at(struct pyr_walk_cache *walk_cache, uint32_t type);
void pyr_walk_cache_deinit(struct pyr_walk_cache *walk_cache);

/* Of the objects of the kind; NULL without memory. An answer is good until the next is asked
 * for. */
static inline struct pyr_cached_walk *pyr_walk_cache_of(struct pyr_walk_cache *walk_cache,
							struct pyr_type_facts *kind)
{
	return kind->index < walk_cache->count && walk_cache->at[kind->index].kind
		       ? &walk_cache->at[kind->index]
		       : pyr_walk_cache_make(walk_cache, kind);
}

/* Of the objects of the type with this index. */
static inline struct pyr_cached_walk *pyr_walk_cache_at(struct pyr_walk_cache *walk_cache,
							uint32_t type)
{
	return type < walk_cache->count && walk_cache->at[type].kind
		       ? &walk_cache->at[type]
		       : pyr_walk_cache_make_at(walk_cache, type);
}

#endif
