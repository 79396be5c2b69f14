/* glibc's malloc in the target, without libc's debug info: arenas, bins, tcache,
 * mmapped chunks. malloc/malloc.c and malloc/arena.c of glibc 2.27 to 2.44.
 *
 * The state is found by its own shape: the list head of an empty bin points to
 * itself, and most of main_arena's 127 bins are empty. */
#ifndef PYR_NATIVE_GLIBC_H
#define PYR_NATIVE_GLIBC_H

#include "target/image.h"
#include "target/reader.h"

/* The generations of struct malloc_state that differ in kind. */
enum pyr_glibc_layout {
	PYR_GLIBC_2_27, /* fastbins in the arena, have_fastchunks: 2.27-2.42 */
	PYR_GLIBC_2_23, /* without have_fastchunks: 2.23-2.26 */
	PYR_GLIBC_2_43, /* no fastbins */
};

struct pyr_glibc_free {
	uint64_t chunks, bytes;
};

struct pyr_glibc_arena {
	pyr_addr address; /* struct malloc_state */
	pyr_addr top;     /* its top chunk */
	uint64_t top_size;
	uint64_t system_mem; /* bytes got from the system */
	struct pyr_glibc_free unsorted, small, large, fast;
	struct pyr_glibc_free tcache; /* of its chunks, cached by threads: marked in use */
	uint64_t largest_free;        /* chunk in its bins */
	uint64_t heaps;               /* heap_info segments; 0 for the main arena */
};

/* A region of consecutive chunks. */
struct pyr_glibc_region {
	pyr_addr start, end;    /* first chunk; end of the last one (top excluded) */
	pyr_addr begins, stops; /* with what is around: heap_info, the arena, the top */
	size_t arena;
};

/* A mapping that is one chunk. */
struct pyr_glibc_mapped {
	pyr_addr start, end;
};

struct pyr_glibc {
	enum pyr_glibc_layout layout;
	uint64_t page_size;
	bool safe_linking;                        /* fastbin and tcache links are mangled (2.32+) */
	PYR_VEC(struct pyr_glibc_arena) arenas;   /* the main one first */
	PYR_VEC(struct pyr_glibc_region) regions; /* by address */
	/* Chunks in tcaches and fastbins, sorted: free, but marked in use. Bit 0: of a
	 * fastbin. */
	PYR_VEC(pyr_addr) cached;
	PYR_VEC(pyr_addr) tcaches; /* every struct tcache_perthread_struct in use */

	pyr_addr sbrk_base;                     /* 0: not found */
	uint64_t mmapped_chunks, mmapped_bytes; /* mp_.n_mmaps, mp_.mmapped_mem */
	uint64_t mmap_threshold;
	bool dynamic_threshold; /* grows with freed mmapped chunks */
	bool has_parameters;    /* the above were found */
	uint64_t damaged;       /* lists that did not make sense */
};

/* mallinfo2() as it would answer now. */
struct pyr_mallinfo2 {
	uint64_t arena, ordblks, smblks, hblks, hblkhd, fsmblks, uordblks, fordblks, keepcost;
};

/* @ret is all zero (arenas.count 0) when the target has no glibc malloc. */
pyr_error *pyr_glibc_read(struct pyr_target *target, struct pyr_reader *reader,
			  struct pyr_glibc *ret);
void pyr_glibc_deinit(struct pyr_glibc *glibc);
void pyr_glibc_mallinfo2(const struct pyr_glibc *glibc, struct pyr_mallinfo2 *ret);

/* Free in the bins of @arena, fastbins included. */
static inline uint64_t pyr_glibc_arena_free(const struct pyr_glibc_arena *arena)
{
	return arena->unsorted.bytes + arena->small.bytes + arena->large.bytes + arena->fast.bytes;
}

enum pyr_chunk_state {
	PYR_CHUNK_IN_USE,
	PYR_CHUNK_TCACHE, /* kept by a thread for itself */
	PYR_CHUNK_FAST,   /* in a fastbin */
	PYR_CHUNK_FREE,   /* in another bin */
	PYR_CHUNK_STATES
};

struct pyr_glibc_visitor {
	/* A chunk: what malloc returned for it and its size with the header. Answers
	 * false to stop. */
	bool (*chunk)(void *ctx, pyr_addr memory, uint64_t size, enum pyr_chunk_state state,
		      size_t region);
	/* Whole pages that malloc_trim(0) would give back; may be NULL. */
	void (*trim)(void *ctx, pyr_addr start, pyr_addr end, size_t region);
	void *ctx;
	uint64_t damaged; /* regions that were not walked to their end; counted on */
};

/* Every chunk of region @index in address order, the top left out. Any thread, with
 * its own reader. */
pyr_error *pyr_glibc_walk_region(const struct pyr_glibc *glibc, struct pyr_reader *reader,
				 size_t index, struct pyr_glibc_visitor *visitor);
/* Of all regions. */
pyr_error *pyr_glibc_walk(const struct pyr_glibc *glibc, struct pyr_reader *reader,
			  struct pyr_glibc_visitor *visitor);

/* The mmapped chunks, by address: looked for in anonymous mappings, outside of the
 * regions and of @taken (sorted, not overlapping). *@exact: their number and sum are
 * those that malloc itself keeps. */
struct pyr_glibc_mapped_list {
	PYR_VEC(struct pyr_glibc_mapped) v;
	uint64_t bytes;
	bool exact;
};
pyr_error *pyr_glibc_find_mapped(const struct pyr_glibc *glibc, struct pyr_target *target,
				 struct pyr_reader *reader, const struct pyr_glibc_mapped *taken,
				 size_t taken_count, struct pyr_glibc_mapped_list *ret);
void pyr_glibc_mapped_deinit(struct pyr_glibc_mapped_list *list);

#endif
