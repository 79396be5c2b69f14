/* Where pymalloc's arenas are; for obmalloc.c alone. */
#ifndef PYR_PYMALLOC_OBMALLOC_FIND_H
#define PYR_PYMALLOC_OBMALLOC_FIND_H

#include "pymalloc/obmalloc.h"

/* Fill source, states and arenas of @obmalloc, whose geometry is set. */
pyr_error *pyr_obmalloc_find(struct pyr_python *python, struct pyr_obmalloc *obmalloc);

#endif
