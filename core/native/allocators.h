/* Which malloc the process uses. Only glibc's is walked (glibc.h); of the others the name
 * and the mappings are told. */
#ifndef PYR_NATIVE_ALLOCATORS_H
#define PYR_NATIVE_ALLOCATORS_H

#include "native/glibc.h"
#include "target/image.h"

enum pyr_malloc_kind {
	PYR_MALLOC_GLIBC,
	PYR_MALLOC_MUSL,
	PYR_MALLOC_JEMALLOC,
	PYR_MALLOC_TCMALLOC,
	PYR_MALLOC_MIMALLOC,
	PYR_MALLOC_OTHER, /* some library's own */
	PYR_MALLOC_UNKNOWN,
};

struct pyr_malloc {
	enum pyr_malloc_kind kind;
	const char *name;              /* "glibc", "jemalloc", ... */
	const struct pyr_image *image; /* that brings it; NULL: unknown */
	const char *how;               /* "symbol mallctl", "the file's name", "its arenas" */
};

/* @glibc: as read. A library that is linked or preloaded wins over libc, which is mapped
 * all the same. */
void pyr_malloc_recognise(struct pyr_target *target, const struct pyr_glibc *glibc,
			  struct pyr_malloc *ret);

#endif
