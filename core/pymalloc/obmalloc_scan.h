/* Pools without the allocator's state: the last way to find arenas, for cores
 * that lost the interpreter's data (a truncated core keeps the heap longest). */
#ifndef PYR_PYMALLOC_OBMALLOC_SCAN_H
#define PYR_PYMALLOC_OBMALLOC_SCAN_H

#include "pymalloc/obmalloc.h"

/* Append runs of adjacent pools as arenas (without an arena_object) and set the
 * source, if there are any. */
pyr_error *pyr_obmalloc_scan(struct pyr_python *python, struct pyr_obmalloc *obmalloc);

#endif
