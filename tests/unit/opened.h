/* A process opened up to the layer that a test is about. Where that fails, the test does. */
#ifndef TESTS_UNIT_OPENED_H
#define TESTS_UNIT_OPENED_H

#include "analysis/retention/ledger.h"
#include "pythons.h"

struct opened {
	const char *name; /* for messages */
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *python;
	struct pyr_types *types;
	/* from here on NULL until a test asks for it, or puts one there of its own making */
	struct pyr_heap *heap;
	struct pyr_model *model;
	struct pyr_roots *roots;
	struct pyr_ledger *ledger;
};

/* The types of process @pid, which is @python's or a copy of that one. */
void opened_process(struct opened *ret, const struct python *python, pid_t pid);
/* The types in the core at @path. */
void opened_core(struct opened *ret, const char *path, const struct pyr_target_options *options);
/* The heap as well. */
void opened_heap(struct opened *o);
/* The heap, who refers to whom in both directions, the roots and the reference counts. */
void opened_ledger(struct opened *o);
/* All that there is of it. */
void opened_close(struct opened *o);

#endif
