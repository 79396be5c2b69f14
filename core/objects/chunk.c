#include "objects/chunk.h"

#define HEADER 8u /* mchunk_size; the word before it belongs to the chunk before */
#define SMALLEST 32u
#define FLAGS 15u
#define PREV_INUSE 1u
#define IS_MMAPPED 2u
#define UNUSED 8u

bool pyr_chunk_begins(struct pyr_reader *reader, pyr_addr memory, uint64_t need, uint64_t limit)
{
	uint64_t word, size, next;

	if (memory % 16 || !pyr_try_u64(reader, memory - HEADER, &word) || word & UNUSED)
		return false;
	size = word & ~(uint64_t)FLAGS;
	if (size < SMALLEST || size > limit || size < need + HEADER)
		return false;
	if (word & IS_MMAPPED)
		return true;
	return pyr_try_u64(reader, memory - HEADER + size, &next) && next & PREV_INUSE;
}
