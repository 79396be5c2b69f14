/* What a collection would find in the target now: the set of unreachable objects, what
 * the collector would do with each (legacy finalizers, finalizers, callbacks of weak
 * references), and what else would go with them.
 *
 * gc_collect_main() of Modules/gcmodule.c (3.12-) and Python/gc.c up to the first
 * finalizer, on the snapshot. Where the target was stopped inside a collection, what
 * that one did so far is undone; see enum pyr_collection_phase. */
#ifndef PYR_ANALYSIS_COLLECTION_GARBAGE_H
#define PYR_ANALYSIS_COLLECTION_GARBAGE_H

#include "analysis/collection/address_bitmap.h"
#include "analysis/collection/id_subset.h"
#include "graph/model.h"
#include "runtime/gcstate.h"

/* How far a collection is that was running when the target was stopped. */
enum pyr_collection_phase {
	PYR_COLLECTION_NONE,
	PYR_COLLECTION_STARTING, /* or ending: gc.callbacks run; nothing was touched */
	PYR_COLLECTION_COUNTING, /* counts lie in the objects' heads; reference counts do not change
				  */
	PYR_COLLECTION_FINALIZING, /* what is unreachable is decided; weak references, finalizers
				    * and tp_clear are at work on it */
};

/* A type whose tp_traverse could not be followed. */
struct pyr_guessed {
	uint32_t type;   /* its index */
	const char *why; /* static */
};

struct pyr_garbage {
	struct pyr_model *model; /* borrowed */
	int generation;          /* of the collection: it and the younger ones are looked at */
	size_t interpreter;      /* whose objects are looked at */
	enum pyr_collection_phase phase;

	uint32_t *objects; /* the set: unreachable, by id, sorted */
	uint32_t count;
	struct pyr_id_subset subset; /* the same: id -> index into objects */
	uint64_t considered;         /* objects that the collection looks at */
	/* The size of the set is what gc.collect() would answer: nothing in it runs code. */
	bool exact;

	PYR_VEC(uint32_t) finalizers; /* whose tp_finalize would be called */
	/* What finalizers may bring back or free themselves: they and what they can reach; where
	 * one resurrected object saves all (the trait `resurrection`), the whole set. */
	PYR_VEC(uint32_t) finalizer_reachable;
	PYR_VEC(uint32_t) legacy;    /* with tp_del, and what those reach: kept */
	PYR_VEC(pyr_addr) callbacks; /* weak references whose callbacks would run */

	/* Objects outside of the set that only the set owns, directly or through others. */
	uint64_t owned_count;
	uint64_t tracked_bytes, owned_bytes; /* as sys.getsizeof() counts, native data included */
	/* Of the owned, those that are tracked: held by references that tp_traverse does not visit
	 * (the __subclasses__ of a class), so that the collector does not find them. */
	uint64_t owned_tracked, owned_tracked_bytes;
	uint64_t native_bytes; /* of both: data of arrays and buffers, outside of Python's heap */

	/* Frozen objects (gc.freeze()), which no collection looks at, and how many more objects
	 * would be unreachable if it did. */
	uint64_t frozen, frozen_unreachable;
	uint64_t negative; /* objects visited more often than they are counted; see collector.h */
	pyr_addr first_negative;
	/* Types of objects that the collection looks at whose references are guesses (or not
	 * known at all); were all guesses right, `hidden` objects more would be unreachable. */
	PYR_VEC(struct pyr_guessed) guessed;
	uint64_t hidden;
};

/* What gc.collect(@generation) would find that the interpreter of this index calls; up
 * to 3.8 all interpreters share one collector, and 0 stands for it. Errors: of reading
 * the collector's state, no_memory, interrupted. */
pyr_error *pyr_garbage_find(struct pyr_model *model, struct pyr_control *control, int generation,
			    size_t interpreter, struct pyr_garbage *ret);
/* Fill owned_count and the bytes. @weights (NULL: not wanted), zeroed, by index into objects,
 * becomes the bytes of the object and of all that it lets go of last: the last in the order
 * of `objects`, where several do. @gone (NULL: not wanted) becomes the addresses of the set
 * and of what only the set owns, the caller's to deinit. None of it depends on the number of
 * threads, unless reference counts are wrong. */
pyr_error *pyr_garbage_weigh(struct pyr_garbage *garbage, struct pyr_control *control,
			     uint64_t *weights, struct pyr_address_bitmap *gone);
/* A byte for each object of the heap: 0 in use, 1 unreachable to the collector of its
 * interpreter, 2 owned by such objects alone. @ret is the caller's to free. */
pyr_error *pyr_garbage_mark(struct pyr_model *model, struct pyr_control *control, uint8_t **ret);
void pyr_garbage_deinit(struct pyr_garbage *garbage);

/* The bytes of the object that lie outside of Python's heap: an array's data, a
 * bytearray's buffer; they are part of its size. */
uint64_t pyr_native_bytes(struct pyr_types *types, struct pyr_reader *reader,
			  const struct pyr_type *type, pyr_addr addr);

#endif
