/* The ledger: of every object's reference count, how many references were found.
 *
 * Found are the *owned* edges of the model and the owned roots. Inferred edges and
 * possible roots are never subtracted. Immortal objects and objects that are C
 * variables have no count that means anything: they are excluded, and counted. A
 * negative remainder (more found than the count says) is a defect of ours or of the
 * target. A pure function of the model, its roots and the objects' headers. */
#ifndef PYR_ANALYSIS_RETENTION_LEDGER_H
#define PYR_ANALYSIS_RETENTION_LEDGER_H

#include "roots/roots.h"

#define PYR_LEDGER_EXCLUDED UINT32_MAX /* as refcount: immortal, static, or no object */

struct pyr_ledger {
	uint32_t objects;
	uint32_t *refcount; /* by object, or PYR_LEDGER_EXCLUDED */
	uint32_t *found;    /* by object: owned edges and owned roots; excluded ones too */
	/* Totals over the objects that are not excluded. */
	uint64_t refcount_total;
	uint64_t references_found; /* at most the count of each object */
	uint64_t excluded;         /* objects */
	uint64_t negative;         /* objects of which more was found than they count */
	uint64_t underheld;        /* references that were found too many */
	uint64_t overheld;         /* objects of which less was found */
};

pyr_error *pyr_ledger_build(struct pyr_model *model, struct pyr_roots *roots,
			    struct pyr_control *control, struct pyr_ledger **ret);
void pyr_ledger_destroy(struct pyr_ledger *ledger); /* NULL is allowed */

/* references_found / refcount_total; 1 when there is nothing to explain. */
double pyr_ledger_ratio(const struct pyr_ledger *ledger);
/* The count less what was found; 0 for excluded objects. */
static inline int64_t pyr_ledger_remainder(const struct pyr_ledger *ledger, uint32_t id)
{
	return ledger->refcount[id] == PYR_LEDGER_EXCLUDED
		       ? 0
		       : (int64_t)ledger->refcount[id] - (int64_t)ledger->found[id];
}

/* One object's ledger by kind: owned edges by the kind of edge, owned roots by the
 * kind of root. Needs the predecessors (pyr_model_reverse()). */
struct pyr_ledger_lines {
	uint32_t edges[PYR_EDGE_COUNT];
	uint32_t roots[PYR_ROOT_COUNT];
	uint32_t inferred; /* edges that are guesses: shown beside, not subtracted */
	uint32_t possible; /* roots that are words of C memory: likewise */
};
void pyr_ledger_lines(const struct pyr_model *model, const struct pyr_roots *roots, uint32_t id,
		      struct pyr_ledger_lines *ret);

#endif
