/* why --type: the paths of all objects of some types, those of one shape as one row. */
#ifndef PYR_VIEWS_WHY_PATTERNS_H
#define PYR_VIEWS_WHY_PATTERNS_H

#include "command/context.h"

/* @type: a REGEX for type names. */
pyr_error *pyr_why_merged(struct pyr_context *context, const struct pyr_value *type);

#endif
