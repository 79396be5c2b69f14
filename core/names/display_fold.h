/* Chains of references as a person thinks of them: an instance and its dict are one
 * thing (`.user`), a function and the cells of its closure are (`closure cell "x"`),
 * a function and its defaults, a bound method and what it is bound to, a class and
 * the tuple of its bases, a generator and its frame. */
#ifndef PYR_NAMES_DISPLAY_FOLD_H
#define PYR_NAMES_DISPLAY_FOLD_H

#include "base/error.h"
#include "base/vec.h"
#include "references/traverse.h"
#include "names/labels.h"

/* One thing to show: steps [first, first + count) of the chain, from the owner of the
 * first to the target of the last. */
struct pyr_display_step {
	size_t first, count;
	char *edge; /* its name; owned */
};

struct pyr_display {
	PYR_VEC(struct pyr_display_step) steps;
};

/* What to show of the chain @steps, where each step's target is the next one's owner.
 * @raw: one display step for each. Calling thread only; no error but no_memory. */
pyr_error *pyr_display_fold(struct pyr_types *types, struct pyr_reader *reader,
			    const struct pyr_step *steps, size_t count, bool raw,
			    struct pyr_display *ret);
void pyr_display_deinit(struct pyr_display *display);

/* How many steps the first display step of the chain stands for, and its name (@out
 * may be NULL). For walks that fold as they go. */
size_t pyr_display_fold_first(struct pyr_types *types, struct pyr_reader *reader,
			      const struct pyr_step *steps, size_t count, struct pyr_strbuf *out);

/* Is an object of @type one that folding may pass over: an instance's dict, a cell, a
 * tuple, a bound method, ...? Cheap, and may be wrong in one direction: true is no promise. */
bool pyr_display_fold_may_pass(const struct pyr_type *type);

/* Could the chain that ends in @step, to an object of @type, and a reference that this
 * object holds be one thing? As cheap, and as little of a promise. */
bool pyr_display_fold_may_continue(struct pyr_types *types, struct pyr_reader *reader,
				   const struct pyr_step *step, const struct pyr_type *type);

/* The most telling reference by which the object at @owner holds @target, and how
 * many such references there are in all (@count may be NULL). False: there is none. */
bool pyr_step_find(struct pyr_traverse *traverse, struct pyr_reader *reader,
		   const struct pyr_type *type, pyr_addr owner, pyr_addr target,
		   struct pyr_step *ret, uint64_t *count);

#endif
