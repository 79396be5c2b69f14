/* Objects that match: by type, repr, attribute, size, place, generation. All
 * given conditions must hold. Regular expressions are POSIX extended ones and may
 * match anywhere; anchor them with ^ and $. */
#ifndef PYR_ANALYSIS_CENSUS_FIND_H
#define PYR_ANALYSIS_CENSUS_FIND_H

#include "analysis/retention/ledger.h"

struct pyr_find_options {
	const char *type;  /* against the qualified type name; NULL: any */
	const char *repr;  /* against the safe repr (at most 200 bytes of it); NULL: any */
	const char *attr;  /* "NAME" (has the attribute) or "NAME=RE" (against the text of a str,
			    * the repr of anything else); NULL: any */
	uint64_t min_size; /* bytes, as sys.getsizeof() counts */
	bool has_in;
	pyr_addr in;    /* lies in the arena, else in the mapping, that contains this address */
	int generation; /* enum pyr_generation; -1: any */
	/* Objects whose count is higher than what was found of it, or lower; NULL: any. */
	const struct pyr_ledger *overheld, *underheld;
	const uint8_t *only; /* objects with a nonzero byte, by id; NULL: any */
	bool by_size;        /* the largest first, else by address */
	uint64_t limit;      /* objects to hand out; 0: all */
};

struct pyr_find_match {
	uint32_t id;
	uint64_t size;
	bool exact_size;
};

struct pyr_find_result {
	uint64_t matches; /* all there are */
	uint64_t omitted; /* matches beyond the limit */
};

/* Calls @fn for the first `limit` matches in the order wanted, until it answers
 * false (that counts as the limit). Errors: usage (a bad expression). */
pyr_error *pyr_find_run(struct pyr_heap *heap, struct pyr_control *control,
			const struct pyr_find_options *options,
			bool (*fn)(void *ctx, const struct pyr_find_match *match), void *ctx,
			struct pyr_find_result *ret);

#endif
