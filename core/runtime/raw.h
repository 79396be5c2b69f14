/* Values of builtin objects read by their layout alone, before any type of the
 * target is known: what finding CPython and validating a layout need. The
 * caller knows what an address holds (the interpreter's sysdict is a dict);
 * everything that is read is bounded, and nonsense answers "no". */
#ifndef PYR_RUNTIME_RAW_H
#define PYR_RUNTIME_RAW_H

#include "layout/layout.h"
#include "target/reader.h"

struct pyr_raw {
	const struct pyr_layout *layout;
	struct pyr_reader *reader;
};

/* Field of the structure at @base, zero-extended; false when this build has no
 * such field or its bytes are absent. */
bool pyr_raw_field(struct pyr_raw raw, pyr_addr base, enum pyr_field field, uint64_t *ret);
/* The same, 0 instead of "no". */
uint64_t pyr_raw_get(struct pyr_raw raw, pyr_addr base, enum pyr_field field);
/* The same, sign-extended from the field's size. */
int64_t pyr_raw_get_signed(struct pyr_raw raw, pyr_addr base, enum pyr_field field);

pyr_addr pyr_raw_type(struct pyr_raw raw, pyr_addr object);
bool pyr_raw_int(struct pyr_raw raw, pyr_addr object, int64_t *ret);
bool pyr_raw_str_equals(struct pyr_raw raw, pyr_addr object, const char *ascii);
/* UTF-8, at most @max code points; NULL when it is no str. Caller frees. */
char *pyr_raw_str(struct pyr_raw raw, pyr_addr object, size_t max);
/* The array of a list's or tuple's items. */
bool pyr_raw_list(struct pyr_raw raw, pyr_addr list, pyr_addr *items, uint64_t *count);
bool pyr_raw_tuple(struct pyr_raw raw, pyr_addr tuple, pyr_addr *items, uint64_t *count);
/* Start and length of the data of a bytes object. */
bool pyr_raw_bytes(struct pyr_raw raw, pyr_addr bytes, pyr_addr *data, uint64_t *length);

/* Live entries of a dict in insertion order (dictobject.c, PyDict_Next()). */
struct pyr_raw_dict {
	struct pyr_raw raw;
	uint64_t index, count;
	pyr_addr entries, values; /* values: 0 unless the table is split */
	uint32_t entry_size, key_offset, value_offset;
};
bool pyr_raw_dict_init(struct pyr_raw raw, pyr_addr dict, struct pyr_raw_dict *ret);
bool pyr_raw_dict_next(struct pyr_raw_dict *iter, pyr_addr *key, pyr_addr *value);
/* The value under an ASCII key, or 0. Linear. */
pyr_addr pyr_raw_dict_get(struct pyr_raw raw, pyr_addr dict, const char *key);

/* The dict of the module that sys.modules (@modules) holds under @name, or 0. */
pyr_addr pyr_raw_module_dict(struct pyr_raw raw, pyr_addr modules, const char *name);

#endif
