/* What every tracked object of a program refers to, read from outside, against what the
 * program says itself, as references.h describes it. */
#ifndef TESTS_UNIT_REFERENTS_H
#define TESTS_UNIT_REFERENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "pythons.h"

struct referents {
	unsigned same, different; /* objects */
	uint64_t inferred;        /* objects whose references had to be guessed */
	unsigned fallbacks;       /* types, each told with the reason */
	unsigned strange;         /* of them, those that may not */
	/* References of those objects, and how many are among what was guessed. */
	uint64_t wanted, guessed;
	bool emulation; /* is there libunicorn? */
	/* Objects that were not asked by emulation and then were, and those that could not be. */
	uint64_t emulated, abandoned;
};

/* The binaries in @directory are removed once there is a core; only types of which
 * @may_fall_back says so may then be guessed. */
struct referents_removed {
	const char *directory;
	bool (*may_fall_back)(const char *type);
};

/* Runs @script, sends it the line @input (NULL: none), reads what it tells, and asks the
 * copy, or with @removed (may be NULL) a core of it. Prints a line of totals and one for each type
 * that fell back, and for each object that differs. Objects that are told natively or as
 * learned are asked by emulation too, and differ where that says otherwise. */
void referents_check(const struct python *python, const char *script, const char *input,
		     const struct referents_removed *removed, struct referents *ret);

#endif
