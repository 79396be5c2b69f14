#include "graph/bound_guesses.h"

#include <stdlib.h>

static bool bit(const uint64_t *bits, uint32_t id)
{
	return bits[id >> 6] >> (id & 63) & 1;
}

/* Guessed at, and nothing of the count is left for a guess. */
static pyr_error *find_accounted(struct pyr_model *model, struct pyr_control *control,
				 const uint32_t *owned, const uint64_t *guessed)
{
	struct pyr_python *python = pyr_types_python(model->heap->types);
	int64_t refcount;
	bool immortal;
	pyr_error *err;
	uint32_t id;

	for (id = 0; id < model->graph.nodes; id++) {
		if (!(id & 0xfffff) && (err = pyr_control_progress(control, "bounding guesses", id,
								   model->graph.nodes)))
			return err;
		if (bit(guessed, id) &&
		    pyr_object_refcount(&python->layout, &python->reader, model->heap->address[id],
					&refcount, &immortal) &&
		    !immortal && refcount <= (int64_t)owned[id])
			model->accounted[id >> 6] |= UINT64_C(1) << (id & 63);
	}
	return pyr_reader_check(&python->reader);
}

/* Close the gaps: rows only move down. */
static void take_out(struct pyr_model *model)
{
	struct pyr_graph *g = &model->graph;
	uint64_t e, end, to = 0;
	uint32_t n;

	for (n = 0, e = 0; n < g->nodes; n++) {
		for (end = g->out_start[n + 1]; e < end; e++) {
			if (model->flags[e] & PYR_MODEL_INFERRED &&
			    bit(model->accounted, g->out[e])) {
				model->inferred--;
				continue;
			}
			g->out[to] = g->out[e];
			model->flags[to++] = model->flags[e];
		}
		g->out_start[n + 1] = to;
	}
	g->edges = to;
}

static bool is_accounted(void *ctx, pyr_addr target)
{
	const struct pyr_model *model = ctx;
	uint32_t id = pyr_heap_id(model->heap, target);

	return id != PYR_NO_ID && bit(model->accounted, id);
}

pyr_error *pyr_model_bound_guesses(struct pyr_model *model, struct pyr_control *control)
{
	size_t words = ((size_t)model->graph.nodes + 63) / 64;
	uint32_t *owned = calloc((size_t)model->graph.nodes + 1, sizeof(*owned));
	uint64_t *guessed = calloc(words + 1, sizeof(*guessed));
	pyr_error *err = NULL;
	uint64_t e;

	model->accounted = calloc(words + 1, sizeof(*model->accounted));
	if (!owned || !guessed || !model->accounted) {
		err = pyr_error_no_memory();
		goto out;
	}
	for (e = 0; e < model->graph.edges; e++) {
		uint32_t target = model->graph.out[e];

		if (model->flags[e] & PYR_MODEL_INFERRED)
			guessed[target >> 6] |= UINT64_C(1) << (target & 63);
		owned[target] += (model->flags[e] & PYR_MODEL_OWNED) != 0;
	}
	if ((err = find_accounted(model, control, owned, guessed)))
		goto out;
	take_out(model);
	pyr_traverse_bound(model->traverse, is_accounted, model);
out:
	free(owned);
	free(guessed);
	return err;
}
