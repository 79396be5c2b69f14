#include "analysis/ledger.h"

#include <stdlib.h>

#include "heap/statics.h"
#include "runtime/object.h"

#define CHECK_EVERY 65536u

static pyr_error *read_counts(const struct pyr_model *model, struct pyr_control *control,
			      struct pyr_ledger *ledger)
{
	const struct pyr_heap *heap = model->heap;
	struct pyr_python *python = pyr_types_python(heap->types);
	struct pyr_target *target = python->target;
	int64_t refcount;
	bool immortal;
	struct pyr_reader reader;
	struct pyr_statics statics;
	size_t next = 0;
	pyr_error *err;
	uint32_t id;

	if ((err = pyr_statics_init(target, &statics)))
		return err;
	pyr_reader_init(&reader, target);
	for (id = 0; id < ledger->objects && !err; id++) {
		ledger->refcount[id] = PYR_LEDGER_EXCLUDED;
		if (!pyr_object_refcount(&python->layout, &reader, heap->address[id], &refcount,
					 &immortal) ||
		    immortal || pyr_statics_at(&statics, heap->address[id], &next))
			continue;
		ledger->refcount[id] = refcount < PYR_LEDGER_EXCLUDED ? (uint32_t)refcount
								      : PYR_LEDGER_EXCLUDED - 1;
		if (id % CHECK_EVERY == 0)
			err = pyr_control_check(control);
	}
	if (!err)
		err = pyr_reader_check(&reader);
	pyr_reader_deinit(&reader);
	pyr_statics_deinit(&statics);
	return err;
}

static void total(struct pyr_ledger *ledger)
{
	uint64_t refcount, found;
	uint32_t id;

	for (id = 0; id < ledger->objects; id++) {
		if (ledger->refcount[id] == PYR_LEDGER_EXCLUDED) {
			ledger->excluded++;
			continue;
		}
		refcount = ledger->refcount[id];
		found = ledger->found[id];
		ledger->refcount_total += refcount;
		ledger->references_found += found < refcount ? found : refcount;
		if (found > refcount) {
			ledger->negative++;
			ledger->underheld += found - refcount;
		} else if (found < refcount) {
			ledger->overheld++;
		}
	}
}

pyr_error *pyr_ledger_build(struct pyr_model *model, struct pyr_roots *roots,
			    struct pyr_control *control, struct pyr_ledger **ret)
{
	const struct pyr_graph *graph = &model->graph;
	struct pyr_ledger *ledger = calloc(1, sizeof(*ledger));
	pyr_error *err;
	uint64_t e;
	size_t i;

	if (!ledger)
		return pyr_error_no_memory();
	ledger->objects = model->heap->count;
	ledger->refcount = malloc((size_t)ledger->objects * sizeof(*ledger->refcount) + 1);
	ledger->found = calloc((size_t)ledger->objects + 1, sizeof(*ledger->found));
	if (!ledger->refcount || !ledger->found) {
		pyr_ledger_destroy(ledger);
		return pyr_error_no_memory();
	}
	if ((err = read_counts(model, control, ledger))) {
		pyr_ledger_destroy(ledger);
		return err;
	}
	for (e = 0; e < graph->edges; e++)
		if (model->flags[e] & PYR_MODEL_OWNED)
			ledger->found[graph->out[e]]++;
	for (i = 0; i < roots->roots.count; i++)
		if (roots->roots.data[i].owned)
			ledger->found[roots->roots.data[i].object]++;
	total(ledger);
	*ret = ledger;
	return NULL;
}

void pyr_ledger_destroy(struct pyr_ledger *ledger)
{
	if (!ledger)
		return;
	free(ledger->refcount);
	free(ledger->found);
	free(ledger);
}

double pyr_ledger_ratio(const struct pyr_ledger *ledger)
{
	return ledger->refcount_total
		       ? (double)ledger->references_found / (double)ledger->refcount_total
		       : 1;
}

void pyr_ledger_lines(const struct pyr_model *model, const struct pyr_roots *roots, uint32_t id,
		      struct pyr_ledger_lines *ret)
{
	const struct pyr_graph *graph = &model->graph;
	struct pyr_ledger_lines lines = {0};
	uint64_t p, e;
	size_t i, end;

	for (p = graph->in_start[id]; p < graph->in_start[id + 1]; p++) {
		uint32_t owner = graph->in[p];

		/* A predecessor is listed once for each of its edges: look at all of them
		 * the first time. Its edges to one object need not be adjacent. */
		if (p > graph->in_start[id] && graph->in[p - 1] == owner)
			continue;
		for (e = graph->out_start[owner]; e < graph->out_start[owner + 1]; e++) {
			if (graph->out[e] != id)
				continue;
			if (model->flags[e] & PYR_MODEL_OWNED)
				lines.edges[PYR_MODEL_KIND(model->flags[e])]++;
			else if (model->flags[e] & PYR_MODEL_INFERRED)
				lines.inferred++;
		}
	}
	for (pyr_roots_of(roots, id, &i, &end); i < end; i++) {
		if (roots->roots.data[i].owned)
			lines.roots[roots->roots.data[i].kind]++;
		else if (roots->roots.data[i].possible)
			lines.possible++;
	}
	*ret = lines;
}
