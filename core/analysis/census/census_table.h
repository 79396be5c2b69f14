/* Tallies by type, generation and size while a census is taken; for census.c and
 * census_heap.c. */
#ifndef PYR_ANALYSIS_CENSUS_CENSUS_TABLE_H
#define PYR_ANALYSIS_CENSUS_CENSUS_TABLE_H

#include "analysis/census/census.h"
#include "objects/classify.h"

/* A set of objects, counted by type and by size. */
struct pyr_census_tally {
	struct pyr_tally *types; /* by type index */
	uint32_t type_count;
	struct pyr_tally sizes[PYR_CENSUS_SIZES];
};

/* Make room for type @index. */
bool pyr_census_tally_reserve(struct pyr_census_tally *t, uint32_t index);
/* Add @count objects of @bytes together. */
bool pyr_census_tally_add(struct pyr_census_tally *t, uint32_t type, uint64_t count,
			  uint64_t bytes);
/* @t += @other, or @t -= @other; differences below 0 become 0. */
bool pyr_census_tally_merge(struct pyr_census_tally *t, const struct pyr_census_tally *other);
bool pyr_census_tally_subtract(struct pyr_census_tally *t, const struct pyr_census_tally *other);
uint64_t pyr_census_tally_count(const struct pyr_census_tally *t);
void pyr_census_tally_deinit(struct pyr_census_tally *t);

static inline unsigned pyr_census_size_class(uint64_t size)
{
	return size <= 1 ? 0
	       : 64 - (unsigned)__builtin_clzll(size - 1) < PYR_CENSUS_SIZES
		       ? 64 - (unsigned)__builtin_clzll(size - 1)
		       : PYR_CENSUS_SIZES - 1;
}

/* Rows, sums and sizes of @ret: the objects of @selected; gc_count from @gc. */
pyr_error *pyr_census_fill(struct pyr_types *types, const struct pyr_census_tally *selected,
			   const struct pyr_census_tally *gc, const bool *inexact,
			   uint32_t inexact_count, struct pyr_census *ret);

#endif
