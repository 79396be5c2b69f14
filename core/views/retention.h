/* What the commands about retention share, each part made on first use and kept with
 * the session: the costs of paths, the tree of all paths, what is retained. */
#ifndef PYR_VIEWS_RETENTION_H
#define PYR_VIEWS_RETENTION_H

#include "analysis/retention/retained.h"
#include "analysis/retention/telling.h"
#include "command/session.h"

struct pyr_retention {
	struct pyr_model *model; /* with its predecessors */
	struct pyr_roots *roots;
	struct pyr_ledger *ledger;
	struct pyr_telling *telling;
	struct pyr_path_tree tree;    /* parent is NULL until asked for */
	struct pyr_retained retained; /* sizes is NULL until asked for */
};

/* The model, its predecessors, roots, ledger and costs. */
pyr_error *pyr_session_retention(struct pyr_session *session, struct pyr_retention **ret);
/* And the tree of all paths. */
pyr_error *pyr_session_path_tree(struct pyr_session *session, struct pyr_retention **ret);
/* And what every object retains. */
pyr_error *pyr_session_retained(struct pyr_session *session, struct pyr_retention **ret);
void pyr_retention_destroy(struct pyr_retention *retention); /* NULL is allowed */

#endif
