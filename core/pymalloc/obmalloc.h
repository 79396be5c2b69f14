/* pymalloc, CPython's allocator of blocks up to 512 bytes (Objects/obmalloc.c).
 *
 * Arenas (256 KiB until 3.9, then 1 MiB) are cut into pools (4 or 16 KiB), a
 * pool into blocks of one size class. The state that lists the arenas is a set
 * of static variables until 3.11 and a struct per interpreter since, which
 * interpreters may share. Nothing here needs symbols: without them the state is
 * found by its shape, and without the state the pools are found by theirs. */
#ifndef PYR_PYMALLOC_OBMALLOC_H
#define PYR_PYMALLOC_OBMALLOC_H

#include "runtime/python.h"

/* How the arenas were found, best first. */
enum pyr_obmalloc_source {
	PYR_OBMALLOC_NONE,    /* nothing: no pymalloc, or nothing left of it */
	PYR_OBMALLOC_STATE,   /* through the interpreters (3.12+) */
	PYR_OBMALLOC_SYMBOL,  /* static variables, by their symbols */
	PYR_OBMALLOC_PATTERN, /* static variables, by the shape of usedpools[] */
	PYR_OBMALLOC_SCAN,    /* pool headers in anonymous memory */
};

struct pyr_obmalloc_state {
	pyr_addr address;              /* struct _obmalloc_state; 0 until 3.11 */
	pyr_addr arenas;               /* struct arena_object[]; 0 before the first arena */
	uint32_t maxarenas;            /* entries of it */
	uint64_t raw_allocated_blocks; /* blocks of the raw allocator, as sys.getallocatedblocks()
					  adds */
	bool has_raw_allocated_blocks;
	uint64_t allocated_blocks; /* all of them, where that is what is counted (until 3.8) */
	bool has_allocated_blocks;
	uint64_t interpreters; /* bit i: python->interpreters.data[i] allocates here (the first 64)
				*/
};

struct pyr_arena {
	pyr_addr address;    /* as mmap() answered */
	pyr_addr end;        /* address + arena size; the end of the run when found by scanning */
	pyr_addr first_pool; /* aligned */
	pyr_addr pool_end;   /* pools lie in [first_pool, pool_end): those ever carved */
	pyr_addr object;     /* struct arena_object; 0 when found by scanning */
	uint32_t index;      /* in arenas[] */
	uint32_t state;      /* index into pyr_obmalloc.states */
	uint32_t nfreepools, ntotalpools;
};

#define PYR_POOL_CLASSES_MAX 64u
#define PYR_POOL_HEADER 48u /* sizeof(struct pool_header), rounded up to the alignment */

struct pyr_obmalloc {
	enum pyr_obmalloc_source source;
	uint64_t arena_size;
	uint32_t pool_size;
	uint32_t alignment; /* of blocks: 8 or 16; block sizes are its multiples */
	uint32_t shift;     /* log2 of it */
	uint32_t classes;
	uint32_t reciprocal[PYR_POOL_CLASSES_MAX]; /* ceil(2^32 / block size) */
	int32_t ref_count, freeblock, arenaindex, szidx, nextoffset,
		maxnextoffset; /* pool_header */
	PYR_VEC(struct pyr_obmalloc_state) states;
	PYR_VEC(struct pyr_arena) arenas; /* by address, not overlapping */
	uint64_t dropped_arenas; /* entries of arenas[] that contradict themselves or others */
};

/* Find the allocator's arenas. No arenas at all is no error. Calling thread
 * only. */
pyr_error *pyr_obmalloc_open(struct pyr_python *python, struct pyr_obmalloc *ret);
void pyr_obmalloc_deinit(struct pyr_obmalloc *obmalloc);
/* "state", "symbol", ... */
const char *pyr_obmalloc_source_name(enum pyr_obmalloc_source source);

/* The arena that contains @addr, or NULL. */
const struct pyr_arena *pyr_obmalloc_arena_at(const struct pyr_obmalloc *obmalloc, pyr_addr addr);

enum pyr_pool_status {
	PYR_POOL_LIVE,       /* at least one block is allocated */
	PYR_POOL_EMPTY,      /* wholly free: on the arena's freepools list */
	PYR_POOL_UNREADABLE, /* the target lacks its memory, or part of it */
	PYR_POOL_CORRUPT,    /* the header makes no sense */
};

struct pyr_pool {
	pyr_addr address;
	const uint8_t *bytes; /* pool_size of them */
	uint32_t block_size;
	uint32_t end;  /* blocks lie at PYR_POOL_HEADER, + block_size, ... below this offset */
	uint32_t used; /* allocated blocks by ref.count */
	uint32_t free_count; /* blocks on the free list */
	bool consistent;     /* the two agree, the free list closes and arenaindex is right */
	uint64_t free[16];   /* bit (offset >> shift): a freed block begins there */
};

/* Decode the pool at @address of @arena. Any thread, with its own reader.
 * @ret->bytes follows the rules of pyr_peek(). */
enum pyr_pool_status pyr_pool_read(const struct pyr_obmalloc *obmalloc, struct pyr_reader *reader,
				   const struct pyr_arena *arena, pyr_addr address,
				   struct pyr_pool *ret);

/* The same without the free list: `free`, free_count and consistent are not set. */
enum pyr_pool_status pyr_pool_header(const struct pyr_obmalloc *obmalloc, struct pyr_reader *reader,
				     pyr_addr address, struct pyr_pool *ret);

static inline bool pyr_pool_is_free(const struct pyr_obmalloc *obmalloc,
				    const struct pyr_pool *pool, uint32_t offset)
{
	uint32_t bit = offset >> obmalloc->shift;

	return pool->free[bit >> 6] >> (bit & 63) & 1;
}

/* The block that contains @addr. False when @addr lies in no block that was
 * ever handed out (headers, slack, virgin space, wholly free pools). */
struct pyr_block {
	pyr_addr address;
	uint32_t size;
	bool allocated;
};
bool pyr_obmalloc_block_at(const struct pyr_obmalloc *obmalloc, struct pyr_reader *reader,
			   pyr_addr addr, struct pyr_block *ret);

#endif
