/* The heap with its references: which object holds which, exactly or as inferred,
 * in compressed rows over dense ids. A guess at an object whose reference count the exact
 * references make up is no reference, and left out (bound.c).
 *
 * Built in one pass over the objects in address order: types with native plans on all
 * cores, then those whose functions were learned from some of their objects, what remains
 * on the calling thread (holdings.h). 8 bytes per object and 5 per reference, in the other
 * direction 8 and 4 more; no more than that at the peak. Labels are not stored:
 * pyr_model_walk() asks an object again. A word that is the address of no object of
 * the heap makes no edge; `dangling` counts them. Of a heap of tracked objects these are
 * the references among those: what the collector goes by, as long as none is a guess. */
#ifndef PYR_GRAPH_MODEL_H
#define PYR_GRAPH_MODEL_H

#include "graph/graph.h"
#include "objects/heap.h"
#include "references/traverse.h"

/* What is kept of an edge's label, in flags[]: the kind (enum pyr_edge_kind) in bits
 * 0-4 and these. */
#define PYR_MODEL_KIND(flags) ((enum pyr_edge_kind)((flags)&0x1f))
#define PYR_MODEL_TRAVERSED 0x20u /* tp_traverse visits it */
#define PYR_MODEL_OWNED 0x40u     /* counts in the target's reference count */
#define PYR_MODEL_INFERRED 0x80u  /* a guess: neither of the above; keeps alive */

struct pyr_model {
	struct pyr_heap *heap;         /* borrowed */
	struct pyr_traverse *traverse; /* owned; calling thread only */
	struct pyr_graph graph;        /* in_start is NULL until pyr_model_reverse() */
	uint8_t *flags;                /* by out edge, as graph.out */
	uint64_t dangling;             /* words that are no object's address */
	uint64_t inferred;             /* edges that are */
	uint64_t *accounted;           /* bit by id: guesses at it were left out; or NULL */
	uint64_t damaged;              /* objects whose memory contradicted itself */
};

pyr_error *pyr_model_build(struct pyr_heap *heap, struct pyr_control *control,
			   struct pyr_model **ret);
/* Add the predecessors; at once if they are there. */
pyr_error *pyr_model_reverse(struct pyr_model *model, struct pyr_control *control);
void pyr_model_destroy(struct pyr_model *model); /* NULL is allowed */

/* Tell every reference of object @id with its label; calling thread only. */
enum pyr_traverse_method pyr_model_walk(struct pyr_model *model, uint32_t id, pyr_ref_fn fn,
					void *ctx);

#endif
