/* A copy of the memory that a process holds alone: anonymous pages and its own
 * versions of file pages, as far as they are in memory or in swap. Never
 * touched pages of anonymous mappings are zeros in the copy and cost nothing.
 *
 * A plan says what is there; a pass brings the copy up to a plan, storing only
 * what differs from the pass before. */
#ifndef PYR_TARGET_LIVE_COPY_H
#define PYR_TARGET_LIVE_COPY_H

#include "target/headroom.h"
#include "target/procfs.h"

/* A stretch of one mapping. */
struct pyr_traverse_plan_piece {
	pyr_addr start, end;
	bool zeros; /* anonymous: what is not in `ranges` reads as zeros */
	size_t first_range, range_count;
};

struct pyr_copy_plan {
	PYR_VEC(struct pyr_traverse_plan_piece) pieces; /* sorted */
	struct pyr_range_list ranges;                   /* sorted; every one lies in a piece */
	uint64_t bytes;                                 /* of all ranges */
	uint64_t swapped;                               /* pages of them that are in swap */
};

/* What to copy, judged by the mappings and the pagemap. @root: prefix for the
 * paths of files (pyr_process_root), or NULL; pages of files that are not there
 * any more are copied, too. @code: also pages of mapped programs; debuggers
 * leave breakpoints in those. */
pyr_error *pyr_copy_plan_make(const struct pyr_process *process, const struct pyr_vma_list *vmas,
			      const char *root, bool code, struct pyr_copy_plan *ret);
void pyr_copy_plan_deinit(struct pyr_copy_plan *plan);
/* Is the file of a mapping here the one that is mapped? */
bool pyr_vma_file_here(const struct pyr_vma *vma, const char *root);

struct pyr_copy;

/* @place is IN_MEMORY or IN_FILE (a nameless file in @dir). @process is
 * borrowed. */
pyr_error *pyr_copy_create(struct pyr_control *control, const struct pyr_process *process,
			   enum pyr_copy_place place, const char *dir, struct pyr_copy **ret);
void pyr_copy_destroy(struct pyr_copy *copy); /* NULL is allowed */

struct pyr_copy_pass {
	const char *phase; /* for progress; NULL: silent */
	/* Asked behind every read: does the read count? On false the pass ends
	 * with what it has. NULL: always. */
	bool (*counts)(void *ctx);
	void *ctx;
};

/* What a pass did, in bytes. */
struct pyr_copy_result {
	uint64_t read, changed;
	uint64_t unread;  /* of the plan, because `counts` said no */
	uint64_t refused; /* the kernel could not give them */
};

pyr_error *pyr_copy_run(struct pyr_copy *copy, const struct pyr_copy_plan *plan,
			const struct pyr_copy_pass *pass, struct pyr_copy_result *ret);

/* Add the copy, as of the last pass, whose plan this was. The bytes live as
 * long as the copy. */
pyr_error *pyr_copy_add_segments(const struct pyr_copy *copy, const struct pyr_copy_plan *plan,
				 struct pyr_target *target);

#endif
