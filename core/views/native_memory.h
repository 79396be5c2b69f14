/* What `malloc` and `memory` look at alike: the heap with its buffers, malloc's arenas and
 * mapped chunks. */
#ifndef PYR_VIEWS_NATIVE_MEMORY_H
#define PYR_VIEWS_NATIVE_MEMORY_H

#include "command/context.h"
#include "objects/buffers.h"
#include "native/allocators.h"
#include "native/glibc.h"

struct pyr_native_view {
	struct pyr_target *target; /* borrowed */
	struct pyr_reader reader;
	struct pyr_heap *heap; /* borrowed; NULL: no Python was found */
	struct pyr_buffers buffers;
	struct pyr_glibc glibc;
	struct pyr_glibc_mapped_list mapped;
	struct pyr_malloc allocator;
};

/* A target without Python is looked at all the same, and that is said. */
pyr_error *pyr_native_view_open(struct pyr_context *context, struct pyr_native_view *ret);
/* Build the buffers anew. @inside: also those in pymalloc's arenas. */
pyr_error *pyr_native_view_buffers(struct pyr_native_view *view, struct pyr_control *control,
				   bool inside);
void pyr_native_view_close(struct pyr_native_view *view);

#endif
