/* Typed, bounds-checked reads of target memory. This is the only place where
 * target bytes turn into numbers.
 *
 * A reader is a cheap cursor (it remembers the last segment it hit); every
 * worker thread has its own. Readers of targets with a read function may be
 * used on the calling thread only: ask pyr_target_concurrent(). */
#ifndef PYR_TARGET_READER_H
#define PYR_TARGET_READER_H

#include <string.h>

#include "target/target.h"

#define PYR_READER_SCRATCH 4 /* assembled peeks that stay valid at once */

struct pyr_reader {
	struct pyr_target *target;
	/* the last segment hit: [start, end) at bytes */
	pyr_addr start, end;
	const uint8_t *bytes;
	struct {
		uint8_t *data;
		size_t capacity;
	} scratch[PYR_READER_SCRATCH];
	unsigned next_scratch;
	pyr_error *fatal; /* owned; see pyr_reader_check() */
};

void pyr_reader_init(struct pyr_reader *reader, struct pyr_target *target);
void pyr_reader_deinit(struct pyr_reader *reader);

/* May several threads read at once? */
static inline bool pyr_target_concurrent(const struct pyr_target *target)
{
	return target->ops == NULL || target->ops->read == NULL;
}

/* The slow half of pyr_peek(); do not call directly. */
const void *pyr_peek_slow(struct pyr_reader *reader, pyr_addr addr, size_t len);

/* @len bytes at @addr, or NULL when any of them is absent. The pointer stays
 * valid as long as the target, except when the bytes had to be assembled from
 * several places: then until PYR_READER_SCRATCH more assembled peeks. It need
 * not be aligned. len 0 and ranges that wrap answer NULL. */
static inline const void *pyr_peek(struct pyr_reader *reader, pyr_addr addr, size_t len)
{
	if (addr >= reader->start && addr < reader->end && len <= reader->end - addr && len)
		return reader->bytes + (addr - reader->start);
	return pyr_peek_slow(reader, addr, len);
}

/* How many bytes from @addr on (at most @max) are directly addressable, and
 * where; 0 when none. Never assembles; fetches one block through a callback. */
size_t pyr_peek_run(struct pyr_reader *reader, pyr_addr addr, size_t max, const uint8_t **ret);

/* Where to go on when pyr_peek_run() answered 0 (or too little) at @addr: the
 * next multiple of 8 in (@addr, @end) that may be readable, else @end. A damaged mapping can be as
 * large as the address space; with segments alone what is absent costs one step. */
pyr_addr pyr_peek_next(const struct pyr_reader *reader, pyr_addr addr, pyr_addr end);

/* The whole words of [*@at, @end) that are at hand at *@at: where, and how many; if none are,
 * *@at moves on to where there may be some. False at the end. The caller moves *@at over those
 * that it took. */
static inline bool pyr_peek_words(struct pyr_reader *reader, pyr_addr *at, pyr_addr end,
				  const uint8_t **ret, size_t *count)
{
	if (*at >= end || end - *at < 8)
		return false;
	*count = pyr_peek_run(reader, *at, end - *at, ret) / 8;
	if (!*count)
		*at = pyr_peek_next(reader, *at, end);
	return true;
}

/* A callback failure other than "unreadable" that a peek swallowed, handed
 * over once; NULL when there is none. Loops over much memory ask at intervals. */
pyr_error *pyr_reader_check(struct pyr_reader *reader);

static inline bool pyr_try_u64(struct pyr_reader *reader, pyr_addr addr, uint64_t *ret)
{
	const void *p = pyr_peek(reader, addr, 8);

	return p ? (memcpy(ret, p, 8), true) : false;
}

static inline bool pyr_try_u32(struct pyr_reader *reader, pyr_addr addr, uint32_t *ret)
{
	const void *p = pyr_peek(reader, addr, 4);

	return p ? (memcpy(ret, p, 4), true) : false;
}

/* As above with an error that names the address. */
pyr_error *pyr_read(struct pyr_reader *reader, pyr_addr addr, void *buf, size_t len);
pyr_error *pyr_read_u64(struct pyr_reader *reader, pyr_addr addr, uint64_t *ret);
pyr_error *pyr_read_u32(struct pyr_reader *reader, pyr_addr addr, uint32_t *ret);
pyr_error *pyr_read_addr(struct pyr_reader *reader, pyr_addr addr, pyr_addr *ret);
/* A NUL-terminated string of at most @max bytes; corrupt when longer. Caller frees. */
pyr_error *pyr_read_cstring(struct pyr_reader *reader, pyr_addr addr, size_t max, char **ret);

/* Forget what was fetched through the read function (the debuggee ran). All
 * readers of the target must be initialized anew. */
void pyr_target_drop_cache(struct pyr_target *target);

#endif
