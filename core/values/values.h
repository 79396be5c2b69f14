/* Where the values of builtin objects lie, for code that needs more than the
 * whole value: repr, sizes, walkers. The plain values are in object.h. */
#ifndef PYR_VALUES_VALUES_H
#define PYR_VALUES_VALUES_H

#include "values/object.h"

/* The characters of a str: @length units of @kind (1, 2 or 4) bytes at @data. */
struct pyr_str_view {
	uint64_t length;
	pyr_addr data;
	unsigned kind;
	bool ascii, compact;
};
pyr_error *pyr_str_view(struct pyr_types *types, struct pyr_reader *reader, pyr_addr str,
			struct pyr_str_view *ret);
uint32_t pyr_str_unit(const uint8_t *data, unsigned kind, size_t index);

/* The magnitude of an int: @count digits of 30 bits, least significant first. */
struct pyr_int_view {
	uint64_t count;
	pyr_addr digits;
	bool negative;
};
pyr_error *pyr_int_view(struct pyr_types *types, struct pyr_reader *reader, pyr_addr integer,
			struct pyr_int_view *ret);

/* The bytes of a bytes or bytearray object (shape decides which). */
pyr_error *pyr_bytes_view(struct pyr_types *types, struct pyr_reader *reader, enum pyr_shape shape,
			  pyr_addr bytes, pyr_addr *data, uint64_t *count);

/* Size in bytes of a PyDictKeysObject with its table and entries; 0: corrupt. */
uint64_t pyr_dict_keys_size(struct pyr_types *types, struct pyr_reader *reader, pyr_addr keys);
/* Iterate keys with an array of values that belongs to an instance. @values is
 * the PyDictValues (or the array, until 3.10). */
pyr_error *pyr_dict_iter_init_split(struct pyr_types *types, struct pyr_reader *reader,
				    pyr_addr keys, pyr_addr values, struct pyr_dict_iter *ret);

/* Entries of a set's table: (mask + 1) pairs of key and hash at @table. */
pyr_error *pyr_set_table(struct pyr_types *types, struct pyr_reader *reader, pyr_addr set,
			 pyr_addr *table, uint64_t *slots, uint64_t *used);

/* Offset of the first word behind the object header (PyObject), for the
 * structures of extension modules that are alike in all versions. */
static inline pyr_addr pyr_object_body(const struct pyr_layout *l)
{
	return (pyr_addr)(pyr_layout_offset(l, PYR_FIELD(PyObject, ob_type)) + 8);
}

/* What the attribute @name of the type is, looked up along tp_mro: the object, or 0;
 * *@owner (may be NULL) is then the class in whose dict it was. */
pyr_addr pyr_type_lookup(struct pyr_types *types, struct pyr_reader *reader,
			 const struct pyr_type *type, const char *name,
			 const struct pyr_type **owner);

/* The __dict__ of an instance, when it exists as an object, else 0. */
pyr_addr pyr_object_dict(struct pyr_types *types, struct pyr_reader *reader,
			 const struct pyr_type *type, pyr_addr obj);

#endif
