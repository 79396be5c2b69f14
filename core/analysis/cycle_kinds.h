/* A number for each cycle, the same for cycles that are alike in types and names.
 *
 * Names take asking the objects again. So first all cycles are told apart by what the
 * model knows: types, kinds of references and, of attributes, which one in the
 * object's order it is. Then names are asked of a sample of each kind, and of all its
 * cycles when the sample disagrees. */
#ifndef PYR_ANALYSIS_CYCLE_KINDS_H
#define PYR_ANALYSIS_CYCLE_KINDS_H

#include "analysis/cycles.h"

struct pyr_cycle_kind {
	uint64_t kind;
	uint32_t component;
};

/* One entry for each component that is a cycle, by kind and then component. @ret is
 * the caller's to free. */
pyr_error *pyr_cycle_kinds(const struct pyr_cycles *cycles, struct pyr_control *control,
			   struct pyr_cycle_kind **ret, uint32_t *count);

#endif
