/* Buffers that are kept by nothing but views of a part of them. */
#include <stdlib.h>

#include "analysis/memory/waste_internal.h"
#include "runtime/access.h"
#include "values/numpy.h"

#define CHAIN_MAX 16 /* views of views; numpy makes few of them one */

static bool memory_view(struct pyr_heap *heap, struct pyr_reader *reader, pyr_addr addr,
			struct pyr_waste_view *ret)
{
	const struct pyr_layout *l = &pyr_types_python(heap->types)->layout;
	pyr_addr mbuf = pyr_get_addr(l, reader, addr, PyMemoryViewObject, mbuf);

	if (!mbuf || !pyr_get_u64(l, reader, addr, PyMemoryViewObject, view_len, &ret->seen))
		return false;
	ret->owner = pyr_heap_id(heap,
				 pyr_get_addr(l, reader, mbuf, _PyManagedBufferObject, master_obj));
	ret->through = mbuf;
	return ret->owner != PYR_NO_ID;
}

/* An array's base is the array that owns the data (numpy, PyArray_SetBaseObject()), or any
 * object with a buffer; numpy.frombuffer() puts a memoryview between. */
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

/* What @id is a view of, if it is one. */
static bool direct_view(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id,
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

bool pyr_waste_of_view(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id,
		       struct pyr_waste_view *ret)
{
	struct pyr_waste_view next;
	unsigned i;

	ret->id = id;
	ret->via = PYR_NO_ID;
	if (!direct_view(heap, reader, id, ret))
		return false;
	for (i = 0; direct_view(heap, reader, ret->owner, &next); i++) {
		if (i == CHAIN_MAX)
			return false;
		if (ret->via == PYR_NO_ID)
			ret->via = ret->owner;
		ret->owner = next.owner;
		ret->through = next.through;
	}
	return true;
}

static int by_owner(const void *a, const void *b)
{
	const struct pyr_waste_view *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return x->through < y->through ? -1 : x->through > y->through;
}

static int by_via(const void *a, const void *b)
{
	const struct pyr_waste_view *x = a, *y = b;

	return x->via < y->via ? -1 : x->via > y->via;
}

static int by_id(const void *key, const void *element)
{
	uint32_t id = *(const uint32_t *)key;
	const struct pyr_waste_view *view = element;

	return id < view->via ? -1 : id > view->via;
}

static bool held_by_only(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id,
			 uint64_t holders)
{
	struct pyr_object_header header;
	pyr_error *err;

	err = pyr_object_header(heap->types, reader, heap->address[id], &header);
	pyr_error_destroy(err);
	return !err && !header.immortal && header.refcount == (int64_t)holders;
}

/* A view that only views of it hold shows nothing to anybody else. */
static void pass_through(struct pyr_heap *heap, struct pyr_reader *reader,
			 struct pyr_waste_view *views, size_t count)
{
	const struct pyr_waste_view *found, *end = views + count;
	size_t i, n;

	qsort(views, count, sizeof(*views), by_via);
	for (i = 0; i < count; i++) {
		found = bsearch(&views[i].id, views, count, sizeof(*views), by_id);
		if (!found)
			continue;
		while (found > views && found[-1].via == views[i].id)
			found--;
		for (n = 0; found + n < end && found[n].via == views[i].id; n++)
			;
		if (held_by_only(heap, reader, views[i].id, n))
			views[i].seen = 0;
	}
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
	uint64_t holders;
	size_t i, k;

	if (!count)
		return true;
	pass_through(heap, reader, views, count);
	qsort(views, count, sizeof(*views), by_owner);
	for (i = 0; i < count; i = k) {
		item.id = views[i].owner;
		item.used = holders = 0;
		for (k = i; k < count && views[k].owner == item.id; k++) {
			item.used += views[k].seen;
			holders += k == i || views[k].through != views[k - 1].through;
		}
		/* Somebody else holds it: then it is not the views that keep it. */
		if (!held_by_only(heap, reader, item.id, holders))
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
