/* Edges in the order in which they are found, kept until it is known how many there
 * are: blocks that go back to the system as they are copied to their place. */
#ifndef PYR_GRAPH_EDGE_STREAM_H
#define PYR_GRAPH_EDGE_STREAM_H

#include <stdint.h>

#include "base/blocks.h"

#define PYR_EDGE_BLOCK 419430u /* edges: together 2 MiB */

struct pyr_edge_block {
	uint32_t targets[PYR_EDGE_BLOCK];
	uint8_t flags[PYR_EDGE_BLOCK];
};

/* A zeroed one is empty. */
struct pyr_edge_stream {
	struct pyr_blocks blocks; /* all full but the last */
	struct pyr_edge_block *last;
	uint32_t room; /* in the last block */
};

void pyr_edge_stream_deinit(struct pyr_edge_stream *stream);

/* The slow half of pyr_edge_stream_push(). */
bool pyr_edge_stream_grow(struct pyr_edge_stream *stream);

static inline void pyr_edge_stream_push(struct pyr_edge_stream *stream, uint32_t target,
					uint8_t flags)
{
	if (!stream->room && !pyr_edge_stream_grow(stream))
		return;
	stream->last->targets[PYR_EDGE_BLOCK - stream->room] = target;
	stream->last->flags[PYR_EDGE_BLOCK - stream->room] = flags;
	stream->room--;
}

static inline uint64_t pyr_edge_stream_count(const struct pyr_edge_stream *stream)
{
	return (uint64_t)stream->blocks.all.count * PYR_EDGE_BLOCK - stream->room;
}

/* Did memory run out? Then edges are missing. */
static inline bool pyr_edge_stream_failed(const struct pyr_edge_stream *stream)
{
	return stream->blocks.failed;
}

/* Edges @at .. @at + @count, which must be there. */
void pyr_edge_stream_copy(const struct pyr_edge_stream *stream, uint64_t at, uint64_t count,
			  uint32_t *targets, uint8_t *flags);
/* Give back the blocks that lie wholly before @at. */
void pyr_edge_stream_release(struct pyr_edge_stream *stream, uint64_t at);

#endif
