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

struct pyr_glibc_arena {
	pyr_addr address; /* struct malloc_state */
	pyr_addr top;     /* its top chunk */
	uint64_t top_size;
	uint64_t system_mem;                  /* bytes got from the system */
	uint64_t bin_chunks, bin_bytes;       /* free, in small, large and unsorted bins */
	uint64_t fast_chunks, fast_bytes;     /* free, in fastbins */
	uint64_t tcache_chunks, tcache_bytes; /* of its chunks, cached by threads */
	uint64_t trimmable;                   /* bytes that malloc_trim(0) would give back */
	uint64_t heaps;                       /* heap_info segments; 0 for the main arena */
};

/* A region of consecutive chunks. */
struct pyr_glibc_region {
	pyr_addr start, end; /* first chunk; end of the last one (top excluded) */
	size_t arena;
};

struct pyr_glibc {
	enum pyr_glibc_layout layout;
	bool safe_linking;                        /* fastbin and tcache links are mangled (2.32+) */
	PYR_VEC(struct pyr_glibc_arena) arenas;   /* the main one first */
	PYR_VEC(struct pyr_glibc_region) regions; /* by address */
	PYR_VEC(pyr_addr)
	cached; /* chunks in tcaches and fastbins, sorted: free, but marked in use */

	pyr_addr sbrk_base;                     /* 0: not found */
	uint64_t mmapped_chunks, mmapped_bytes; /* mp_.n_mmaps, mp_.mmapped_mem */
	uint64_t mmap_threshold;
	bool dynamic_threshold; /* grows with freed mmapped chunks */
	bool has_parameters;    /* the above were found */
	uint64_t damaged;       /* lists and regions that did not make sense */
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

enum pyr_chunk_state { PYR_CHUNK_IN_USE, PYR_CHUNK_CACHED, PYR_CHUNK_FREE };

/* Every chunk of the arenas in address order: what malloc returned for it and
 * its size with the header. Stops when @fn answers false. */
pyr_error *pyr_glibc_walk(struct pyr_glibc *glibc, struct pyr_reader *reader,
			  bool (*fn)(void *ctx, pyr_addr memory, uint64_t size,
				     enum pyr_chunk_state state, size_t arena),
			  void *ctx);

#endif
