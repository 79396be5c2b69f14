/* A range of addresses. */
#ifndef PYR_BASE_RANGE_H
#define PYR_BASE_RANGE_H

#include "base/vec.h"

struct pyr_range {
	uint64_t start, end; /* `end` is the first address behind it */
};
struct pyr_range_list {
	PYR_VEC(struct pyr_range) v;
};

#endif
