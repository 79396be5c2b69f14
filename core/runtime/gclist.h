/* The collector's doubly linked lists, walked in pieces: the tight form of
 * pyr_gc_list_walk(). */
#ifndef PYR_RUNTIME_GCLIST_H
#define PYR_RUNTIME_GCLIST_H

#include "runtime/gcstate.h"

struct pyr_gc_list {
	struct pyr_reader *reader;
	pyr_addr head;
	pyr_addr at, previous; /* node to look at next, and the one before it */
	uint64_t mask;         /* of link words: the low bits are flags */
	uint32_t head_size;    /* bytes from a node to its object */
	bool check_back;       /* back links hold: no collection is running */
	uint64_t nodes, bound; /* seen; that fit into the target's memory */
	pyr_addr anchor;       /* cycle guard (Brent): a node seen earlier */
	uint64_t anchor_at;    /* node count at which it moves on */
	pyr_addr broken;       /* where the list stops making sense; 0: nowhere so far */
	bool backwards;        /* walking from the end towards the break */
	pyr_addr last_good;    /* the last node before the break */
};

/* Start at @head; @collecting: back links are the collector's scratch space. */
void pyr_gc_list_init(const struct pyr_python *python, struct pyr_reader *reader, pyr_addr head,
		      bool collecting, struct pyr_gc_list *ret);
/* Write the addresses of the next objects, at most @max; 0: the list is at its
 * end. Where the links break, the rest is reached from the other end, as far as
 * links hold there; `broken` says where it was. */
size_t pyr_gc_list_next(struct pyr_gc_list *list, pyr_addr *objects, size_t max);

/* Is any collection running? */
bool pyr_gc_collecting(const struct pyr_python *python, struct pyr_reader *reader);
/* A static variable of gcmodule.c (3.6, where the state is no structure), or 0. */
pyr_addr pyr_gc_static(const struct pyr_python *python, const char *name);

#endif
