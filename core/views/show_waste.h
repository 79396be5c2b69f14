/* memory --waste: bytes that need not be. */
#ifndef PYR_VIEWS_SHOW_WASTE_H
#define PYR_VIEWS_SHOW_WASTE_H

#include "command/context.h"

/* The whole answer. @holders: say of each object who holds it (that needs every reference
 * of the heap). */
pyr_error *pyr_show_waste(struct pyr_context *context, bool holders);

#endif
