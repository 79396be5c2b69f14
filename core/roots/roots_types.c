/* Objects that nobody needs to hold: static types, other C variables, immortals. */
#include "roots/roots_internal.h"
#include "roots/statics.h"
#include "values/object.h"

#define CHECK_EVERY 65536u

static bool is_static_type(struct pyr_roots *roots, struct pyr_reader *reader, uint32_t id)
{
	const struct pyr_heap *heap = roots->model->heap;
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	uint64_t flags;

	return type && type->shape == PYR_SHAPE_TYPE &&
	       pyr_get_u64(&pyr_roots_python(roots)->layout, reader, heap->address[id],
			   PyTypeObject, tp_flags, &flags) &&
	       !(flags & PYR_TPFLAGS_HEAPTYPE);
}

pyr_error *pyr_roots_types(struct pyr_roots *roots, struct pyr_control *control)
{
	const struct pyr_heap *heap = roots->model->heap;
	struct pyr_python *python = pyr_roots_python(roots);
	struct pyr_statics statics;
	struct pyr_reader reader;
	int64_t refcount;
	bool immortal;
	size_t next = 0;
	pyr_error *err;
	uint32_t id;

	if ((err = pyr_statics_init(python->target, &statics)))
		return err;
	pyr_reader_init(&reader, python->target);
	for (id = 0; id < heap->count && !err; id++) {
		if (id % CHECK_EVERY == 0 && (err = pyr_control_check(control)))
			break;
		if (!pyr_object_refcount(&python->layout, &reader, heap->address[id], &refcount,
					 &immortal))
			continue;
		if (!pyr_statics_at(&statics, heap->address[id], &next) && !immortal)
			continue;
		pyr_roots_push_id(roots,
				  is_static_type(roots, &reader, id) ? PYR_ROOT_STATIC_TYPE
								     : PYR_ROOT_IMMORTAL,
				  0, id, 0, 0, 0);
	}
	if (!err)
		err = pyr_reader_check(&reader);
	pyr_reader_deinit(&reader);
	pyr_statics_deinit(&statics);
	return err;
}
