#define _GNU_SOURCE
#include "base/blocks.h"

#include <string.h>
#include <sys/mman.h>

static void *map_block(void)
{
	size_t slack;
	char *p = mmap(NULL, 2 * PYR_HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	slack = -(size_t)p & (PYR_HUGE_PAGE - 1);
	if (slack)
		munmap(p, slack);
	munmap(p + slack + PYR_HUGE_PAGE, PYR_HUGE_PAGE - slack);
	return p + slack;
}

void *pyr_blocks_add(struct pyr_blocks *blocks)
{
	void *block;

	if (blocks->failed || !pyr_vec_reserve(&blocks->all, 1) || !(block = map_block())) {
		blocks->failed = true;
		return NULL;
	}
	/* The first block of a small heap is not worth clearing a huge page. */
	if (blocks->all.count)
		(void)madvise(block, PYR_HUGE_PAGE, MADV_HUGEPAGE);
	blocks->all.data[blocks->all.count++] = block;
	return block;
}

void pyr_blocks_release(struct pyr_blocks *blocks, size_t end)
{
	for (; blocks->released < end; blocks->released++) {
		munmap(blocks->all.data[blocks->released], PYR_HUGE_PAGE);
		blocks->all.data[blocks->released] = NULL;
	}
}

void pyr_blocks_deinit(struct pyr_blocks *blocks)
{
	pyr_blocks_release(blocks, blocks->all.count);
	pyr_vec_deinit(&blocks->all);
	memset(blocks, 0, sizeof(*blocks));
}
