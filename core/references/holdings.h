/* What any object holds, asked in the best way there is: natively (refs.h), from
 * what was learnt of its type's tp_traverse, by emulating it (emulator.h), or,
 * where its code cannot be had, inferred from the words of the instance.
 *
 * Learning: a call that looked at nothing but whole words of the object, and
 * visited exactly those that were not NULL, is determined by which of the words
 * that it read were NULL. An object of the type whose words are NULL in the same
 * places is then walked without emulation; every so many of them are emulated
 * all the same, and a type that once disagrees is never again taken from memory.
 *
 * Calling thread only, but for pyr_holdings_recall(). */
#ifndef PYR_REFERENCES_HOLDINGS_H
#define PYR_REFERENCES_HOLDINGS_H

#include "references/refs.h"

enum pyr_way {
	PYR_WAY_NATIVE,
	PYR_WAY_LEARNED,
	PYR_WAY_EMULATED,
	PYR_WAY_INFERRED,
	PYR_WAY_NONE,
	PYR_WAY_COUNT
};

struct pyr_holdings;

pyr_error *pyr_holdings_create(struct pyr_types *types, struct pyr_holdings **ret);
void pyr_holdings_destroy(struct pyr_holdings *holdings); /* NULL is allowed */

/* Tell every reference of the object at @addr; answers how they were found. */
enum pyr_way pyr_holdings_walk(struct pyr_holdings *holdings, struct pyr_reader *reader,
			       const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn,
			       void *ctx);

/* The same without trusting what was learnt: by emulation where that can be had. */
enum pyr_way pyr_holdings_check(struct pyr_holdings *holdings, struct pyr_reader *reader,
				const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn,
				void *ctx);
/* The same by what was learnt so far and without learning more. False, and nothing told: that
 * does not say. Any thread with its own reader may call this while nobody walks. *@damaged: memory
 * was absent or contradicted itself. */
bool pyr_holdings_recall(const struct pyr_holdings *holdings, struct pyr_reader *reader,
			 const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn, void *ctx,
			 bool *damaged);
/* @count objects were told by pyr_holdings_recall(). */
void pyr_holdings_recalled(struct pyr_holdings *holdings, uint64_t count);

/* From now on a guess at an object that @known answers true for is not told: all of its
 * references are known. */
void pyr_holdings_bound(struct pyr_holdings *holdings, bool (*known)(void *ctx, pyr_addr target),
			void *ctx);

/* Does tp_is_gc, which is the function @is_gc, say that the collector may look at the object
 * at @addr? False too where that cannot be known. */
bool pyr_holdings_is_gc(struct pyr_holdings *holdings, pyr_addr is_gc, pyr_addr addr);

/* What is told natively, for threads of their own. */
struct pyr_refs *pyr_holdings_refs(struct pyr_holdings *holdings);

/* How many walks so far met memory that was absent or contradicted itself. */
uint64_t pyr_holdings_damaged(const struct pyr_holdings *holdings);
/* How many objects were walked in each way so far, and why emulation is not to
 * be had (NULL: it is). */
const uint64_t *pyr_holdings_counts(const struct pyr_holdings *holdings);
const char *pyr_holdings_no_emulation(const struct pyr_holdings *holdings);
/* The types that fell back to inference: calls @fn for each with a reason. */
void pyr_holdings_fallbacks(const struct pyr_holdings *holdings,
			    void (*fn)(void *ctx, const struct pyr_type *type, const char *why),
			    void *ctx);

#endif
