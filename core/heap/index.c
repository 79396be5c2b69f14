#include "heap/index.h"

#include <stdlib.h>

#define PAGE_SHIFT 12
#define LEAF_SHIFT 30
#define LEAVES (UINT64_C(1) << (47 - LEAF_SHIFT))
#define LEAF_PAGES (1u << (LEAF_SHIFT - PAGE_SHIFT))

void pyr_index_destroy(struct pyr_index *index)
{
	size_t i;

	if (!index)
		return;
	for (i = 0; index->leaves && i < LEAVES; i++)
		free(index->leaves[i]);
	free(index->leaves);
	free(index->pages);
	free(index);
}

static void count_words(struct pyr_index_page *page)
{
	unsigned i, n = 0;

	for (i = 0; i < 8; i++) {
		page->before[i] = (uint16_t)n;
		n += (unsigned)__builtin_popcountll(page->bits[i]);
	}
}

static bool enter_page(struct pyr_index *index, pyr_addr addr, uint32_t number)
{
	uint32_t **leaf = &index->leaves[addr >> LEAF_SHIFT];

	if (!*leaf && !(*leaf = calloc(LEAF_PAGES, sizeof(**leaf))))
		return false;
	(*leaf)[addr >> PAGE_SHIFT & (LEAF_PAGES - 1)] = number + 1;
	return true;
}

pyr_error *pyr_index_create(const pyr_addr *addresses, uint32_t count, struct pyr_index **ret)
{
	struct pyr_index *index = calloc(1, sizeof(*index));
	struct pyr_index_page *page = NULL;
	uint64_t last = UINT64_MAX;
	uint32_t i, granule;
	size_t pages = 0;

	for (i = 0; i < count; i++) {
		pages += addresses[i] >> PAGE_SHIFT != last;
		last = addresses[i] >> PAGE_SHIFT;
	}
	if (!index || !(index->leaves = calloc(LEAVES, sizeof(*index->leaves))) ||
	    !(index->pages = calloc(pages + 1, sizeof(*index->pages))))
		goto fail;
	for (i = 0, last = UINT64_MAX; i < count; i++) {
		if (addresses[i] >> PAGE_SHIFT != last) {
			last = addresses[i] >> PAGE_SHIFT;
			page = &index->pages[index->page_count];
			page->first = i;
			if (!enter_page(index, addresses[i], (uint32_t)index->page_count++))
				goto fail;
		}
		granule = addresses[i] >> 3 & 511;
		page->bits[granule >> 6] |= UINT64_C(1) << (granule & 63);
	}
	for (pages = 0; pages < index->page_count; pages++)
		count_words(&index->pages[pages]);
	*ret = index;
	return NULL;
fail:
	pyr_index_destroy(index);
	return pyr_error_no_memory();
}

uint32_t pyr_index_find(const struct pyr_index *index, pyr_addr addr)
{
	const struct pyr_index_page *page;
	const uint32_t *leaf;
	uint32_t number, granule;
	uint64_t word;

	if (addr >> 47 || addr & 7 || !(leaf = index->leaves[addr >> LEAF_SHIFT]) ||
	    !(number = leaf[addr >> PAGE_SHIFT & (LEAF_PAGES - 1)]))
		return UINT32_MAX;
	page = &index->pages[number - 1];
	granule = addr >> 3 & 511;
	word = page->bits[granule >> 6];
	if (!(word >> (granule & 63) & 1))
		return UINT32_MAX;
	return page->first + page->before[granule >> 6] +
	       (uint32_t)__builtin_popcountll(word & ((UINT64_C(1) << (granule & 63)) - 1));
}
