/* repr of instances of classes written in Python whose __repr__ is known:
 * enumerations, dataclasses, named tuples, and a few of the standard library. */
#include "values/repr.h"

#include <stdlib.h>

#define FIELDS_MAX 1000

static pyr_addr attribute(struct repr *r, pyr_addr obj, const char *name)
{
	return pyr_object_attribute(r->types, r->reader, obj, name);
}

static pyr_addr class_attribute(struct repr *r, const struct pyr_type *type, const char *name)
{
	return pyr_type_lookup(r->types, r->reader, type, name, NULL);
}

/* enum.py, Enum.__repr__(): <Color.RED: 1>. Only enumerations have another
 * metatype than `type` and members by name. */
bool repr_enum(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr metatype, name, value;
	const struct pyr_type *meta, *of;

	metatype = REPR_GET(r, type->address, PyObject, ob_type);
	if (!type->heap || metatype == r->types->python->known[PYR_KNOWN_TYPE_TYPE])
		return false;
	meta = pyr_types_get(r->types, r->reader, metatype);
	if (!meta || strncmp(meta->name, "enum.Enum", 9))
		return false;
	name = attribute(r, obj, "_name_");
	value = attribute(r, obj, "_value_");
	if (!value)
		return false;
	of = name ? repr_type_of(r, name) : NULL;
	pyr_strbuf_printf(r->out, "<%s", repr_short_name(type));
	if (of && of->shape == PYR_SHAPE_STR) {
		pyr_strbuf_add(r->out, ".");
		repr_text(r, name);
	}
	pyr_strbuf_add(r->out, ": ");
	repr_value(r, value);
	pyr_strbuf_add(r->out, ">");
	return true;
}

/* collections.namedtuple(): Point(x=1, y=2). */
static bool named_tuple(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	uint64_t names = 0, items = 0, i;
	pyr_addr fields = class_attribute(r, type, "_fields"), name_at, item_at, name, item;
	pyr_error *err;

	if (!fields)
		return false;
	err = pyr_sequence_items(r->types, r->reader, fields, &name_at, &names);
	if (!err)
		err = pyr_sequence_items(r->types, r->reader, obj, &item_at, &items);
	pyr_error_destroy(err);
	if (err || names != items)
		return false;
	pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
	for (i = 0; i < items && repr_next(r, i, items); i++) {
		if (!pyr_try_u64(r->reader, name_at + 8 * i, &name) ||
		    !pyr_try_u64(r->reader, item_at + 8 * i, &item))
			break;
		repr_text(r, name);
		pyr_strbuf_add(r->out, "=");
		repr_value(r, item);
	}
	pyr_strbuf_add(r->out, ")");
	return true;
}

/* structseq.c, structseq_repr(): names from the type's member descriptions. */
static bool struct_sequence(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr visible = class_attribute(r, type, "n_sequence_fields"), members, at, item;
	uint64_t items, i, size = pyr_sizeof(r->l, PyMemberDef);
	pyr_error *err;
	char *name;

	if (!visible)
		return false;
	err = pyr_sequence_items(r->types, r->reader, obj, &at, &items);
	pyr_error_destroy(err);
	if (err)
		return false;
	members = REPR_GET(r, type->address, PyTypeObject, tp_members);
	pyr_strbuf_printf(r->out, "%s(", type->name);
	for (i = 0;
	     i < items && repr_next(r, i, items) && pyr_try_u64(r->reader, at + 8 * i, &item);
	     i++) {
		err = pyr_read_cstring(
			r->reader, REPR_GET(r, members + size * i, PyMemberDef, name), 100, &name);
		pyr_error_destroy(err);
		if (!err) {
			repr_clean(r, name);
			pyr_strbuf_add(r->out, "=");
			free(name);
		}
		repr_value(r, item);
	}
	pyr_strbuf_add(r->out, ")");
	return true;
}

/* dataclasses.py, _repr_fn(): C(a=1, b='x'), of the fields that want to be shown. */
static bool dataclass(struct repr *r, const struct pyr_type *type, pyr_addr obj, pyr_addr fields)
{
	pyr_addr key, field, value;
	struct pyr_dict_iter iter;
	uint64_t i = 0;
	char *name;
	pyr_error *err;

	err = pyr_dict_iter_init(r->types, r->reader, fields, &iter);
	pyr_error_destroy(err);
	if (err)
		return false;
	pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
	while (i < FIELDS_MAX && pyr_dict_iter_next(&iter, &key, &field)) {
		if (attribute(r, field, "repr") == r->types->python->known[PYR_KNOWN_FALSE])
			continue;
		err = pyr_str_utf8(r->types, r->reader, key, 1000, &name, NULL);
		pyr_error_destroy(err);
		if (err)
			continue;
		value = attribute(r, obj, name);
		if (value && repr_next(r, i++, iter.used)) {
			repr_text(r, key);
			pyr_strbuf_add(r->out, "=");
			repr_value(r, value);
		} else if (value) {
			free(name);
			break;
		}
		free(name);
	}
	pyr_strbuf_add(r->out, ")");
	return true;
}

static bool counter(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
	if (REPR_GET(r, obj, PyDictObject, ma_used))
		repr_dict_entries(r, obj);
	pyr_strbuf_add(r->out, ")");
	return true;
}

/* uuid.py: 128 bits in an int. */
static bool uuid(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr number = attribute(r, obj, "int");
	struct pyr_int_view view = {0};
	unsigned __int128 value = 0;
	uint32_t digit;
	uint64_t i;

	pyr_error_destroy(pyr_int_view(r->types, r->reader, number, &view));
	for (i = 0; number && i < view.count && i < 5; i++)
		if (pyr_try_u32(r->reader, view.digits + 4 * i, &digit))
			value |= (unsigned __int128)digit << (30 * i);
	if (!number || view.count > 5)
		return false;
	pyr_strbuf_printf(r->out, "%s('%08x-%04x-%04x-%04x-%012llx')", repr_short_name(type),
			  (unsigned)(value >> 96), (unsigned)(value >> 80) & 0xffff,
			  (unsigned)(value >> 64) & 0xffff, (unsigned)(value >> 48) & 0xffff,
			  (unsigned long long)value & 0xffffffffffff);
	return true;
}

/* pathlib: the text is kept once it was asked for; before, the parts it was made of. */
static bool path(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr text = attribute(r, obj, "_str"), parts, items, item;
	const struct pyr_type *of;
	uint64_t count, i;
	pyr_error *err;
	bool after_root = true;

	of = text ? repr_type_of(r, text) : NULL;
	if (of && of->shape == PYR_SHAPE_STR) {
		pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
		repr_value(r, text);
		pyr_strbuf_add(r->out, ")");
		return true;
	}
	parts = attribute(r, obj, "_raw_paths");
	if (!parts)
		parts = attribute(r, obj, "_parts");
	err = parts ? pyr_sequence_items(r->types, r->reader, parts, &items, &count) : NULL;
	pyr_error_destroy(err);
	if (!parts || err)
		return false;
	pyr_strbuf_printf(r->out, "%s('", repr_short_name(type));
	for (i = 0; i < count && i < 100 && pyr_try_u64(r->reader, items + 8 * i, &item); i++) {
		if (!after_root)
			pyr_strbuf_add(r->out, "/");
		repr_text(r, item);
		after_root = pyr_str_equals(r->types, r->reader, item, "/");
	}
	pyr_strbuf_add(r->out, count ? "')" : ".')");
	return true;
}

static bool fraction(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr up = attribute(r, obj, "_numerator"), down = attribute(r, obj, "_denominator");

	if (!up || !down)
		return false;
	pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
	repr_value(r, up);
	pyr_strbuf_add(r->out, ", ");
	repr_value(r, down);
	pyr_strbuf_add(r->out, ")");
	return true;
}

/* Arrays of a subclass, scalars, and the two scalars that are str and bytes. */
static bool numpy_object(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr data;
	uint64_t count;
	pyr_error *err;

	if (type->shape == PYR_SHAPE_NDARRAY) {
		repr_ndarray(r, type, obj);
		return true;
	}
	if (type->shape == PYR_SHAPE_NUMPY_GENERIC) {
		repr_numpy_generic(r, type, obj);
		return true;
	}
	pyr_strbuf_printf(r->out, "%s(", type->name);
	if (type->shape == PYR_SHAPE_STR) {
		repr_str(r, obj);
	} else {
		err = pyr_bytes_view(r->types, r->reader, PYR_SHAPE_BYTES, obj, &data, &count);
		if (!err)
			repr_bytes_at(r, data, count, false);
		pyr_error_destroy(err);
	}
	pyr_strbuf_add(r->out, ")");
	return true;
}

bool repr_python_class(struct repr *r, const struct pyr_type *type, const struct pyr_type *owner,
		       pyr_addr obj)
{
	static const struct {
		const char *owner;
		bool (*repr)(struct repr *r, const struct pyr_type *type, pyr_addr obj);
	} known[] = {
		{"collections.Counter", counter},  {"uuid.UUID", uuid},
		{"fractions.Fraction", fraction},  {"pathlib.PurePath", path}, /* until 3.12 */
		{"pathlib._local.PurePath", path},                             /* 3.13 */
	};
	pyr_addr dict = pyr_type_dict(r->types, r->reader, owner), fields;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(owner->name, known[i].owner) == 0)
			return known[i].repr(r, type, obj);
	if (type->shape == PYR_SHAPE_NDARRAY || type->shape == PYR_SHAPE_NUMPY_GENERIC ||
	    strcmp(owner->name, "numpy.str_") == 0 || strcmp(owner->name, "numpy.bytes_") == 0)
		return numpy_object(r, type, obj);
	if (type->shape == PYR_SHAPE_TUPLE &&
	    (named_tuple(r, type, obj) || struct_sequence(r, type, obj)))
		return true;
	/* A dataclass's own __repr__, not one that a class above or below it has. */
	fields = dict ? pyr_dict_get(r->types, r->reader, dict, "__dataclass_fields__") : 0;
	return fields && dataclass(r, type, obj, fields);
}
