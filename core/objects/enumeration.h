/* Enumeration of all objects: what census and heap model have in common.
 *
 *   open      arenas, the pages outside of them, the lists, a scanner per worker
 *   scan      the users' own loop over the arenas (scan.h)
 *   outside   objects in other memory: gc list nodes, and what the words of known
 *             objects and of the interpreter's structures point to, to a fixed point
 *   lists     which generation (lists.h)
 */
#ifndef PYR_OBJECTS_ENUMERATION_H
#define PYR_OBJECTS_ENUMERATION_H

#include "objects/heap.h"
#include "objects/lists.h"
#include "objects/scan.h"

/* An object outside of pymalloc's arenas, or in one and known by its list only. */
struct pyr_outside {
	pyr_addr address;
	uint32_t type; /* index */
	uint8_t found; /* PYR_FOUND_* */
};

struct pyr_enumeration {
	struct pyr_types *types;   /* borrowed */
	struct pyr_python *python; /* borrowed */
	struct pyr_control *control;
	struct pyr_obmalloc obmalloc;
	struct pyr_pages pages; /* outside of arenas, where objects may lie */
	struct pyr_lists lists;
	unsigned workers;
	struct pyr_scanner **scanners;       /* one per worker */
	PYR_VEC(struct pyr_outside) outside; /* in order of discovery */
	struct {
		uint32_t *slots; /* index + 1 into outside, by address; 0 free */
		size_t capacity;
	} table;
	struct pyr_address_hash buffers; /* starts of those that were read: none is read twice */
	uint64_t tracked;                /* objects on gc lists, wherever */
	/* Of those in memory that is no image's and no arena's: do they begin malloc's chunks? */
	uint64_t in_chunks, in_no_chunk;
	uint64_t bad_links; /* list nodes outside of arenas that are no objects */
	bool proven;        /* the lists close; see lists.h */
};

pyr_error *pyr_enumeration_open(struct pyr_types *types, struct pyr_control *control,
				struct pyr_enumeration *ret);
void pyr_enumeration_close(struct pyr_enumeration *enumeration);
/* After the arenas were scanned: find the objects outside, and prove the lists.
 * Where that fails, list nodes in arenas that the scan did not take for objects
 * (or could not see) are entered among those outside too. The lists
 * are then rewound: walk them again. */
pyr_error *pyr_enumeration_outside(struct pyr_enumeration *enumeration);
/* Of the objects outside only those on gc lists, to which the links of others lead, and prove
 * the lists. Where that fails some are missing. */
pyr_error *pyr_enumeration_tracked(struct pyr_enumeration *enumeration);
/* Tell what was wrong in arenas and lists, once each. */
void pyr_enumeration_diagnose(struct pyr_enumeration *enumeration);

#endif
