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
	bool emulation;           /* is there libunicorn? */
};

/* Runs @script, sends it the line @input (NULL: none), reads what it tells, and asks the
 * copy. Prints a line of totals and one for each type that fell back, and for each object
 * that differs. */
void referents_check(const struct python *python, const char *script, const char *input,
		     struct referents *ret);

#endif
