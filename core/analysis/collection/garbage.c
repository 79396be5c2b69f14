#include "analysis/collection/garbage.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/collection/collector.h"
#include "analysis/collection/garbage_internal.h"
#include "base/large.h"
#include "base/parallel.h"
#include "base/search.h"
#include "runtime/access.h"

#define GRAIN 16384u
#define WORKERS_MAX 64u

struct finder {
	struct pyr_model *model;
	struct pyr_heap *heap;
	struct pyr_types *types;
	const struct pyr_layout *layout;
	struct pyr_reader *reader; /* of the calling thread */
	struct pyr_control *control;
	unsigned workers;
	struct pyr_reader readers[WORKERS_MAX];
	int32_t *refs;
	atomic_ullong considered;
	bool with_frozen;          /* as after gc.unfreeze() */
	PYR_VEC(uint32_t) exempt;  /* tracked objects that tp_is_gc keeps the collector off */
	PYR_VEC(uint32_t) decided; /* what a running collection found unreachable */
	struct pyr_garbage garbage;
};

static pyr_addr address_of(const struct finder *f, uint32_t id)
{
	return f->heap->address[id];
}

static bool takes_part(const struct finder *f, uint8_t generation)
{
	return generation == PYR_GEN_COLLECTING ||
	       (generation == PYR_GEN_PERMANENT && f->with_frozen) ||
	       (generation <= PYR_GEN_2 && generation <= f->garbage.generation);
}

static bool is_looked_at(const struct finder *f, uint32_t id)
{
	return takes_part(f, f->heap->generation[id]) &&
	       f->heap->interpreter[id] == f->garbage.interpreter;
}

static int32_t count_of(const struct finder *f, struct pyr_reader *reader, size_t id)
{
	uint64_t word;

	if (f->heap->refcount)
		return f->heap->refcount[id];
	return pyr_try_u64(reader,
			   f->heap->address[id] +
				   (pyr_addr)pyr_offset(f->layout, PyObject, ob_refcnt),
			   &word)
		       ? pyr_count_of(pyr_trait(f->layout, immortal_encoding), word)
		       : PYR_COUNT_NONE;
}

/* update_refs() */
static pyr_error *read_counts(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct finder *f = ctx;
	struct pyr_reader *reader = f->workers > 1 ? &f->readers[worker] : f->reader;
	uint64_t considered = 0;
	size_t i;

	for (i = begin; i < end; i++) {
		f->refs[i] = is_looked_at(f, (uint32_t)i) ? count_of(f, reader, i) : PYR_COUNT_NONE;
		considered += f->refs[i] != PYR_COUNT_NONE;
	}
	atomic_fetch_add(&f->considered, considered);
	return pyr_reader_check(reader);
}

static pyr_error *read_all_counts(struct finder *f)
{
	pyr_error *err;
	unsigned w;

	atomic_store(&f->considered, 0);
	for (w = 0; w < f->workers; w++)
		pyr_reader_init(&f->readers[w], f->model->heap->types->python->target);
	err = pyr_parallel(f->control, "reading reference counts", f->workers, f->heap->count,
			   GRAIN, read_counts, f);
	for (w = 0; w < f->workers; w++)
		pyr_reader_deinit(&f->readers[w]);
	return err;
}

/* visit_decref() and visit_reachable() pass over what _PyObject_IS_GC() denies, though it is
 * in a generation and its own references are taken off: greenlet's tp_is_gc keeps alive what
 * hangs on a C stack that is not there now. Only types and such extensions have a tp_is_gc. */
static pyr_error *find_exempt(struct finder *f)
{
	uint32_t i, id, n = pyr_types_count(f->types);
	pyr_addr *is_gc = calloc((size_t)n + 1, sizeof(*is_gc));
	const struct pyr_type *type;
	bool any = false, ok = true;

	if (!is_gc)
		return pyr_error_no_memory();
	for (i = 0; i < n; i++) {
		type = pyr_types_at(f->types, i);
		if (!type->gc || type->shape == PYR_SHAPE_TYPE)
			continue;
		is_gc[i] =
			pyr_get_addr(f->layout, f->reader, type->address, PyTypeObject, tp_is_gc);
		any = any || is_gc[i];
	}
	for (id = 0; any && ok && id < f->heap->count; id++)
		if (f->heap->type[id] < n && is_gc[f->heap->type[id]] &&
		    (takes_part(f, f->heap->generation[id]) ||
		     f->heap->generation[id] == PYR_GEN_PERMANENT) &&
		    !pyr_traverse_is_gc(f->model->traverse, is_gc[f->heap->type[id]],
					address_of(f, id)))
			ok = pyr_vec_push(&f->exempt, id);
	free(is_gc);
	return ok ? pyr_reader_check(f->reader) : pyr_error_no_memory();
}

/* Held by more than can be taken off. */
static void hold_exempt(struct finder *f)
{
	size_t i;

	for (i = 0; i < f->exempt.count; i++)
		if (f->refs[f->exempt.data[i]] != PYR_COUNT_NONE)
			f->refs[f->exempt.data[i]] = PYR_COUNT_MAX;
}

/* --- a collection in progress --- */

/* Once it is decided what is unreachable, the survivors have joined a generation and
 * lost their mark; only the unreachable still have it, and they are on no generation's
 * list (move_unreachable(), move_legacy_finalizers()). Before, marked objects are on the
 * list of the generation that is collected. */
static pyr_error *find_phase(struct finder *f)
{
	struct pyr_object_header header;
	struct pyr_gc_state *states;
	uint64_t counting = 0;
	bool collecting = false;
	size_t count, i;
	pyr_error *err;
	uint32_t id;

	if ((err = pyr_gc_states_read(pyr_types_python(f->types), f->reader, &states, &count)))
		return err;
	for (i = 0; i < count; i++)
		collecting |=
			states[i].interpreter == f->garbage.interpreter && states[i].collecting;
	pyr_gc_states_destroy(states, count);
	if (!collecting)
		return NULL;
	for (id = 0; id < f->heap->count; id++) {
		if (f->heap->generation[id] >= PYR_GEN_UNTRACKED ||
		    f->heap->interpreter[id] != f->garbage.interpreter)
			continue;
		err = pyr_object_header(f->types, f->reader, address_of(f, id), &header);
		if (err) {
			pyr_error_destroy(err);
			continue;
		}
		if (!header.collecting || header.immortal)
			continue;
		if (f->heap->generation[id] != PYR_GEN_COLLECTING)
			counting++;
		else if (!pyr_vec_push(&f->decided, id))
			return pyr_error_no_memory();
	}
	if (counting) {
		f->decided.count = 0;
		f->garbage.phase = PYR_COLLECTION_COUNTING;
	} else {
		f->garbage.phase =
			f->decided.count ? PYR_COLLECTION_FINALIZING : PYR_COLLECTION_STARTING;
	}
	return NULL;
}

/* What was decided stays decided, whatever finalizers hold by now; what it holds is held
 * by garbage. */
static void leave_out_decided(struct finder *f)
{
	const struct pyr_graph *g = &f->model->graph;
	uint64_t e;
	uint32_t t;
	size_t i;

	for (i = 0; i < f->decided.count; i++)
		f->refs[f->decided.data[i]] = PYR_COUNT_NONE;
	for (i = 0; i < f->decided.count; i++)
		for (e = g->out_start[f->decided.data[i]]; e < g->out_start[f->decided.data[i] + 1];
		     e++) {
			t = g->out[e];
			if ((f->model->flags[e] & (PYR_MODEL_TRAVERSED | PYR_MODEL_OWNED)) ==
				    (PYR_MODEL_TRAVERSED | PYR_MODEL_OWNED) &&
			    f->refs[t] <= PYR_COUNT_MAX)
				f->refs[t]--;
		}
}

static pyr_error *add_decided(struct finder *f, struct pyr_collector_result *result)
{
	uint32_t *all;

	if (!f->decided.count)
		return NULL;
	all = realloc(result->objects, (result->count + f->decided.count) * sizeof(*all));
	if (!all)
		return pyr_error_no_memory();
	memcpy(all + result->count, f->decided.data, f->decided.count * sizeof(*all));
	result->objects = all;
	result->count += (uint32_t)f->decided.count;
	qsort(all, result->count, sizeof(*all), pyr_by_number);
	return NULL;
}

/* --- the algorithm --- */

struct guesses {
	PYR_VEC(struct pyr_guessed) all;
	bool out_of_memory;
};

static void note_guess(void *ctx, const struct pyr_type *type, const char *why)
{
	struct guesses *g = ctx;

	if (!pyr_vec_push(&g->all, (struct pyr_guessed){type->index, why}))
		g->out_of_memory = true;
}

/* At what the collection does not look at it does not matter: of that a heap of tracked
 * objects has none, and tells the same. */
static bool has_guesses(const struct finder *f, uint32_t id)
{
	const struct pyr_graph *g = &f->model->graph;
	uint64_t e;

	for (e = g->out_start[id]; e < g->out_start[id + 1]; e++)
		if (f->model->flags[e] & PYR_MODEL_INFERRED && is_looked_at(f, g->out[e]))
			return true;
	return false;
}

static bool comes_before(const struct finder *f, uint32_t type, uint32_t other)
{
	const struct pyr_type *x = pyr_types_at(f->types, type), *y = pyr_types_at(f->types, other);
	int order = strcmp(pyr_type_name(f->types, x), pyr_type_name(f->types, y));

	return order ? order < 0 : x->address < y->address;
}

/* By name: the numbers of types differ from one run to the next. */
static pyr_error *add_guessed(struct finder *f, struct pyr_guessed guessed)
{
	struct pyr_guessed *all;
	size_t i;

	if (!pyr_vec_push(&f->garbage.guessed, guessed))
		return pyr_error_no_memory();
	all = f->garbage.guessed.data;
	for (i = f->garbage.guessed.count - 1; i && comes_before(f, guessed.type, all[i - 1].type);
	     i--)
		all[i] = all[i - 1];
	all[i] = guessed;
	return NULL;
}

/* Types that fell back to guesses, of objects that the collection looks at. */
static pyr_error *find_guessed(struct finder *f)
{
	struct guesses g = {0};
	uint32_t types = pyr_types_count(f->types), id;
	bool *present = calloc((size_t)types + 1, sizeof(*present));
	pyr_error *err = NULL;
	size_t i;

	pyr_traverse_fallbacks(f->model->traverse, note_guess, &g);
	if (g.out_of_memory || !present)
		err = pyr_error_no_memory();
	for (id = 0; !err && id < f->heap->count; id++)
		if (is_looked_at(f, id) && has_guesses(f, id))
			present[f->heap->type[id]] = true;
	for (i = 0; !err && i < g.all.count; i++)
		if (present[g.all.data[i].type])
			err = add_guessed(f, g.all.data[i]);
	free(present);
	pyr_vec_deinit(&g.all);
	return err;
}

static pyr_error *run(struct finder *f, bool believe, struct pyr_collector_result *ret)
{
	struct pyr_collector_input input = {
		.graph = &f->model->graph,
		.flags = f->model->flags,
		.believe_inferred = believe,
		.workers = f->workers,
	};
	pyr_error *err = read_all_counts(f);

	if (err)
		return err;
	hold_exempt(f);
	leave_out_decided(f);
	return pyr_collector_run(f->control, &input, f->refs, ret);
}

/* Immortal objects are in the permanent generation without gc.freeze() too (3.12). */
static uint64_t count_frozen(struct finder *f)
{
	const uint8_t *generation = f->heap->generation, *end = generation + f->heap->count, *at;
	uint64_t count = 0;
	size_t id;

	for (at = generation; (at = memchr(at, PYR_GEN_PERMANENT, (size_t)(end - at))); at++) {
		id = (size_t)(at - generation);
		count += f->heap->interpreter[id] == f->garbage.interpreter &&
			 count_of(f, f->reader, id) != PYR_COUNT_NONE;
	}
	return count;
}

static pyr_error *look_at_frozen(struct finder *f)
{
	struct pyr_garbage *g = &f->garbage;
	struct pyr_collector_result more;
	pyr_error *err;

	g->frozen = count_frozen(f);
	if (!g->frozen)
		return NULL;
	f->with_frozen = true;
	err = run(f, false, &more);
	f->with_frozen = false;
	if (err)
		return err;
	more.count += (uint32_t)f->decided.count;
	g->frozen_unreachable = more.count > g->count ? more.count - g->count : 0;
	pyr_collector_result_deinit(&more);
	return NULL;
}

static pyr_error *find_unreachable(struct finder *f)
{
	struct pyr_garbage *g = &f->garbage;
	struct pyr_collector_result result, more;
	pyr_error *err;

	if ((err = find_exempt(f)) || (err = run(f, false, &result)))
		return err;
	if ((err = add_decided(f, &result))) {
		pyr_collector_result_deinit(&result);
		return err;
	}
	g->objects = result.objects;
	g->count = result.count;
	g->considered = atomic_load(&f->considered);
	g->negative = result.negative;
	if (result.negative)
		g->first_negative = address_of(f, result.first_negative);
	if ((err = look_at_frozen(f)) || !f->model->inferred || (err = find_guessed(f)))
		return err;
	if ((err = run(f, true, &more)))
		return err;
	more.count += (uint32_t)f->decided.count;
	g->hidden = more.count > g->count ? more.count - g->count : 0;
	pyr_collector_result_deinit(&more);
	return NULL;
}

pyr_error *pyr_garbage_find(struct pyr_model *model, struct pyr_control *control, int generation,
			    size_t interpreter, struct pyr_garbage *ret)
{
	struct pyr_python *python = pyr_types_python(model->heap->types);
	struct finder f = {
		.model = model,
		.heap = model->heap,
		.types = model->heap->types,
		.layout = &python->layout,
		.reader = &python->reader,
		.control = control,
		.workers = pyr_target_concurrent(python->target) ? pyr_parallel_workers() : 1,
		.garbage = {.model = model, .generation = generation, .interpreter = interpreter},
	};
	pyr_error *err;

	f.refs = pyr_large_alloc((size_t)f.heap->count + 1, sizeof(*f.refs));
	if (!f.refs)
		return pyr_error_no_memory();
	if (!(err = find_phase(&f)) && !(err = find_unreachable(&f)) &&
	    !(err = pyr_id_subset_create(control, f.garbage.objects, f.garbage.count, f.heap->count,
					 &f.garbage.subset)))
		err = pyr_garbage_consequences(&f.garbage, control);
	free(f.refs);
	pyr_vec_deinit(&f.exempt);
	pyr_vec_deinit(&f.decided);
	if (err) {
		pyr_garbage_deinit(&f.garbage);
		return err;
	}
	f.garbage.exact = !f.garbage.finalizers.count && !f.garbage.callbacks.count &&
			  !f.garbage.guessed.count &&
			  (f.garbage.phase == PYR_COLLECTION_STARTING ||
			   f.garbage.phase == PYR_COLLECTION_COUNTING ||
			   (f.garbage.phase == PYR_COLLECTION_NONE && f.heap->proven));
	*ret = f.garbage;
	return NULL;
}

void pyr_garbage_deinit(struct pyr_garbage *g)
{
	free(g->objects);
	pyr_id_subset_deinit(&g->subset);
	pyr_vec_deinit(&g->finalizers);
	pyr_vec_deinit(&g->finalizer_reachable);
	pyr_vec_deinit(&g->legacy);
	pyr_vec_deinit(&g->callbacks);
	pyr_vec_deinit(&g->guessed);
	memset(g, 0, sizeof(*g));
}
