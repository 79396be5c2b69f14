/* Inside of the type table; shared by types.c, type_read.c and type_names.c. */
#ifndef PYR_TYPES_TYPES_INTERNAL_H
#define PYR_TYPES_TYPES_INTERNAL_H

#include <pthread.h>

#include "runtime/access.h"
#include "types/types.h"

#define PYR_TYPE_CHUNK 1024  /* types per chunk of storage */
#define PYR_TYPE_CHUNKS 1024 /* at most a million types */
#define PYR_TYPE_MISSES 4096 /* remembered addresses that hold no type */

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

/* "module.qualname" as __module__ and __qualname__ answer, else inferred, else
 * "<type at 0x...>"; NULL only without memory. Called under the lock. type_names.c */
char *pyr_type_make_name(struct pyr_types *types, struct pyr_reader *reader,
			 const struct pyr_type_raw *raw, enum pyr_certainty *certainty);

#endif
