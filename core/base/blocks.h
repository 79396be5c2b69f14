/* Blocks of memory of one huge page each, for streams of which it is not known how long
 * they get: added one after another, and given back to the system in the same order while
 * others are still in use. malloc() would keep what it is given back. */
#ifndef PYR_BASE_BLOCKS_H
#define PYR_BASE_BLOCKS_H

#include "base/large.h"
#include "base/vec.h"

/* A zeroed one is empty. */
struct pyr_blocks {
	PYR_VEC(void *) all;
	size_t released; /* so many of the first ones were given back: they are NULL */
	bool failed;     /* memory ran out: what was to go into more blocks is missing */
};

/* One more, of PYR_HUGE_PAGE zeroed bytes; NULL: no memory, now or before. */
void *pyr_blocks_add(struct pyr_blocks *blocks);
/* Give back all before number @end. */
void pyr_blocks_release(struct pyr_blocks *blocks, size_t end);
void pyr_blocks_deinit(struct pyr_blocks *blocks);

#endif
