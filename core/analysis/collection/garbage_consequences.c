/* What a collection would do with the objects that it finds unreachable: legacy finalizers
 * keep some, finalizers run, weak references call back. */
#include <stdlib.h>
#include <string.h>

#include "analysis/collection/garbage_internal.h"
#include "base/parallel.h"
#include "base/search.h"
#include "runtime/access.h"

#define GRAIN 16384u
#define WORKERS_MAX 64u

/* What was seen of an object. */
#define LOOKED_DEL 1u      /* its type has tp_del */
#define LOOKED_FINALIZE 2u /* ... tp_finalize */
#define LOOKED_WEAK 4u     /* there are weak references to it */

struct judge {
	struct pyr_garbage *garbage;
	const struct pyr_heap *heap;
	struct pyr_types *types;
	const struct pyr_layout *layout;
	struct pyr_reader *reader; /* of the calling thread */
	struct pyr_control *control;
	unsigned workers;
	struct pyr_reader readers[WORKERS_MAX];
	uint8_t *facts;  /* by type: LOOKED_*, WEAK where there can be weak references */
	uint8_t *looked; /* by index into garbage->objects */
};

static pyr_addr address_of(const struct judge *j, uint32_t id)
{
	return j->heap->address[id];
}

/* Of the types in the heap; any object's may be asked for then. */
static pyr_error *find_facts(struct judge *j)
{
	const struct pyr_type *type;
	uint32_t i, n = pyr_types_count(j->types);
	uint8_t *facts = calloc((size_t)n + 1, 1);

	if (!facts)
		return pyr_error_no_memory();
	j->facts = facts;
	for (i = 0; i < n; i++) {
		type = pyr_types_at(j->types, i);
		if (pyr_get_addr(j->layout, j->reader, type->address, PyTypeObject, tp_finalize))
			facts[i] |= LOOKED_FINALIZE;
		if (pyr_get_addr(j->layout, j->reader, type->address, PyTypeObject, tp_del))
			facts[i] |= LOOKED_DEL;
		if (type->weaklistoffset)
			facts[i] |= LOOKED_WEAK;
	}
	return pyr_reader_check(j->reader);
}

static pyr_error *look_at(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct judge *j = ctx;
	struct pyr_reader *reader = j->workers > 1 ? &j->readers[worker] : j->reader;
	pyr_addr weakref, offset;
	uint32_t id, type;

	for (; begin < end; begin++) {
		id = j->garbage->objects[begin];
		type = j->heap->type[id];
		j->looked[begin] = j->facts[type];
		if (!(j->facts[type] & LOOKED_WEAK))
			continue;
		offset = (pyr_addr)pyr_types_at(j->types, type)->weaklistoffset;
		if (!pyr_try_u64(reader, address_of(j, id) + offset, &weakref) || !weakref)
			j->looked[begin] &= (uint8_t)~LOOKED_WEAK;
	}
	return pyr_reader_check(reader);
}

static pyr_error *look_at_all(struct judge *j)
{
	pyr_error *err;
	unsigned w;

	if ((err = find_facts(j)))
		return err;
	j->looked = malloc((size_t)j->garbage->count + 1);
	if (!j->looked)
		return pyr_error_no_memory();
	for (w = 0; w < j->workers; w++)
		pyr_reader_init(&j->readers[w], j->types->python->target);
	err = pyr_parallel(j->control, "looking for finalizers", j->workers, j->garbage->count,
			   GRAIN, look_at, j);
	for (w = 0; w < j->workers; w++)
		pyr_reader_deinit(&j->readers[w]);
	return err;
}

/* @list, which are of the set, and all of the set that they reach; sorted. `mark` is a
 * zeroed byte for each of the set. */
static pyr_error *close_over(const struct judge *j, uint8_t *mark, const uint32_t *list,
			     size_t count, void *vector)
{
	typedef PYR_VEC(uint32_t) ids;
	const struct pyr_graph *graph = &j->garbage->model->graph;
	const struct pyr_garbage *g = j->garbage;
	ids *out = vector;
	uint32_t place;
	uint64_t e;
	size_t i;

	for (i = 0; i < count; i++) {
		mark[pyr_id_subset_place(&g->subset, list[i])] = 1;
		if (!pyr_vec_push(out, list[i]))
			return pyr_error_no_memory();
	}
	for (i = 0; i < out->count; i++)
		for (e = graph->out_start[out->data[i]]; e < graph->out_start[out->data[i] + 1];
		     e++) {
			if (!(j->garbage->model->flags[e] & PYR_MODEL_TRAVERSED))
				continue;
			place = pyr_id_subset_place(&g->subset, graph->out[e]);
			if (place == UINT32_MAX || mark[place])
				continue;
			mark[place] = 1;
			if (!pyr_vec_push(out, graph->out[e]))
				return pyr_error_no_memory();
		}
	if (out->count)
		qsort(out->data, out->count, sizeof(*out->data), pyr_by_number);
	return NULL;
}

/* move_legacy_finalizers(), move_legacy_finalizer_reachable() */
static pyr_error *find_legacy(struct judge *j, uint8_t *mark)
{
	struct pyr_garbage *g = j->garbage;
	PYR_VEC(uint32_t) own = {0};
	pyr_error *err = NULL;
	uint32_t i;

	for (i = 0; i < g->count && !err; i++)
		if (j->looked[i] & LOOKED_DEL && !pyr_vec_push(&own, g->objects[i]))
			err = pyr_error_no_memory();
	if (!err && own.count)
		err = close_over(j, mark, own.data, own.count, &g->legacy);
	pyr_vec_deinit(&own);
	return err;
}

/* finalize_garbage() */
static pyr_error *find_finalizers(struct judge *j, uint8_t *mark)
{
	struct pyr_garbage *g = j->garbage;
	struct pyr_object_header header;
	pyr_error *err;
	uint32_t i;

	for (i = 0; i < g->count; i++) {
		if (mark[i] || !(j->looked[i] & LOOKED_FINALIZE))
			continue;
		err = pyr_object_header(j->types, j->reader, address_of(j, g->objects[i]), &header);
		if (err)
			pyr_error_destroy(err);
		else if (!header.finalized && !pyr_vec_push(&g->finalizers, g->objects[i]))
			return pyr_error_no_memory();
	}
	if (!g->finalizers.count)
		return NULL;
	if (pyr_is(j->layout, resurrection, SAVES_ALL)) {
		if (!pyr_vec_reserve(&g->finalizer_reachable, g->count))
			return pyr_error_no_memory();
		memcpy(g->finalizer_reachable.data, g->objects, g->count * sizeof(*g->objects));
		g->finalizer_reachable.count = g->count;
		return NULL;
	}
	memset(mark, 0, g->count);
	return close_over(j, mark, g->finalizers.data, g->finalizers.count,
			  &g->finalizer_reachable);
}

/* handle_weakrefs(): callbacks of weak references that are not garbage themselves. */
static pyr_error *find_callbacks(struct judge *j, const uint8_t *kept)
{
	struct pyr_garbage *g = j->garbage;
	const struct pyr_type *type;
	pyr_addr weakref;
	uint64_t steps = 0;
	uint32_t i, id;

	for (i = 0; i < g->count; i++) {
		if (kept[i] || !(j->looked[i] & LOOKED_WEAK))
			continue;
		type = pyr_types_at(j->types, j->heap->type[g->objects[i]]);
		if (!pyr_try_u64(j->reader,
				 address_of(j, g->objects[i]) + (pyr_addr)type->weaklistoffset,
				 &weakref))
			continue;
		/* Each is in one list; memory that says otherwise ends the search. */
		for (; weakref && steps < j->heap->count; steps++) {
			id = pyr_heap_id(j->heap, weakref);
			if (pyr_get_addr(j->layout, j->reader, weakref, PyWeakReference,
					 wr_callback) &&
			    (id == PYR_NO_ID ||
			     pyr_id_subset_place(&g->subset, id) == UINT32_MAX) &&
			    !pyr_vec_push(&g->callbacks, weakref))
				return pyr_error_no_memory();
			weakref = pyr_get_addr(j->layout, j->reader, weakref, PyWeakReference,
					       wr_next);
		}
	}
	return pyr_reader_check(j->reader);
}

pyr_error *pyr_garbage_consequences(struct pyr_garbage *g, struct pyr_control *control)
{
	struct pyr_python *python = pyr_types_python(g->model->heap->types);
	struct judge j = {
		.garbage = g,
		.heap = g->model->heap,
		.types = g->model->heap->types,
		.layout = &python->layout,
		.reader = &python->reader,
		.control = control,
		.workers = pyr_target_concurrent(python->target) ? pyr_parallel_workers() : 1,
	};
	uint8_t *mark = calloc((size_t)g->count + 1, 1);
	pyr_error *err;

	if (!mark)
		return pyr_error_no_memory();
	if (!(err = look_at_all(&j)) && !(err = find_legacy(&j, mark)) &&
	    !(err = find_callbacks(&j, mark)))
		err = find_finalizers(&j, mark);
	free(mark);
	free(j.facts);
	free(j.looked);
	return err;
}
