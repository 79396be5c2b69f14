/* What the mappings of the target are for, as far as the address space alone tells:
 * files, shared memory, stacks, thread-local storage, pages of the kernel's. */
#ifndef PYR_NATIVE_MAPPINGS_H
#define PYR_NATIVE_MAPPINGS_H

#include "target/image.h"
#include "target/reader.h"

enum pyr_mapping_kind {
	PYR_MAPPING_ANONYMOUS, /* the process's own: what is in it, others know */
	PYR_MAPPING_FILE,      /* of a file */
	PYR_MAPPING_SHARED,    /* shared memory: seen by other processes too */
	PYR_MAPPING_STACK,     /* the stack that the process began with */
	PYR_MAPPING_KERNEL,    /* vdso, vvar, vsyscall */
	PYR_MAPPING_DEVICE,
};

enum pyr_mapping_kind pyr_mapping_kind(const struct pyr_target *target,
				       const struct pyr_mapping *mapping);

/* A part of an anonymous mapping whose use is known. */
enum pyr_area_kind {
	PYR_AREA_STACK,       /* of a thread, its struct pthread included */
	PYR_AREA_ENDED_STACK, /* kept by libc for the next thread */
	PYR_AREA_TLS,         /* the first thread's thread-local storage */
	PYR_AREA_STATIC,      /* .data and .bss of a program or library */
};
struct pyr_area {
	pyr_addr start, end;
	enum pyr_area_kind kind;
	size_t index; /* STACK: thread of the target; STATIC: image */
};
struct pyr_area_list {
	PYR_VEC(struct pyr_area) v;
};

/* Static data, stacks of living threads and the first thread's thread-local storage, by
 * address, not overlapping. */
pyr_error *pyr_areas_find(struct pyr_target *target, struct pyr_reader *reader,
			  struct pyr_area_list *ret);
/* Append the stacks of ended threads that lie in [start, end). */
pyr_error *pyr_areas_ended_stacks(struct pyr_target *target, struct pyr_reader *reader,
				  pyr_addr start, pyr_addr end, struct pyr_area_list *list);
void pyr_areas_deinit(struct pyr_area_list *list);

/* What the bytes at @start look like: "zeros", "an ELF file", "numbers (float64)", ...; a
 * static string, "" when nothing is to be said. */
const char *pyr_bytes_look_like(struct pyr_target *target, struct pyr_reader *reader,
				pyr_addr start, pyr_addr end);

#endif
