#include "analysis/retention/ledger.h"

#include <stdlib.h>

#include "roots/statics.h"
#include "values/object.h"

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

/* A text of two letters or more, and the zeros behind it. */
static bool is_text(uint32_t count)
{
	unsigned n;

	for (n = 0; count; n++, count >>= 8)
		if ((count & 0xff) < 0x20 || (count & 0xff) > 0x7e)
			return false;
	return n > 1;
}

/* A word led there, and no reference did: perhaps an entry of somebody's table. */
static bool is_doubtful(const struct pyr_heap *heap, uint32_t id)
{
	return heap->found[id] == PYR_FOUND_REACHED && heap->generation[id] == PYR_GEN_UNTRACKED;
}

/* Memory that only looks like an object, to which nothing refers; a short text in a block
 * of 16 bytes that held an object() before looks like one whose count is the text. */
static void leave_out_likenesses(const struct pyr_model *model, struct pyr_ledger *ledger)
{
	const struct pyr_heap *heap = model->heap;
	pyr_addr object = pyr_types_python(heap->types)->known[PYR_KNOWN_OBJECT_TYPE];
	uint32_t id;

	for (id = 0; id < ledger->objects; id++)
		if (ledger->refcount[id] != PYR_LEDGER_EXCLUDED && !ledger->found[id] &&
		    (is_doubtful(heap, id) ||
		     (is_text(ledger->refcount[id]) &&
		      pyr_types_at(heap->types, heap->type[id])->address == object)))
			ledger->refcount[id] = PYR_LEDGER_EXCLUDED;
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

/* property_descr_get(), Objects/descrobject.c, until 3.8: a C variable keeps a tuple of
 * one for the arguments of the next call, and the last call's argument in it, borrowed.
 * Of those that count less than was found, that tuple's reference is taken back. */
static void take_back_borrowed(struct pyr_model *model, const struct pyr_roots *roots,
			       struct pyr_ledger *ledger)
{
	const struct pyr_graph *graph = &model->graph;
	const struct pyr_root *root;
	uint32_t owner, held;
	uint64_t e;
	size_t i;

	for (i = 0; i < roots->roots.count; i++) {
		root = &roots->roots.data[i];
		owner = root->object;
		e = graph->out_start[owner];
		if (root->kind != PYR_ROOT_C_STATIC || ledger->refcount[owner] != 1 ||
		    graph->out_start[owner + 1] - e != 1 ||
		    model->heap->generation[owner] != PYR_GEN_UNTRACKED ||
		    pyr_types_at(model->heap->types, model->heap->type[owner])->shape !=
			    PYR_SHAPE_TUPLE)
			continue;
		held = graph->out[e];
		if (ledger->refcount[held] == PYR_LEDGER_EXCLUDED ||
		    ledger->found[held] <= ledger->refcount[held] ||
		    !(model->flags[e] & PYR_MODEL_OWNED))
			continue;
		model->flags[e] &= (uint8_t)~PYR_MODEL_OWNED;
		ledger->found[held]--;
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
	take_back_borrowed(model, roots, ledger);
	leave_out_likenesses(model, ledger);
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
