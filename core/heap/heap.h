/* All objects of the target, with dense ids in address order.
 *
 * Enumeration reads memory in address order: every live pymalloc block whose
 * words are an object's (runtime/obmalloc.h), the gc lists, and what those
 * reach outside of pymalloc. `census` aggregates the same stream without
 * building this. */
#ifndef PYR_HEAP_HEAP_H
#define PYR_HEAP_HEAP_H

#include "runtime/object.h"
#include "runtime/types.h"

/* Where an object is with respect to the collector. */
enum pyr_generation {
	PYR_GEN_0, PYR_GEN_1, PYR_GEN_2,
	PYR_GEN_PERMANENT,  /* gc.freeze() */
	PYR_GEN_COLLECTING, /* in the list of a collection in progress */
	PYR_GEN_UNTRACKED,  /* not on any gc list */
	PYR_GEN_COUNT
};

/* How an object was found (bits). */
#define PYR_FOUND_BLOCK 1u     /* a live pymalloc block */
#define PYR_FOUND_GC_LIST 2u   /* a node of a gc list */
#define PYR_FOUND_REACHED 4u   /* a word of another object points to it */

struct pyr_heap {
	struct pyr_types *types; /* borrowed */
	uint32_t count;
	pyr_addr *address;       /* sorted */
	uint32_t *type;          /* index into types */
	uint8_t *generation;     /* enum pyr_generation */
	uint8_t *interpreter;    /* index into python->interpreters (of its gc list), 0 if untracked */
	uint8_t *found;          /* PYR_FOUND_* */
	void *index;             /* address -> id */
};

pyr_error *pyr_heap_build(struct pyr_types *types, struct pyr_control *control,
			  struct pyr_heap **ret);
void pyr_heap_destroy(struct pyr_heap *heap); /* NULL is allowed */

#define PYR_NO_ID UINT32_MAX
/* Exact start of an object -> id, or PYR_NO_ID. O(1). */
uint32_t pyr_heap_id(const struct pyr_heap *heap, pyr_addr addr);

#endif
