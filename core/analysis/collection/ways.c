#include "analysis/collection/ways.h"

#include <stdlib.h>
#include <string.h>

struct pyr_way_of *pyr_ways_make(struct pyr_ways *ways, struct pyr_kind *kind)
{
	struct pyr_way_of *way;

	if (!pyr_array_reach((void **)&ways->at, &ways->count, kind->index, sizeof(*ways->at)))
		return NULL;
	way = &ways->at[kind->index];
	way->kind = kind;
	way->walked = pyr_refs_walked(ways->refs, &ways->classifier->far, kind->type, &way->plan);
	return way;
}

struct pyr_way_of *pyr_ways_make_at(struct pyr_ways *ways, uint32_t type)
{
	const struct pyr_type *t = pyr_types_at(ways->classifier->types, type);
	struct pyr_kind *kind = t ? pyr_classifier_kind(ways->classifier, t->address) : NULL;

	return kind ? pyr_ways_make(ways, kind) : NULL;
}

void pyr_ways_deinit(struct pyr_ways *ways)
{
	free(ways->at);
	memset(ways, 0, sizeof(*ways));
}
