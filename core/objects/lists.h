/* The collector's lists. Which objects are on one is seen in the objects; *which*
 * list takes a walk. All generations but one are short as a rule: they are walked
 * side by side until a single generation is left open, and that one's members are
 * what remains. That this is so is proven with sums: over all heads and nodes, the
 * addresses and what _gc_next (and _gc_prev) says must be the same multiset. */
#ifndef PYR_OBJECTS_LISTS_H
#define PYR_OBJECTS_LISTS_H

#include "objects/heap.h"
#include "runtime/gcstate.h"

struct pyr_scanner;

struct pyr_list {
	size_t interpreter;
	enum pyr_generation generation;
	pyr_addr head;
	/* the walk */
	pyr_addr node, previous; /* where it stands */
	uint64_t nodes;
	bool walked;     /* to the end, whichever */
	pyr_addr broken; /* where it stopped making sense; 0: it closed */
};

struct pyr_lists {
	PYR_VEC(struct pyr_list) lists;
	bool collecting;    /* in one of the interpreters */
	uint32_t head_size; /* of PyGC_Head */
	uint64_t limit;     /* more nodes than memory can hold */
	/* The generation that was left open by pyr_lists_walk(). */
	bool has_rest;
	size_t rest_interpreter;
	enum pyr_generation rest_generation;
};

/* Called for every node walked, with the object's address. */
typedef void pyr_list_node(void *ctx, size_t list, pyr_addr object);

pyr_error *pyr_lists_open(struct pyr_types *types, struct pyr_lists *ret);
void pyr_lists_deinit(struct pyr_lists *lists);
/* Is @addr the head of a list? */
bool pyr_lists_is_head(const struct pyr_lists *lists, pyr_addr addr);
/* Forget the walks. */
void pyr_lists_rewind(struct pyr_lists *lists);
/* Walk until at most one generation is open; while a collection is in progress,
 * all of them to the end. */
pyr_error *pyr_lists_walk(struct pyr_lists *lists, struct pyr_reader *reader,
			  struct pyr_control *control, pyr_list_node *fn, void *ctx);
/* Walk what pyr_lists_walk() left open. */
pyr_error *pyr_lists_walk_rest(struct pyr_lists *lists, struct pyr_reader *reader,
			       struct pyr_control *control, pyr_list_node *fn, void *ctx);
/* Do the sums over all nodes that the scanners saw, and the heads, agree? */
bool pyr_lists_proven(const struct pyr_lists *lists, struct pyr_reader *reader,
		      const struct pyr_scanner *const *scanners, size_t count);

#endif
