/* Which objects of the heap are garbage, or go with it; and the bytes that Python's heap does
 * not have of them. */
#include <stdlib.h>

#include "analysis/collection/garbage.h"
#include "runtime/access.h"
#include "values/numpy.h"

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

/* The set's own are 1, what goes with it is 2. */
static void mark_gone(const struct pyr_garbage *g, const struct pyr_address_bitmap *gone,
		      uint8_t *marks)
{
	pyr_addr addr;
	uint32_t id;

	for (addr = 0; pyr_address_bitmap_next(gone, &addr); addr += 8)
		if ((id = pyr_heap_id(g->model->heap, addr)) != PYR_NO_ID)
			marks[id] =
				pyr_id_subset_place(&g->subset, id) == PYR_NOT_IN_SUBSET ? 2 : 1;
}

pyr_error *pyr_garbage_mark(struct pyr_model *model, struct pyr_control *control, uint8_t **ret)
{
	struct pyr_python *python = pyr_types_python(model->heap->types);
	size_t count =
		pyr_is(&python->layout, gc_location, INTERPRETER) ? python->interpreters.count : 1;
	uint8_t *marks = calloc((size_t)model->heap->count + 1, 1);
	struct pyr_address_bitmap gone;
	struct pyr_garbage g;
	pyr_error *err = NULL;
	size_t i;

	if (!marks)
		return pyr_error_no_memory();
	for (i = 0; i < count && !err; i++) {
		if ((err = pyr_garbage_find(model, control, 2, i, &g)))
			break;
		if (!(err = pyr_garbage_weigh(&g, control, NULL, &gone))) {
			mark_gone(&g, &gone, marks);
			pyr_address_bitmap_deinit(&gone);
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
