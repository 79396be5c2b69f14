/* References of objects whose layout is more than fields, and that are not many. */
#include "references/refs_walk.h"

/* The names in the table of keys that the instances' dicts share: the table owns each
 * once, and the type owns the table. */
static void walk_shared_keys(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr keys = pyr_get_addr(l, w->reader, w->addr, PyHeapTypeObject, ht_cached_keys), key;
	struct pyr_walk_keys k;
	uint64_t i;

	if (!keys)
		return;
	if (!pyr_walk_read_keys(w, keys, &k)) {
		w->damaged = true;
		return;
	}
	for (i = 0; i < k.count; i++)
		if (pyr_try_u64(w->reader, k.entries + i * k.entry_size + k.key, &key))
			pyr_walk_tell(w, key, PYR_FIELD_LABEL(PYR_REF_OWNED, "ht_cached_keys"), i);
}

/* type_traverse() visits heap types only; static types own the same things. */
static void walk_type(struct pyr_walk *w)
{
	static const struct {
		enum pyr_field field;
		const char *name;
		bool visited;
	} parts[] = {
		{PYR_FIELD(PyTypeObject, tp_cache), "tp_cache", true},
		{PYR_FIELD(PyTypeObject, tp_mro), "__mro__", true},
		{PYR_FIELD(PyTypeObject, tp_bases), "__bases__", true},
		{PYR_FIELD(PyTypeObject, tp_base), "__base__", true},
		{PYR_FIELD(PyHeapTypeObject, ht_module), "__module__", true},
		{PYR_FIELD(PyHeapTypeObject, ht_name), "__name__", false},
		{PYR_FIELD(PyHeapTypeObject, ht_qualname), "__qualname__", false},
		{PYR_FIELD(PyHeapTypeObject, ht_slots), "__slots__", false},
	};
	const struct pyr_layout *l = w->refs->layout;
	uint64_t flags = 0;
	bool heap;
	size_t i;

	if (!pyr_get_u64(l, w->reader, w->addr, PyTypeObject, tp_flags, &flags))
		w->damaged = true;
	heap = (flags & PYR_TPFLAGS_HEAPTYPE) != 0;
	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		uint32_t visited = heap && parts[i].visited ? PYR_REF_TRAVERSED : 0;

		if (!heap && pyr_layout_field_struct(parts[i].field) == PYR_S_PyHeapTypeObject)
			continue;
		pyr_walk_tell(w, pyr_field_addr(l, w->reader, w->addr, parts[i].field),
			      PYR_FIELD_LABEL(PYR_REF_OWNED | visited, parts[i].name), 0);
	}
	if (heap) {
		pyr_walk_tell(w, pyr_get_addr(l, w->reader, w->addr, PyTypeObject, tp_dict),
			      PYR_FIELD_LABEL(PYR_BOTH, "__dict__"), 0);
		pyr_walk_tell(w, pyr_get_addr(l, w->reader, w->addr, PyTypeObject, tp_subclasses),
			      PYR_FIELD_LABEL(PYR_REF_OWNED, "__subclasses__"), 0);
		walk_shared_keys(w);
	} else {
		const struct pyr_type *self = pyr_types_get(w->refs->types, w->reader, w->addr);

		if (self)
			pyr_walk_tell(w, pyr_type_dict(w->refs->types, w->reader, self),
				      PYR_FIELD_LABEL(PYR_REF_OWNED, "__dict__"), 0);
		/* Of a builtin type it is in the interpreter since 3.12, and a root. */
		if (!pyr_is(l, static_type_state, PER_INTERPRETER) ||
		    !(flags & l->type_flags & PYR_TPFLAGS_STATIC_BUILTIN))
			pyr_walk_tell(
				w, pyr_get_addr(l, w->reader, w->addr, PyTypeObject, tp_subclasses),
				PYR_FIELD_LABEL(PYR_REF_OWNED, "__subclasses__"), 0);
	}
}

/* meth_traverse(), methodobject.c: mm_class where the flags say METH_METHOD. */
static void walk_cfunction(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr ml;
	uint64_t flags;

	if (!pyr_has(l, PyCMethodObject, mm_class))
		return;
	ml = pyr_get_addr(l, w->reader, w->addr, PyCFunctionObject, m_ml);
	if (ml && pyr_get_u64(l, w->reader, ml, PyMethodDef, ml_flags, &flags) && flags & 0x200)
		pyr_walk_tell(w, pyr_get_addr(l, w->reader, w->addr, PyCMethodObject, mm_class),
			      PYR_FIELD_LABEL(PYR_BOTH, "mm_class"), 0);
}

void pyr_walk_special(struct pyr_walk *w, enum pyr_walker walker)
{
	switch (walker) {
	case PYR_WALK_TYPE:
		walk_type(w);
		break;
	case PYR_WALK_CFUNCTION:
		walk_cfunction(w);
		break;
	case PYR_WALK_GENERATOR:
		pyr_walk_generator(w);
		break;
	case PYR_WALK_FRAME:
		pyr_walk_frame(w);
		break;
	case PYR_WALK_LRU_CACHE:
		pyr_walk_lru_cache(w);
		break;
	case PYR_WALK_DATETIME:
		pyr_walk_datetime(w);
		break;
	case PYR_WALK_NDARRAY:
		pyr_walk_ndarray(w);
		break;
	case PYR_WALK_CYTHON_FUNCTION:
		pyr_walk_cython_function(w);
		break;
	case PYR_WALK_ODICT:
		pyr_walk_dict(w, w->addr);
		pyr_walk_odict(w);
		break;
	case PYR_WALK_DEQUE:
		pyr_walk_deque(w);
		break;
	case PYR_WALK_ELEMENT:
		pyr_walk_element(w);
		break;
	default: /* MODULE: its fields; the rest are in pyr_walk_object() */
		break;
	}
}
