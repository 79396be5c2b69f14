/* Types of the target, each looked at once. Lookups of known types take no lock;
 * a new type is read and added under one. Entries never move and never change,
 * except for what is noted as filled later. */
#ifndef PYR_TYPES_TYPES_H
#define PYR_TYPES_TYPES_H

#include <stdatomic.h>

#include "runtime/access.h"
#include "runtime/python.h"

/* How objects of a type are laid out: decides size, repr and, later, edges.
 * Inherited by subclasses along tp_base. */
enum pyr_shape {
#define SHAPE(id, name) PYR_SHAPE_##id,
#include "types/shapes.def"
#undef SHAPE
	PYR_SHAPE_COUNT
};

enum pyr_certainty { PYR_EXACT, PYR_INFERRED, PYR_UNKNOWN };

#define PYR_TYPE_BASES_MAX 512 /* longest chain of tp_base that is followed */

struct pyr_type {
	pyr_addr address;
	uint32_t index; /* dense, 0 .. count-1, in order of discovery */
	uint64_t flags; /* tp_flags */
	int64_t basicsize, itemsize;
	int64_t dictoffset, weaklistoffset;
	pyr_addr base, traverse;
	enum pyr_shape shape;
	bool gc;            /* instances have a gc head (tp_flags HAVE_GC) */
	bool heap;          /* the type itself is a heap type */
	bool exact_shape;   /* the type *is* the builtin of its shape, not a subclass */
	uint8_t gc_head;    /* bytes of the gc head before the object: 0, 16 or 32 */
	uint8_t pre_header; /* bytes before the gc head: 0 or 16 (managed dict/weakrefs) */

	/* "module.qualname"; "<type at 0x...>" when unknown. */
	char *name;
	enum pyr_certainty name_certainty;

	/* How __sizeof__() answers: 0 not yet asked, else decided by size.c. */
	_Atomic uint8_t size_rule;
};

/* Address -> type, open addressing; the address is written last. */
struct pyr_type_index {
	size_t mask; /* slots - 1, a power of two */
	struct pyr_type_slot {
		_Atomic(pyr_addr) address;
		_Atomic(struct pyr_type *) type;
	} slots[];
};

struct pyr_types_state; /* types.c */
struct pyr_types {
	_Atomic(struct pyr_type_index *) index;
	struct pyr_python *python; /* borrowed */
	struct pyr_types_state *state;
	/* An object that says it is larger is damaged: its parts do not fit into what the target
	 * maps. The second is for those that are made of many blocks. */
	uint64_t size_limit, blocks_limit;
};

pyr_error *pyr_types_create(struct pyr_python *python, struct pyr_types **ret);
void pyr_types_destroy(struct pyr_types *types); /* NULL is allowed */
/* The Python that the table was made for. */
struct pyr_python *pyr_types_python(const struct pyr_types *types);

static inline size_t pyr_type_hash(pyr_addr addr)
{
	return (size_t)(addr * UINT64_C(0x9e3779b97f4a7c15) >> 40);
}

/* The type at @addr if it was looked at before, else NULL. */
static inline const struct pyr_type *pyr_types_find(const struct pyr_types *types, pyr_addr addr)
{
	const struct pyr_type_index *index =
		atomic_load_explicit(&types->index, memory_order_acquire);
	size_t i = pyr_type_hash(addr) & index->mask;
	pyr_addr found;

	while ((found = atomic_load_explicit(&index->slots[i].address, memory_order_acquire))) {
		if (found == addr)
			return atomic_load_explicit(&index->slots[i].type, memory_order_relaxed);
		i = (i + 1) & index->mask;
	}
	return NULL;
}

/* The slow half of pyr_types_get(); do not call directly. */
const struct pyr_type *pyr_types_add(struct pyr_types *types, struct pyr_reader *reader,
				     pyr_addr addr);

/* The type object at @addr, or NULL when there is none: an object whose type
 * chain reaches `type` or a metatype, with sane sizes. Answers are remembered,
 * negative ones in a small cache. Thread-safe; lock-free for known types. */
static inline const struct pyr_type *pyr_types_get(struct pyr_types *types,
						   struct pyr_reader *reader, pyr_addr addr)
{
	const struct pyr_type *type = addr ? pyr_types_find(types, addr) : NULL;

	return type ? type : pyr_types_add(types, reader, addr);
}

const struct pyr_type *pyr_types_at(const struct pyr_types *types, uint32_t index);
uint32_t pyr_types_count(const struct pyr_types *types);

/* "module.qualname" ("builtins.dict"); never NULL, valid as long as the table.
 * Unknown names read "<type at 0x...>". Thread-safe. */
const char *pyr_type_name(struct pyr_types *types, const struct pyr_type *type);
enum pyr_certainty pyr_type_name_certainty(struct pyr_types *types, const struct pyr_type *type);
/* The type's own dict (tp_dict, wherever this build keeps it), or 0. */
pyr_addr pyr_type_dict(struct pyr_types *types, struct pyr_reader *reader,
		       const struct pyr_type *type);

static inline const struct pyr_layout *pyr_types_layout(const struct pyr_types *types)
{
	return &types->python->layout;
}

/* tp_dict of a type that need not be in the table. type_dict.c */
pyr_addr pyr_type_dict_raw(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
			   uint64_t flags);

/* Is the object at @addr an instance of a type with these tp_flags bits (one of
 * PYR_TPFLAGS_..._SUBCLASS)? Reads the target, not the table. */
static inline bool pyr_object_has_flags(const struct pyr_types *types, struct pyr_reader *reader,
					pyr_addr addr, uint64_t flags)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	pyr_addr type = pyr_get_addr(l, reader, addr, PyObject, ob_type);
	uint64_t value;

	return type && pyr_get_u64(l, reader, type, PyTypeObject, tp_flags, &value) &&
	       (value & flags) == flags;
}

#endif
