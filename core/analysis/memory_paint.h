/* The bytes that the target holds, and a cursor that counts them by category. Private to
 * the account of the memory. */
#ifndef PYR_ANALYSIS_MEMORY_PAINT_H
#define PYR_ANALYSIS_MEMORY_PAINT_H

#include "analysis/memory.h"
#include "target/residency.h"

/* What the target holds; sorted, not overlapping. */
struct pyr_held {
	struct pyr_resident *data;
	size_t count;
	enum pyr_memory_basis basis;
};

pyr_error *pyr_held_find(const struct pyr_target *target, struct pyr_held *ret);
void pyr_held_deinit(struct pyr_held *held);

/* Goes upwards only; jump() goes anywhere. */
struct pyr_painter {
	const struct pyr_held *held;
	size_t at; /* the first range that may hold what comes next */
	uint64_t bytes[PYR_MEMORY_CATEGORIES], swapped[PYR_MEMORY_CATEGORIES];
};

void pyr_painter_jump(struct pyr_painter *painter, pyr_addr addr);
void pyr_paint_slow(struct pyr_painter *painter, pyr_addr from, pyr_addr to,
		    enum pyr_memory_category own, enum pyr_memory_category file);

/* [from, to) is @own; pages that belong to a file are @file. */
static inline void pyr_paint_pages(struct pyr_painter *p, pyr_addr from, pyr_addr to,
				   enum pyr_memory_category own, enum pyr_memory_category file)
{
	const struct pyr_resident *r = &p->held->data[p->at];

	if (p->at < p->held->count && from >= r->start && to <= r->end && to > from &&
	    r->kind == PYR_PAGE_OWN)
		p->bytes[own] += to - from;
	else if (to > from)
		pyr_paint_slow(p, from, to, own, file);
}

static inline void pyr_paint(struct pyr_painter *p, pyr_addr from, pyr_addr to,
			     enum pyr_memory_category category)
{
	pyr_paint_pages(p, from, to, category, category);
}

#endif
