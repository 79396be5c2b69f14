/* Inside of the type table; shared by types.c, type_read.c and type_names.c. */
#ifndef PYR_RUNTIME_TYPES_STATE_H
#define PYR_RUNTIME_TYPES_STATE_H

#include <pthread.h>

#include "runtime/access.h"
#include "runtime/object.h"

#define PYR_TYPE_CHUNK 1024    /* types per chunk of storage */
#define PYR_TYPE_CHUNKS 1024   /* at most a million types */
#define PYR_TYPE_MISSES 4096   /* remembered addresses that hold no type */
#define PYR_TYPE_BASES_MAX 512 /* longest chain of tp_base that is followed */

/* A name found in the target's module dicts. */
struct pyr_inferred_name {
	pyr_addr address;
	int rank; /* lower is better */
	char *name;
};

struct pyr_types_state {
	pthread_mutex_t lock;
	atomic_uint count;
	struct pyr_type *chunks[PYR_TYPE_CHUNKS];
	_Atomic(pyr_addr) misses[PYR_TYPE_MISSES];
	PYR_VEC(struct pyr_type_index *) retired; /* smaller indexes; readers may hold them */

	/* Names of static types from module dicts, made when a tp_name cannot be
	 * read; sorted by address. */
	bool inferred_ready;
	PYR_VEC(struct pyr_inferred_name) inferred;

	/* Types of known singletons, by shape; 0 when not known. */
	pyr_addr by_shape[PYR_SHAPE_COUNT];
};

/* The fields of a type object that passed all checks. */
struct pyr_type_raw {
	pyr_addr address, metatype;
	uint64_t flags;
	int64_t basicsize, itemsize, dictoffset, weaklistoffset;
	pyr_addr name, base, traverse, mro;
};

/* Read and check the type object at @addr. Does not use the table. */
bool pyr_type_read(const struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
		   struct pyr_type_raw *ret);
static inline const struct pyr_layout *pyr_types_layout(const struct pyr_types *types)
{
	return &types->python->layout;
}

/* tp_dict of a type that need not be in the table. type_dict.c */
pyr_addr pyr_type_dict_raw(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
			   uint64_t flags);

/* "module.qualname" as __module__ and __qualname__ answer, else inferred, else
 * "<type at 0x...>"; NULL only without memory. Called under the lock. type_names.c */
char *pyr_type_make_name(struct pyr_types *types, struct pyr_reader *reader,
			 const struct pyr_type_raw *raw, enum pyr_certainty *certainty);

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
