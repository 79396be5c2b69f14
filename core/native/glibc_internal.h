/* Shared by the files of the glibc walker; private to it. */
#ifndef PYR_NATIVE_GLIBC_INTERNAL_H
#define PYR_NATIVE_GLIBC_INTERNAL_H

#include "native/glibc.h"

#define GLIBC_BINS 127
#define GLIBC_FASTBINS 10
#define GLIBC_SIZE_MASK (~UINT64_C(7))
#define GLIBC_PREV_INUSE 1u
#define GLIBC_IS_MMAPPED 2u
#define GLIBC_MINSIZE 32u /* sizeof(struct malloc_chunk) without fd_nextsize, bk_nextsize */
/* A free list longer than this is a damaged one. */
#define GLIBC_LIST_MAX (UINT64_C(1) << 28)

/* Offset of bins[] in struct malloc_state; `top` is 16 before it, `binmap` 2032,
 * `next` 2048 behind it, in all versions. */
static inline uint64_t glibc_bins_at(enum pyr_glibc_layout layout)
{
	return layout == PYR_GLIBC_2_27 ? 112 : layout == PYR_GLIBC_2_23 ? 104 : 24;
}

static inline uint64_t glibc_state_size(enum pyr_glibc_layout layout)
{
	return layout == PYR_GLIBC_2_27 ? 2200 : layout == PYR_GLIBC_2_23 ? 2192 : 2112;
}

/* The chunk header's size word, flags included; false when it is not there. */
static inline bool glibc_chunk_size(struct pyr_reader *r, pyr_addr chunk, uint64_t *ret)
{
	return pyr_try_u64(r, chunk + 8, ret);
}

/* A link of a fastbin or tcache list that is stored at @place (REVEAL_PTR). */
bool glibc_reveal(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr place, pyr_addr *ret);
/* The arena that a chunk belongs to: that of its region; NULL: none. */
struct pyr_glibc_arena *glibc_arena_of(struct pyr_glibc *g, pyr_addr chunk);

/* These answer false when memory ran out. */
bool pyr_glibc_find_arenas(struct pyr_target *target, struct pyr_reader *reader,
			   struct pyr_glibc *glibc);
void pyr_glibc_find_parameters(struct pyr_target *target, struct pyr_reader *reader,
			       struct pyr_glibc *glibc);
bool pyr_glibc_find_regions(struct pyr_target *target, struct pyr_reader *reader,
			    struct pyr_glibc *glibc);
/* tcaches of all threads: glibc_tcache.c */
bool pyr_glibc_read_tcaches(struct pyr_target *target, struct pyr_reader *reader,
			    struct pyr_glibc *glibc);

#endif
