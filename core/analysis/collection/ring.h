/* One cycle of references, as a person would tell it: who holds whom, by what name, and
 * which of the links is the one to make weak. */
#ifndef PYR_ANALYSIS_COLLECTION_RING_H
#define PYR_ANALYSIS_COLLECTION_RING_H

#include "base/strbuf.h"
#include "names/display_fold.h"
#include "graph/model.h"

enum pyr_ring_kind {
	PYR_RING_GENERAL,
	PYR_RING_ITSELF,    /* an object that holds itself by an attribute */
	PYR_RING_CONTAINER, /* a container that contains itself */
	PYR_RING_MUTUAL,    /* two of a type, each holding the other by the same name */
	PYR_RING_ALIKE,     /* more than two of a type, each holding the next by the same name */
	PYR_RING_BACK,      /* one link is a back reference: .parent, .owner, ... */
	PYR_RING_EXCEPTION, /* an exception, its traceback, a frame */
	PYR_RING_FRAME,     /* a frame and a variable of its own */
	PYR_RING_CLOSURE,   /* a function and what it closes over */
	PYR_RING_DEFAULT,   /* a function and a default argument */
	PYR_RING_METHOD,    /* a bound method and its __self__ */
	PYR_RING_GENERATOR, /* a suspended generator or coroutine and its variables */
	PYR_RING_CLASS,     /* a class and what belongs to it */
};

struct pyr_ring_link {
	pyr_addr object;             /* that holds the next one's object */
	const struct pyr_type *type; /* its type */
	char *edge;                  /* by what: ".children[0]"; owned */
	size_t first, count;         /* its references: of pyr_ring.steps, round the end */
};

struct pyr_ring {
	PYR_VEC(struct pyr_step) steps;      /* one turn, reference by reference */
	PYR_VEC(struct pyr_ring_link) links; /* one turn, in names */
	enum pyr_ring_kind kind;
	/* Objects that are left out of a ring too long to show: they stand between the last
	 * link's object and the first one's. */
	size_t left_out;
	size_t weak; /* the link that is the natural one to make weak; SIZE_MAX: none is */
};

/* The ring through @objects (ids), where each holds the next and the last one the first.
 * Calling thread only. Errors: no_memory; unreadable (the memory changed meanwhile). */
pyr_error *pyr_ring_make(struct pyr_model *model, const uint32_t *objects, size_t count,
			 struct pyr_ring *ret);
void pyr_ring_deinit(struct pyr_ring *ring);

/* "Parent ⇄ Child through .children[…] and .parent": the same for rings of like objects. */
void pyr_ring_shape(struct pyr_types *types, const struct pyr_ring *ring, struct pyr_strbuf *out);
/* One sentence or two for somebody who has never heard of reference counts: how the
 * cycle comes about, and what to do. */
void pyr_ring_sentence(struct pyr_types *types, struct pyr_reader *reader,
		       const struct pyr_ring *ring, struct pyr_strbuf *out);
/* A type's name without the modules that everybody knows. */
const char *pyr_ring_type_name(struct pyr_types *types, const struct pyr_type *type);

#endif
