/* Every byte of a process once: what it is used for.
 *
 * What is told apart is what the target holds: the resident pages of a live process (as
 * the kernel counts them), the dumped bytes of a core. The address space is cut into
 * areas, each of which has one master (an arena of pymalloc, a region of malloc, a stack,
 * a file, ...); inside an area its master says what each byte is. So the rows add up to
 * the total by construction. */
#ifndef PYR_ANALYSIS_MEMORY_MEMORY_H
#define PYR_ANALYSIS_MEMORY_MEMORY_H

#include "objects/buffers.h"
#include "objects/heap.h"
#include "native/glibc.h"
#include "pymalloc/freelists.h"

enum pyr_memory_category {
#define CATEGORY(id, name, text, how) PYR_MEMORY_##id,
#include "analysis/memory/memory.def"
#undef CATEGORY
	PYR_MEMORY_CATEGORIES
};

const char *pyr_memory_name(enum pyr_memory_category category); /* "objects": in JSON */
const char *pyr_memory_text(enum pyr_memory_category category); /* "live Python objects" */
const char *pyr_memory_how(enum pyr_memory_category category);

/* What the bytes are that are told apart. */
enum pyr_memory_basis {
	PYR_MEMORY_RESIDENT, /* pages in memory, from the pagemap */
	PYR_MEMORY_DUMPED,   /* what a core holds */
	PYR_MEMORY_MAPPED,   /* whole mappings: nothing tells which pages are there */
};

/* Anonymous memory that nobody claims. */
struct pyr_unclaimed {
	pyr_addr start, end;
	uint64_t bytes;    /* of it that the target holds */
	const char *looks; /* like what; "" when nothing is to be said */
};

struct pyr_memory {
	enum pyr_memory_basis basis;
	uint64_t bytes[PYR_MEMORY_CATEGORIES];
	uint64_t swapped[PYR_MEMORY_CATEGORIES]; /* live processes: not part of `bytes` */
	/* Cores: of `bytes`, whole pages of zeros, as memory that was never touched is dumped;
	 * looked for in stacks, tops, mapped chunks and what is not cut further. */
	uint64_t zeros[PYR_MEMORY_CATEGORIES];
	uint64_t total, total_swapped, total_zeros; /* the first two counted apart from the rows */
	uint64_t trimmable; /* of MALLOC_FREE and MALLOC_TOP: what malloc_trim(0) would return */
	PYR_VEC(struct pyr_unclaimed) unclaimed; /* most bytes first; all of them */
	uint64_t damaged;                        /* regions of malloc that contradict themselves */
};

/* What is known of the process; NULL where it is not. All borrowed. */
struct pyr_memory_input {
	struct pyr_target *target;
	struct pyr_heap *heap;
	const struct pyr_buffers *buffers; /* those outside of pymalloc at least */
	const struct pyr_glibc *glibc;
	const struct pyr_glibc_mapped_list *mapped;
	bool other_allocator;    /* anonymous mappings are another allocator's */
	bool other_objects;      /* those with objects in them are */
	const uint64_t *garbage; /* bit by id: unreachable, or owned by what is */
	const struct pyr_freelists *freelists;
};

pyr_error *pyr_memory_account(const struct pyr_memory_input *input, struct pyr_control *control,
			      struct pyr_memory *ret);
void pyr_memory_deinit(struct pyr_memory *memory);

/* What malloc_trim(0) would return: resident, or dumped. @by_arena (may be NULL): added to,
 * by arena of @glibc. */
pyr_error *pyr_memory_trimmable(const struct pyr_target *target, struct pyr_reader *reader,
				const struct pyr_glibc *glibc, uint64_t *by_arena, uint64_t *ret);

#endif
