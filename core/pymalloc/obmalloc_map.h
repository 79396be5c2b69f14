/* The map from addresses to arenas, a radix tree of three levels (3.10+; obmalloc.c,
 * address_in_range()): it answers whether a block is pymalloc's. Its root is part of the
 * allocator's state, its other nodes come from malloc() and are never freed. */
#ifndef PYR_PYMALLOC_OBMALLOC_MAP_H
#define PYR_PYMALLOC_OBMALLOC_MAP_H

#include "pymalloc/obmalloc.h"

struct pyr_arena_map {
	uint64_t mid_nodes, bot_nodes;
	uint64_t root_bytes, mid_bytes, bot_bytes;
};

/* Of @state. False where there is no map, or where it is not known. Calling thread only. */
bool pyr_arena_map_read(struct pyr_python *python, const struct pyr_obmalloc *obmalloc,
			const struct pyr_obmalloc_state *state, struct pyr_arena_map *ret);

#endif
