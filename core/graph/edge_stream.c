#include "graph/edge_stream.h"

#include <string.h>

bool pyr_edge_stream_grow(struct pyr_edge_stream *stream)
{
	struct pyr_edge_block *block = pyr_blocks_add(&stream->blocks);

	_Static_assert(sizeof(*block) <= PYR_HUGE_PAGE, "a block is at most one huge page");
	if (!block)
		return false;
	stream->last = block;
	stream->room = PYR_EDGE_BLOCK;
	return true;
}

void pyr_edge_stream_deinit(struct pyr_edge_stream *stream)
{
	pyr_blocks_deinit(&stream->blocks);
	memset(stream, 0, sizeof(*stream));
}

void pyr_edge_stream_copy(const struct pyr_edge_stream *stream, uint64_t at, uint64_t count,
			  uint32_t *targets, uint8_t *flags)
{
	const struct pyr_edge_block *block;
	uint64_t in, n;

	for (; count; count -= n, at += n, targets += n, flags += n) {
		block = stream->blocks.all.data[at / PYR_EDGE_BLOCK];
		in = at % PYR_EDGE_BLOCK;
		n = PYR_EDGE_BLOCK - in < count ? PYR_EDGE_BLOCK - in : count;
		memcpy(targets, block->targets + in, n * sizeof(*targets));
		memcpy(flags, block->flags + in, n);
	}
}

void pyr_edge_stream_release(struct pyr_edge_stream *stream, uint64_t at)
{
	pyr_blocks_release(&stream->blocks, at / PYR_EDGE_BLOCK);
}
