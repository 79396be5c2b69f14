/* What makes a word of memory a type object. Everything is checked against
 * everything else, because the scan of the arenas asks about arbitrary words. */
#include "types/types_internal.h"

#define BASICSIZE_MAX (INT64_C(1) << 20)
#define METATYPES_MAX 16 /* a metatype's metatype's ... is `type` sooner */

static uint64_t field(const struct pyr_layout *l, const uint8_t *bytes, enum pyr_field f)
{
	const struct pyr_field_place *place = &l->fields[f];

	return place->offset < 0
		       ? 0
		       : pyr_place_decode(place, bytes + place->offset, pyr_place_width(place));
}

#define FIELD_OF(l, bytes, name) field((l), (bytes), PYR_FIELD(PyTypeObject, name))

/* Does the type of @metatype, and so on, reach `type`, the type of itself? Each
 * step must be a subclass of `type`. */
static bool is_metatype(const struct pyr_types *types, struct pyr_reader *reader, pyr_addr metatype)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	const struct pyr_type *known;
	uint64_t flags;
	pyr_addr next;
	int i;

	for (i = 0; i < METATYPES_MAX && metatype && metatype % 8 == 0; i++) {
		if (metatype == types->python->known[PYR_KNOWN_TYPE_TYPE])
			return true;
		known = pyr_types_find(types, metatype);
		if (known)
			return known->shape == PYR_SHAPE_TYPE;
		if (!pyr_get_u64(l, reader, metatype, PyTypeObject, tp_flags, &flags) ||
		    !(flags & PYR_TPFLAGS_TYPE_SUBCLASS))
			return false;
		next = pyr_get_addr(l, reader, metatype, PyObject, ob_type);
		if (next == metatype)
			return types->python->known[PYR_KNOWN_TYPE_TYPE] == 0;
		metatype = next;
	}
	return false;
}

static bool sane_sizes(const struct pyr_layout *l, const struct pyr_type_raw *raw)
{
	int64_t header = pyr_offset(l, PyObject, ob_type) + 8;

	return raw->basicsize >= header && raw->basicsize <= BASICSIZE_MAX && raw->itemsize >= 0 &&
	       raw->itemsize <= BASICSIZE_MAX && raw->dictoffset >= -BASICSIZE_MAX &&
	       raw->dictoffset <= BASICSIZE_MAX && raw->weaklistoffset >= -BASICSIZE_MAX &&
	       raw->weaklistoffset <= BASICSIZE_MAX;
}

/* tp_name of a static type is absent when the binary is; when it is there it must be a name.
 * A class may be called anything, also "" or what is no text (type_new(), typeobject.c). */
static bool plausible_name(struct pyr_reader *reader, pyr_addr name)
{
	const uint8_t *bytes;
	size_t n, i;

	n = pyr_peek_run(reader, name, 256, &bytes);
	for (i = 0; i < n && bytes[i]; i++)
		if (bytes[i] < 0x20 || bytes[i] == 0x7f)
			return false;
	return n == 0 || i > 0;
}

bool pyr_type_read(const struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
		   struct pyr_type_raw *ret)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_type_raw raw = {.address = addr};
	const uint8_t *bytes;
	bool ready;

	if (addr % 8 || addr < 0x1000 || addr >> 56)
		return false;
	bytes = pyr_peek(reader, addr, pyr_sizeof(l, PyTypeObject));
	if (!bytes)
		return false;
	raw.flags = FIELD_OF(l, bytes, tp_flags);
	raw.basicsize = (int64_t)FIELD_OF(l, bytes, tp_basicsize);
	raw.itemsize = (int64_t)FIELD_OF(l, bytes, tp_itemsize);
	raw.dictoffset = (int64_t)FIELD_OF(l, bytes, tp_dictoffset);
	raw.weaklistoffset = (int64_t)FIELD_OF(l, bytes, tp_weaklistoffset);
	raw.name = FIELD_OF(l, bytes, tp_name);
	raw.base = FIELD_OF(l, bytes, tp_base);
	raw.traverse = FIELD_OF(l, bytes, tp_traverse);
	raw.mro = FIELD_OF(l, bytes, tp_mro);
	raw.metatype = field(l, bytes, PYR_FIELD(PyObject, ob_type));
	ready = raw.flags & PYR_TPFLAGS_READY;
	if (!sane_sizes(l, &raw) || !FIELD_OF(l, bytes, tp_dealloc))
		return false;
	/* A static type may have instances before PyType_Ready() saw it (iterators
	 * until 3.8): then nothing is inherited yet, and only `type` is its type. */
	if (!ready && (raw.flags & PYR_TPFLAGS_HEAPTYPE || raw.mro ||
		       raw.metatype != types->python->known[PYR_KNOWN_TYPE_TYPE]))
		return false;
	if (ready && (!raw.mro || (!raw.base && raw.flags & PYR_TPFLAGS_HEAPTYPE)))
		return false;
	if (!is_metatype(types, reader, raw.metatype) || !raw.name ||
	    (!(raw.flags & PYR_TPFLAGS_HEAPTYPE) && !plausible_name(reader, raw.name)))
		return false;
	*ret = raw;
	return true;
}
