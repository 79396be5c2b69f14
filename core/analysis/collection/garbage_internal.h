/* Shared by the files of garbage.h alone. */
#ifndef PYR_ANALYSIS_COLLECTION_GARBAGE_INTERNAL_H
#define PYR_ANALYSIS_COLLECTION_GARBAGE_INTERNAL_H

#include "analysis/collection/garbage.h"

/* Fill what would be done with the set: legacy, finalizers, finalizer_reachable, callbacks.
 * `objects` and `subset` are filled. Calling thread only. */
pyr_error *pyr_garbage_consequences(struct pyr_garbage *garbage, struct pyr_control *control);

#endif
