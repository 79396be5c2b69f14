/* Why unreachable objects are still there: what has kept the collector from them. */
#ifndef PYR_VIEWS_UNCOLLECTED_H
#define PYR_VIEWS_UNCOLLECTED_H

#include "analysis/collection/garbage.h"
#include "base/strbuf.h"

struct pyr_reason {
	const char *name; /* static: "disabled" */
	char *text;       /* that goes on after "because"; owned */
};

struct pyr_uncollected {
	uint64_t by_generation[PYR_GEN_COUNT]; /* the unreachable objects */
	PYR_VEC(struct pyr_reason) reasons;    /* the one that explains most first */
};

pyr_error *pyr_uncollected_why(const struct pyr_garbage *garbage, struct pyr_control *control,
			       struct pyr_uncollected *ret);
void pyr_uncollected_deinit(struct pyr_uncollected *uncollected);

#endif
