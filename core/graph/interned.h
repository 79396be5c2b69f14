/* The table of interned strings where no symbol tells its place (until 3.11 it is a
 * static variable): found by what it is. */
#ifndef PYR_GRAPH_INTERNED_H
#define PYR_GRAPH_INTERNED_H

#include "objects/heap.h"

/* *@ret is its address, 0 where none was found. Calling thread only. */
pyr_error *pyr_interned_find(struct pyr_heap *heap, struct pyr_control *control, pyr_addr *ret);

#endif
