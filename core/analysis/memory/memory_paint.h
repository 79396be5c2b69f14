/* The bytes that the target holds, and a cursor that counts them by category. Private to
 * the account of the memory. */
#ifndef PYR_ANALYSIS_MEMORY_MEMORY_PAINT_H
#define PYR_ANALYSIS_MEMORY_MEMORY_PAINT_H

#include "analysis/memory/memory.h"
#include "target/residency.h"

/* What the target holds; sorted, not overlapping. */
struct pyr_held {
	struct pyr_resident *data;
	size_t count;
	enum pyr_memory_basis basis;
};

pyr_error *pyr_held_find(const struct pyr_target *target, struct pyr_held *ret);
void pyr_held_deinit(struct pyr_held *held);

/* Paints one area after the other, upwards within each. Whatever it is told, every byte
 * of an area is counted once: what was painted is not painted again, what is left out is
 * counted as the area's own. */
struct pyr_painter {
	const struct pyr_held *held;
	size_t at;                          /* the first range that may hold what comes next */
	pyr_addr done, limit;               /* of the area: painted up to here; its end */
	enum pyr_memory_category own, file; /* what is left out is */
	uint64_t bytes[PYR_MEMORY_CATEGORIES], swapped[PYR_MEMORY_CATEGORIES];
};

/* The index of the first range that ends behind @addr. */
size_t pyr_held_from(const struct pyr_held *held, pyr_addr addr);

void pyr_painter_begin(struct pyr_painter *painter, pyr_addr start, pyr_addr end,
		       enum pyr_memory_category own, enum pyr_memory_category file);
void pyr_painter_end(struct pyr_painter *painter);
/* Count up to @from as left out, as far as it lies ahead. */
void pyr_paint_gap(struct pyr_painter *painter, pyr_addr from);
void pyr_paint_slow(struct pyr_painter *painter, pyr_addr from, pyr_addr to,
		    enum pyr_memory_category own, enum pyr_memory_category file);

/* [from, to) is @own; pages that belong to a file are @file. */
static inline void pyr_paint_pages(struct pyr_painter *p, pyr_addr from, pyr_addr to,
				   enum pyr_memory_category own, enum pyr_memory_category file)
{
	const struct pyr_resident *r = &p->held->data[p->at];

	if (__builtin_expect(from != p->done, 0)) {
		if (from > p->done)
			pyr_paint_gap(p, from);
		from = p->done;
		r = &p->held->data[p->at];
	}
	if (to > p->limit)
		to = p->limit;
	if (to <= from)
		return;
	p->done = to;
	if (p->at < p->held->count && from >= r->start && to <= r->end && r->kind == PYR_PAGE_OWN)
		p->bytes[own] += to - from;
	else
		pyr_paint_slow(p, from, to, own, file);
}

static inline void pyr_paint(struct pyr_painter *p, pyr_addr from, pyr_addr to,
			     enum pyr_memory_category category)
{
	pyr_paint_pages(p, from, to, category, category);
}

#endif
