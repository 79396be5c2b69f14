/* The collector's state, per interpreter (one shared state up to 3.8). */
#ifndef PYR_RUNTIME_GCSTATE_H
#define PYR_RUNTIME_GCSTATE_H

#include "runtime/python.h"

#define PYR_GC_GENERATIONS 3

struct pyr_gc_state {
	size_t interpreter; /* index into python->interpreters */
	pyr_addr address;   /* struct _gc_runtime_state; 0 on 3.6 */
	bool enabled, collecting;
	uint32_t debug; /* gc.DEBUG_* bits */
	struct {
		pyr_addr head; /* list head (PyGC_Head) */
		int32_t threshold, count;
		uint64_t objects; /* nodes on the list; filled by pyr_gc_count_objects() */
		bool has_stats;
		uint64_t collections, collected, uncollectable;
	} generations[PYR_GC_GENERATIONS];
	/* 3.14.0-3.14.4: generation 0 is `young`, what gc.get_objects(2) shows is
	 * both old lists; the second old list's head, else 0. */
	pyr_addr second_old_head;
	pyr_addr permanent_head; /* 0 before 3.7 */
	uint64_t frozen;         /* nodes on it; filled by pyr_gc_count_objects() */
	pyr_addr garbage;        /* gc.garbage list object, or 0 */
	uint64_t garbage_count;
	pyr_addr callbacks; /* gc.callbacks list object, or 0 */
	uint64_t callback_count;
	int64_t long_lived_total, long_lived_pending; /* -1: not in this build */
	pyr_addr collecting_frame; /* 3.15: the frame that started the collection */
};

/* @ret is an array of *count states for pyr_gc_states_destroy(). */
pyr_error *pyr_gc_states_read(const struct pyr_python *python, struct pyr_reader *reader,
			      struct pyr_gc_state **ret, size_t *count);
void pyr_gc_states_destroy(struct pyr_gc_state *states, size_t count);

/* Walk a gc list: calls @fn(ctx, object address) for every node until it answers
 * false. Checks back links outside of collections and guards against cycles;
 * *broken (may be NULL) is the node at which the list stops making sense, 0 when
 * it closes. Any thread, with its own reader. */
pyr_error *pyr_gc_list_walk(const struct pyr_python *python, struct pyr_reader *reader,
			    pyr_addr head, bool (*fn)(void *ctx, pyr_addr object), void *ctx,
			    pyr_addr *broken);
/* Fill `objects` and `frozen` by walking every list. */
pyr_error *pyr_gc_count_objects(const struct pyr_python *python, struct pyr_reader *reader,
				struct pyr_gc_state *states, size_t count);
/* Recover the lists of a collection in progress: heads that lie on the C stack
 * of the collecting thread. Calls @fn for each object found there. */
pyr_error *pyr_gc_collecting_walk(const struct pyr_python *python, struct pyr_reader *reader,
				  const struct pyr_gc_state *state,
				  bool (*fn)(void *ctx, pyr_addr object), void *ctx);

#endif
