/* What the two ways to look at a live process share: as its own target, and as
 * the faster way to what a debugger shows. */
#ifndef PYR_TARGET_LIVE_H
#define PYR_TARGET_LIVE_H

#include "target/live_copy.h"
#include "target/procfs.h"
#include "target/target.h"

/* The mappings and what is resident of them, at one moment. */
struct pyr_live_view {
	struct pyr_vma_list vmas;
	struct pyr_copy_plan plan;
};
/* @root and @code as for pyr_copy_plan_make(). */
pyr_error *pyr_live_look(const struct pyr_process *process, const char *root, bool code,
			 struct pyr_live_view *ret);
void pyr_live_view_deinit(struct pyr_live_view *view);

/* Fill in pid, machine, executable, name and auxiliary vector. */
pyr_error *pyr_live_describe(struct pyr_target *target, const struct pyr_process *process);
pyr_error *pyr_live_add_mappings(struct pyr_target *target, const struct pyr_vma_list *vmas);

#endif
