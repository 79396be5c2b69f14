/* What the commands about retention share, each part made on first use and kept with
 * the session: the costs of paths, the tree of all paths, what is retained. */
#ifndef PYR_COMMAND_RETENTION_CACHE_H
#define PYR_COMMAND_RETENTION_CACHE_H

#include "analysis/retention/retained.h"
#include "analysis/retention/edge_costs.h"
#include "command/session.h"

struct pyr_retention_cache {
	struct pyr_model *model; /* with its predecessors */
	struct pyr_roots *roots;
	struct pyr_ledger *ledger;
	struct pyr_edge_costs *edge_costs;
	struct pyr_path_tree tree;    /* parent is NULL until asked for */
	struct pyr_retained retained; /* sizes is NULL until asked for */
};

/* The model, its predecessors, roots, ledger and costs. */
pyr_error *pyr_session_retention_cache(struct pyr_session *session,
				       struct pyr_retention_cache **ret);
/* And the tree of all paths. */
pyr_error *pyr_session_path_tree(struct pyr_session *session, struct pyr_retention_cache **ret);
/* And what every object retains. */
pyr_error *pyr_session_retained(struct pyr_session *session, struct pyr_retention_cache **ret);
void pyr_retention_cache_destroy(struct pyr_retention_cache *retention); /* NULL is allowed */

#endif
