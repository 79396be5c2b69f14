/* One process as /proc shows it. The process is held by a descriptor of its
 * /proc directory, so a recycled pid is never mistaken for it: everything read
 * through a dead one answers PYR_E_TARGET_GONE.
 *
 * Nothing here stops or changes the process. */
#ifndef PYR_TARGET_PROCFS_H
#define PYR_TARGET_PROCFS_H

#include "base/range.h"
#include "target/target.h"

struct pyr_process {
	pid_t pid;     /* the thread group's */
	int dir;       /* /proc/PID */
	int mem;       /* /proc/PID/mem; -1: not permitted */
	int pagemap;   /* /proc/PID/pagemap; -1: not there */
	bool no_scan;  /* read it as before Linux 6.7, entry by entry */
	char name[16]; /* comm */
	uid_t uid;
	char state;          /* 'R', 'S', 'T', ... when opened */
	pid_t tracer;        /* 0: none */
	uint64_t start_time; /* clock ticks after boot */
	enum pyr_machine machine;
	uint64_t page_size;
};

/* Find the process and open its memory. Errors: target_gone (no such process,
 * a zombie), not_python (a kernel thread), unsupported_build (32 bits, another
 * machine), no_permission (and what is missing). */
pyr_error *pyr_process_open(pid_t pid, struct pyr_process *ret);
void pyr_process_close(struct pyr_process *process);
/* NULL, or target_gone. */
pyr_error *pyr_process_check(const struct pyr_process *process);
pyr_error *pyr_process_gone(const struct pyr_process *process);

/* The whole of /proc/PID/@name (a small file); NUL-terminated, caller frees. */
pyr_error *pyr_process_file(const struct pyr_process *process, const char *name, char **ret,
			    size_t *ret_size);
/* What a link such as "exe" or "ns/mnt" says; caller frees. NULL when there is none. */
char *pyr_process_link(const struct pyr_process *process, const char *name);

/* One line of /proc/PID/maps. */
struct pyr_vma {
	struct pyr_mapping mapping; /* path owned by the list */
	uint32_t major, minor;
	uint64_t inode; /* 0: no file */
};
struct pyr_vma_list {
	PYR_VEC(struct pyr_vma) v;
	char *text; /* owns the paths */
};
pyr_error *pyr_process_maps(const struct pyr_process *process, struct pyr_vma_list *ret);
void pyr_vma_list_deinit(struct pyr_vma_list *list);

/* Append the pages of [start, end) that are in memory or in swap. @files: also
 * those that still belong to a mapped file (else only the process's own
 * copies). Without a pagemap the whole range is answered. Swapped pages are
 * added to *swapped. */
pyr_error *pyr_process_resident(const struct pyr_process *process, pyr_addr start, pyr_addr end,
				bool files, struct pyr_range_list *ranges, uint64_t *swapped);

/* Copy @count ranges back to back to @buf. Answers how many bytes from the
 * beginning could be read; any thread. 0 with errno ESRCH: the process is gone. */
size_t pyr_process_read(const struct pyr_process *process, const struct pyr_range *ranges,
			size_t count, void *buf);
/* One range; all or nothing: unreadable, or target_gone. */
pyr_error *pyr_process_read_at(const struct pyr_process *process, pyr_addr addr, void *buf,
			       size_t len);

/* Thread ids at this moment. */
pyr_error *pyr_process_tids(const struct pyr_process *process, pid_t **ret, size_t *ret_count);
/* comm of one thread; "" when it is gone. */
void pyr_process_thread_name(const struct pyr_process *process, pid_t tid, char ret[16]);
/* State letter of one thread, 0 when it is gone; @tracer may be NULL. */
char pyr_process_thread_state(const struct pyr_process *process, pid_t tid, pid_t *tracer);
/* Stack pointer and program counter of a thread that is blocked in the kernel. */
bool pyr_process_thread_blocked_at(const struct pyr_process *process, pid_t tid, pyr_addr *sp,
				   pyr_addr *pc);

/* Why the kernel refuses, and what would help. */
pyr_error *pyr_process_no_permission(const struct pyr_process *process);

/* The prefix under which the process's paths are found from here ("/proc/12/root"),
 * or NULL when it sees the same files; caller frees. */
char *pyr_process_root(const struct pyr_process *process);

#endif
