/* Who holds an object and what it holds, one reference at a time, as the commands `refs`
 * and `referrers` tell it. Calling thread only. */
#ifndef PYR_ANALYSIS_RETENTION_HOLDERS_H
#define PYR_ANALYSIS_RETENTION_HOLDERS_H

#include "names/display_fold.h"
#include "graph/model.h"

#define PYR_CHAIN_MAX 4u

/* References that are shown as one, from the owner of the first to the target of the
 * last; see fold.h. */
struct pyr_chain {
	struct pyr_step steps[PYR_CHAIN_MAX];
	size_t count;
};

/* Answers false to stop. */
typedef bool (*pyr_chain_fn)(void *ctx, const struct pyr_chain *chain);

/* What the object at @owner of @type holds: each of its references, those that tell of
 * its inside (__dict__, __closure__, ...) gone through unless @raw. @heap tells the types
 * of what is held. */
pyr_error *pyr_held_each(struct pyr_traverse *traverse, struct pyr_heap *heap,
			 struct pyr_control *control, const struct pyr_type *type, pyr_addr owner,
			 bool raw, pyr_chain_fn fn, void *ctx);

/* One object that holds another: its most telling reference, and how many it has that are
 * like it: visited by the collector or not, exact or inferred. */
struct pyr_holder {
	uint32_t id;
	struct pyr_step step;
	uint64_t count;
};

/* Call @fn for every holder of object @id until it answers false: by rising ids. Needs
 * the predecessors. */
pyr_error *pyr_holders_each(struct pyr_model *model, struct pyr_control *control, uint32_t id,
			    bool (*fn)(void *ctx, const struct pyr_holder *holder), void *ctx);
/* The longest chain of references that ends in @step and is one thing to a person: from
 * the instance whose dict it is, the function whose cell it is. @step alone if there is
 * none. Needs the predecessors. */
void pyr_holder_chain(struct pyr_model *model, const struct pyr_step *step, struct pyr_chain *ret);

#endif
