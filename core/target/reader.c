#include "target/reader.h"

#include <stdlib.h>

#include "base/search.h"

/* Bytes fetched through a read function are kept in blocks of this size. A
 * block of which only a part can be read is fetched page by page. */
#define BLOCK_SIZE (64u * 1024)
#define BLOCK_PAGE 4096u
#define BLOCK_PAGES (BLOCK_SIZE / BLOCK_PAGE)

struct block {
	pyr_addr start;
	uint16_t present; /* a bit per page */
	uint8_t *bytes;
};

/* The bytes of every block that is absent as a whole. */
static uint8_t absent_block[1];

struct pyr_block_cache {
	struct block *slots; /* open addressing; capacity is a power of two */
	size_t count, capacity;
};

void pyr_reader_init(struct pyr_reader *reader, struct pyr_target *target)
{
	memset(reader, 0, sizeof(*reader));
	reader->target = target;
}

void pyr_reader_deinit(struct pyr_reader *reader)
{
	unsigned i;

	for (i = 0; i < PYR_READER_SCRATCH; i++)
		free(reader->scratch[i].data);
	pyr_error_destroy(reader->fatal);
	memset(reader, 0, sizeof(*reader));
}

void pyr_target_drop_cache(struct pyr_target *target)
{
	struct pyr_block_cache *cache = target->cache;
	size_t i;

	if (!cache)
		return;
	for (i = 0; i < cache->capacity; i++)
		if (cache->slots[i].bytes != absent_block)
			free(cache->slots[i].bytes);
	free(cache->slots);
	free(cache);
	target->cache = NULL;
}

static size_t block_slot(const struct pyr_block_cache *cache, pyr_addr start)
{
	size_t i =
		(size_t)((start / BLOCK_SIZE) * 0x9e3779b97f4a7c15u >> 20) & (cache->capacity - 1);

	while (cache->slots[i].bytes && cache->slots[i].start != start)
		i = (i + 1) & (cache->capacity - 1);
	return i;
}

static bool cache_grow(struct pyr_block_cache *cache)
{
	struct pyr_block_cache grown = {.capacity = cache->capacity ? cache->capacity * 2 : 256};
	size_t i;

	grown.slots = calloc(grown.capacity, sizeof(*grown.slots));
	if (!grown.slots)
		return false;
	for (i = 0; i < cache->capacity; i++)
		if (cache->slots[i].bytes)
			grown.slots[block_slot(&grown, cache->slots[i].start)] = cache->slots[i];
	free(cache->slots);
	cache->slots = grown.slots;
	cache->capacity = grown.capacity;
	return true;
}

/* Keep an error that is more than a missing page for pyr_reader_check(). */
static void keep_fatal(struct pyr_reader *reader, pyr_error *err)
{
	struct pyr_target *target = reader->target;

	if (err->code != PYR_E_UNREADABLE && !target->failure)
		target->failure = pyr_error_create(err->code, "%s", err->message);
	if (err->code == PYR_E_UNREADABLE || reader->fatal)
		pyr_error_destroy(err);
	else
		reader->fatal = err;
}

/* Fetch what can be had of the block, page by page. */
static void fetch_pages(struct pyr_reader *reader, struct block *b)
{
	struct pyr_target *target = reader->target;
	pyr_error *err;
	unsigned i;

	for (i = 0; i < BLOCK_PAGES; i++) {
		err = target->ops->read(target, b->start + i * BLOCK_PAGE,
					b->bytes + i * BLOCK_PAGE, BLOCK_PAGE);
		if (!err) {
			b->present |= (uint16_t)(1u << i);
		} else {
			keep_fatal(reader, err);
			if (reader->fatal)
				return;
		}
	}
}

static struct block *fetch_block(struct pyr_reader *reader, pyr_addr addr)
{
	struct pyr_target *target = reader->target;
	pyr_addr start = addr & ~(pyr_addr)(BLOCK_SIZE - 1);
	struct pyr_block_cache *cache = target->cache;
	struct block *b;
	pyr_error *err;

	if (!cache && !(cache = target->cache = calloc(1, sizeof(*cache))))
		return NULL;
	if (cache->count * 2 >= cache->capacity && !cache_grow(cache))
		return NULL;
	b = &cache->slots[block_slot(cache, start)];
	if (b->bytes)
		return b;
	if (reader->fatal)
		return NULL;
	if (!(b->bytes = malloc(BLOCK_SIZE))) {
		keep_fatal(reader, pyr_error_no_memory());
		return NULL;
	}
	b->start = start;
	b->present = 0;
	cache->count++;
	err = target->ops->read(target, start, b->bytes, BLOCK_SIZE);
	if (!err) {
		b->present = (uint16_t)((1u << BLOCK_PAGES) - 1);
		return b;
	}
	keep_fatal(reader, err);
	if (!reader->fatal)
		fetch_pages(reader, b);
	if (reader->fatal) {
		/* Interrupted, not absent: the next command asks again. Nothing was
		 * inserted behind it, so the probe sequence stays whole. */
		free(b->bytes);
		b->bytes = NULL;
		cache->count--;
		return NULL;
	}
	if (!b->present) {
		free(b->bytes);
		b->bytes = absent_block;
	}
	return b;
}

/* Point the reader's cursor at the segment or block that holds @addr. */
static bool seek(struct pyr_reader *reader, pyr_addr addr)
{
	struct pyr_target *target = reader->target;
	const struct pyr_segment *s =
		pyr_search_range(target->segments.data, target->segments.count, start, end, addr);
	struct block *b;
	unsigned first, last;

	if (s) {
		reader->start = s->start;
		reader->end = s->end;
		reader->bytes = s->bytes;
		return true;
	}
	if (pyr_target_concurrent(target) || !(b = fetch_block(reader, addr)))
		return false;
	first = last = (unsigned)((addr - b->start) / BLOCK_PAGE);
	if (!(b->present & 1u << first))
		return false;
	while (first > 0 && b->present & 1u << (first - 1))
		first--;
	while (last < BLOCK_PAGES - 1 && b->present & 1u << (last + 1))
		last++;
	reader->start = b->start + first * BLOCK_PAGE;
	reader->end = b->start + (last + 1) * BLOCK_PAGE;
	reader->bytes = b->bytes + first * BLOCK_PAGE;
	return true;
}

pyr_addr pyr_peek_next(const struct pyr_reader *reader, pyr_addr addr, pyr_addr end)
{
	const struct pyr_target *target = reader->target;
	const struct pyr_segment *s = target->segments.data;
	size_t i = pyr_search(k, target->segments.count, s[k].start <= addr);
	pyr_addr next = end, page = (addr | (BLOCK_PAGE - 1)) + 1;

	if (i < target->segments.count && s[i].start < next)
		next = s[i].start;
	if (!pyr_target_concurrent(target) && page > addr && page < next)
		next = page;
	return next < end && end - next > 7 ? (next + 7) & ~(pyr_addr)7 : end;
}

size_t pyr_peek_run(struct pyr_reader *reader, pyr_addr addr, size_t max, const uint8_t **ret)
{
	size_t n;

	if (!(addr >= reader->start && addr < reader->end) && !seek(reader, addr))
		return 0;
	n = reader->end - addr;
	*ret = reader->bytes + (addr - reader->start);
	return n < max ? n : max;
}

const void *pyr_peek_slow(struct pyr_reader *reader, pyr_addr addr, size_t len)
{
	const uint8_t *run;
	uint8_t *data;
	size_t done, n;
	unsigned slot;

	if (!len || addr + len < addr)
		return NULL;
	n = pyr_peek_run(reader, addr, len, &run);
	if (n == len)
		return run;
	if (!n)
		return NULL;
	/* Is the whole range here? Ask before memory is taken for it. */
	for (done = n; done < len; done += n)
		if (!(n = pyr_peek_run(reader, addr + done, len - done, &run)))
			return NULL;
	slot = reader->next_scratch++ % PYR_READER_SCRATCH;
	if (reader->scratch[slot].capacity < len) {
		data = realloc(reader->scratch[slot].data, len);
		if (!data)
			return NULL;
		reader->scratch[slot].data = data;
		reader->scratch[slot].capacity = len;
	}
	data = reader->scratch[slot].data;
	for (done = 0; done < len; done += n) {
		n = pyr_peek_run(reader, addr + done, len - done, &run);
		if (!n)
			return NULL;
		memcpy(data + done, run, n);
	}
	return data;
}

pyr_error *pyr_reader_check(struct pyr_reader *reader)
{
	pyr_error *err = reader->fatal;

	reader->fatal = NULL;
	return err;
}

static pyr_error *unreadable(struct pyr_reader *reader, pyr_addr addr, size_t len)
{
	pyr_error *err = pyr_reader_check(reader);

	return err ? err
		   : pyr_error_create_at(PYR_E_UNREADABLE, addr,
					 "%zu bytes at 0x%llx are not in the target", len,
					 (unsigned long long)addr);
}

pyr_error *pyr_read(struct pyr_reader *reader, pyr_addr addr, void *buf, size_t len)
{
	const uint8_t *run;
	size_t done, n;

	if (addr + len < addr)
		return unreadable(reader, addr, len);
	for (done = 0; done < len; done += n) {
		n = pyr_peek_run(reader, addr + done, len - done, &run);
		if (!n)
			return unreadable(reader, addr + done, len - done);
		memcpy((uint8_t *)buf + done, run, n);
	}
	return NULL;
}

pyr_error *pyr_read_u64(struct pyr_reader *reader, pyr_addr addr, uint64_t *ret)
{
	return pyr_try_u64(reader, addr, ret) ? NULL : unreadable(reader, addr, 8);
}

pyr_error *pyr_read_u32(struct pyr_reader *reader, pyr_addr addr, uint32_t *ret)
{
	return pyr_try_u32(reader, addr, ret) ? NULL : unreadable(reader, addr, 4);
}

pyr_error *pyr_read_addr(struct pyr_reader *reader, pyr_addr addr, pyr_addr *ret)
{
	return pyr_read_u64(reader, addr, ret);
}

pyr_error *pyr_read_cstring(struct pyr_reader *reader, pyr_addr addr, size_t max, char **ret)
{
	const uint8_t *run, *nul = NULL;
	size_t length = 0, n;
	pyr_error *err;
	char *text;

	while (!nul) {
		if (length > max)
			return pyr_error_create_at(
				PYR_E_CORRUPT, addr,
				"the string at 0x%llx has no end within %zu bytes",
				(unsigned long long)addr, max);
		n = pyr_peek_run(reader, addr + length, max + 1 - length, &run);
		if (!n)
			return unreadable(reader, addr + length, 1);
		nul = memchr(run, 0, n);
		length += nul ? (size_t)(nul - run) : n;
	}
	text = malloc(length + 1);
	if (!text)
		return pyr_error_no_memory();
	if (length && (err = pyr_read(reader, addr, text, length))) {
		free(text);
		return err;
	}
	text[length] = '\0';
	*ret = text;
	return NULL;
}
