/* Type dicts and lookups along the mro; typeobject.c, lookup_tp_dict() and
 * find_name_in_mro(). */
#include "runtime/types_state.h"

#define MRO_MAX 1024

/* The entry of a static type in one interpreter's array of them. */
static pyr_addr state_dict(const struct pyr_layout *l, struct pyr_reader *reader,
			   pyr_addr interpreter, enum pyr_field array, uint64_t index,
			   pyr_addr type)
{
	int32_t offset = pyr_layout_offset(l, array);
	uint64_t size = pyr_sizeof(l, managed_static_type_state);
	pyr_addr entry;

	if (offset < 0 || !size || index == 0 || index > l->fields[array].size / size)
		return 0;
	entry = interpreter + (pyr_addr)offset + (index - 1) * size;
	if (pyr_get_addr(l, reader, entry, managed_static_type_state, type) != type)
		return 0;
	return pyr_get_addr(l, reader, entry, managed_static_type_state, tp_dict);
}

pyr_addr pyr_type_dict_raw(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
			   uint64_t flags)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_python *python = types->python;
	uint64_t index;
	pyr_addr dict;
	size_t i;

	dict = pyr_get_addr(l, reader, addr, PyTypeObject, tp_dict);
	if (dict || !pyr_is(l, static_type_state, PER_INTERPRETER) ||
	    !(flags & l->type_flags & PYR_TPFLAGS_STATIC_BUILTIN) ||
	    !pyr_get_u64(l, reader, addr, PyTypeObject, tp_subclasses, &index))
		return dict;
	for (i = 0; i < python->interpreters.count && !dict; i++) {
		pyr_addr interpreter = python->interpreters.data[i].address;

		dict = state_dict(l, reader, interpreter,
				  PYR_FIELD(PyInterpreterState, types_builtins), index, addr);
		if (!dict)
			dict = state_dict(l, reader, interpreter,
					  PYR_FIELD(PyInterpreterState, types_for_extensions),
					  index, addr);
	}
	return dict;
}

pyr_addr pyr_type_dict(struct pyr_types *types, struct pyr_reader *reader,
		       const struct pyr_type *type)
{
	return pyr_type_dict_raw(types, reader, type->address, type->flags);
}

pyr_addr pyr_type_lookup(struct pyr_types *types, struct pyr_reader *reader,
			 const struct pyr_type *type, const char *name,
			 const struct pyr_type **owner)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	pyr_addr mro = pyr_get_addr(l, reader, type->address, PyTypeObject, tp_mro);
	pyr_addr items, class, dict, value;
	const struct pyr_type *found;
	pyr_error *err;
	uint64_t count, i;

	err = mro ? pyr_sequence_items(types, reader, mro, &items, &count) : NULL;
	if (!mro || err) {
		pyr_error_destroy(err);
		return 0;
	}
	for (i = 0; i < count && i < MRO_MAX; i++) {
		if (!pyr_try_u64(reader, items + 8 * i, &class) ||
		    !(found = pyr_types_get(types, reader, class)))
			continue;
		dict = pyr_type_dict(types, reader, found);
		value = dict ? pyr_dict_get(types, reader, dict, name) : 0;
		if (value) {
			if (owner)
				*owner = found;
			return value;
		}
	}
	return 0;
}

bool pyr_type_is_subclass(struct pyr_types *types, const struct pyr_type *type, pyr_addr base)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_reader reader;
	pyr_addr mro, items, class;
	const struct pyr_type *up = type;
	uint64_t count, i;
	bool found = false;
	pyr_error *err;

	for (i = 0; i < PYR_TYPE_BASES_MAX && up; i++) {
		if (up->address == base)
			return true;
		up = up->base ? pyr_types_find(types, up->base) : NULL;
	}
	pyr_reader_init(&reader, types->python->target);
	mro = pyr_get_addr(l, &reader, type->address, PyTypeObject, tp_mro);
	err = mro ? pyr_sequence_items(types, &reader, mro, &items, &count) : NULL;
	if (mro && !err)
		for (i = 0; i < count && i < MRO_MAX && !found; i++)
			found = pyr_try_u64(&reader, items + 8 * i, &class) && class == base;
	pyr_error_destroy(err);
	pyr_reader_deinit(&reader);
	return found;
}
