/* Buffers that are kept by nothing but views of a part of them. */
#include <stdlib.h>

#include "analysis/waste_internal.h"
#include "runtime/access.h"
#include "runtime/numpy.h"

static bool memory_view(struct pyr_heap *heap, struct pyr_reader *reader, pyr_addr addr,
			struct pyr_waste_view *ret)
{
	const struct pyr_layout *l = &pyr_types_python(heap->types)->layout;
	pyr_addr mbuf = pyr_get_addr(l, reader, addr, PyMemoryViewObject, mbuf);
	uint64_t length;

	if (!mbuf || !pyr_get_u64(l, reader, addr, PyMemoryViewObject, view_len, &length))
		return false;
	ret->owner = pyr_heap_id(heap,
				 pyr_get_addr(l, reader, mbuf, _PyManagedBufferObject, master_obj));
	ret->through = mbuf;
	ret->seen = length;
	return ret->owner != PYR_NO_ID;
}

/* A view's base is the array that owns the data (numpy, PyArray_SetBaseObject()), or any
 * object with a buffer. */
static bool array_view(struct pyr_heap *heap, struct pyr_reader *reader, pyr_addr addr,
		       struct pyr_waste_view *ret)
{
	struct pyr_ndarray array;
	pyr_error *err = pyr_ndarray_read(heap->types, reader, addr, &array);

	if (err) {
		pyr_error_destroy(err);
		return false;
	}
	if (array.owns_data || !array.base)
		return false;
	ret->owner = pyr_heap_id(heap, array.base);
	ret->through = addr;
	ret->seen = array.bytes;
	return ret->owner != PYR_NO_ID;
}

bool pyr_waste_of_view(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id,
		       struct pyr_waste_view *ret)
{
	switch (pyr_types_at(heap->types, heap->type[id])->shape) {
	case PYR_SHAPE_MEMORYVIEW:
		return memory_view(heap, reader, heap->address[id], ret);
	case PYR_SHAPE_NDARRAY:
		return array_view(heap, reader, heap->address[id], ret);
	default:
		return false;
	}
}

static int by_owner(const void *a, const void *b)
{
	const struct pyr_waste_view *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return x->through < y->through ? -1 : x->through > y->through;
}

/* Bytes of the buffer of object @id, apart from the object's own head. */
static uint64_t buffer_bytes(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id)
{
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	struct pyr_ndarray array;
	pyr_error *err;
	uint64_t count;

	switch (type->shape) {
	case PYR_SHAPE_BYTES:
	case PYR_SHAPE_BYTEARRAY:
		return pyr_get_u64(&pyr_types_python(heap->types)->layout, reader,
				   heap->address[id], PyVarObject, ob_size, &count)
			       ? count
			       : 0;
	case PYR_SHAPE_NDARRAY:
		err = pyr_ndarray_read(heap->types, reader, heap->address[id], &array);
		pyr_error_destroy(err);
		return !err && array.owns_data ? array.bytes : 0;
	default:
		return 0; /* an mmap, a ctypes array: not ours to judge */
	}
}

bool pyr_waste_views(struct pyr_heap *heap, struct pyr_reader *reader, struct pyr_waste_view *views,
		     size_t count, struct pyr_waste *ret)
{
	struct pyr_waste_item item = {.kind = PYR_WASTE_VIEW};
	struct pyr_object_header header;
	uint64_t holders;
	pyr_error *err;
	size_t i, k;

	if (count)
		qsort(views, count, sizeof(*views), by_owner);
	for (i = 0; i < count; i = k) {
		item.id = views[i].owner;
		item.used = holders = 0;
		for (k = i; k < count && views[k].owner == item.id; k++) {
			item.used += views[k].seen;
			holders += k == i || views[k].through != views[k - 1].through;
		}
		err = pyr_object_header(heap->types, reader, heap->address[item.id], &header);
		if (err) {
			pyr_error_destroy(err);
			continue;
		}
		/* Somebody else holds it: then it is not the views that keep it. */
		if (header.immortal || header.refcount != (int64_t)holders)
			continue;
		item.room = buffer_bytes(heap, reader, item.id);
		if (item.room <= item.used)
			continue;
		item.bytes = item.room - item.used;
		if (!pyr_waste_add(ret, &item, 1))
			return false;
	}
	return true;
}
