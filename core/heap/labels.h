/* How a reference is written for a person: `.user`, `['key']`, `[3]`, `.__dict__`,
 * `closure cell "x"`, a local of a suspended frame, ... */
#ifndef PYR_HEAP_LABELS_H
#define PYR_HEAP_LABELS_H

#include "base/strbuf.h"
#include "heap/refs.h"

/* The name of the reference (@label, @detail), as pyr_ref_fn was told, that the object
 * at @owner of @type holds. Calling thread only. Never fails: what cannot be read is
 * written as what is known, `+0x18` at worst. */
void pyr_label_write(struct pyr_types *types, struct pyr_reader *reader,
		     const struct pyr_type *type, pyr_addr owner, uint32_t label, uint64_t detail,
		     struct pyr_strbuf *out);

#endif
