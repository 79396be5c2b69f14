/* How full pymalloc's arenas are: pools and blocks by size class, and every byte of
 * an arena under one heading. The sums are those of obmalloc.c,
 * _PyObject_DebugMallocStats(), which sys._debugmallocstats() prints:
 *
 *   bytes = bytes_in_use + bytes_partly_used + bytes_free_pools + bytes_headers
 *           + bytes_tails + bytes_alignment + bytes_unknown
 *
 * An arena goes back to the system when all of its pools are free, and only then. */
#ifndef PYR_ANALYSIS_MEMORY_ARENAS_H
#define PYR_ANALYSIS_MEMORY_ARENAS_H

#include "pymalloc/obmalloc.h"
#include "types/types.h"

struct pyr_size_class {
	uint32_t size;
	uint64_t pools;       /* in use */
	uint64_t blocks_used; /* handed out */
	uint64_t blocks_free; /* the rest of those that these pools have room for */
};

struct pyr_arenas_sum {
	uint64_t arenas, bytes;
	uint64_t pools;      /* with at least one block in use */
	uint64_t free_pools; /* wholly free, or never used */
	uint64_t blocks_used, blocks_free;
	uint64_t bytes_in_use;      /* used blocks, each with all of its size class */
	uint64_t bytes_partly_used; /* free blocks of pools in use */
	uint64_t bytes_free_pools;
	uint64_t bytes_headers;   /* of pools in use */
	uint64_t bytes_tails;     /* of pools in use: what is left behind the last block */
	uint64_t bytes_alignment; /* of arenas that do not begin where a pool can */
	uint64_t bytes_unknown;   /* pools that the target lacks, or that make no sense */
	/* Within bytes_in_use: what rounding up to the size class costs, summed over the
	 * blocks whose true size is known (all of them with the debug allocator, else
	 * those that hold an object of a type that has no other size). */
	uint64_t bytes_rounding, rounding_blocks;
	uint64_t unreadable_pools, corrupt_pools, inconsistent_pools;
	struct pyr_size_class classes[PYR_POOL_CLASSES_MAX];
};

/* One pool in a picture: 1 to 100 is the share of its blocks that is used, in percent. */
#define PYR_FILL_NEVER 0u /* never used */
#define PYR_FILL_FREE 101u
#define PYR_FILL_ABSENT 102u /* not in the target */
#define PYR_FILL_CORRUPT 103u

struct pyr_arena_use {
	uint32_t pools, free_pools; /* as above */
	uint64_t blocks_used, bytes_in_use;
	uint32_t first_fill, fills; /* its pools in pyr_arenas.fill, in address order */
};

struct pyr_arenas {
	const struct pyr_obmalloc *obmalloc; /* borrowed */
	struct pyr_arenas_sum process;       /* all states together */
	struct pyr_arenas_sum *states;       /* as obmalloc->states; one when it has none */
	size_t state_count;
	struct pyr_arena_use *uses; /* as obmalloc->arenas */
	uint8_t *fill;
	/* What sys.getallocatedblocks() would answer: used blocks, those that went on to
	 * malloc(), and those that ended interpreters left behind. */
	uint64_t allocated_blocks;
	bool has_allocated_blocks;
};

pyr_error *pyr_arenas_run(struct pyr_types *types, const struct pyr_obmalloc *obmalloc,
			  struct pyr_control *control, struct pyr_arenas *ret);
/* Is at most @percent of arena @i in use, and something? */
bool pyr_arena_is_almost_empty(const struct pyr_arenas *arenas, size_t i, unsigned percent);
void pyr_arenas_deinit(struct pyr_arenas *arenas);

#endif
