/* The loop over the blocks of an arena: classifies every allocated block, hands
 * objects to @emit, and notes words that point to memory outside of all arenas.
 * Inlined into its users (census and heap), whose emit functions become part of
 * the loop. */
#ifndef PYR_OBJECTS_SCAN_H
#define PYR_OBJECTS_SCAN_H

#include "base/range.h"
#include "objects/classify.h"
#include "objects/pages.h"
#include "pymalloc/obmalloc.h"

/* Addresses, open addressing; 0 is no member. */
struct pyr_address_hash {
	uint64_t *slots;
	size_t count, capacity;
};
/* 1: new, 0: known already, -1: out of memory. */
int pyr_address_hash_add(struct pyr_address_hash *set, pyr_addr addr);
void pyr_address_hash_deinit(struct pyr_address_hash *set);

#define PYR_RECENT 4096u
#define PYR_LOWEST_ADDRESS 65536u /* Linux maps nothing below (vm.mmap_min_addr) */

/* What one worker sees besides objects. */
struct pyr_scanner {
	struct pyr_classifier classifier;
	const struct pyr_obmalloc *obmalloc;
	const struct pyr_pages *outside; /* pages where objects other than blocks may lie */
	pyr_addr recent[PYR_RECENT];     /* candidates noted lately, so that they are not again */
	PYR_VEC(pyr_addr) candidates;    /* words that point outside, each once */
	struct pyr_address_hash noted;   /* all that ever were candidates */
	struct pyr_range_list buffers;   /* of block objects, outside of arenas */
	PYR_VEC(pyr_addr) links;         /* _gc_next of block objects that lead outside */
	uint64_t pools, blocks, objects;
	uint64_t unreadable_pools, corrupt_pools, inconsistent_pools;
	uint64_t tracked;                      /* block objects on a gc list */
	uint64_t node_sum, next_sum, prev_sum; /* pyr_link_hash() of their heads and links */
};

static inline uint64_t pyr_link_hash(uint64_t link)
{
	link *= 0x9e3779b97f4a7c15u;
	link ^= link >> 29;
	return link * 0xbf58476d1ce4e5b9u;
}

pyr_error *pyr_scanner_init(struct pyr_scanner *s, struct pyr_types *types,
			    const struct pyr_obmalloc *obmalloc, const struct pyr_pages *outside,
			    bool collecting);
void pyr_scanner_deinit(struct pyr_scanner *s);
/* no_memory, or what a read function said, handed over once. */
pyr_error *pyr_scanner_check(struct pyr_scanner *s);

/* The slow half of pyr_scanner_words(). */
void pyr_scanner_note_slow(struct pyr_scanner *s, pyr_addr word);
/* A buffer of references that an object owns; those in arenas are blocks anyway. */
void pyr_scanner_buffer(void *scanner, pyr_addr start, uint64_t size);
/* Note the words of [start, start + size), as far as the target has them. */
void pyr_scanner_range(struct pyr_scanner *s, pyr_addr start, uint64_t size);
void pyr_scanner_link(struct pyr_scanner *s, pyr_addr next);

static inline __attribute__((always_inline)) void pyr_scanner_word(struct pyr_scanner *s,
								   uint64_t word)
{
	if (word < PYR_LOWEST_ADDRESS)
		return;
	if (!(word & 7) && pyr_pages_has(s->outside, word) &&
	    __builtin_expect(s->recent[(word >> 3) & (PYR_RECENT - 1)] != word, 0))
		pyr_scanner_note_slow(s, word);
}

/* The words of [p, end), whose length is a multiple of 8. Two at a time: most are nothing, and
 * the loop itself would cost as much as they do. */
static inline void pyr_scanner_words(struct pyr_scanner *s, const uint8_t *p, const uint8_t *end)
{
	for (end -= 8; p < end; p += 16) {
		pyr_scanner_word(s, pyr_load64(p));
		pyr_scanner_word(s, pyr_load64(p + 8));
	}
	if (p == end)
		pyr_scanner_word(s, pyr_load64(p));
}

/* The links of a list node enter the sums that prove the lists closed (lists.h). */
static inline void pyr_scanner_sums(struct pyr_scanner *s, const uint8_t *head, pyr_addr address)
{
	s->node_sum += pyr_link_hash(address);
	s->next_sum += pyr_link_hash(pyr_load64(head) & ~UINT64_C(3));
	s->prev_sum += pyr_link_hash(pyr_load64(head + 8) & ~UINT64_C(3));
}

/* A block object that is on a list. */
static inline void pyr_scanner_node(struct pyr_scanner *s, const uint8_t *head, pyr_addr address)
{
	pyr_addr next = pyr_load64(head) & ~UINT64_C(3);

	s->tracked++;
	pyr_scanner_sums(s, head, address);
	if (__builtin_expect(pyr_pages_has(s->outside, next), 0))
		pyr_scanner_link(s, next);
}

typedef void pyr_emit(struct pyr_scanner *s, struct pyr_type_facts *kind, pyr_addr addr,
		      const uint8_t *object, bool tracked, void *ctx);

static inline __attribute__((always_inline)) void pyr_scan_pool(struct pyr_scanner *s,
								const struct pyr_pool *pool,
								const uint8_t *next, bool words,
								pyr_emit *emit, void *ctx)
{
	struct pyr_classifier *c = &s->classifier;
	uint32_t at, line, offset, size = pool->block_size;
	const uint8_t *block, *object;
	uint32_t blocks = 0, objects = 0;
	struct pyr_type_facts *kind;
	bool tracked;

	for (at = PYR_POOL_HEADER; at < pool->end; at += size) {
		block = pool->bytes + at;
		/* The free list of the next pool leads through it in no order: have it near. */
		for (line = at; line < at + size; line += 64)
			__builtin_prefetch(next + line);
		if (pyr_pool_is_free(s->obmalloc, pool, at))
			continue;
		blocks++;
		kind = pyr_classify(c, block, size, &offset);
		if (!kind) {
			if (words)
				pyr_scanner_words(s, block, block + size);
			continue;
		}
		object = block + offset;
		tracked = false;
		if (kind->gc) {
			tracked = pyr_gc_head_tracked(c, object - c->gc_head);
			if (tracked)
				pyr_scanner_node(s, object - c->gc_head,
						 pool->address + at + offset - c->gc_head);
		}
		objects++;
		if (words && !kind->leaf) {
			pyr_scanner_words(s, object + c->type_at + 8, block + size);
			if (kind->owns_buffer)
				pyr_type_facts_buffers(c, kind, pool->address + at + offset, object,
						       pyr_scanner_buffer, s);
		}
		emit(s, kind, pool->address + at + offset, object, tracked, ctx);
	}
	s->blocks += blocks;
	s->objects += objects;
}

/* @words: note what points outside of all arenas; a constant. */
static inline __attribute__((always_inline)) void pyr_scan_arena(struct pyr_scanner *s,
								 const struct pyr_arena *arena,
								 bool words, pyr_emit *emit,
								 void *ctx)
{
	const uint32_t step = s->obmalloc->pool_size;
	struct pyr_pool pool;
	const uint8_t *next;
	pyr_addr at;

	for (at = arena->first_pool; at < arena->pool_end; at += step) {
		switch (pyr_pool_read(s->obmalloc, &s->classifier.reader, arena, at, &pool)) {
		case PYR_POOL_LIVE:
			s->pools++;
			s->inconsistent_pools += !pool.consistent;
			next = at + 2 * step <= arena->pool_end &&
					       pyr_target_concurrent(s->classifier.far.target)
				       ? pyr_peek(&s->classifier.reader, at + step, step)
				       : NULL;
			pyr_scan_pool(s, &pool, next ? next : pool.bytes, words, emit, ctx);
			break;
		case PYR_POOL_EMPTY:
			break;
		case PYR_POOL_UNREADABLE:
			s->unreadable_pools++;
			break;
		case PYR_POOL_CORRUPT:
			s->corrupt_pools++;
			break;
		}
	}
}

#endif
