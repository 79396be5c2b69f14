/* Is this memory an object, of which type, and how large is it? Asked for every
 * block of the heap, so everything that a type answers once is kept in a
 * worker's own `kind`, found through a direct-mapped cache of type addresses. */
#ifndef PYR_OBJECTS_CLASSIFY_H
#define PYR_OBJECTS_CLASSIFY_H

#include "objects/pages.h"
#include "values/object.h"
#include "types/types.h"

/* How sys.getsizeof() of an instance is computed. FIXED needs no memory;
 * the rest of the named ones read the instance's first words (and the keys of a
 * dict); SLOW asks pyr_object_size(). */
enum pyr_measure {
	PYR_MEASURE_FIXED,
	PYR_MEASURE_VAR, /* basicsize + itemsize * ob_size */
	PYR_MEASURE_INT,
	PYR_MEASURE_STR,
	PYR_MEASURE_LIST,
	PYR_MEASURE_DICT,
	PYR_MEASURE_SLOW,
};

struct pyr_tally {
	uint64_t count, bytes;
};

struct pyr_type_facts {
	const struct pyr_type *type;
	uint32_t index;      /* type->index */
	uint32_t before;     /* bytes before the object: gc head and pre-header */
	uint64_t need;       /* smallest size of an instance, from the object on */
	uint64_t fixed_size; /* `before` + tp_basicsize */
	uint32_t itemsize;
	uint8_t measure; /* enum pyr_measure */
	bool probed;     /* the first instance was measured both ways */
	bool inexact;    /* the type may define its own __sizeof__ */
	bool gc;
	bool has_count;    /* ob_size counts items that lie behind basicsize */
	bool exact_class;  /* instances fill their size class: need, rounded up */
	bool leaf;         /* instances hold no references */
	bool owns_buffer;  /* may have what pyr_type_facts_buffers() tells */
	bool more_buffers; /* ... and pyr_reference_buffers() */
	bool is_str;
	/* What the worker counted; meaning is the client's. */
	struct pyr_tally all, tracked;
};

#define PYR_TYPE_FACTS_CACHE 4096u

struct pyr_classifier {
	struct pyr_types *types;
	struct pyr_reader reader; /* for memory at hand: pools */
	struct pyr_reader far;    /* for memory that pointers lead to */
	const struct pyr_layout *layout;
	/* object header, gc head */
	uint32_t refcnt_at, type_at, size_at, gc_head;
	bool gc_refs; /* a third word says whether an object is tracked (3.6, 3.7) */
	/* Pages outside of arenas. A word that points to one is no reference count (in an
	 * executable at a fixed address pointers are as small as counts). */
	const struct pyr_pages *pointers;
	bool strict_prev; /* no collection is in progress: _gc_prev is a link */
	uint64_t refcnt_required, refcnt_forbidden;
	uint32_t debug_head;  /* bytes of the debug allocator before the data */
	uint32_t debug_total; /* ... in all */
	uint32_t alignment;
	/* str, list, int, dict */
	uint32_t list_allocated, str_length, str_state, str_ascii, str_compact, str_utf8_length,
		str_utf8, str_wstr;                      /* str_wstr: 0 where there is none */
	uint32_t kind_shift, compact_shift, ascii_shift; /* in the word at str_state */
	uint32_t dict_keys, dict_values, keys_header, keys_refcnt, keys_log2, keys_index_log2,
		keys_kind, keys_size;
	bool keys_are_log2, int_tag, int_zero_digit;

	struct pyr_type_facts **kinds; /* by type index; NULL where not met */
	uint32_t kind_count;
	uint64_t unmeasured; /* instances whose size could not be read */
	bool out_of_memory;
	struct {
		pyr_addr type;
		struct pyr_type_facts *kind; /* NULL: not a type */
	} cache[PYR_TYPE_FACTS_CACHE];
};

pyr_error *pyr_classifier_init(struct pyr_classifier *c, struct pyr_types *types, bool collecting);
void pyr_classifier_deinit(struct pyr_classifier *c);

/* The slow half of pyr_classifier_kind(). */
struct pyr_type_facts *pyr_classifier_learn(struct pyr_classifier *c, pyr_addr type, unsigned slot);

/* The kind of instances of the type at @type, or NULL when there is no type. */
static inline struct pyr_type_facts *pyr_classifier_kind(struct pyr_classifier *c, pyr_addr type)
{
	unsigned slot =
		(unsigned)(((type >> 4) * 0x9e3779b97f4a7c15u) >> 52) & (PYR_TYPE_FACTS_CACHE - 1);

	if (__builtin_expect(c->cache[slot].type == type, 1))
		return c->cache[slot].kind;
	return pyr_classifier_learn(c, type, slot);
}

static inline uint64_t pyr_load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static inline uint32_t pyr_load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

/* A live object's reference count? Freed ones have 0, or a link of a free list. */
static inline bool pyr_refcount_plausible(const struct pyr_classifier *c, uint64_t word)
{
	return word & c->refcnt_required && !(word & c->refcnt_forbidden);
}

/* The same for the words of a block, which may be an array of pointers. */
static inline bool pyr_refcount_in_block(const struct pyr_classifier *c, uint64_t word)
{
	return pyr_refcount_plausible(c, word) &&
	       !(__builtin_expect(word >> 16 != 0, 0) && !(word & 7) && c->pointers &&
		 pyr_pages_has(c->pointers, word));
}

/* The same for a C variable. In 3.11 counts of static objects begin at 999999999 (pycore_object.h,
 * _PyObject_IMMORTAL_REFCNT): where memory is mapped there they are addresses, too. */
static inline bool pyr_refcount_in_static(const struct pyr_classifier *c, uint64_t word)
{
	const uint64_t base = 999999999, apart = 1 << 24;

	return pyr_refcount_in_block(c, word) ||
	       (pyr_is(c->layout, static_refcount, BASE_999999999) &&
		word + apart - base < 2 * apart);
}

/* Links of a gc head: both absent, or both plausible pointers. */
static inline bool pyr_gc_head_plausible(const struct pyr_classifier *c, const uint8_t *head)
{
	uint64_t next = pyr_load64(head), prev = pyr_load64(head + 8);
	int64_t refs;

	if (__builtin_expect(c->gc_refs, 0)) {
		/* objimpl.h: _PyGC_REFS_UNTRACKED -2, REACHABLE -3, TENTATIVELY_UNREACHABLE -4 */
		refs = (int64_t)pyr_load64(head + 16) >> 1;
		return refs >= -4 && refs != -1 && refs < (INT64_C(1) << 40);
	}
	if (!next)
		return prev <= 3;
	/* Nodes are multiples of 8, but heads may be of 4 (Debian's 3.13). */
	if (next < 4096 || next >> 47)
		return false;
	return !c->strict_prev || (prev >= 4096 && !(prev >> 47));
}

static inline bool pyr_gc_head_tracked(const struct pyr_classifier *c, const uint8_t *head)
{
	if (__builtin_expect(c->gc_refs, 0))
		return (int64_t)pyr_load64(head + 16) >> 1 != -2;
	return pyr_load64(head) != 0;
}

/* Does an instance of @kind with these first bytes fit into @room bytes? */
static inline bool pyr_type_facts_fits(const struct pyr_classifier *c,
				       const struct pyr_type_facts *kind, const uint8_t *object,
				       uint64_t room, uint32_t unit)
{
	uint64_t n, size = kind->need;
	uint32_t state;

	if (room < size)
		return false;
	if (kind->exact_class)
		return room - size < unit;
	if (kind->has_count) {
		n = pyr_load64(object + c->size_at);
		if (kind->measure == PYR_MEASURE_INT)
			n = c->int_tag ? n >> 3 : (int64_t)n < 0 ? -n : n;
		return n <= room && size + n * kind->itemsize <= room;
	}
	if (kind->is_str) {
		state = pyr_load32(object + c->str_state);
		n = pyr_load64(object + c->str_length);
		if (!(state >> c->compact_shift & 1))
			return room >= c->str_compact;
		if (state >> c->ascii_shift & 1)
			return n < room - c->str_ascii;
		return room >= c->str_compact && n <= room &&
		       (n + 1) * (state >> c->kind_shift & 7) <= room - c->str_compact;
	}
	return true;
}

/* The object in the allocated block of @size bytes at @block, or NULL. @offset:
 * of the object in the block. */
static inline __attribute__((always_inline)) struct pyr_type_facts *
pyr_classify(struct pyr_classifier *c, const uint8_t *block, uint32_t size, uint32_t *offset)
{
	uint32_t base = 0, at, unit = c->alignment;
	const uint8_t *object;
	struct pyr_type_facts *kind;
	uint64_t requested;

	if (__builtin_expect(c->debug_head != 0, 0)) {
		if (size < c->debug_total)
			return NULL;
		requested = __builtin_bswap64(pyr_load64(block));
		if (requested > size - c->debug_total)
			return NULL;
		base = c->debug_head;
		block += base;
		size = (uint32_t)requested;
		unit = 1;
	}
	if (size < c->type_at + 8)
		return NULL;
	if (pyr_refcount_in_block(c, pyr_load64(block + c->refcnt_at)) &&
	    (kind = pyr_classifier_kind(c, pyr_load64(block + c->type_at))) && !kind->before &&
	    pyr_type_facts_fits(c, kind, block, size, unit)) {
		*offset = base;
		return kind;
	}
	for (at = c->gc_head; at <= c->gc_head + 16; at += 16) {
		if (size < at + c->type_at + 8)
			return NULL;
		object = block + at;
		if (pyr_refcount_in_block(c, pyr_load64(object + c->refcnt_at)) &&
		    (kind = pyr_classifier_kind(c, pyr_load64(object + c->type_at))) &&
		    kind->before == at && pyr_gc_head_plausible(c, object - c->gc_head) &&
		    pyr_type_facts_fits(c, kind, object, size - at, unit)) {
			*offset = base + at;
			return kind;
		}
	}
	return NULL;
}

/* sys.getsizeof() of the instance of @kind at @addr, whose first need bytes are
 * at @object. */
uint64_t pyr_type_facts_measure(struct pyr_classifier *c, struct pyr_type_facts *kind,
				pyr_addr addr, const uint8_t *object);

/* The same through pyr_object_size() always. */
uint64_t pyr_type_facts_measure_slow(struct pyr_classifier *c, struct pyr_type_facts *kind,
				     pyr_addr addr);

/* sys.getsizeof(); inlined for what is commonest. */
static inline uint64_t pyr_type_facts_size(struct pyr_classifier *c, struct pyr_type_facts *kind,
					   pyr_addr addr, const uint8_t *object)
{
	if (kind->measure == PYR_MEASURE_FIXED && kind->probed)
		return kind->fixed_size;
	return pyr_type_facts_measure(c, kind, addr, object);
}

/* The buffers of references that the object owns apart from its own block, as a list does
 * its items: calls @fn for each range. */
void pyr_type_facts_buffers(struct pyr_classifier *c, const struct pyr_type_facts *kind,
			    pyr_addr addr, const uint8_t *object,
			    void (*fn)(void *ctx, pyr_addr start, uint64_t size), void *ctx);

#endif
