/* Lookups along the mro; typeobject.c, find_name_in_mro(). */
#include "values/values.h"

#define MRO_MAX 1024

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
