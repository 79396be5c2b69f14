#include "analysis/memory/memory_paint.h"

#include <stdlib.h>

#include "base/search.h"

static bool push(struct pyr_held *held, size_t *capacity, pyr_addr start, pyr_addr end,
		 enum pyr_page_kind kind)
{
	struct pyr_resident *last = held->count ? &held->data[held->count - 1] : NULL;

	if (last && last->end == start && last->kind == kind) {
		last->end = end;
		return true;
	}
	if (held->count == *capacity &&
	    !pyr_vec_grow((void **)&held->data, held->count, capacity, 1, sizeof(*held->data)))
		return false;
	held->data[held->count++] = (struct pyr_resident){start, end, kind};
	return true;
}

pyr_error *pyr_held_find(const struct pyr_target *target, struct pyr_held *ret)
{
	struct pyr_held held = {.basis = PYR_MEMORY_DUMPED};
	size_t i, capacity = 0;
	bool ok = true;

	if (target->residency && target->residency->known) {
		held.basis = PYR_MEMORY_RESIDENT;
		for (i = 0; i < target->residency->ranges.count && ok; i++) {
			const struct pyr_resident *r = &target->residency->ranges.data[i];

			ok = push(&held, &capacity, r->start, r->end, r->kind);
		}
	} else if (target->kind == PYR_TARGET_CORE) {
		for (i = 0; i < target->segments.count && ok; i++) {
			const struct pyr_segment *s = &target->segments.data[i];

			if (!(s->flags & PYR_SEG_FROM_FILE))
				ok = push(&held, &capacity, s->start, s->end, PYR_PAGE_OWN);
		}
	} else {
		held.basis = PYR_MEMORY_MAPPED;
		for (i = 0; i < target->mappings.count && ok; i++) {
			const struct pyr_mapping *m = &target->mappings.data[i];

			if (m->read)
				ok = push(&held, &capacity, m->start, m->end, PYR_PAGE_OWN);
		}
	}
	if (!ok) {
		pyr_held_deinit(&held);
		return pyr_error_no_memory();
	}
	*ret = held;
	return NULL;
}

void pyr_held_deinit(struct pyr_held *held)
{
	free(held->data);
	held->data = NULL;
	held->count = 0;
}

size_t pyr_held_from(const struct pyr_held *held, pyr_addr addr)
{
	return pyr_search(i, held->count, held->data[i].end <= addr);
}

void pyr_painter_begin(struct pyr_painter *p, pyr_addr start, pyr_addr end,
		       enum pyr_memory_category own, enum pyr_memory_category file)
{
	p->at = pyr_held_from(p->held, start);
	p->done = start;
	p->limit = end;
	p->own = own;
	p->file = file;
}

void pyr_paint_gap(struct pyr_painter *p, pyr_addr from)
{
	if (from > p->limit)
		from = p->limit;
	if (from <= p->done)
		return;
	pyr_paint_slow(p, p->done, from, p->own, p->file);
	p->done = from;
}

void pyr_painter_end(struct pyr_painter *p)
{
	pyr_paint_gap(p, p->limit);
}

void pyr_paint_slow(struct pyr_painter *p, pyr_addr from, pyr_addr to, enum pyr_memory_category own,
		    enum pyr_memory_category file)
{
	const struct pyr_resident *r = p->held->data, *end = r + p->held->count;
	pyr_addr start, stop;

	r += p->at;
	while (r < end && r->end <= from)
		r++;
	for (; r < end && r->start < to; r++) {
		start = r->start > from ? r->start : from;
		stop = r->end < to ? r->end : to;
		if (r->kind == PYR_PAGE_SWAPPED)
			p->swapped[own] += stop - start;
		else
			p->bytes[r->kind == PYR_PAGE_FILE ? file : own] += stop - start;
		if (r->end > to)
			break;
	}
	p->at = (size_t)(r - p->held->data);
}
