/* Which addresses are C variables: the writable data of the binaries in the target. */
#ifndef PYR_ROOTS_STATICS_H
#define PYR_ROOTS_STATICS_H

#include "base/vec.h"
#include "target/image.h"

struct pyr_static_range {
	pyr_addr start, end;
	const struct pyr_image *image;
};

struct pyr_statics {
	PYR_VEC(struct pyr_static_range) ranges; /* sorted */
};

pyr_error *pyr_statics_init(struct pyr_target *target, struct pyr_statics *ret);
void pyr_statics_deinit(struct pyr_statics *statics);
/* The range that @addr lies in, or NULL. @next (0 at first) makes a walk over rising
 * addresses cheap. */
const struct pyr_static_range *pyr_statics_at(const struct pyr_statics *statics, pyr_addr addr,
					      size_t *next);

#endif
