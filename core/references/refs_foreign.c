/* References of objects of extension modules whose layout no table of ours has. */
#include "references/refs_walk.h"
#include "values/numpy.h"

/* datetime and time (datetime.h): the hash, a flag whether there is a time zone, packed
 * fields, the fold and the zone, which is the last word of either. */
void pyr_walk_datetime(struct pyr_walk *w)
{
	uint32_t header = pyr_sizeof(w->refs->layout, PyObject);
	const uint8_t *has = pyr_peek(w->reader, w->addr + header + 8, 1);
	const struct pyr_type *type = w->type;
	bool time = false;
	unsigned depth;
	pyr_addr zone;

	for (depth = 0; depth < 200 && type; depth++) {
		if ((time = !strcmp(pyr_type_name(w->refs->types, type), "datetime.time")) ||
		    !strcmp(pyr_type_name(w->refs->types, type), "datetime.datetime"))
			break;
		type = type->base ? pyr_types_get(w->refs->types, w->reader, type->base) : NULL;
	}
	if (type && has && *has &&
	    pyr_try_u64(w->reader, w->addr + header + (time ? 16 : 24), &zone))
		pyr_walk_tell(w, zone, PYR_FIELD_LABEL(PYR_REF_OWNED, "tzinfo"), 0);
}

/* ndarray (ndarraytypes.h, PyArrayObject_fields): it owns its base, its dtype, the
 * allocator of its data (1.22+), and the items of an array of objects that has its own
 * data, which are then in one piece. */
void pyr_walk_ndarray(struct pyr_walk *w)
{
	uint32_t header = pyr_sizeof(w->refs->layout, PyObject);
	struct pyr_ndarray a;
	pyr_addr handler;
	pyr_error *err;

	if ((err = pyr_ndarray_read(w->refs->types, w->reader, w->addr, &a))) {
		pyr_error_destroy(err);
		w->damaged = true;
		return;
	}
	pyr_walk_tell(w, a.base, PYR_FIELD_LABEL(PYR_REF_OWNED, "base"), 0);
	pyr_walk_tell(w, a.descr, PYR_FIELD_LABEL(PYR_REF_OWNED, "dtype"), 0);
	if (w->plan->basicsize >= header + 80 &&
	    pyr_try_u64(w->reader, w->addr + header + 72, &handler))
		pyr_walk_tell(w, handler, PYR_FIELD_LABEL(PYR_REF_OWNED, "mem_handler"), 0);
	if (a.kind == 'O' && a.itemsize == 8 && a.owns_data && a.bytes / 8 < UINT64_C(1) << 48)
		pyr_walk_array(w, a.data, a.bytes / 8, PYR_EDGE_ITEM | PYR_REF_OWNED);
}

/* Functions of Cython (CythonFunction.c, __Pyx_CyFunction_traverse()) own, and do not all
 * visit, their names, code, documentation and annotations. What is borrowed is the
 * function itself, as its own __self__, and the weak references to it. */
void pyr_walk_cython_function(struct pyr_walk *w)
{
	static const enum pyr_known kinds[] = {PYR_KNOWN_UNICODE_TYPE, PYR_KNOWN_CODE_TYPE,
					       PYR_KNOWN_DICT_TYPE, PYR_KNOWN_TUPLE_TYPE};
	const struct pyr_python *python = pyr_types_python(w->refs->types);
	/* Behind the builtin function, whose vectorcall old versions leave as it was. */
	uint32_t offset = pyr_sizeof(w->refs->layout, PyCFunctionObject);
	pyr_addr word, type;
	size_t i;

	if (!w->visited || !offset)
		return;
	for (; offset + 8 <= w->plan->basicsize && offset < 8 * PYR_VISITED_WORDS; offset += 8) {
		if (pyr_visited_word(w->visited, offset) ||
		    !pyr_try_u64(w->reader, w->addr + offset, &word) || !word || word & 7 ||
		    !pyr_try_u64(w->reader, word + (pyr_addr)w->refs->ob_type, &type))
			continue;
		for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
			if (type == python->known[kinds[i]])
				pyr_walk_tell(w, word, PYR_EDGE_WORD | PYR_REF_OWNED, offset);
	}
}
