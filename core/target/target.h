/* Where bytes come from: an ELF core, a live process's copy, a debugger, or a
 * unit test. A target is a set of *segments* (address ranges whose bytes are
 * directly in our memory, by mmap or in a copy), an optional read function for
 * the rest, the list of *mappings* (what the address space held, whether or
 * not its bytes are here), the threads, and the auxiliary vector.
 *
 * All memory reads go through a pyr_reader (reader.h). */
#ifndef PYR_TARGET_TARGET_H
#define PYR_TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/control.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/vec.h"

enum pyr_target_kind {
	PYR_TARGET_CORE,     /* an ELF core file */
	PYR_TARGET_LIVE,     /* a process, copied or read in place */
	PYR_TARGET_DEBUGGER, /* every read goes through a debugger's callback */
	PYR_TARGET_MOCK,     /* unit tests */
};

/* Bytes that are directly addressable by us. Sorted, not overlapping. */
struct pyr_segment {
	pyr_addr start, end; /* [start, end) */
	const uint8_t *bytes;
	uint32_t flags; /* PYR_SEG_* */
};
#define PYR_SEG_FROM_FILE 1u /* from the mapped file (build-id verified), not from the dump */

/* One mapping of the address space (NT_FILE and PT_LOAD, or /proc/PID/maps).
 * Sorted, not overlapping. */
struct pyr_mapping {
	pyr_addr start, end;
	uint64_t file_offset;
	const char
		*path; /* as the target named it; NULL when anonymous; "[heap]" and the like kept */
	bool read, write, exec, shared;
	bool deleted;     /* " (deleted)" was stripped from path */
	bool cut;         /* bytes of it were dumped, but lie behind the end of a cut-off file */
	uint64_t present; /* bytes of it that the target holds (dump or copy) */
};

struct pyr_thread {
	uint64_t tid; /* kernel thread id */
	pyr_addr tls; /* fs_base (x86-64) or TPIDR_EL0 (aarch64) */
	pyr_addr sp, pc;
	uint64_t regs[34]; /* user_regs_struct order of the machine */
	unsigned nregs;
	char name[16]; /* comm; "" when unknown */
};

/* How C frames are named, where a debugger can: see pyr_debugger_name_frames(). */
struct pyr_c_frames {
	int (*at)(void *ctx, uint64_t tid, uint64_t addr, char *name, size_t size);
	void *ctx;
};

struct pyr_target;
struct pyr_target_ops {
	/* Copy @len bytes at @addr, all or nothing. NULL when segments are all
	 * there is. Called on the session's calling thread only. An address that
	 * the target does not hold is PYR_E_UNREADABLE; other codes are fatal for
	 * the command (target_gone, interrupted). */
	pyr_error *(*read)(struct pyr_target *target, pyr_addr addr, void *buf, size_t len);
	void (*destroy)(struct pyr_target *target); /* frees ops' own state */
};

struct pyr_image;     /* image.h: one ELF file in the address space */
struct pyr_residency; /* residency.h */

struct pyr_target {
	enum pyr_target_kind kind;
	enum pyr_machine machine;
	uint64_t page_size;
	pid_t pid;          /* 0 when unknown */
	char *description;  /* "core file core.1234", "process 1234 (copied)": owned */
	char *exe;          /* path of the executable as named by the target, or NULL: owned */
	char *command_name; /* comm or psargs, or NULL: owned */
	int signal;         /* that ended it (cores), 0 otherwise */

	PYR_VEC(struct pyr_segment) segments;
	PYR_VEC(struct pyr_mapping) mappings;
	PYR_VEC(struct pyr_thread) threads;
	PYR_VEC(uint64_t) auxv; /* a_type, a_val pairs */

	/* Found by pyr_target_find_images() (image.h). */
	struct pyr_image *images;
	size_t image_count;

	/* Why the target holds less than it should ("the file is truncated:
	 * 1.2 GiB of 2.0 GiB"); shown, and "incomplete" in JSON. Owned strings. */
	PYR_VEC(char *) incomplete;

	bool stacks_lost; /* cores: zeros stand for stacks, as mark_lost_stacks() says */

	/* Live targets: which pages were in memory at that instant; NULL: not known. Owned. */
	struct pyr_residency *residency;
	/* Live targets: how long the process was stopped, nanoseconds; 0 if never. */
	uint64_t pause_ns;
	bool inconsistent; /* read without stopping */
	/* The process stands still as long as this target is open: close it when
	 * the command is done, never wait for a person with it. */
	bool stopped;

	/* The first failure of ops->read that was more than a missing page: what was
	 * learned since then may lack anything. The session answers with it. Owned. */
	pyr_error *failure;

	struct pyr_c_frames frames; /* at is NULL: nobody can */

	const struct pyr_target_ops *ops;
	void *state;                   /* of ops */
	struct pyr_block_cache *cache; /* reader.c: blocks fetched by ops->read */
	struct pyr_control *control;   /* borrowed */
	PYR_VEC(char *) strings;       /* owns the paths of mappings, and other malloc'd bytes */
};

/* Where else to look for files. Strings are borrowed; NULL where not given. */
struct pyr_target_options {
	const char *exe;       /* -e: the executable that made the core */
	const char *sysroot;   /* prefix for the target's paths */
	const char *debug_dir; /* default /usr/lib/debug */
	const char *tmpdir;    /* for expanded or copied memory */
	bool no_stop;          /* live: read without stopping */
	double max_pause;      /* live: seconds; 5 by default */
	/* live: a debugger keeps the process stopped. It is read once, and pages of
	 * programs, where breakpoints may be, come from the files. */
	bool held;
	bool force;
};

/* Open @path (plain, zstd, lz4 or gzip ELF core). core.c */
pyr_error *pyr_target_open_core(struct pyr_control *control, const char *path,
				const struct pyr_target_options *options, struct pyr_target **ret);
/* Copy a live process; it runs again when this returns, however it returns. live.c */
pyr_error *pyr_target_open_pid(struct pyr_control *control, pid_t pid,
			       const struct pyr_target_options *options, struct pyr_target **ret);
void pyr_target_destroy(struct pyr_target *target); /* NULL is allowed */

/* --- for the implementations of targets (target.c) --- */
/* On failure @state stays the caller's. */
pyr_error *pyr_target_create(struct pyr_control *control, enum pyr_target_kind kind,
			     const struct pyr_target_ops *ops, void *state,
			     struct pyr_target **ret);
/* Append in any order; pyr_target_finish() sorts, trims overlaps, joins
 * neighbours whose bytes are neighbours too, and computes pyr_mapping.present.
 * Where segments overlap, those from the dump win over those marked
 * PYR_SEG_FROM_FILE, otherwise the one that starts lower, of two that start
 * together the one that was added first. */
pyr_error *pyr_target_add_segment(struct pyr_target *target, pyr_addr start, pyr_addr end,
				  const void *bytes, uint32_t flags);
pyr_error *pyr_target_add_mapping(struct pyr_target *target, const struct pyr_mapping *mapping);
pyr_error *pyr_target_finish(struct pyr_target *target);
void pyr_target_mark_incomplete(struct pyr_target *target, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The mapping that contains @addr, or NULL. */
const struct pyr_mapping *pyr_target_mapping_at(const struct pyr_target *target, pyr_addr addr);
bool pyr_target_auxv(const struct pyr_target *target, uint64_t type, uint64_t *ret);

#endif
