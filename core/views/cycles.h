/* Parts of the cycles command; shared by its files alone. */
#ifndef PYR_VIEWS_CYCLES_H
#define PYR_VIEWS_CYCLES_H

#include "analysis/collection/cycles.h"
#include "analysis/collection/garbage.h"
#include "command/context.h"

/* cycles --reachable */
pyr_error *pyr_cycles_reachable(struct pyr_context *context, int generation);

/* Groups, a row each; @which: the numbers of those that are shown; NULL: the first @count. */
void pyr_cycles_table(struct pyr_context *context, const struct pyr_cycle_group *groups,
		      const uint32_t *which, size_t count);
/* " (numpy.ufunc, ...)": types whose references are guessed at. */
void pyr_cycles_guessed(struct pyr_context *context, const struct pyr_garbage *garbage);
/* The member "names". */
void pyr_cycles_guessed_json(struct pyr_context *context, const struct pyr_garbage *garbage);
/* What the answer may lack; @collecting: lists do not close while a collection runs. */
void pyr_cycles_incomplete(struct pyr_context *context, const struct pyr_model *model,
			   bool collecting);

#endif
