/* What goes with unreachable objects: untracked ones that nobody else owns, and the bytes.
 *
 * Freeing is played through: an object of the set lets go of what it owns; what has no
 * reference left then is freed and lets go in turn, as _Py_Dealloc() would. */
#include <stdlib.h>
#include <string.h>

#include "analysis/collector.h"
#include "analysis/garbage.h"
#include "base/large.h"
#include "base/parallel.h"
#include "heap/classify.h"
#include "runtime/access.h"
#include "runtime/numpy.h"

#define GRAIN 16384u
#define SIZE_LIMIT (UINT64_C(1) << 47)
#define AHEAD 24u                /* references between asking for a count and using it */
#define MEMBER UINT32_MAX        /* of the set, or freed already */
#define FOREVER (UINT32_MAX - 1) /* immortal */

struct weigher {
	struct pyr_garbage *garbage;
	struct pyr_model *model;
	struct pyr_types *types;
	struct pyr_reader *reader; /* of the calling thread */
	const struct pyr_layout *layout;
	uint32_t *left;    /* by object: references that were not let go of; 0: not asked yet */
	uint64_t *weights; /* by place, or NULL */
	unsigned workers;
	struct scale {
		struct pyr_classifier classifier; /* its readers are the worker's */
		uint64_t tracked, owned, native, owned_tracked, owned_tracked_bytes;
	} * scales; /* by worker */
};

uint64_t pyr_native_bytes(struct pyr_types *types, struct pyr_reader *reader,
			  const struct pyr_type *type, pyr_addr addr)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	struct pyr_ndarray array;
	uint64_t bytes = 0;
	pyr_error *err;
	bool exact;

	switch (type->shape) {
	case PYR_SHAPE_NDARRAY:
		err = pyr_ndarray_read(types, reader, addr, &array);
		pyr_error_destroy(err);
		return !err && array.owns_data ? array.bytes : 0;
	case PYR_SHAPE_BYTEARRAY:
		/* Since 3.15 the buffer is a bytes object, and counted there. */
		if (pyr_has(l, PyByteArrayObject, ob_bytes_object) ||
		    !pyr_get_u64(l, reader, addr, PyByteArrayObject, ob_alloc, &bytes))
			return 0;
		return bytes;
	case PYR_SHAPE_ARRAY:
		err = pyr_object_size(types, reader, type, addr, &bytes, &exact);
		pyr_error_destroy(err);
		return !err && bytes > (uint64_t)type->basicsize ? bytes - (uint64_t)type->basicsize
								 : 0;
	default:
		return 0;
	}
}

/* The count of @target, which is not of the set; FOREVER when it is immortal or none. */
static uint32_t references_to(struct weigher *w, uint32_t target)
{
	uint64_t word;

	if (!pyr_try_u64(w->reader,
			 w->model->heap->address[target] +
				 (pyr_addr)pyr_offset(w->layout, PyObject, ob_refcnt),
			 &word))
		return FOREVER;
	if (!pyr_is(w->layout, immortal_encoding, NONE) && (int32_t)(uint32_t)word < 0)
		return FOREVER;
	if (pyr_is(w->layout, immortal_encoding, HIGH_BIT_32))
		word = (uint32_t)word;
	return word == 0 || word >= FOREVER ? FOREVER : (uint32_t)word;
}

/* One reference to @target less; true when it was the last. */
static bool let_go(struct weigher *w, uint32_t target)
{
	uint32_t *left = &w->left[target];

	if (!*left)
		*left = references_to(w, target);
	if (*left == MEMBER || *left == FOREVER || --*left)
		return false;
	*left = MEMBER;
	return true;
}

static bool free_one(struct weigher *w, uint32_t object, uint32_t owner)
{
	const struct pyr_graph *g = &w->model->graph;
	uint64_t e, end = g->out_start[object + 1];

	for (e = g->out_start[object]; e < end; e++) {
		if (e + AHEAD < g->edges)
			__builtin_prefetch(&w->left[g->out[e + AHEAD]], 1);
		if (w->model->flags[e] & PYR_MODEL_OWNED && let_go(w, g->out[e]) &&
		    !pyr_vec_push(&w->garbage->owned, (struct pyr_owned){g->out[e], owner}))
			return false;
	}
	return true;
}

static pyr_error *free_all(struct weigher *w, struct pyr_control *control)
{
	struct pyr_garbage *g = w->garbage;
	pyr_error *err;
	size_t i;

	w->left = pyr_large_alloc((size_t)g->model->heap->count + 1, sizeof(*w->left));
	if (!w->left)
		return pyr_error_no_memory();
	memset(w->left, 0, ((size_t)g->model->heap->count + 1) * sizeof(*w->left));
	for (i = 0; i < g->count; i++)
		w->left[g->objects[i]] = MEMBER;
	for (i = 0; i < g->count; i++) {
		if (!free_one(w, g->objects[i], (uint32_t)i))
			return pyr_error_no_memory();
		if (i % 65536 == 0 && (err = pyr_control_progress(control, "freeing", i, g->count)))
			return err;
	}
	/* What was freed frees more; the list grows meanwhile. */
	for (i = 0; i < g->owned.count; i++)
		if (!free_one(w, g->owned.data[i].object, g->owned.data[i].owner))
			return pyr_error_no_memory();
	return pyr_reader_check(w->reader);
}

/* Has the type data of its own outside of Python's heap? */
static bool may_be_native(const struct pyr_type *type)
{
	return type->shape == PYR_SHAPE_NDARRAY || type->shape == PYR_SHAPE_BYTEARRAY ||
	       type->shape == PYR_SHAPE_ARRAY;
}

static uint64_t weigh(struct weigher *w, struct scale *scale, uint32_t object, uint32_t place)
{
	const struct pyr_type *type = pyr_types_at(w->types, w->model->heap->type[object]);
	struct pyr_classifier *c = &scale->classifier;
	struct pyr_kind *kind = pyr_classifier_kind(c, type->address);
	pyr_addr addr = w->model->heap->address[object];
	const uint8_t *bytes = kind ? pyr_peek(&c->reader, addr, kind->need) : NULL;
	uint64_t size;

	if (!bytes)
		return 0;
	size = pyr_kind_size(c, kind, addr, bytes);
	if (size > SIZE_LIMIT)
		return 0;
	if (may_be_native(type))
		scale->native += pyr_native_bytes(w->types, &c->far, type, addr);
	if (w->weights)
		__atomic_fetch_add(&w->weights[place], size, __ATOMIC_RELAXED);
	return size;
}

static pyr_error *weigh_tracked(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct weigher *w = ctx;
	struct scale *scale = &w->scales[worker];

	for (; begin < end; begin++)
		scale->tracked += weigh(w, scale, w->garbage->objects[begin], (uint32_t)begin);
	return pyr_reader_check(&scale->classifier.reader);
}

static pyr_error *weigh_owned(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct weigher *w = ctx;
	struct scale *scale = &w->scales[worker];
	const struct pyr_owned *owned;
	uint64_t bytes;

	for (; begin < end; begin++) {
		owned = &w->garbage->owned.data[begin];
		bytes = weigh(w, scale, owned->object, owned->owner);
		scale->owned += bytes;
		if (w->model->heap->generation[owned->object] != PYR_GEN_UNTRACKED) {
			scale->owned_tracked++;
			scale->owned_tracked_bytes += bytes;
		}
	}
	return pyr_reader_check(&scale->classifier.reader);
}

pyr_error *pyr_garbage_weigh(struct pyr_garbage *g, struct pyr_control *control, uint64_t *weights)
{
	struct pyr_python *python = pyr_types_python(g->model->heap->types);
	struct weigher w = {
		.garbage = g,
		.model = g->model,
		.types = g->model->heap->types,
		.reader = &python->reader,
		.layout = &python->layout,
		.weights = weights,
		.workers = pyr_target_concurrent(python->target) ? pyr_parallel_workers() : 1,
	};
	unsigned i, ready;
	pyr_error *err;

	err = free_all(&w, control);
	free(w.left);
	if (err)
		return err;
	w.scales = calloc(w.workers, sizeof(*w.scales));
	if (!w.scales)
		return pyr_error_no_memory();
	for (ready = 0; ready < w.workers && !err; ready++)
		err = pyr_classifier_init(&w.scales[ready].classifier, w.types, true);
	if (!err && !(err = pyr_parallel(control, "weighing", w.workers, g->count, GRAIN,
					 weigh_tracked, &w)))
		err = pyr_parallel(control, "weighing", w.workers, g->owned.count, GRAIN,
				   weigh_owned, &w);
	g->tracked_bytes = g->owned_bytes = g->native_bytes = 0;
	g->owned_tracked = g->owned_tracked_bytes = 0;
	for (i = 0; i < ready; i++) {
		g->tracked_bytes += w.scales[i].tracked;
		g->owned_bytes += w.scales[i].owned;
		g->native_bytes += w.scales[i].native;
		g->owned_tracked += w.scales[i].owned_tracked;
		g->owned_tracked_bytes += w.scales[i].owned_tracked_bytes;
		pyr_classifier_deinit(&w.scales[i].classifier);
	}
	free(w.scales);
	return err;
}

pyr_error *pyr_garbage_mark(struct pyr_model *model, struct pyr_control *control, uint8_t **ret)
{
	struct pyr_python *python = pyr_types_python(model->heap->types);
	size_t count =
		pyr_is(&python->layout, gc_location, INTERPRETER) ? python->interpreters.count : 1;
	uint8_t *marks = calloc((size_t)model->heap->count + 1, 1);
	struct pyr_garbage g;
	pyr_error *err = NULL;
	size_t i, k;

	if (!marks)
		return pyr_error_no_memory();
	for (i = 0; i < count && !err; i++) {
		if ((err = pyr_garbage_find(model, control, 2, i, &g)))
			break;
		if (!(err = pyr_garbage_weigh(&g, control, NULL))) {
			for (k = 0; k < g.count; k++)
				marks[g.objects[k]] = 1;
			for (k = 0; k < g.owned.count; k++)
				marks[g.owned.data[k].object] = 2;
		}
		pyr_garbage_deinit(&g);
	}
	if (err) {
		free(marks);
		return err;
	}
	*ret = marks;
	return NULL;
}
