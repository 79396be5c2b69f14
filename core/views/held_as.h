/* Who holds an object, in one line: `app.cache.SESSIONS['abc']`, the most telling path of
 * `why` as an expression. For lists of objects. */
#ifndef PYR_VIEWS_HELD_AS_H
#define PYR_VIEWS_HELD_AS_H

#include "command/retention_cache.h"
#include "command/context.h"

/* *@ret is the caller's; NULL when nothing was found that holds the object @id. */
pyr_error *pyr_holder_find(struct pyr_context *context, struct pyr_retention_cache *retention,
			   uint32_t id, char **ret);

#endif
