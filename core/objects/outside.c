/* Objects outside of pymalloc's arenas: larger than 512 bytes, static, or of a
 * process that runs without pymalloc. */
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "objects/chunk.h"
#include "objects/enumeration.h"
#include "runtime/access.h"
#include "values/values.h"

#define BODY_MAX (UINT64_C(1) << 40)
#define PIECE (UINT64_C(512) << 10) /* of a buffer, for one worker */
#define CHUNKS_MAX 4096             /* of a data stack */

static size_t table_slot(const struct pyr_enumeration *s, pyr_addr addr)
{
	size_t i = (size_t)((addr >> 3) * 0x9e3779b97f4a7c15u >> 17) & (s->table.capacity - 1);

	while (s->table.slots[i] && s->outside.data[s->table.slots[i] - 1].address != addr)
		i = (i + 1) & (s->table.capacity - 1);
	return i;
}

static bool table_grow(struct pyr_enumeration *s)
{
	size_t i, capacity = s->table.capacity ? s->table.capacity * 2 : 8192;
	uint32_t *slots = calloc(capacity, sizeof(*slots));

	if (!slots)
		return false;
	free(s->table.slots);
	s->table.slots = slots;
	s->table.capacity = capacity;
	for (i = 0; i < s->outside.count; i++)
		slots[table_slot(s, s->outside.data[i].address)] = (uint32_t)i + 1;
	return true;
}

/* The end of an object whose length is its own: a str, int, tuple, bytes. */
static pyr_addr end_of(const struct pyr_classifier *c, const struct pyr_type_facts *kind,
		       pyr_addr addr, const uint8_t *object)
{
	uint64_t n;
	uint32_t state;

	if (kind->has_count) {
		n = pyr_load64(object + c->size_at);
		if (kind->measure == PYR_MEASURE_INT)
			n = c->int_tag ? n >> 3 : (int64_t)n < 0 ? -n : n;
		return n > BODY_MAX ? UINT64_MAX : addr + kind->need + n * kind->itemsize;
	}
	if (kind->is_str) {
		n = pyr_load64(object + c->str_length);
		state = pyr_load32(object + c->str_state);
		if (n > BODY_MAX)
			return UINT64_MAX;
		if (!(state >> c->compact_shift & 1))
			return addr + kind->need;
		return addr + (state >> c->ascii_shift & 1
				       ? c->str_ascii + n
				       : c->str_compact + n * (state >> c->kind_shift & 7));
	}
	return addr + kind->need;
}

/* Does one stretch of mappings hold [start, end)? True where nothing is known. */
static bool is_mapped(const struct pyr_target *target, pyr_addr start, pyr_addr end)
{
	const struct pyr_mapping *m = pyr_target_mapping_at(target, start);
	const struct pyr_mapping *last = target->mappings.data + target->mappings.count;

	if (!m)
		return target->mappings.count == 0;
	while (m->end < end && m + 1 < last && m[1].start == m->end)
		m++;
	return m->end >= end;
}

/* On the main thread's stack there are words, and no objects. */
static bool is_stack(const struct pyr_target *target, pyr_addr addr)
{
	const struct pyr_mapping *m = pyr_target_mapping_at(target, addr);

	return m && m->path && !strcmp(m->path, "[stack]");
}

/* How many bytes of a type have to be there: of a C variable, the last of its library perhaps,
 * those of PyTypeObject, where tp_basicsize is that of heap types. 0: it is not ready.
 * *is_gc: typeobject.c, type_is_gc(). */
static uint64_t need_of_type(struct pyr_classifier *c, const struct pyr_type_facts *kind,
			     pyr_addr addr, bool *is_gc)
{
	uint64_t flags, size = pyr_sizeof(c->layout, PyTypeObject);

	if (!pyr_get_u64(c->layout, &c->reader, addr, PyTypeObject, tp_flags, &flags) ||
	    !(flags & PYR_TPFLAGS_READY))
		return 0;
	*is_gc = flags & PYR_TPFLAGS_HEAPTYPE;
	return !*is_gc && size && size < kind->need ? size : kind->need;
}

/* Is there an object at @addr, be it a block or not? Its kind, or NULL. *is_gc: it
 * has a gc head of its own (static types have none). */
static struct pyr_type_facts *check(struct pyr_enumeration *s, pyr_addr addr, bool *is_gc)
{
	struct pyr_classifier *c = &s->scanners[0]->classifier;
	bool is_static = pyr_target_image_at(s->python->target, addr) != NULL;
	struct pyr_type_facts *kind;
	const uint8_t *p;
	uint64_t need, count;

	/* What an allocator gave is aligned; only C variables need not be. */
	if (addr & (is_static ? 7 : 15))
		return NULL;
	if (!(p = pyr_peek(&c->reader, addr, c->type_at + 8)))
		return NULL;
	count = pyr_load64(p + c->refcnt_at);
	if (!(is_static ? pyr_refcount_in_static(c, count) : pyr_refcount_in_block(c, count)) ||
	    !(kind = pyr_classifier_kind(c, pyr_load64(p + c->type_at))))
		return NULL;
	*is_gc = kind->gc;
	need = kind->need;
	if (kind->type->shape == PYR_SHAPE_TYPE && !(need = need_of_type(c, kind, addr, is_gc)))
		return NULL;
	if (!(p = pyr_peek(&c->reader, addr, need)) ||
	    !is_mapped(s->python->target, addr,
		       need < kind->need ? addr + need : end_of(c, kind, addr, p)) ||
	    is_stack(s->python->target, addr))
		return NULL;
	if (*is_gc) {
		p = pyr_peek(&c->reader, addr - c->gc_head, c->gc_head);
		if (!p || !pyr_gc_head_plausible(c, p))
			*is_gc = false; /* a static instance, without a head */
		if (!*is_gc && !is_static)
			return NULL;
	}
	return kind;
}

static bool begins_chunk(struct pyr_enumeration *s, const struct pyr_type_facts *kind, bool is_gc,
			 pyr_addr addr)
{
	struct pyr_classifier *c = &s->scanners[0]->classifier;
	uint64_t before = is_gc || !kind->gc ? kind->before : 0;

	before += c->debug_head;
	return pyr_chunk_begins(&c->reader, addr - before, before + kind->need,
				s->types->blocks_limit);
}

/* Nobody but a word says that an object is there. Where all that are known begin a chunk of
 * malloc's, what begins none is something else: an entry of a hash table, say. Immortal
 * objects may be part of another structure. */
#define EVIDENCE 16u
static bool only_looks_like_one(struct pyr_enumeration *s, const struct pyr_type_facts *kind,
				bool is_gc, pyr_addr addr)
{
	struct pyr_classifier *c = &s->scanners[0]->classifier;
	int64_t refcount;
	bool immortal;

	return s->in_chunks >= EVIDENCE && s->in_no_chunk <= s->in_chunks / 64 &&
	       !pyr_target_image_at(s->python->target, addr) &&
	       pyr_object_refcount(c->layout, &c->reader, addr, &refcount, &immortal) &&
	       !immortal && !begins_chunk(s, kind, is_gc, addr);
}

/* May an object that is no block lie at @addr? */
static bool is_outside(const struct pyr_enumeration *s, pyr_addr addr)
{
	return pyr_pages_has(&s->pages, addr) && !pyr_obmalloc_arena_at(&s->obmalloc, addr);
}

/* Enter the object at @addr, if there is one. */
static pyr_error *enter(struct pyr_enumeration *s, pyr_addr addr, uint8_t found, bool *entered)
{
	struct pyr_outside object = {.address = addr, .found = found};
	struct pyr_type_facts *kind;
	bool is_gc;
	size_t i;

	*entered = false;
	if (s->outside.count * 2 >= s->table.capacity && !table_grow(s))
		return pyr_error_no_memory();
	i = table_slot(s, addr);
	if (s->table.slots[i]) {
		s->outside.data[s->table.slots[i] - 1].found |= found;
		return NULL;
	}
	kind = check(s, addr, &is_gc);
	if (!kind || (found & PYR_FOUND_GC_LIST && !is_gc))
		return NULL;
	if (found & PYR_FOUND_GC_LIST) {
		if (!pyr_target_image_at(s->python->target, addr))
			++*(begins_chunk(s, kind, is_gc, addr) ? &s->in_chunks : &s->in_no_chunk);
	} else if (only_looks_like_one(s, kind, is_gc, addr)) {
		return NULL;
	}
	object.type = kind->index;
	if (s->outside.count >= UINT32_MAX - 1 || !pyr_vec_push(&s->outside, object))
		return pyr_error_no_memory();
	s->table.slots[i] = (uint32_t)s->outside.count;
	*entered = true;
	return NULL;
}

/* Follow a list from a node outside of arenas until it is back in one, at a head,
 * or where another walk came by. */
static pyr_error *follow(struct pyr_enumeration *s, pyr_addr node)
{
	struct pyr_scanner *scanner = s->scanners[0];
	uint32_t head_size = scanner->classifier.gc_head;
	const uint8_t *head;
	uint64_t steps = 0;
	size_t before;
	bool entered;
	pyr_error *err;

	while (is_outside(s, node) && !pyr_lists_is_head(&s->lists, node)) {
		before = s->outside.count;
		if (!(++steps & 0xffff) && (err = pyr_control_check(s->control)))
			return err;
		if ((err = enter(s, node + head_size, PYR_FOUND_GC_LIST, &entered)))
			return err;
		if (!entered) {
			/* Known already (another predecessor claims it), or no object. */
			s->bad_links += s->outside.count == before;
			return NULL;
		}
		head = pyr_peek(&scanner->classifier.reader, node, head_size);
		if (!head)
			return NULL;
		pyr_scanner_sums(scanner, head, node);
		s->tracked++;
		node = pyr_load64(head) & ~UINT64_C(3);
	}
	return NULL;
}

static pyr_error *follow_links(struct pyr_enumeration *s)
{
	struct pyr_scanner *scanner;
	const uint8_t *head;
	pyr_addr node;
	pyr_error *err;
	unsigned w;
	size_t i;

	for (i = 0; i < s->lists.lists.count; i++) {
		head = pyr_peek(&s->scanners[0]->classifier.reader, s->lists.lists.data[i].head,
				16);
		if (head && (err = follow(s, pyr_load64(head) & ~UINT64_C(3))))
			return err;
	}
	for (w = 0; w < s->workers; w++) {
		scanner = s->scanners[w];
		while (scanner->links.count) {
			node = scanner->links.data[--scanner->links.count];
			if ((err = follow(s, node)))
				return err;
		}
	}
	return NULL;
}

/* How many bytes of the object hold references, from the object on. */
static uint64_t body_size(struct pyr_enumeration *s, const struct pyr_type_facts *kind,
			  pyr_addr addr)
{
	struct pyr_classifier *c = &s->scanners[0]->classifier;
	const struct pyr_type *type = kind->type;
	uint64_t n, size = kind->need;
	const uint8_t *p;
	pyr_error *err;
	bool exact;

	if (kind->has_count) {
		if (!pyr_try_u64(&c->reader, addr + c->size_at, &n) ||
		    n > BODY_MAX / kind->itemsize)
			return size;
		return size + n * kind->itemsize;
	}
	switch (type->shape) {
	case PYR_SHAPE_FRAME:
	case PYR_SHAPE_GENERATOR:
	case PYR_SHAPE_COROUTINE:
	case PYR_SHAPE_ASYNC_GENERATOR:
		err = pyr_object_size(c->types, &c->far, type, addr, &n, &exact);
		if (!err && n > size + kind->before && n < BODY_MAX)
			size = n - kind->before;
		pyr_error_destroy(err);
		return size;
	default:
		break;
	}
	/* Inline values lie behind the instance: a header whose first byte is their number. */
	if (type->flags & c->layout->type_flags & PYR_TPFLAGS_INLINE_VALUES &&
	    (p = pyr_peek(&c->reader, addr + size, 1)))
		size += 8 + 8u * *p;
	return size;
}

/* Note the references of one object. */
static void scan_object(struct pyr_enumeration *s, const struct pyr_outside *object)
{
	struct pyr_scanner *scanner = s->scanners[0];
	struct pyr_classifier *c = &scanner->classifier;
	struct pyr_type_facts *kind =
		pyr_classifier_kind(c, pyr_types_at(s->types, object->type)->address);
	pyr_addr dict;
	const uint8_t *p;

	if (!kind)
		return;
	if (pyr_pages_has(&s->pages, kind->type->address))
		pyr_scanner_note_slow(scanner, kind->type->address);
	if (kind->leaf)
		return;
	pyr_scanner_buffer(scanner, object->address + c->type_at + 8,
			   body_size(s, kind, object->address) - c->type_at - 8);
	if (kind->type->pre_header)
		pyr_scanner_buffer(scanner, object->address - kind->before, kind->type->pre_header);
	/* Behind the items, for those of an int or a tuple with attributes. */
	if (kind->type->dictoffset < 0 &&
	    (dict = pyr_object_dict(s->types, &c->far, kind->type, object->address)) &&
	    pyr_pages_has(&s->pages, dict))
		pyr_scanner_note_slow(scanner, dict);
	if ((kind->owns_buffer || kind->type->pre_header) &&
	    (p = pyr_peek(&c->reader, object->address, kind->need)))
		pyr_type_facts_buffers(c, kind, object->address, p, pyr_scanner_buffer, scanner);
}

struct pieces {
	struct pyr_enumeration *s;
	struct pyr_range_list ranges;
};

static pyr_error *scan_pieces(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct pieces *p = ctx;

	for (; begin < end; begin++)
		pyr_scanner_range(p->s->scanners[worker], p->ranges.v.data[begin].start,
				  p->ranges.v.data[begin].end - p->ranges.v.data[begin].start);
	return pyr_scanner_check(p->s->scanners[worker]);
}

/* Note the words of all buffers that were handed in so far. */
static pyr_error *drain_buffers(struct pyr_enumeration *s)
{
	struct pieces pieces = {.s = s};
	struct pyr_scanner *scanner;
	struct pyr_range r, part;
	/* Through a read function a range ends where reading fails. */
	bool split = pyr_target_concurrent(s->python->target);
	uint64_t total = 0;
	pyr_error *err;
	unsigned w;
	size_t i;
	int known;

	for (w = 0; w < s->workers; w++) {
		scanner = s->scanners[w];
		for (i = 0; i < scanner->buffers.v.count; i++) {
			r = scanner->buffers.v.data[i];
			known = pyr_address_hash_add(&s->buffers, r.start);
			for (; r.start < r.end && known > 0; r.start = part.end) {
				part = r;
				if (split && r.end - r.start > PIECE)
					part.end = r.start + PIECE;
				/* What the target lacks is not worth a list of pieces. */
				if (!pyr_pages_has(&s->pages, part.start))
					break;
				if (!pyr_vec_push(&pieces.ranges.v, part))
					known = -1;
				total += part.end - part.start;
			}
			if (known < 0) {
				pyr_vec_deinit(&pieces.ranges.v);
				return pyr_error_no_memory();
			}
		}
		scanner->buffers.v.count = 0;
	}
	err = pyr_parallel(s->control, NULL, total > PIECE ? s->workers : 1, pieces.ranges.v.count,
			   16, scan_pieces, &pieces);
	pyr_vec_deinit(&pieces.ranges.v);
	return err;
}

static pyr_error *drain_candidates(struct pyr_enumeration *s)
{
	struct pyr_scanner *scanner;
	pyr_error *err;
	pyr_addr addr;
	bool entered;
	unsigned w;

	for (w = 0; w < s->workers; w++) {
		scanner = s->scanners[w];
		while (scanner->candidates.count) {
			addr = scanner->candidates.data[--scanner->candidates.count];
			if (is_outside(s, addr) &&
			    (err = enter(s, addr, PYR_FOUND_REACHED, &entered)))
				return err;
		}
	}
	return NULL;
}

static void struct_range(struct pyr_scanner *scanner, pyr_addr start, uint32_t size)
{
	if (start && size)
		pyr_scanner_range(scanner, start, size);
}

/* The data stack of a thread: interpreter frames of 3.11+, up to its top. */
static void stack_chunks(struct pyr_enumeration *s, pyr_addr thread)
{
	const struct pyr_layout *l = &s->python->layout;
	struct pyr_reader *far = &s->scanners[0]->classifier.far;
	int32_t at = pyr_offset(l, PyThreadState, datastack_chunk);
	int32_t previous = pyr_offset(l, _PyStackChunk, previous);
	int32_t size = pyr_offset(l, _PyStackChunk, size),
		data = pyr_offset(l, _PyStackChunk, data);
	pyr_addr chunk;
	uint64_t bytes;
	unsigned i;

	if (at < 0 || previous < 0 || size < 0 || data < 0 ||
	    !pyr_try_u64(far, thread + (uint64_t)at, &chunk))
		return;
	for (i = 0; chunk && i < CHUNKS_MAX; i++) {
		if (!pyr_try_u64(far, chunk + (uint64_t)size, &bytes) || bytes > BODY_MAX)
			return;
		pyr_scanner_range(s->scanners[0], chunk + (uint64_t)data, bytes - (uint64_t)data);
		if (!pyr_try_u64(far, chunk + (uint64_t)previous, &chunk))
			return;
	}
}

/* What the interpreter itself refers to: its structures, its threads', its static
 * variables, and the types that were met. */
static void note_roots(struct pyr_enumeration *s)
{
	const struct pyr_layout *l = &s->python->layout;
	struct pyr_scanner *scanner = s->scanners[0];
	pyr_addr ranges[16][2];
	size_t i, n;
	unsigned k;

	struct_range(scanner, s->python->runtime, pyr_sizeof(l, _PyRuntimeState));
	for (i = 0; i < s->python->interpreters.count; i++)
		struct_range(scanner, s->python->interpreters.data[i].address,
			     pyr_sizeof(l, PyInterpreterState));
	for (i = 0; i < s->python->threads.count; i++) {
		struct_range(scanner, s->python->threads.data[i].address,
			     pyr_sizeof(l, PyThreadState));
		stack_chunks(s, s->python->threads.data[i].address);
	}
	if (s->python->image) {
		n = pyr_image_writable(s->python->target, s->python->image, ranges, 16);
		for (i = 0; i < n && i < 16; i++)
			pyr_scanner_range(scanner, ranges[i][0], ranges[i][1] - ranges[i][0]);
	}
	for (k = 0; k < PYR_KNOWN_COUNT; k++)
		if (pyr_pages_has(&s->pages, s->python->known[k]))
			pyr_scanner_note_slow(scanner, s->python->known[k]);
	for (k = 0; k < pyr_types_count(s->types); k++)
		if (pyr_pages_has(&s->pages, pyr_types_at(s->types, k)->address))
			pyr_scanner_note_slow(scanner, pyr_types_at(s->types, k)->address);
}

/* Everything that the objects outside refer to, and so on. */
static pyr_error *close_over(struct pyr_enumeration *s, size_t *done)
{
	struct pyr_outside object;
	pyr_error *err;
	unsigned w;

	do {
		if ((err = drain_buffers(s)) || (err = drain_candidates(s)))
			return err;
		while (*done < s->outside.count) {
			object = s->outside.data[(*done)++];
			scan_object(s, &object);
			if (!(*done & 0xffff) &&
			    (err = pyr_control_progress(s->control, "objects outside of arenas",
							*done, 0)))
				return err;
		}
		for (w = 0; w < s->workers; w++)
			if ((err = pyr_scanner_check(s->scanners[w])))
				return err;
		for (w = 0; w < s->workers; w++)
			if (s->scanners[w]->buffers.v.count || s->scanners[w]->candidates.count)
				break;
	} while (w < s->workers);
	return NULL;
}

/* Did the scan of the arenas take the block at this object for an object? */
static bool was_scanned(struct pyr_enumeration *s, pyr_addr addr)
{
	const struct pyr_arena *arena = pyr_obmalloc_arena_at(&s->obmalloc, addr);
	struct pyr_classifier *c = &s->scanners[0]->classifier;
	pyr_addr at = addr & ~(pyr_addr)(s->obmalloc.pool_size - 1);
	uint32_t offset, in_block;
	struct pyr_pool pool;

	if (!arena || at < arena->first_pool || at >= arena->pool_end ||
	    pyr_pool_header(&s->obmalloc, &c->reader, at, &pool) != PYR_POOL_LIVE)
		return false;
	offset = (uint32_t)(addr - at);
	if (offset < PYR_POOL_HEADER || offset >= pool.end)
		return false;
	offset -= (offset - PYR_POOL_HEADER) % pool.block_size;
	return pyr_classify(c, pool.bytes + offset, pool.block_size, &in_block) &&
	       at + offset + in_block == addr;
}

struct missing {
	struct pyr_enumeration *s;
	pyr_error *err;
};

static void enter_missing(void *ctx, size_t list, pyr_addr object)
{
	struct missing *m = ctx;
	bool entered;

	(void)list;
	if (m->err || was_scanned(m->s, object))
		return;
	m->err = enter(m->s, object, PYR_FOUND_GC_LIST, &entered);
	m->s->tracked += entered;
}

/* The lists contradict what was found: what they hold are objects all the same. */
static pyr_error *walk_for_missing(struct pyr_enumeration *s)
{
	struct pyr_reader *far = &s->scanners[0]->classifier.far;
	struct missing missing = {.s = s};
	pyr_error *err;

	pyr_lists_rewind(&s->lists);
	err = pyr_lists_walk_rest(&s->lists, far, s->control, enter_missing, &missing);
	pyr_lists_rewind(&s->lists);
	if (err && missing.err) {
		pyr_error_destroy(missing.err);
		return err;
	}
	return err ? err : missing.err;
}

pyr_error *pyr_enumeration_tracked(struct pyr_enumeration *s)
{
	pyr_error *err;
	unsigned w;

	for (w = 0; w < s->workers; w++)
		s->tracked += s->scanners[w]->tracked;
	if ((err = follow_links(s)))
		return err;
	s->proven = pyr_lists_proven(&s->lists, &s->scanners[0]->classifier.reader,
				     (const struct pyr_scanner *const *)s->scanners, s->workers);
	return NULL;
}

pyr_error *pyr_enumeration_outside(struct pyr_enumeration *s)
{
	size_t done = 0;
	pyr_error *err;

	if ((err = pyr_enumeration_tracked(s)))
		return err;
	note_roots(s);
	if ((err = close_over(s, &done)))
		return err;
	if (s->proven || s->lists.collecting)
		return NULL;
	err = walk_for_missing(s);
	return err ? err : close_over(s, &done);
}
