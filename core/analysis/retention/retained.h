/* What each object retains: the bytes that would be freed if it were gone.
 *
 * The dominator tree (dominators.h) of the whole heap. Every reference that keeps
 * alive counts, exact or inferred; weak references are none. Roots are all exact ones.
 * A word of C memory that equals an object's address may mean nothing, and a stray one
 * on a stack must not take a cache's bytes from the object that holds it: such words are
 * roots only of what no exact root reaches, and only of objects with references that were
 * not found elsewhere. Of the rest, objects with references that
 * were not found anywhere (ledger.h) are held by something unknown: they are roots of
 * what is reached by nothing else. What is left is garbage that was not collected yet; it
 * retains nothing. */
#ifndef PYR_ANALYSIS_RETENTION_RETAINED_H
#define PYR_ANALYSIS_RETENTION_RETAINED_H

#include "analysis/retention/dominators.h"
#include "analysis/retention/ledger.h"

/* What an object is reached by. */
enum pyr_reach {
	PYR_REACH_EXACT,    /* exact roots */
	PYR_REACH_POSSIBLE, /* only words of C memory */
	PYR_REACH_UNKNOWN,  /* only objects of which not all references were found */
	PYR_REACH_NONE,     /* nothing */
	PYR_REACH_COUNT
};

struct pyr_retained {
	struct pyr_dominators tree;
	uint64_t *sizes;                   /* shallow bytes by object, as sys.getsizeof() counts */
	uint64_t bytes;                    /* of all objects */
	uint32_t objects[PYR_REACH_COUNT]; /* by what reaches them */
};

/* The model needs both directions. */
pyr_error *pyr_retained_compute(struct pyr_model *model, const struct pyr_roots *roots,
				const struct pyr_ledger *ledger, struct pyr_control *control,
				struct pyr_retained *ret);
void pyr_retained_deinit(struct pyr_retained *retained);

/* Shallow sizes of all objects, as sys.getsizeof() counts; the caller frees. */
pyr_error *pyr_retained_sizes(struct pyr_heap *heap, struct pyr_control *control, uint64_t **ret);

/* The dominator tree downwards: the first child of each object, the next of its
 * siblings, and the first of those that nothing dominates; PYR_NOT_REACHABLE ends. */
struct pyr_dominated {
	uint32_t *child, *sibling;
	uint32_t top;
};
pyr_error *pyr_dominated_unfold(const struct pyr_dominators *tree, uint32_t count,
				struct pyr_dominated *ret);
void pyr_dominated_deinit(struct pyr_dominated *dominated);
/* The object after @node in a walk over all that @start dominates, itself first;
 * PYR_NOT_REACHABLE at the end. */
uint32_t pyr_dominated_next(const struct pyr_dominated *dominated,
			    const struct pyr_dominators *tree, uint32_t start, uint32_t node);

/* What the objects of each type retain, by type index (@ret[@types], zeroed): the sum of
 * their retained bytes, those that another object of the same type dominates left out.
 * What only several of them hold together is retained by none of them, and not in it.
 * 8 bytes per object while it runs. */
pyr_error *pyr_retained_by_type(const struct pyr_retained *retained, const struct pyr_heap *heap,
				struct pyr_control *control, uint64_t *ret, uint32_t types);

#endif
