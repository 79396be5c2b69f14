#include "analysis/ways.h"

#include <stdlib.h>
#include <string.h>

/* Where walking and measuring go from an object. */
static void find_pointers(const struct pyr_ways *ways, struct pyr_way_of *way)
{
	const struct pyr_refs *refs = ways->refs;

	switch (way->kind->type->shape) {
	case PYR_SHAPE_LIST:
		way->pointers[0] = refs->list_items;
		break;
	case PYR_SHAPE_DICT:
		way->pointers[0] = refs->ma_keys;
		way->pointers[1] = refs->ma_values;
		break;
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
		way->pointers[0] = pyr_offset(refs->layout, PySetObject, table);
		break;
	default:
		/* The words before an instance, as pyr_walk_instance_dict() reads them. */
		if (way->plan && way->plan->dict_mode == PYR_DICT_MANAGED_POINTERS)
			way->pointers[0] = -32;
		else if (way->plan && way->plan->dict_mode == PYR_DICT_MANAGED_TAGGED)
			way->pointers[0] = -24;
	}
}

static bool make_room(struct pyr_ways *ways, uint32_t index)
{
	uint32_t count = ways->count ? ways->count : 256;
	struct pyr_way_of *grown;

	if (index < ways->count)
		return true;
	while (count <= index)
		count *= 2;
	grown = realloc(ways->at, count * sizeof(*grown));
	if (!grown)
		return false;
	memset(grown + ways->count, 0, (count - ways->count) * sizeof(*grown));
	ways->at = grown;
	ways->count = count;
	return true;
}

struct pyr_way_of *pyr_ways_make(struct pyr_ways *ways, struct pyr_kind *kind)
{
	struct pyr_reader *reader = &ways->classifier->far;
	enum pyr_coverage coverage;
	struct pyr_way_of *way;

	if (!make_room(ways, kind->index))
		return NULL;
	way = &ways->at[kind->index];
	way->kind = kind;
	way->how = PYR_WALKED_OTHERWISE;
	if ((way->plan = pyr_refs_plan(ways->refs, reader, kind->type))) {
		coverage = pyr_plan_coverage(kind->type, way->plan);
		if ((coverage == PYR_REFS_NATIVE || coverage == PYR_REFS_NONE) &&
		    atomic_load(&way->plan->state) == PYR_PLAN_SETTLED)
			way->how = pyr_refs_nothing(ways->refs, reader, kind->type)
					   ? PYR_WALKED_NEVER
					   : PYR_WALKED_NATIVELY;
	}
	find_pointers(ways, way);
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
