/* Which pages of a live process were in memory, and which in swap, at the instant of
 * its copy: what the kernel counts as its resident set, page by page. */
#ifndef PYR_TARGET_RESIDENCY_H
#define PYR_TARGET_RESIDENCY_H

#include "target/procfs.h"

enum pyr_page_kind {
	PYR_PAGE_OWN,     /* anonymous: the process's own, or shared with a fork's other side */
	PYR_PAGE_FILE,    /* of a file or of shared memory */
	PYR_PAGE_SWAPPED, /* not in memory */
	PYR_PAGE_KINDS
};

struct pyr_resident {
	pyr_addr start, end;
	enum pyr_page_kind kind;
};

struct pyr_residency {
	PYR_VEC(struct pyr_resident) ranges; /* sorted */
	bool known;                          /* the pagemap could be read */
	/* /proc/PID/smaps_rollup of the same instant, bytes; has_rollup false: not there. */
	bool has_rollup;
	uint64_t rss, pss, anonymous, swap, lazy_free, huge;
};

/* The process should stand still. */
pyr_error *pyr_residency_read(const struct pyr_process *process, const struct pyr_vma_list *vmas,
			      struct pyr_residency *ret);
void pyr_residency_deinit(struct pyr_residency *residency);

#endif
