#include "analysis/collection/walk_cache.h"

#include <stdlib.h>
#include <string.h>

struct pyr_cached_walk *pyr_walk_cache_make(struct pyr_walk_cache *ways,
					    struct pyr_type_facts *kind)
{
	struct pyr_cached_walk *way;

	if (!pyr_array_reach((void **)&ways->at, &ways->count, kind->index, sizeof(*ways->at)))
		return NULL;
	way = &ways->at[kind->index];
	way->kind = kind;
	way->walked = pyr_refs_walked(ways->refs, &ways->classifier->far, kind->type, &way->plan);
	return way;
}

struct pyr_cached_walk *pyr_walk_cache_make_at(struct pyr_walk_cache *ways, uint32_t type)
{
	const struct pyr_type *t = pyr_types_at(ways->classifier->types, type);
	struct pyr_type_facts *kind = t ? pyr_classifier_kind(ways->classifier, t->address) : NULL;

	return kind ? pyr_walk_cache_make(ways, kind) : NULL;
}

void pyr_walk_cache_deinit(struct pyr_walk_cache *ways)
{
	free(ways->at);
	memset(ways, 0, sizeof(*ways));
}
