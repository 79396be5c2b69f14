/* A number for each cycle, the same for cycles that are alike in types and names.
 *
 * Names take asking the objects again. So first all cycles are told apart by what the
 * model knows: types, kinds of references and, of attributes, which one in the
 * object's order it is. Then names are asked of a sample of each kind, and of all its
 * cycles when the sample disagrees. */
#ifndef PYR_ANALYSIS_COLLECTION_CYCLE_KINDS_H
#define PYR_ANALYSIS_COLLECTION_CYCLE_KINDS_H

#include "analysis/collection/cycle_members.h"

/* What the model knows: zeroed, then model set; its kind_of takes it as ctx. */
struct pyr_cycle_rough {
	const struct pyr_model *model;
	struct pyr_cycle_keys {
		PYR_VEC(uint64_t) v;
		bool out_of_memory;
	} keys[PYR_CYCLE_WORKERS_MAX];
};

pyr_error *pyr_cycle_rough_kind(void *ctx, unsigned worker, const struct pyr_cycle_view *view,
				uint64_t *ret);
void pyr_cycle_rough_deinit(struct pyr_cycle_rough *rough);

/* Turns found.kind from what the model knows into what names tell as well. @order, the
 * caller's to free: the cycles, like ones together. */
pyr_error *pyr_cycle_kinds(struct pyr_cycles *cycles, struct pyr_cycle_members *members,
			   struct pyr_control *control, uint32_t **order);

#endif
