/* The dicts of types; typeobject.c, lookup_tp_dict(). */
#include "types/types_internal.h"

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
