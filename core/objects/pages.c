#include "objects/pages.h"

#include <stdlib.h>
#include <string.h>

#define LEAVES (PYR_PAGES_LIMIT >> PYR_PAGES_LEAF_SHIFT)
#define LEAF_PAGES (UINT64_C(1) << (PYR_PAGES_LEAF_SHIFT - PYR_PAGES_SHIFT))

pyr_error *pyr_pages_init(struct pyr_pages *pages)
{
	pages->full = NULL;
	pages->leaves = calloc(LEAVES, sizeof(*pages->leaves));
	return pages->leaves ? NULL : pyr_error_no_memory();
}

void pyr_pages_deinit(struct pyr_pages *pages)
{
	size_t i;

	if (!pages->leaves)
		return;
	for (i = 0; i < LEAVES; i++)
		if (!pages->full || pages->leaves[i] != pages->full)
			free(pages->leaves[i]);
	free(pages->full);
	free(pages->leaves);
	pages->leaves = NULL;
	pages->full = NULL;
}

pyr_error *pyr_pages_add_all(struct pyr_pages *pages)
{
	size_t i;

	if (!pages->full && !(pages->full = malloc(LEAF_PAGES / 8)))
		return pyr_error_no_memory();
	memset(pages->full, 0xff, LEAF_PAGES / 8);
	for (i = 0; i < LEAVES; i++) {
		if (pages->leaves[i] != pages->full)
			free(pages->leaves[i]);
		pages->leaves[i] = pages->full;
	}
	return NULL;
}

/* A leaf that may be written, for leaves that exist. */
static uint64_t *own_leaf(struct pyr_pages *pages, uint64_t leaf)
{
	uint64_t *copy;

	if (!pages->full || pages->leaves[leaf] != pages->full)
		return pages->leaves[leaf];
	copy = malloc(LEAF_PAGES / 8);
	if (!copy)
		return NULL;
	memcpy(copy, pages->full, LEAF_PAGES / 8);
	pages->leaves[leaf] = copy;
	return copy;
}

/* Set or clear the pages first .. last of one leaf. */
static void change(uint64_t *leaf, uint64_t first, uint64_t last, bool set)
{
	uint64_t page, mask;

	for (page = first; page <= last; page = (page | 63) + 1) {
		mask = ~UINT64_C(0) << (page & 63);
		if ((page | 63) > last)
			mask &= ~UINT64_C(0) >> (63 - (last & 63));
		if (set)
			leaf[page >> 6] |= mask;
		else
			leaf[page >> 6] &= ~mask;
	}
}

static pyr_error *change_range(struct pyr_pages *pages, uint64_t first, uint64_t end, bool set)
{
	uint64_t leaf, last, *bits;

	while (first < end) {
		leaf = first / LEAF_PAGES;
		last = (leaf + 1) * LEAF_PAGES < end ? (leaf + 1) * LEAF_PAGES - 1 : end - 1;
		if (!pages->leaves[leaf] && set) {
			pages->leaves[leaf] = calloc(LEAF_PAGES / 64, sizeof(uint64_t));
			if (!pages->leaves[leaf])
				return pyr_error_no_memory();
		}
		if (pages->leaves[leaf]) {
			if (!(bits = own_leaf(pages, leaf)))
				return pyr_error_no_memory();
			change(bits, first % LEAF_PAGES, last % LEAF_PAGES, set);
		}
		first = last + 1;
	}
	return NULL;
}

pyr_error *pyr_pages_add(struct pyr_pages *pages, pyr_addr start, pyr_addr end)
{
	if (end > PYR_PAGES_LIMIT)
		end = PYR_PAGES_LIMIT;
	if (start >= end)
		return NULL;
	return change_range(pages, start >> PYR_PAGES_SHIFT, ((end - 1) >> PYR_PAGES_SHIFT) + 1,
			    true);
}

pyr_error *pyr_pages_remove(struct pyr_pages *pages, pyr_addr start, pyr_addr end)
{
	if (end > PYR_PAGES_LIMIT)
		end = PYR_PAGES_LIMIT;
	if (start >= end)
		return NULL;
	return change_range(pages, (start + (1u << PYR_PAGES_SHIFT) - 1) >> PYR_PAGES_SHIFT,
			    end >> PYR_PAGES_SHIFT, false);
}
