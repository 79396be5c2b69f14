/* A set of the target's pages: two levels of bitmaps over 47 bits of address
 * space, so that asking costs two loads and no search. */
#ifndef PYR_OBJECTS_PAGES_H
#define PYR_OBJECTS_PAGES_H

#include "base/error.h"

#define PYR_PAGES_SHIFT 12
#define PYR_PAGES_LEAF_SHIFT 30 /* a leaf describes 1 GiB in 32 KiB */
#define PYR_PAGES_LIMIT (UINT64_C(1) << 47)

struct pyr_pages {
	uint64_t **leaves; /* PYR_PAGES_LIMIT >> PYR_PAGES_LEAF_SHIFT of them; touched where used */
	uint64_t *full;    /* the leaf that is shared by all that have every page */
};

pyr_error *pyr_pages_init(struct pyr_pages *pages);
void pyr_pages_deinit(struct pyr_pages *pages);
/* All pages that [start, end) touches. */
pyr_error *pyr_pages_add(struct pyr_pages *pages, pyr_addr start, pyr_addr end);
/* All there are: for targets that do not tell what is mapped. */
pyr_error *pyr_pages_add_all(struct pyr_pages *pages);
/* All pages that lie in [start, end) entirely. */
pyr_error *pyr_pages_remove(struct pyr_pages *pages, pyr_addr start, pyr_addr end);

static inline bool pyr_pages_has(const struct pyr_pages *pages, pyr_addr addr)
{
	const uint64_t *leaf;

	if (addr >= PYR_PAGES_LIMIT || !(leaf = pages->leaves[addr >> PYR_PAGES_LEAF_SHIFT]))
		return false;
	return leaf[addr >> (PYR_PAGES_SHIFT + 6) &
		    ((1u << (PYR_PAGES_LEAF_SHIFT - PYR_PAGES_SHIFT - 6)) - 1)] >>
		       (addr >> PYR_PAGES_SHIFT & 63) &
	       1;
}

#endif
