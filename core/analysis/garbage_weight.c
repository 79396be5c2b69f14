/* What goes with unreachable objects: untracked ones that nobody else owns, and the bytes.
 *
 * Freeing is played through: an object of the set lets go of what it owns; what has no
 * reference left then is freed and lets go in turn, as _Py_Dealloc() would. */
#include <stdlib.h>

#include "analysis/collector.h"
#include "analysis/garbage.h"
#include "runtime/access.h"
#include "runtime/numpy.h"

#define MEMBER UINT32_MAX        /* of the set, or freed already */
#define FOREVER (UINT32_MAX - 1) /* immortal */

struct weigher {
	struct pyr_garbage *garbage;
	struct pyr_model *model;
	struct pyr_types *types;
	struct pyr_reader *reader;
	const struct pyr_layout *layout;
	uint32_t *left; /* by object: references that were not let go of; 0: not asked yet */
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

/* One reference to @target less; true when it was the last. */
static bool let_go(struct weigher *w, uint32_t target)
{
	struct pyr_object_header header;
	uint32_t *left = &w->left[target];
	pyr_error *err;

	if (*left == MEMBER || *left == FOREVER)
		return false;
	if (!*left) {
		err = pyr_object_header(w->types, w->reader, w->model->heap->address[target],
					&header);
		*left = err || header.immortal || header.refcount >= FOREVER
				? FOREVER
				: (uint32_t)header.refcount;
		pyr_error_destroy(err);
		if (*left == FOREVER)
			return false;
	}
	if (--*left)
		return false;
	*left = MEMBER;
	return true;
}

static bool free_one(struct weigher *w, uint32_t object, uint32_t owner)
{
	const struct pyr_graph *g = &w->model->graph;
	uint64_t e;

	for (e = g->out_start[object]; e < g->out_start[object + 1]; e++)
		if (w->model->flags[e] & PYR_MODEL_OWNED && let_go(w, g->out[e]) &&
		    !pyr_vec_push(&w->garbage->owned, (struct pyr_owned){g->out[e], owner}))
			return false;
	return true;
}

static void weigh(struct weigher *w, uint32_t object, uint64_t *total, uint64_t *weight)
{
	const struct pyr_type *type = pyr_types_at(w->types, w->model->heap->type[object]);
	pyr_addr addr = w->model->heap->address[object];
	uint64_t bytes = pyr_type_fixed_size(type);
	pyr_error *err = NULL;
	bool exact;

	if (!bytes)
		err = pyr_object_size(w->types, w->reader, type, addr, &bytes, &exact);
	if (!err) {
		*total += bytes;
		if (weight)
			*weight += bytes;
		w->garbage->native_bytes += pyr_native_bytes(w->types, w->reader, type, addr);
	}
	pyr_error_destroy(err);
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
	};
	pyr_error *err = NULL;
	size_t i;

	w.left = calloc((size_t)g->model->heap->count + 1, sizeof(*w.left));
	if (!w.left)
		return pyr_error_no_memory();
	for (i = 0; i < g->count; i++)
		w.left[g->objects[i]] = MEMBER;
	for (i = 0; i < g->count && !err; i++) {
		if (!free_one(&w, g->objects[i], (uint32_t)i))
			err = pyr_error_no_memory();
		else if (i % 65536 == 0)
			err = pyr_control_progress(control, "weighing", i, g->count);
	}
	/* What was freed frees more; the list grows meanwhile. */
	for (i = 0; i < g->owned.count && !err; i++)
		if (!free_one(&w, g->owned.data[i].object, g->owned.data[i].owner))
			err = pyr_error_no_memory();
	g->tracked_bytes = g->owned_bytes = g->native_bytes = 0;
	for (i = 0; i < g->count && !err; i++)
		weigh(&w, g->objects[i], &g->tracked_bytes, weights ? &weights[i] : NULL);
	for (i = 0; i < g->owned.count && !err; i++)
		weigh(&w, g->owned.data[i].object, &g->owned_bytes,
		      weights ? &weights[g->owned.data[i].owner] : NULL);
	free(w.left);
	return err ? err : pyr_reader_check(w.reader);
}
