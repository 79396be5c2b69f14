/* All objects of the target, with dense ids in address order.
 *
 * Enumeration reads memory in address order: every live pymalloc block whose
 * words are an object's (pymalloc/obmalloc.h), the gc lists, and what those
 * reach outside of pymalloc. `census` aggregates the same stream without
 * building this. */
#ifndef PYR_OBJECTS_HEAP_H
#define PYR_OBJECTS_HEAP_H

#include "values/object.h"
#include "types/types.h"

/* Where an object is with respect to the collector. */
enum pyr_generation {
	PYR_GEN_0,
	PYR_GEN_1,
	PYR_GEN_2,
	PYR_GEN_PERMANENT,  /* gc.freeze() */
	PYR_GEN_COLLECTING, /* in the list of a collection in progress */
	PYR_GEN_UNTRACKED,  /* not on any gc list */
	PYR_GEN_COUNT
};

/* How an object was found (bits). */
#define PYR_FOUND_BLOCK 1u   /* a live pymalloc block */
#define PYR_FOUND_GC_LIST 2u /* a node of a gc list */
#define PYR_FOUND_REACHED 4u /* a word of another object points to it */

struct pyr_index;
struct pyr_obmalloc;

struct pyr_heap {
	struct pyr_types *types; /* borrowed */
	uint32_t count;
	pyr_addr *address;    /* sorted */
	uint32_t *type;       /* index into types */
	uint8_t *generation;  /* enum pyr_generation */
	uint8_t *interpreter; /* index into python->interpreters (of its gc list), 0 if untracked */
	uint8_t *found;       /* PYR_FOUND_* */
	struct pyr_index *index; /* address -> id */
	/* Only the objects on gc lists: others have no ids here. */
	bool tracked_only;
	int32_t *refcount; /* then, as pyr_count_of() tells it; else NULL */
	/* Membership in generations is exact: every gc list closes. */
	bool proven;
	struct pyr_obmalloc *obmalloc; /* the arenas it was read from */
};

pyr_error *pyr_heap_build(struct pyr_types *types, struct pyr_control *control,
			  struct pyr_heap **ret);
/* The objects on gc lists alone: all that the collector looks at, in a fraction of the time
 * and memory of the whole. *ret is NULL where the lists cannot be proven closed (a
 * collection is running, memory is damaged): the whole heap tells more then. */
pyr_error *pyr_heap_build_tracked(struct pyr_types *types, struct pyr_control *control,
				  struct pyr_heap **ret);
void pyr_heap_destroy(struct pyr_heap *heap); /* NULL is allowed */

/* A reference count as the collector copies it, at most PYR_COUNT_MAX; PYR_COUNT_NONE for
 * immortal objects, which drop out of every collection, and for what is no count. */
#define PYR_COUNT_NONE INT32_MAX
#define PYR_COUNT_MAX (INT32_MAX / 2)

/* Py_REFCNT() and _Py_IsImmortal() of object.h, of the word at ob_refcnt. */
static inline int32_t pyr_count_of(enum pyr_trait_value encoding, uint64_t word)
{
	if (encoding != PYR_TRAIT(immortal_encoding, NONE) && (int32_t)(uint32_t)word < 0)
		return PYR_COUNT_NONE;
	if (encoding == PYR_TRAIT(immortal_encoding, HIGH_BIT_32))
		word = (uint32_t)word;
	return word == 0 || word > PYR_COUNT_MAX ? PYR_COUNT_NONE : (int32_t)word;
}

#define PYR_NO_ID UINT32_MAX
/* Exact start of an object -> id, or PYR_NO_ID. O(1). */
uint32_t pyr_heap_id(const struct pyr_heap *heap, pyr_addr addr);

/* What an address is with respect to the object that it belongs to. */
enum pyr_part {
	PYR_PART_BODY, /* the object itself; also the slack of its block */
	PYR_PART_GC_HEAD,
	PYR_PART_PRE_HEADER, /* managed dict and weak references */
	PYR_PART_DEBUG_HEAD, /* of the debug allocator */
	PYR_PART_BUFFER,     /* memory apart that the object owns: items, keys, table, ... */
};

struct pyr_resolved {
	uint32_t id;
	enum pyr_part part;
	int64_t offset;     /* of the address from the object; in a buffer: from its start */
	const char *buffer; /* static name of the buffer ("ob_item", "ma_keys"), else NULL */
};

/* Bytes of the object's own block, from the object on: without heads and buffers. */
uint64_t pyr_heap_own_size(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id);

/* The object that @addr belongs to. Errors: freed (a block of pymalloc that is
 * free), not_an_object, unreadable. Linear in the heap when @addr lies in no
 * object's own block. */
pyr_error *pyr_heap_resolve(struct pyr_heap *heap, struct pyr_control *control, pyr_addr addr,
			    struct pyr_resolved *ret);

#endif
