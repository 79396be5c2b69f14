/* Types of the target, each looked at once. The table is filled on the calling
 * thread or, from worker threads, under its lock; entries never move. */
#ifndef PYR_RUNTIME_TYPES_H
#define PYR_RUNTIME_TYPES_H

#include "runtime/python.h"

/* How objects of a type are laid out: decides size, repr and, later, edges.
 * Inherited by subclasses along tp_base. */
enum pyr_shape {
#define SHAPE(id, name) PYR_SHAPE_##id,
#include "runtime/shapes.def"
#undef SHAPE
	PYR_SHAPE_COUNT
};

enum pyr_certainty { PYR_EXACT, PYR_INFERRED, PYR_UNKNOWN };

struct pyr_type {
	pyr_addr address;
	uint32_t index;           /* dense, 0 .. count-1, in order of discovery */
	uint64_t flags;           /* tp_flags */
	int64_t basicsize, itemsize;
	int64_t dictoffset, weaklistoffset;
	pyr_addr base, traverse;
	enum pyr_shape shape;
	bool gc;                  /* instances have a gc head (tp_flags HAVE_GC) */
	bool heap;                /* the type itself is a heap type */
	bool exact_shape;         /* the type *is* the builtin of its shape, not a subclass */
	uint8_t gc_head;          /* bytes of the gc head before the object: 0, 16 or 32 */
	uint8_t pre_header;       /* bytes before the gc head: 0 or 16 (managed dict/weakrefs) */

	/* Filled on first use by pyr_type_name(); "module.qualname". */
	char *name;
	enum pyr_certainty name_certainty;
};

struct pyr_types;

pyr_error *pyr_types_create(struct pyr_python *python, struct pyr_types **ret);
void pyr_types_destroy(struct pyr_types *types); /* NULL is allowed */
/* The Python that the table was made for. */
struct pyr_python *pyr_types_python(const struct pyr_types *types);

/* The type object at @addr, or NULL when there is none: an object whose type
 * chain reaches `type` or a metatype, with sane sizes. Answers are remembered,
 * negative ones in a small cache. Thread-safe; lock-free for known types. */
const struct pyr_type *pyr_types_get(struct pyr_types *types, struct pyr_reader *reader,
				     pyr_addr addr);
const struct pyr_type *pyr_types_at(const struct pyr_types *types, uint32_t index);
uint32_t pyr_types_count(const struct pyr_types *types);

/* "module.qualname" ("builtins.dict"); never NULL, valid as long as the table.
 * Unknown names read "<type at 0x...>". Calling thread only. */
const char *pyr_type_name(struct pyr_types *types, const struct pyr_type *type);
enum pyr_certainty pyr_type_name_certainty(struct pyr_types *types, const struct pyr_type *type);
/* Is @type @base or a subclass of it, along tp_base/tp_mro? */
bool pyr_type_is_subclass(struct pyr_types *types, const struct pyr_type *type, pyr_addr base);

#endif
