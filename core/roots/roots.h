/* What holds objects from outside of the heap: threads, interpreters, static types,
 * C variables, C stacks, native memory. */
#ifndef PYR_ROOTS_ROOTS_H
#define PYR_ROOTS_ROOTS_H

#include "base/strbuf.h"
#include "graph/model.h"

/* Kinds, most telling first. The JSON name, what paths from there cost and what it is
 * called are in roots.def. */
enum pyr_root_kind {
#define ROOT(id, name, certainty, cost, text, one_from, many_from, one, many) PYR_ROOT_##id,
#include "roots/roots.def"
#undef ROOT
	PYR_ROOT_COUNT
};

struct pyr_root {
	uint32_t object; /* its id */
	uint8_t kind;    /* enum pyr_root_kind */
	bool owned;      /* counts in the object's reference count */
	bool possible;   /* a word that equals the object's address, no more */
	pyr_addr slot;   /* where the word lies; 0: it is no word */
	uint64_t a, b;   /* what the name is made of, by kind: see roots.def */
};

struct pyr_roots {
	struct pyr_model *model;        /* borrowed */
	PYR_VEC(struct pyr_root) roots; /* by object, then kind, then slot */
	struct pyr_roots_state *state;  /* roots_internal.h */
};

/* All roots. Exact ones first asked of the runtime; words of C memory are taken as
 * possible where no exact root has the same slot. Calling thread only. */
pyr_error *pyr_roots_find(struct pyr_model *model, struct pyr_control *control,
			  struct pyr_roots **ret);
void pyr_roots_destroy(struct pyr_roots *roots); /* NULL is allowed */

/* The roots of one object: roots.data[*begin] .. [*end). */
void pyr_roots_of(const struct pyr_roots *roots, uint32_t object, size_t *begin, size_t *end);
/* `local "sess" of handle at app/server.py:88 in thread 3 "worker-1"`. Calling
 * thread only. */
void pyr_root_name(const struct pyr_roots *roots, const struct pyr_root *root,
		   struct pyr_strbuf *out);
/* "frame_local": the JSON name of a kind. */
const char *pyr_root_kind_name(enum pyr_root_kind kind);

#endif
