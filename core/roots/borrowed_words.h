/* Words of the interpreter's own C variables that hold nothing, though they are addresses
 * of objects: caches that borrow, what free lists had, the fields of static types that an
 * interpreter keeps for them (which are the types' own references). */
#ifndef PYR_ROOTS_BORROWED_WORDS_H
#define PYR_ROOTS_BORROWED_WORDS_H

#include "base/range.h"
#include "objects/heap.h"

struct pyr_borrowed_words {
	struct pyr_python *python;
	struct pyr_range_list ranges;
};

pyr_error *pyr_borrowed_words_init(struct pyr_heap *heap, struct pyr_borrowed_words *ret);
void pyr_borrowed_words_deinit(struct pyr_borrowed_words *borrowed);
/* Calling thread only: it asks for symbols. */
bool pyr_borrowed_words_has(const struct pyr_borrowed_words *borrowed, pyr_addr addr);

#endif
