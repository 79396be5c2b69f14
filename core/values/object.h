/* One object of the target: header, size, value, printable form. */
#ifndef PYR_VALUES_OBJECT_H
#define PYR_VALUES_OBJECT_H

#include "base/strbuf.h"
#include "types/types.h"

struct pyr_object_header {
	int64_t refcount; /* as sys.getrefcount counts, without its own; see `immortal` */
	bool immortal;
	const struct pyr_type *type;
	/* gc state; meaningful when type->gc (and, for types, tp_is_gc) */
	bool is_gc; /* this very object has a gc head */
	bool tracked, finalized, collecting;
};

/* Is there an object at @addr? Errors: unreadable, not_an_object. */
pyr_error *pyr_object_header(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
			     struct pyr_object_header *ret);

/* The reference count alone; false where it cannot be read or is no count. Thread-safe. */
bool pyr_object_refcount(const struct pyr_layout *layout, struct pyr_reader *reader, pyr_addr addr,
			 int64_t *refcount, bool *immortal);

/* What sys.getsizeof() answers: __sizeof__() of the builtin shape plus the
 * pre-headers. @exact is false when the type is foreign and may define its own
 * __sizeof__ (basicsize + itemsize * ob_size is answered). Thread-safe. */
pyr_error *pyr_object_size(struct pyr_types *types, struct pyr_reader *reader,
			   const struct pyr_type *type, pyr_addr addr, uint64_t *ret, bool *exact);

/* The size that all objects of the type share, for loops over many; 0 when it
 * differs from object to object or was not asked before. */
enum { PYR_SIZE_RULE_UNKNOWN, PYR_SIZE_RULE_OBJECT, PYR_SIZE_RULE_FOREIGN, PYR_SIZE_RULE_SHAPE };
static inline uint64_t pyr_type_fixed_size(const struct pyr_type *type)
{
	uint8_t rule = atomic_load_explicit(&type->size_rule, memory_order_relaxed);

	if (type->itemsize || type->shape == PYR_SHAPE_TYPE ||
	    (rule != PYR_SIZE_RULE_OBJECT && rule != PYR_SIZE_RULE_FOREIGN))
		return 0;
	return (uint64_t)type->basicsize + type->gc_head + type->pre_header;
}

/* Bounded, safe repr: never runs code, never loops, at most @max bytes of
 * output (then "..."). Unreadable parts read "<unreadable>". */
struct pyr_repr_options {
	size_t max_length; /* bytes; 0: 200 */
	unsigned depth;    /* nesting; 0: 3 */
	unsigned items;    /* elements per container; 0: 8 */
};
void pyr_object_repr(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
		     const struct pyr_repr_options *options, struct pyr_strbuf *out);

/* --- values of builtin shapes (value_*.c); errors name what is wrong --- */
/* UTF-8 of a str, at most @max code points; *truncated tells (may be NULL). Caller frees. */
pyr_error *pyr_str_utf8(struct pyr_types *types, struct pyr_reader *reader, pyr_addr str,
			size_t max, char **ret, bool *truncated);
bool pyr_str_equals(struct pyr_types *types, struct pyr_reader *reader, pyr_addr str,
		    const char *ascii);
pyr_error *pyr_int_value(struct pyr_types *types, struct pyr_reader *reader, pyr_addr integer,
			 int64_t *ret); /* corrupt when it does not fit */
/* Items of an exact or sub-classed tuple or list: address of the array and count. */
pyr_error *pyr_sequence_items(struct pyr_types *types, struct pyr_reader *reader, pyr_addr seq,
			      pyr_addr *items, uint64_t *count);

/* Iterate a dict's live entries in insertion order, whatever its form. */
struct pyr_dict_iter {
	struct pyr_types *types;
	struct pyr_reader *reader;
	uint64_t index, count; /* entries looked at, entries there are */
	pyr_addr entries, values;
	uint32_t entry_size, key_offset, value_offset; /* value_offset unused when split */
	uint64_t used;
	uint64_t keys_count; /* keys that have a place for a value; split dicts */
	pyr_addr order;      /* bytes that give the order of insertion of values, or 0 */
	int order_step;      /* 1, or -1: they lie backwards */
};
pyr_error *pyr_dict_iter_init(struct pyr_types *types, struct pyr_reader *reader, pyr_addr dict,
			      struct pyr_dict_iter *ret);
bool pyr_dict_iter_next(struct pyr_dict_iter *iter, pyr_addr *key, pyr_addr *value);
/* The value under an ASCII str key, or 0. Linear. */
pyr_addr pyr_dict_get(struct pyr_types *types, struct pyr_reader *reader, pyr_addr dict,
		      const char *key);

/* The instance's attributes: calls @fn(ctx, name, value) for each entry of its
 * dict (materialized, managed, inline values) and each slot that is set, until
 * it answers false. @name is a UTF-8 attribute name. */
pyr_error *pyr_object_attributes(struct pyr_types *types, struct pyr_reader *reader, pyr_addr obj,
				 bool (*fn)(void *ctx, const char *name, pyr_addr value),
				 void *ctx);
/* One attribute of an instance, or 0. */
pyr_addr pyr_object_attribute(struct pyr_types *types, struct pyr_reader *reader, pyr_addr obj,
			      const char *name);

#endif
