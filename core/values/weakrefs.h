/* Weak references to an object: a list that hangs on the object itself. */
#ifndef PYR_VALUES_WEAKREFS_H
#define PYR_VALUES_WEAKREFS_H

#include "types/types.h"

/* Call @fn for each weak reference (or proxy) to the object at @addr until it answers
 * false; _PyWeakref_GetWeakrefCount(), Objects/weakrefobject.c. Stops where the list
 * contradicts itself; false then. */
bool pyr_weakrefs_each(struct pyr_types *types, struct pyr_reader *reader,
		       const struct pyr_type *type, pyr_addr addr,
		       bool (*fn)(void *ctx, pyr_addr weakref), void *ctx);

#endif
