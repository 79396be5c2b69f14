/* What goes with unreachable objects: untracked ones that nobody else owns, and the bytes.
 *
 * Freeing is played through: an object of the set lets go of what it owns; what has no
 * reference left then is freed and lets go in turn, as _Py_Dealloc() would. */
#include <stdlib.h>

#include "analysis/collector.h"
#include "analysis/garbage.h"
#include "base/parallel.h"
#include "runtime/access.h"
#include "runtime/numpy.h"

#define GRAIN 16384u
#define WORKERS_MAX 64u
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
		struct pyr_reader reader;
		uint64_t tracked, owned, native, owned_tracked, owned_tracked_bytes;
	} scales[WORKERS_MAX];
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

	for (e = g->out_start[object]; e < end; e++)
		if (w->model->flags[e] & PYR_MODEL_OWNED && let_go(w, g->out[e]) &&
		    !pyr_vec_push(&w->garbage->owned, (struct pyr_owned){g->out[e], owner}))
			return false;
	return true;
}

static pyr_error *free_all(struct weigher *w, struct pyr_control *control)
{
	struct pyr_garbage *g = w->garbage;
	pyr_error *err;
	size_t i;

	w->left = calloc((size_t)g->model->heap->count + 1, sizeof(*w->left));
	if (!w->left)
		return pyr_error_no_memory();
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

static uint64_t weigh(struct weigher *w, struct scale *scale, struct pyr_reader *reader,
		      uint32_t object, uint32_t place)
{
	const struct pyr_type *type = pyr_types_at(w->types, w->model->heap->type[object]);
	pyr_addr addr = w->model->heap->address[object];
	uint64_t bytes = pyr_type_fixed_size(type);
	pyr_error *err;
	bool exact;

	if (!bytes && (err = pyr_object_size(w->types, reader, type, addr, &bytes, &exact))) {
		pyr_error_destroy(err);
		return 0;
	}
	scale->native += pyr_native_bytes(w->types, reader, type, addr);
	if (w->weights)
		__atomic_fetch_add(&w->weights[place], bytes, __ATOMIC_RELAXED);
	return bytes;
}

static struct pyr_reader *reader_of(struct weigher *w, unsigned worker)
{
	return w->workers > 1 ? &w->scales[worker].reader : w->reader;
}

static pyr_error *weigh_tracked(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct weigher *w = ctx;
	struct scale *scale = &w->scales[worker];

	for (; begin < end; begin++)
		scale->tracked += weigh(w, scale, reader_of(w, worker), w->garbage->objects[begin],
					(uint32_t)begin);
	return pyr_reader_check(reader_of(w, worker));
}

static pyr_error *weigh_owned(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct weigher *w = ctx;
	struct scale *scale = &w->scales[worker];
	const struct pyr_owned *owned;
	uint64_t bytes;

	for (; begin < end; begin++) {
		owned = &w->garbage->owned.data[begin];
		bytes = weigh(w, scale, reader_of(w, worker), owned->object, owned->owner);
		scale->owned += bytes;
		if (w->model->heap->generation[owned->object] != PYR_GEN_UNTRACKED) {
			scale->owned_tracked++;
			scale->owned_tracked_bytes += bytes;
		}
	}
	return pyr_reader_check(reader_of(w, worker));
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
	pyr_error *err;
	unsigned i;

	err = free_all(&w, control);
	free(w.left);
	if (err)
		return err;
	for (i = 0; i < w.workers; i++)
		pyr_reader_init(&w.scales[i].reader, python->target);
	if (!(err = pyr_parallel(control, "weighing", w.workers, g->count, GRAIN, weigh_tracked,
				 &w)))
		err = pyr_parallel(control, "weighing", w.workers, g->owned.count, GRAIN,
				   weigh_owned, &w);
	g->tracked_bytes = g->owned_bytes = g->native_bytes = 0;
	g->owned_tracked = g->owned_tracked_bytes = 0;
	for (i = 0; i < w.workers; i++) {
		g->tracked_bytes += w.scales[i].tracked;
		g->owned_bytes += w.scales[i].owned;
		g->native_bytes += w.scales[i].native;
		g->owned_tracked += w.scales[i].owned_tracked;
		g->owned_tracked_bytes += w.scales[i].owned_tracked_bytes;
		pyr_reader_deinit(&w.scales[i].reader);
	}
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
