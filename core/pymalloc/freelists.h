/* Objects that CPython keeps for reuse instead of freeing them. For the allocator they are
 * in use, for the program they do not exist. gc.collect() empties most of the lists.
 *
 * Each list is walked, with a guard against cycles, and its length compared with the
 * count that CPython keeps. */
#ifndef PYR_PYMALLOC_FREELISTS_H
#define PYR_PYMALLOC_FREELISTS_H

#include "pymalloc/obmalloc.h"
#include "types/types.h"

#define PYR_FREELIST_OF_PROCESS SIZE_MAX

struct pyr_freelist {
	const char *type; /* what it keeps; static */
	/* "interpreter", "symbol", "shape": found by what its members look like; static */
	const char *source;
	size_t interpreter; /* index, or PYR_FREELIST_OF_PROCESS: all interpreters share it */
	uint32_t length;    /* of the tuples on it, else 0 */
	uint64_t objects;   /* found by walking it */
	int64_t recorded;   /* as CPython counts; -1: the list is switched off (finalizing) */
	uint64_t bytes;     /* of the allocator's blocks, collector's heads included */
	uint64_t estimated; /* objects whose block the allocator did not tell: by their structure */
	uint64_t maximum;   /* objects that CPython keeps at most */
	bool agrees;        /* objects == recorded, and no link led astray */
};

struct pyr_freelist_entry {
	pyr_addr address; /* of the object, not of its block */
	uint32_t list;
};

struct pyr_freelists {
	PYR_VEC(struct pyr_freelist) lists; /* as in freelists.def, interpreter by interpreter */
	PYR_VEC(struct pyr_freelist_entry) entries; /* by address */
	/* Lists that this build has in static variables, which only symbols name. */
	bool statics_unknown; /* all of them (until 3.9) */
	bool deques_unknown;  /* the blocks of deques (until 3.10) */
	bool asyncio_unknown; /* asyncio's FutureIter (until 3.13), of at most 255 */
};

/* @obmalloc (may be NULL) tells how large the blocks are. Calling thread only. */
pyr_error *pyr_freelists_read(struct pyr_types *types, const struct pyr_obmalloc *obmalloc,
			      struct pyr_freelists *ret);
void pyr_freelists_deinit(struct pyr_freelists *freelists);
/* After entries were added. */
void pyr_freelists_sort(struct pyr_freelists *freelists);
/* The list on which an object lies that begins in [start, end), or NULL. */
const struct pyr_freelist *pyr_freelists_at(const struct pyr_freelists *freelists, pyr_addr start,
					    pyr_addr end);

#endif
