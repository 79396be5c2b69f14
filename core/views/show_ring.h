/* A ring of references drawn: as text, as a graph for Graphviz, as JSON. */
#ifndef PYR_VIEWS_SHOW_RING_H
#define PYR_VIEWS_SHOW_RING_H

#include "analysis/collection/ring.h"
#include "views/show.h"

void pyr_show_ring(struct pyr_context *context, const struct pyr_ring *ring);
void pyr_show_ring_dot(struct pyr_context *context, const struct pyr_ring *ring, const char *title);
/* The members "ring" and "weak_link". */
void pyr_show_ring_json(struct pyr_context *context, const struct pyr_ring *ring);

#endif
