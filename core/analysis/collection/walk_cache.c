#include "analysis/collection/walk_cache.h"

#include <stdlib.h>
#include <string.h>

struct pyr_cached_walk *pyr_walk_cache_make(struct pyr_walk_cache *walk_cache,
					    struct pyr_type_facts *kind)
{
	struct pyr_cached_walk *way;

	if (!pyr_array_reach((void **)&walk_cache->at, &walk_cache->count, kind->index,
			     sizeof(*walk_cache->at)))
		return NULL;
	way = &walk_cache->at[kind->index];
	way->kind = kind;
	way->walked = pyr_refs_walked(walk_cache->refs, &walk_cache->classifier->far, kind->type,
				      &way->plan);
	return way;
}

struct pyr_cached_walk *pyr_walk_cache_make_at(struct pyr_walk_cache *walk_cache, uint32_t type)
{
	const struct pyr_type *t = pyr_types_at(walk_cache->classifier->types, type);
	struct pyr_type_facts *kind =
		t ? pyr_classifier_kind(walk_cache->classifier, t->address) : NULL;

	return kind ? pyr_walk_cache_make(walk_cache, kind) : NULL;
}

void pyr_walk_cache_deinit(struct pyr_walk_cache *walk_cache)
{
	free(walk_cache->at);
	memset(walk_cache, 0, sizeof(*walk_cache));
}
