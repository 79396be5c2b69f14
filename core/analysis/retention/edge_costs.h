/* What makes one path more telling than another, as costs for paths.h.
 *
 * A person asks who keeps an object alive and knows modules, variables, attributes and
 * items by name. So a module's variables are the cheapest beginning, then the variables
 * of running functions, then fields of threads and interpreters; attributes, items and
 * values are cheap steps, and the ways that everything has to everything (__globals__,
 * __class__, __mro__, modules in other modules) are dear: they are taken only where
 * there is no other. */
#ifndef PYR_ANALYSIS_RETENTION_EDGE_COSTS_H
#define PYR_ANALYSIS_RETENTION_EDGE_COSTS_H

#include "analysis/retention/paths.h"
#include "analysis/retention/ledger.h"

struct pyr_edge_costs;

/* All that is given is borrowed. */
pyr_error *pyr_edge_costs_create(struct pyr_model *model, const struct pyr_roots *roots,
				 const struct pyr_ledger *ledger, struct pyr_control *control,
				 struct pyr_edge_costs **ret);
void pyr_edge_costs_destroy(struct pyr_edge_costs *edge_costs); /* NULL is allowed */

/* For struct pyr_path_costs; the context is the pyr_edge_costs. */
unsigned pyr_edge_costs_of(void *edge_costs, uint32_t from, uint64_t edge);
unsigned pyr_edge_costs_root_cost(enum pyr_root_kind kind);
/* Is @node the namespace of a module? */
bool pyr_edge_costs_is_namespace(const struct pyr_edge_costs *edge_costs, uint32_t node);
/* Is @node a dict of all modules, sys.modules? */
bool pyr_edge_costs_is_modules(const struct pyr_edge_costs *edge_costs, uint32_t node);

/* How much a root is worth: exact ones; immortal objects and interned strings; words of
 * C memory; and last, without a root, objects of which not all references were found. A
 * later phase counts for what no earlier one reaches. */
enum { PYR_PHASE_EXACT, PYR_PHASE_LASTING, PYR_PHASE_POSSIBLE, PYR_PHASE_UNKNOWN, PYR_PHASE_COUNT };
unsigned pyr_edge_costs_phase(const struct pyr_root *root);
/* Can the root be a reason to live? A word of C memory can only when not all references
 * to its object were found elsewhere: it would be one of them. */
bool pyr_edge_costs_root_counts(const struct pyr_edge_costs *edge_costs,
				const struct pyr_root *root);

/* The cheapest path from every object's nearest root; see paths.h. */
pyr_error *pyr_edge_costs_tree(struct pyr_edge_costs *edge_costs, struct pyr_control *control,
			       struct pyr_path_tree *ret);

#endif
