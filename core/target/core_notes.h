/* The notes of a core file: threads, auxiliary vector, mapped files. Layouts
 * are the kernel's (include/linux/elfcore.h, arch user_regs_struct), the same
 * in gdb's gcore. */
#ifndef PYR_TARGET_CORE_NOTES_H
#define PYR_TARGET_CORE_NOTES_H

#include "target/target.h"

/* One entry of NT_FILE; the path lies in the core's own bytes. */
struct pyr_core_file_range {
	pyr_addr start, end;
	uint64_t file_offset;
	const char *path;
};

struct pyr_core_notes {
	PYR_VEC(struct pyr_core_file_range) files;
	char comm[16]; /* of the main thread */
	bool any;      /* at least one note was read */
};

/* Read one PT_NOTE segment of @target's machine into the target (threads,
 * auxv, pid, command_name, signal) and @notes. Damaged notes cost a diagnostic
 * each; the error is for lack of memory only. */
pyr_error *pyr_core_read_notes(struct pyr_target *target, const void *bytes, size_t size,
			       unsigned align, struct pyr_core_notes *notes);
void pyr_core_notes_deinit(struct pyr_core_notes *notes);

#endif
