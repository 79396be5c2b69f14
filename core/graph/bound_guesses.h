/* Guesses bounded by reference counts: an object that exact references account for whole
 * has no others. */
#ifndef PYR_GRAPH_BOUND_GUESSES_H
#define PYR_GRAPH_BOUND_GUESSES_H

#include "graph/model.h"

/* Take the inferred edges out of the rows whose targets' counts are made up by owned
 * edges, and have the model's holdings leave them out from now on. Before
 * pyr_model_reverse(). */
pyr_error *pyr_model_bound_guesses(struct pyr_model *model, struct pyr_control *control);

#endif
