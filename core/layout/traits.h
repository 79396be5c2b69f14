/* Which build has which trait: the one place that looks at version numbers. */
#ifndef PYR_LAYOUT_TRAITS_H
#define PYR_LAYOUT_TRAITS_H

#include "layout/layout.h"

/* Set the traits and type_flags of @layout from its fields and its version. */
void pyr_layout_derive_traits(struct pyr_layout *layout);

#endif
