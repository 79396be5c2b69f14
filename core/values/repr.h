/* Inside of pyr_object_repr(): the state of one repr and the parts it is made
 * of. Every part appends to @out, looks at repr_full() in its loops, and reads
 * the target only through bounded readers. */
#ifndef PYR_VALUES_REPR_H
#define PYR_VALUES_REPR_H

#include "types/types.h"
#include "values/values.h"

#define PYR_REPR_DEPTH_MAX 16

struct repr {
	struct pyr_types *types;
	struct pyr_reader *reader;
	const struct pyr_layout *l;
	struct pyr_strbuf *out;
	size_t start, limit; /* of out->length */
	unsigned depth, depth_max, items;
	pyr_addr open[PYR_REPR_DEPTH_MAX]; /* objects being printed, outermost first */
	unsigned steps; /* objects printed in all, against much work for little output */
};

static inline bool repr_full(const struct repr *r)
{
	return r->out->failed || r->out->length - r->start > r->limit;
}

/* The field of @base as an address or number; 0 when absent. */
#define REPR_GET(r, base, id, field) repr_get((r), (base), PYR_FIELD(id, field))
static inline uint64_t repr_get(const struct repr *r, pyr_addr base, enum pyr_field field)
{
	uint64_t value = 0;

	return base && pyr_field_u64(r->l, r->reader, base, field, &value) ? value : 0;
}

/* repr.c */
void repr_value(struct repr *r, pyr_addr obj); /* any object, nested */
void repr_object(struct repr *r, const struct pyr_type *type, pyr_addr obj); /* object.__repr__ */
/* "m.C object at 0x..." without the brackets; name as object.__repr__() has it */
void repr_object_head(struct repr *r, const struct pyr_type *type, pyr_addr obj);
const char *repr_short_name(const struct pyr_type *type); /* __name__ */
const char *repr_tp_name(const struct pyr_type *type);    /* tp_name */
const struct pyr_type *repr_type_of(struct repr *r, pyr_addr obj);
void repr_text(struct repr *r, pyr_addr str); /* a str as str() would give it; "?" if it is none */
void repr_clean(struct repr *r,
		const char *text); /* control characters escaped; "?" if not UTF-8 */
/* ", " between elements; answers false, after a mark, when enough were printed. */
bool repr_next(struct repr *r, uint64_t index, uint64_t count);
/* "a=1, b=2" of an instance's attributes; answers how many there were. */
unsigned repr_attributes(struct repr *r, pyr_addr obj, bool comma_first);

/* repr_text.c */
void repr_str(struct repr *r, pyr_addr str);
void repr_bytes_at(struct repr *r, pyr_addr data, uint64_t count, bool array);
void repr_int(struct repr *r, pyr_addr integer);
/* @sign: "+" too; @point: ".0" behind a whole number. */
void repr_double(struct repr *r, double value, bool sign, bool point);
bool pyr_unicode_printable(uint32_t c);

/* One function for each shape or family of shapes. */
typedef void repr_fn(struct repr *r, const struct pyr_type *type, pyr_addr obj);
/* repr_containers.c */
repr_fn repr_tuple, repr_list, repr_dict, repr_set, repr_frozenset, repr_odict, repr_defaultdict,
	repr_deque, repr_mappingproxy, repr_dict_keys, repr_dict_values, repr_dict_items,
	repr_frozendict;
void repr_dict_entries(struct repr *r, pyr_addr dict);
void repr_sequence_items(struct repr *r, pyr_addr seq);
/* repr_code.c */
repr_fn repr_function, repr_method, repr_cfunction, repr_module, repr_type, repr_code, repr_frame,
	repr_generator, repr_cell, repr_staticmethod, repr_classmethod, repr_descriptor,
	repr_method_wrapper, repr_generic_alias, repr_union, repr_weakref, repr_exception,
	repr_traceback;
/* repr_stdlib.c */
repr_fn repr_range, repr_slice, repr_array, repr_ndarray, repr_namespace, repr_partial,
	repr_buffered, repr_element, repr_context_var, repr_memoryview, repr_numpy_generic;
/* repr_time.c */
repr_fn repr_date, repr_datetime, repr_time, repr_timedelta, repr_timezone, repr_decimal;
/* repr_python.c: classes written in Python, by how their own __repr__ answers. Answers
 * false when it knows nothing better than the instance's attributes. */
bool repr_python_class(struct repr *r, const struct pyr_type *type, const struct pyr_type *owner,
		       pyr_addr obj);
bool repr_enum(struct repr *r, const struct pyr_type *type, pyr_addr obj);

#endif
