/* How a reference is written for a person: `.user`, `['key']`, `[3]`, `.__dict__`,
 * `closure cell "x"`, a local of a suspended frame, ... */
#ifndef PYR_NAMES_LABELS_H
#define PYR_NAMES_LABELS_H

#include "base/strbuf.h"
#include "references/refs.h"

/* One reference: the object at @owner of @type holds @target, as pyr_ref_fn was told. */
struct pyr_step {
	pyr_addr owner, target; /* target 0: not known; some names then say less */
	const struct pyr_type *type;
	uint32_t label;
	uint64_t detail;
};

/* The name of one reference. Calling thread only. Never fails: what cannot be read
 * is written as what is known, `word +0x18` at worst. */
void pyr_step_write(struct pyr_types *types, struct pyr_reader *reader, const struct pyr_step *step,
		    struct pyr_strbuf *out);

/* The same in parts, without a target. */
void pyr_label_write(struct pyr_types *types, struct pyr_reader *reader,
		     const struct pyr_type *type, pyr_addr owner, uint32_t label, uint64_t detail,
		     struct pyr_strbuf *out);

/* How telling a kind is when an object holds another in several ways: the lowest is
 * shown. */
unsigned pyr_label_rank(uint32_t label);

#endif
