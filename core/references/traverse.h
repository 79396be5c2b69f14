/* What any object holds, asked in the best way there is: natively (refs.h), from
 * what was learned of its type's tp_traverse, by emulating it (emulator.h), or,
 * where its code cannot be had, inferred from the words of the instance.
 *
 * Learning: a call that looked at nothing but whole words of the object, and
 * visited exactly those that were not NULL, is determined by which of the words
 * that it read were NULL. An object of the type whose words are NULL in the same
 * places is then walked without emulation; every so many of them are emulated
 * all the same, and a type that once disagrees is never again taken from memory.
 *
 * Calling thread only, but for pyr_traverse_learned(). */
#ifndef PYR_REFERENCES_TRAVERSE_H
#define PYR_REFERENCES_TRAVERSE_H

#include "references/refs.h"

enum pyr_traverse_method {
	PYR_WAY_NATIVE,
	PYR_WAY_LEARNED,
	PYR_WAY_EMULATED,
	PYR_WAY_INFERRED,
	PYR_WAY_NONE,
	PYR_WAY_COUNT
};

struct pyr_traverse;

pyr_error *pyr_traverse_create(struct pyr_types *types, struct pyr_traverse **ret);
void pyr_traverse_destroy(struct pyr_traverse *traverse); /* NULL is allowed */

/* Tell every reference of the object at @addr; answers how they were found. */
enum pyr_traverse_method pyr_traverse_walk(struct pyr_traverse *traverse, struct pyr_reader *reader,
					   const struct pyr_type *type, pyr_addr addr,
					   pyr_ref_fn fn, void *ctx);

/* The same without trusting what was learned: by emulation where that can be had. */
enum pyr_traverse_method pyr_traverse_check(struct pyr_traverse *traverse,
					    struct pyr_reader *reader, const struct pyr_type *type,
					    pyr_addr addr, pyr_ref_fn fn, void *ctx);
/* The same by what was learned so far and without learning more. False, and nothing told: that
 * does not say. Any thread with its own reader may call this while nobody walks. *@damaged: memory
 * was absent or contradicted itself. */
bool pyr_traverse_learned(const struct pyr_traverse *traverse, struct pyr_reader *reader,
			  const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn, void *ctx,
			  bool *damaged);
/* @count objects were told by pyr_traverse_learned(). */
void pyr_traverse_count_learned(struct pyr_traverse *traverse, uint64_t count);

/* From now on a guess at an object that @known answers true for is not told: all of its
 * references are known. */
void pyr_traverse_bound(struct pyr_traverse *traverse, bool (*known)(void *ctx, pyr_addr target),
			void *ctx);

/* Does tp_is_gc, which is the function @is_gc, say that the collector may look at the object
 * at @addr? False too where that cannot be known. */
bool pyr_traverse_is_gc(struct pyr_traverse *traverse, pyr_addr is_gc, pyr_addr addr);

/* What is told natively, for threads of their own. */
struct pyr_refs *pyr_traverse_refs(struct pyr_traverse *traverse);

/* How many walks so far met memory that was absent or contradicted itself. */
uint64_t pyr_traverse_damaged(const struct pyr_traverse *traverse);
/* How many objects were walked in each way so far, and why emulation is not to
 * be had (NULL: it is). */
const uint64_t *pyr_traverse_counts(const struct pyr_traverse *traverse);
const char *pyr_traverse_no_emulation(const struct pyr_traverse *traverse);
/* The types that fell back to inference: calls @fn for each with a reason. */
void pyr_traverse_fallbacks(const struct pyr_traverse *traverse,
			    void (*fn)(void *ctx, const struct pyr_type *type, const char *why),
			    void *ctx);

#endif
