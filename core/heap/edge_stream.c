#define _GNU_SOURCE
#include "heap/edge_stream.h"

#include <string.h>
#include <sys/mman.h>

#include "base/large.h"

/* A block on one huge page. malloc() would keep what it is given back. */
static struct pyr_edge_block *map_block(void)
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
	return (struct pyr_edge_block *)(p + slack);
}

bool pyr_edge_stream_grow(struct pyr_edge_stream *stream)
{
	struct pyr_edge_block *block;

	_Static_assert(sizeof(*block) <= PYR_HUGE_PAGE, "a block is at most one huge page");
	if (stream->failed || !pyr_vec_reserve(&stream->blocks, 1) || !(block = map_block())) {
		stream->failed = true;
		return false;
	}
	/* The first block of a small heap is not worth clearing a huge page. */
	if (stream->blocks.count)
		(void)madvise(block, PYR_HUGE_PAGE, MADV_HUGEPAGE);
	stream->blocks.data[stream->blocks.count++] = block;
	stream->last = block;
	stream->room = PYR_EDGE_BLOCK;
	return true;
}

void pyr_edge_stream_deinit(struct pyr_edge_stream *stream)
{
	size_t i;

	for (i = stream->released; i < stream->blocks.count; i++)
		munmap(stream->blocks.data[i], PYR_HUGE_PAGE);
	pyr_vec_deinit(&stream->blocks);
	memset(stream, 0, sizeof(*stream));
}

void pyr_edge_stream_copy(const struct pyr_edge_stream *stream, uint64_t at, uint64_t count,
			  uint32_t *targets, uint8_t *flags)
{
	const struct pyr_edge_block *block;
	uint64_t in, n;

	for (; count; count -= n, at += n, targets += n, flags += n) {
		block = stream->blocks.data[at / PYR_EDGE_BLOCK];
		in = at % PYR_EDGE_BLOCK;
		n = PYR_EDGE_BLOCK - in < count ? PYR_EDGE_BLOCK - in : count;
		memcpy(targets, block->targets + in, n * sizeof(*targets));
		memcpy(flags, block->flags + in, n);
	}
}

void pyr_edge_stream_release(struct pyr_edge_stream *stream, uint64_t at)
{
	for (; stream->released < at / PYR_EDGE_BLOCK; stream->released++) {
		munmap(stream->blocks.data[stream->released], PYR_HUGE_PAGE);
		stream->blocks.data[stream->released] = NULL;
	}
}
