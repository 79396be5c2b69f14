/* Attributes of instances: the dict in each of its forms, and slots;
 * object.c, _PyObject_GetDictPtr(), dictobject.c, _PyObject_InlineValues(). */
#include <stdlib.h>

#include "types/types.h"
#include "values/values.h"

#define MANAGED_WORD (3 * 8) /* the dict lies this far before an instance that has one */
#define SLOTS_MAX 10000
#define NAME_MAX_LENGTH 1000
#define T_OBJECT 6
#define T_OBJECT_EX 16
/* _Py_AFTER_ITEMS (descrobject.h, 3.15): the offset is counted from the end of the items. */
#define AFTER_ITEMS 16

typedef bool attribute_fn(void *ctx, const char *name, pyr_addr value);

/* Where an instance keeps its attributes: a dict, or values whose keys the type has. */
struct attribute_place {
	pyr_addr dict, values;
};

/* tp_dictoffset; negative ones count from the end of a variable-sized object. */
static pyr_addr classic_dict(const struct pyr_layout *l, struct pyr_reader *reader,
			     const struct pyr_type *type, pyr_addr obj)
{
	int64_t offset = type->dictoffset, size = 0;
	pyr_addr dict;

	if (offset < 0) {
		if (type->itemsize && !pyr_get_i64(l, reader, obj, PyVarObject, ob_size, &size))
			return 0;
		if (size < 0) /* an int's sign */
			size = -size;
		if (size > INT64_C(1) << 40)
			return 0;
		size = (type->basicsize + size * type->itemsize + 7) & ~INT64_C(7);
		offset += size;
	}
	if (offset <= 0 || !pyr_try_u64(reader, obj + (pyr_addr)offset, &dict))
		return 0;
	return dict;
}

static struct attribute_place find_place(const struct pyr_layout *l, struct pyr_reader *reader,
					 const struct pyr_type *type, pyr_addr obj)
{
	struct attribute_place place = {0};
	uint64_t word, valid;

	if (!(type->flags & l->type_flags & PYR_TPFLAGS_MANAGED_DICT)) {
		place.dict = classic_dict(l, reader, type, obj);
		return place;
	}
	if (!pyr_try_u64(reader, obj - MANAGED_WORD, &word))
		return place;
	switch (pyr_trait(l, instance_dict)) {
	case PYR_TRAIT(instance_dict, MANAGED_TWO_POINTERS):
		place.dict = word;
		if (!word && !pyr_try_u64(reader, obj - MANAGED_WORD - 8, &place.values))
			place.values = 0;
		break;
	case PYR_TRAIT(instance_dict, MANAGED_TAGGED):
		/* The address of the values less one, or the dict. */
		if (word & 1)
			place.values = word + 1;
		else
			place.dict = word;
		break;
	case PYR_TRAIT(instance_dict, MANAGED_INLINE):
		place.dict = word;
		if (!word && type->flags & l->type_flags & PYR_TPFLAGS_INLINE_VALUES) {
			place.values = obj + (pyr_addr)type->basicsize;
			if (!pyr_get_u64(l, reader, place.values, PyDictValues, valid, &valid) ||
			    !valid)
				place.values = 0;
		}
		break;
	default:
		break;
	}
	return place;
}

pyr_addr pyr_object_dict(struct pyr_types *types, struct pyr_reader *reader,
			 const struct pyr_type *type, pyr_addr obj)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	pyr_addr dict = find_place(l, reader, type, obj).dict;

	return dict && pyr_object_has_flags(types, reader, dict, PYR_TPFLAGS_DICT_SUBCLASS) ? dict
											    : 0;
}

/* Answers false when @fn wants no more. */
static bool visit_dict(struct pyr_types *types, struct pyr_reader *reader,
		       struct pyr_dict_iter *iter, attribute_fn *fn, void *ctx)
{
	pyr_addr key, value;
	bool more = true;
	pyr_error *err;
	char *name;

	while (more && pyr_dict_iter_next(iter, &key, &value)) {
		err = pyr_str_utf8(types, reader, key, NAME_MAX_LENGTH, &name, NULL);
		if (err) {
			pyr_error_destroy(err);
			continue;
		}
		more = fn(ctx, name, value);
		free(name);
	}
	return more;
}

/* The member descriptions of one class; typeobject.c, PyHeapType_GET_MEMBERS(). */
static bool visit_slots(struct pyr_types *types, struct pyr_reader *reader,
			const struct pyr_type *class, pyr_addr obj, attribute_fn *fn, void *ctx)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	pyr_addr metatype = pyr_get_addr(l, reader, class->address, PyObject, ob_type);
	const struct pyr_type *meta = pyr_types_get(types, reader, metatype);
	uint64_t count, i, kind, flags, items = 0;
	pyr_addr member, value;
	int64_t offset;
	bool more = true;
	pyr_error *err;
	char *name;

	if (!meta || !pyr_get_u64(l, reader, class->address, PyVarObject, ob_size, &count) ||
	    count > SLOTS_MAX)
		return true;
	if (class->itemsize &&
	    (!pyr_get_u64(l, reader, obj, PyVarObject, ob_size, &items) || items >> 40))
		return true;
	items = (items * (uint64_t) class->itemsize + 7) & ~UINT64_C(7);
	member = class->address + (pyr_addr)meta->basicsize;
	for (i = 0; i < count && more; i++, member += pyr_sizeof(l, PyMemberDef)) {
		if (!pyr_get_u64(l, reader, member, PyMemberDef, type, &kind) ||
		    (kind != T_OBJECT_EX && kind != T_OBJECT) ||
		    !pyr_get_i64(l, reader, member, PyMemberDef, offset, &offset) || offset <= 0 ||
		    offset > class->basicsize ||
		    !pyr_get_u64(l, reader, member, PyMemberDef, flags, &flags) ||
		    !pyr_try_u64(reader, obj + (pyr_addr)offset + (flags & AFTER_ITEMS ? items : 0),
				 &value) ||
		    !value)
			continue;
		err = pyr_read_cstring(reader, pyr_get_addr(l, reader, member, PyMemberDef, name),
				       NAME_MAX_LENGTH, &name);
		if (err) {
			pyr_error_destroy(err);
			continue;
		}
		if (pyr_utf8_is_valid(name))
			more = fn(ctx, name, value);
		free(name);
	}
	return more;
}

pyr_error *pyr_object_attributes(struct pyr_types *types, struct pyr_reader *reader, pyr_addr obj,
				 attribute_fn *fn, void *ctx)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	const struct pyr_type *type, *class;
	struct pyr_dict_iter iter;
	struct attribute_place place;
	pyr_error *err = NULL;
	bool more = true;
	int i;

	type = pyr_types_get(types, reader, pyr_get_addr(l, reader, obj, PyObject, ob_type));
	if (!type)
		return pyr_error_create_at(PYR_E_NOT_AN_OBJECT, obj, "no object lies at 0x%llx",
					   (unsigned long long)obj);
	for (class = type, i = 0; class && more && i < PYR_TYPE_BASES_MAX; i++) {
		if (class->heap)
			more = visit_slots(types, reader, class, obj, fn, ctx);
		class = class->base ? pyr_types_get(types, reader, class->base) : NULL;
	}
	if (!more)
		return NULL;
	place = find_place(l, reader, type, obj);
	if (place.dict &&
	    pyr_object_has_flags(types, reader, place.dict, PYR_TPFLAGS_DICT_SUBCLASS))
		err = pyr_dict_iter_init(types, reader, place.dict, &iter);
	else if (place.values && type->heap)
		err = pyr_dict_iter_init_split(
			types, reader,
			pyr_get_addr(l, reader, type->address, PyHeapTypeObject, ht_cached_keys),
			place.values, &iter);
	else
		return NULL;
	if (!err)
		visit_dict(types, reader, &iter, fn, ctx);
	return err;
}

struct attribute_search {
	const char *name;
	pyr_addr found;
};

static bool match(void *ctx, const char *name, pyr_addr value)
{
	struct attribute_search *search = ctx;

	if (strcmp(name, search->name) == 0)
		search->found = value;
	return !search->found;
}

pyr_addr pyr_object_attribute(struct pyr_types *types, struct pyr_reader *reader, pyr_addr obj,
			      const char *name)
{
	struct attribute_search search = {.name = name};

	pyr_error_destroy(pyr_object_attributes(types, reader, obj, match, &search));
	return search.found;
}
