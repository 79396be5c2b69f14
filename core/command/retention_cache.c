#include "command/retention_cache.h"

#include <stdlib.h>

pyr_error *pyr_session_retention_cache(struct pyr_session *session,
				       struct pyr_retention_cache **ret)
{
	struct pyr_control *control = &session->control;
	struct pyr_retention_cache *r;
	struct pyr_ledger *ledger;
	pyr_error *err;

	if ((err = pyr_session_ledger(session, &ledger)) ||
	    (err = pyr_model_reverse(session->model, control)))
		return err;
	if (!session->retention) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return pyr_error_no_memory();
		r->model = session->model;
		r->roots = session->roots;
		r->ledger = ledger;
		if ((err = pyr_edge_costs_create(r->model, r->roots, ledger, control,
						 &r->edge_costs))) {
			free(r);
			return err;
		}
		session->retention = r;
	}
	*ret = session->retention;
	return NULL;
}

pyr_error *pyr_session_path_tree(struct pyr_session *session, struct pyr_retention_cache **ret)
{
	struct pyr_retention_cache *r;
	pyr_error *err;

	if ((err = pyr_session_retention_cache(session, &r)))
		return err;
	if (!r->tree.parent &&
	    (err = pyr_edge_costs_tree(r->edge_costs, &session->control, &r->tree)))
		return err;
	*ret = r;
	return NULL;
}

pyr_error *pyr_session_retained(struct pyr_session *session, struct pyr_retention_cache **ret)
{
	struct pyr_retention_cache *r;
	pyr_error *err;

	if ((err = pyr_session_retention_cache(session, &r)))
		return err;
	if (!r->retained.sizes && (err = pyr_retained_compute(r->model, r->roots, r->ledger,
							      &session->control, &r->retained)))
		return err;
	*ret = r;
	return NULL;
}

void pyr_retention_cache_destroy(struct pyr_retention_cache *r)
{
	if (!r)
		return;
	pyr_retained_deinit(&r->retained);
	pyr_path_tree_deinit(&r->tree);
	pyr_edge_costs_destroy(r->edge_costs);
	free(r);
}
