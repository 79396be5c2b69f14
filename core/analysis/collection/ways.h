/* How a worker walks the objects of each type by their addresses, found once per type. */
#ifndef PYR_ANALYSIS_COLLECTION_WAYS_H
#define PYR_ANALYSIS_COLLECTION_WAYS_H

#include "objects/classify.h"
#include "references/refs_internal.h"

struct pyr_way_of {
	struct pyr_kind *kind; /* NULL: not asked yet */
	const struct pyr_plan *plan;
	enum pyr_walked walked;
};

struct pyr_ways {
	struct pyr_classifier *classifier; /* borrowed: the worker's */
	struct pyr_refs *refs;             /* borrowed */
	struct pyr_way_of *at;             /* by type index */
	uint32_t count;
};

/* The slow half of the two below. */
struct pyr_way_of *pyr_ways_make(struct pyr_ways *ways, struct pyr_kind *kind);
struct pyr_way_of *pyr_ways_make_at(struct pyr_ways *ways, uint32_t type);
void pyr_ways_deinit(struct pyr_ways *ways);

/* Of the objects of the kind; NULL without memory. An answer is good until the next is asked
 * for. */
static inline struct pyr_way_of *pyr_ways_of(struct pyr_ways *ways, struct pyr_kind *kind)
{
	return kind->index < ways->count && ways->at[kind->index].kind ? &ways->at[kind->index]
								       : pyr_ways_make(ways, kind);
}

/* Of the objects of the type with this index. */
static inline struct pyr_way_of *pyr_ways_at(struct pyr_ways *ways, uint32_t type)
{
	return type < ways->count && ways->at[type].kind ? &ways->at[type]
							 : pyr_ways_make_at(ways, type);
}

#endif
