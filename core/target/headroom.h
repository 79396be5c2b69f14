/* How much memory and disk space may be taken without hurting anybody: the
 * machine's free memory, the limits of our control groups (version 1 and 2) and
 * of this process, and where a copy of a process's memory may lie. */
#ifndef PYR_TARGET_HEADROOM_H
#define PYR_TARGET_HEADROOM_H

#include "target/procfs.h"

#define PYR_UNLIMITED UINT64_MAX

struct pyr_headroom {
	uint64_t memory; /* bytes that we may allocate */
	uint64_t shared; /* what is left under limits that bind both us and the target */
	char *group;     /* the control group that `shared` speaks of; owned, or NULL */
};

void pyr_headroom_measure(const struct pyr_process *process, struct pyr_headroom *ret);
void pyr_headroom_deinit(struct pyr_headroom *room);

/* What a whole analysis of @resident bytes of Python memory takes of ours,
 * without the copy. */
uint64_t pyr_analysis_estimate(uint64_t resident);

enum pyr_copy_place {
	PYR_COPY_IN_MEMORY,
	PYR_COPY_IN_FILE,
	PYR_COPY_NOWHERE, /* read in place */
};

/* In memory when the copy is small against what is free, else in a file when
 * the disk has room, else nowhere. */
enum pyr_copy_place pyr_copy_place(uint64_t resident, uint64_t free_memory, uint64_t free_disk);

/* Free bytes for a file in @dir; 0 for file systems that are memory (tmpfs,
 * ramfs) or that cannot be written. */
uint64_t pyr_disk_room(const char *dir);
/* @tmpdir, else $TMPDIR, else /var/tmp (the first that is on a disk), or /tmp. */
const char *pyr_copy_directory(const char *tmpdir);

/* --- the parsers, for tests --- */

/* Where the memory controller of a process is mounted, from the texts of
 * mountinfo and /proc/PID/cgroup: the mount point and the group's path below
 * it ("" for the root). Caller frees both. */
bool pyr_cgroup_locate(const char *mountinfo, const char *cgroup, bool *v2, char **mount,
		       char **path);

#endif
