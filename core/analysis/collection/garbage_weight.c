/* What goes with unreachable objects: untracked ones that nobody else owns, and the bytes.
 *
 * Freeing is played through: an object of the set lets go of what it owns; what has no
 * reference left then is freed and lets go in turn, as _Py_Dealloc() would. The set is cut
 * into pieces that any thread takes, with all that only they own. What several references
 * hold is counted by each thread for itself; once all are done the counts are added up, and
 * what they free is freed by the calling thread.
 *
 * Objects are walked by their addresses: what is not tracked needs no id. Memory is asked
 * for well before it is read, for nothing here is near to anything else. */
#include <stdlib.h>
#include <string.h>

#include "analysis/collection/garbage.h"
#include "analysis/collection/release_counts.h"
#include "analysis/collection/walk_cache.h"
#include "base/parallel.h"
#include "references/refs_walk.h"

#define GRAIN 2048u
#define SIZE_LIMIT (UINT64_C(1) << 47)
#define PENDING 256u /* targets that are looked at together */
/* Objects between asking for memory and using it: first for their own, then for what their
 * pointers lead to. */
#define AHEAD 24u
#define AHEAD_BEHIND 12u

/* An object that lets go of what it owns. */
struct item {
	pyr_addr address;
	uint32_t type;  /* its index */
	uint32_t owner; /* place in the set of who lets go of it last; its own, of a member */
};

struct weight_worker {
	struct weigher *w;
	struct pyr_classifier classifier; /* its readers are the worker's */
	bool alone;                       /* the calling thread, after the others */
	bool out_of_memory;
	struct pyr_walk_cache walk_cache;
	PYR_VEC(struct item) wave, next, deferred;
	struct pyr_release_counts shares;
	uint64_t tracked, owned, owned_count, native, owned_tracked, owned_tracked_bytes;
	uint32_t owner; /* of what is told now */
	uint32_t pending_count;
	struct {
		pyr_addr address;
		uint32_t owner;
	} pending[PENDING];
};

struct weigher {
	struct pyr_garbage *garbage;
	struct pyr_control *control;
	struct pyr_heap *heap;
	struct pyr_traverse *traverse;
	struct pyr_refs *refs;
	const struct pyr_layout *layout;
	uint64_t *weights;              /* by place, or NULL; a worker has those of its pieces */
	struct pyr_address_bitmap gone; /* the set, and what was freed with it */
	bool concurrent;                /* all memory is at hand */
	unsigned workers;
	struct weight_worker *worker;
};

/* --- bytes --- */

/* Has the type data of its own outside of Python's heap? */
static bool may_be_native(const struct pyr_type *type)
{
	return type->shape == PYR_SHAPE_NDARRAY || type->shape == PYR_SHAPE_BYTEARRAY ||
	       type->shape == PYR_SHAPE_ARRAY;
}

static uint64_t weigh(struct weight_worker *k, struct pyr_type_facts *kind, pyr_addr addr,
		      uint32_t owner)
{
	struct pyr_classifier *c = &k->classifier;
	const uint8_t *bytes = pyr_peek(&c->reader, addr, kind->need);
	uint64_t size;

	if (!bytes)
		return 0;
	size = pyr_type_facts_size(c, kind, addr, bytes);
	if (size > SIZE_LIMIT)
		return 0;
	if (may_be_native(kind->type))
		k->native += pyr_native_bytes(k->w->heap->types, &c->far, kind->type, addr);
	if (k->w->weights)
		k->w->weights[owner] += size;
	return size;
}

static void weigh_owned(struct weight_worker *k, struct pyr_type_facts *kind, pyr_addr addr,
			uint32_t owner)
{
	uint64_t bytes = weigh(k, kind, addr, owner);
	uint32_t id;

	k->owned += bytes;
	if (kind->gc && (id = pyr_heap_id(k->w->heap, addr)) != PYR_NO_ID &&
	    k->w->heap->generation[id] != PYR_GEN_UNTRACKED) {
		k->owned_tracked++;
		k->owned_tracked_bytes += bytes;
	}
}

/* --- letting go --- */

/* What the word of a reference count says. */
static uint32_t references_in(const struct weigher *w, uint64_t word)
{
	int32_t count = pyr_count_of(pyr_trait(w->layout, immortal_encoding), word);

	return count == PYR_COUNT_NONE ? PYR_RELEASED_NEVER : (uint32_t)count;
}

/* The last reference to the object at @addr is gone. */
static void free_object(struct weight_worker *k, pyr_addr addr, uint32_t owner)
{
	struct pyr_classifier *c = &k->classifier;
	struct pyr_type_facts *kind;
	struct pyr_cached_walk *way;
	uint64_t type, added;

	if (!pyr_try_u64(&c->far, addr + c->type_at, &type) ||
	    !(kind = pyr_classifier_kind(c, type)))
		return;
	if (!pyr_address_bitmap_add_word(&k->w->gone, addr & ~UINT64_C(511),
					 UINT64_C(1) << (addr >> 3 & 63), &added) ||
	    !(way = pyr_walk_cache_of(&k->walk_cache, kind))) {
		k->out_of_memory = true;
		return;
	}
	/* Freed by another thread meanwhile: its count is wrong. */
	if (!added)
		return;
	k->owned_count++;
	if (way->walked == PYR_WALKED_NEVER)
		weigh_owned(k, kind, addr, owner);
	else if (!pyr_vec_push(&k->next, (struct item){addr, kind->index, owner}))
		k->out_of_memory = true;
}

static void let_go_again(struct weight_worker *k, struct pyr_release_count *share, uint32_t owner)
{
	if (share->left == PYR_RELEASED_NEVER || !share->left)
		return;
	if (share->owner < owner)
		share->owner = owner;
	if (!--share->left)
		free_object(k, share->address, share->owner);
}

static void let_go(struct weight_worker *k, pyr_addr addr, uint32_t owner)
{
	struct pyr_release_count *share;
	uint32_t references;
	uint64_t word;

	/* Perhaps just now. */
	if (pyr_address_bitmap_has(&k->w->gone, addr))
		return;
	if ((share = pyr_release_counts_find(&k->shares, addr))) {
		let_go_again(k, share, owner);
		return;
	}
	if (!pyr_try_u64(&k->classifier.far, addr + k->classifier.refcnt_at, &word))
		return;
	references = references_in(k->w, word);
	if (references == 1)
		free_object(k, addr, owner);
	else if (!pyr_release_counts_add(&k->shares,
					 (struct pyr_release_count){addr,
								    references == PYR_RELEASED_NEVER
									    ? PYR_RELEASED_NEVER
									    : references - 1,
								    owner}))
		k->out_of_memory = true;
}

static __attribute__((noinline)) void flush(struct weight_worker *k)
{
	uint32_t i, n = 0, owner;
	struct pyr_release_count *share;
	const void *header;
	pyr_addr addr;

	for (i = 0; i < k->pending_count; i++) {
		addr = k->pending[i].address;
		owner = k->pending[i].owner;
		if (pyr_address_bitmap_has(&k->w->gone, addr))
			continue;
		if ((share = pyr_release_counts_find(&k->shares, addr))) {
			let_go_again(k, share, owner);
			continue;
		}
		if (!(header = pyr_peek(&k->classifier.far, addr, 16)))
			continue;
		__builtin_prefetch(header);
		k->pending[n].address = addr;
		k->pending[n++].owner = owner;
	}
	for (i = 0; i < n; i++)
		let_go(k, k->pending[i].address, k->pending[i].owner);
	k->pending_count = 0;
}

PYR_INLINE void take(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct weight_worker *k = ctx;

	(void)detail;
	if (!(label & PYR_REF_OWNED) || !pyr_address_bitmap_takes(target))
		return;
	__builtin_prefetch(pyr_address_bitmap_word(&k->w->gone, target));
	if (k->pending_count == PENDING)
		flush(k);
	k->pending[k->pending_count].address = target;
	k->pending[k->pending_count++].owner = k->owner;
}

static void take_any(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	take(ctx, target, label, detail);
}

/* --- walking --- */

/* All that is called on the way, take() above all, belongs into this function. */
__attribute__((flatten)) static bool walk_natively(struct weight_worker *k,
						   const struct pyr_cached_walk *way, pyr_addr addr)
{
	struct pyr_walk walk = {.refs = k->w->refs,
				.reader = &k->classifier.reader,
				.type = way->kind->type,
				.plan = way->plan,
				.addr = addr,
				.fn = take,
				.ctx = k};

	if (!k->alone && pyr_walk_must_ask(walk.refs, walk.reader, walk.plan, addr))
		return false;
	pyr_walk_object(&walk);
	return true;
}

/* False: only the calling thread can. */
static bool walk_otherwise(struct weight_worker *k, const struct pyr_type *type, pyr_addr addr)
{
	struct pyr_reader *reader = &k->classifier.reader;
	bool damaged;

	if (!k->alone)
		return pyr_traverse_learned(k->w->traverse, reader, type, addr, take_any, k,
					    &damaged);
	pyr_traverse_walk(k->w->traverse, reader, type, addr, take_any, k);
	return true;
}

static void walk(struct weight_worker *k, const struct pyr_cached_walk *way,
		 const struct item *item)
{
	bool done = true;

	k->owner = item->owner;
	if (way->walked == PYR_WALKED_NATIVELY)
		done = walk_natively(k, way, item->address);
	else if (way->walked == PYR_WALKED_OTHERWISE)
		done = walk_otherwise(k, way->kind->type, item->address);
	if (!done && !pyr_vec_push(&k->deferred, *item))
		k->out_of_memory = true;
}

/* Ask for the object's memory, with what lies before it. */
static void ask(struct weight_worker *k, const struct item *item)
{
	const struct pyr_cached_walk *way = pyr_walk_cache_at(&k->walk_cache, item->type);
	const uint8_t *bytes;
	uint32_t before;

	if (!way)
		return;
	before = way->kind->before;
	bytes = pyr_peek(&k->classifier.reader, item->address - before, before + 16);
	if (!bytes)
		return;
	if (before > 16)
		__builtin_prefetch(bytes);
	__builtin_prefetch(bytes + before);
	__builtin_prefetch(bytes + before + 40);
}

/* Ask for the memory that the object's pointers lead to. */
static void ask_behind(struct weight_worker *k, const struct item *item)
{
	const struct pyr_cached_walk *way = pyr_walk_cache_at(&k->walk_cache, item->type);
	struct pyr_reader *reader = &k->classifier.reader;
	const uint8_t *bytes;
	pyr_addr to;
	unsigned i;

	if (!way || !way->plan)
		return;
	for (i = 0; i < PYR_PLAN_POINTERS && way->plan->pointers[i]; i++)
		if (pyr_try_u64(reader, item->address + (pyr_addr)(int64_t)way->plan->pointers[i],
				&to) &&
		    to && (bytes = pyr_peek(reader, to + (to & 1), 8))) {
			__builtin_prefetch(bytes);
			__builtin_prefetch(bytes + 64);
		}
}

/* Every object of the wave is weighed and lets go of what it owns; what that frees and may
 * own more is the next wave. */
static pyr_error *walk_wave(struct weight_worker *k, bool members)
{
	const struct item *items = k->wave.data;
	size_t n = k->wave.count, i;
	struct pyr_cached_walk *way;
	pyr_error *err;

	for (i = 0; i < n; i++) {
		if (k->w->concurrent && i + AHEAD < n)
			ask(k, &items[i + AHEAD]);
		if (k->w->concurrent && i + AHEAD_BEHIND < n)
			ask_behind(k, &items[i + AHEAD_BEHIND]);
		if (!(way = pyr_walk_cache_at(&k->walk_cache, items[i].type))) {
			k->out_of_memory = true;
			break;
		}
		if (members)
			k->tracked += weigh(k, way->kind, items[i].address, items[i].owner);
		else
			weigh_owned(k, way->kind, items[i].address, items[i].owner);
		walk(k, way, &items[i]);
		if (k->alone && i % 4096 == 0 &&
		    (err = pyr_control_progress(k->w->control, "weighing", i, n)))
			return err;
	}
	flush(k);
	if (k->out_of_memory)
		return pyr_error_no_memory();
	err = pyr_reader_check(&k->classifier.reader);
	return err ? err : pyr_reader_check(&k->classifier.far);
}

/* Waves until nothing more is freed. */
static pyr_error *walk_freed(struct weight_worker *k)
{
	struct item *data;
	size_t capacity;
	pyr_error *err;

	while (k->next.count) {
		data = k->wave.data;
		capacity = k->wave.capacity;
		k->wave.data = k->next.data;
		k->wave.capacity = k->next.capacity;
		k->wave.count = k->next.count;
		k->next.data = data;
		k->next.capacity = capacity;
		k->next.count = 0;
		if ((err = walk_wave(k, false)))
			return err;
	}
	return NULL;
}

/* --- the set --- */

static pyr_error *mark_members(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct weigher *w = ctx;
	pyr_addr addr, at = 0;
	uint64_t bits = 0, added;

	(void)worker;
	for (; begin < end; begin++) {
		if (end - begin > AHEAD)
			__builtin_prefetch(&w->heap->address[w->garbage->objects[begin + AHEAD]]);
		addr = w->heap->address[w->garbage->objects[begin]];
		if (addr >> 9 != at >> 9 && bits) {
			if (!pyr_address_bitmap_add_word(&w->gone, at, bits, &added))
				return pyr_error_no_memory();
			bits = 0;
		}
		at = addr & ~UINT64_C(511);
		bits |= UINT64_C(1) << (addr >> 3 & 63);
	}
	return !bits || pyr_address_bitmap_add_word(&w->gone, at, bits, &added)
		       ? NULL
		       : pyr_error_no_memory();
}

static pyr_error *weigh_piece(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct weigher *w = ctx;
	struct weight_worker *k = &w->worker[worker];
	const uint32_t *objects = w->garbage->objects;
	pyr_error *err;
	size_t i;

	k->wave.count = 0;
	if (!pyr_vec_reserve(&k->wave, end - begin))
		return pyr_error_no_memory();
	for (i = begin; i < end; i++) {
		if (end - i > AHEAD) {
			__builtin_prefetch(&w->heap->address[objects[i + AHEAD]]);
			__builtin_prefetch(&w->heap->type[objects[i + AHEAD]]);
		}
		k->wave.data[k->wave.count++] = (struct item){
			w->heap->address[objects[i]], w->heap->type[objects[i]], (uint32_t)i};
	}
	err = walk_wave(k, true);
	return err ? err : walk_freed(k);
}

/* --- what no thread could decide for itself --- */

/* Let go of all that @share tells another thread let go of. */
static void add_share(struct weight_worker *k, const struct pyr_release_count *share)
{
	struct pyr_release_count *own;
	uint64_t word;

	if (share->left == PYR_RELEASED_NEVER ||
	    pyr_address_bitmap_has(&k->w->gone, share->address))
		return;
	if (!(own = pyr_release_counts_find(&k->shares, share->address))) {
		if (!pyr_release_counts_add(&k->shares, *share))
			k->out_of_memory = true;
		return;
	}
	if (own->left == PYR_RELEASED_NEVER ||
	    !pyr_try_u64(&k->classifier.far, share->address + k->classifier.refcnt_at, &word))
		return;
	if (own->owner < share->owner)
		own->owner = share->owner;
	word = references_in(k->w, word) - (uint64_t)share->left; /* let go of by the other */
	own->left = word < own->left ? own->left - (uint32_t)word : 0;
	if (!own->left)
		free_object(k, own->address, own->owner);
}

static pyr_error *weigh_rest(struct weigher *w)
{
	struct weight_worker *first = w->worker, *k;
	pyr_error *err;
	unsigned i;
	size_t s;

	first->alone = true;
	for (i = 1; i < w->workers; i++) {
		k = &w->worker[i];
		for (s = 0; s <= k->shares.mask; s++)
			if (k->shares.slots[s].address)
				add_share(first, &k->shares.slots[s]);
		pyr_release_counts_deinit(&k->shares);
	}
	for (i = 0; i < w->workers; i++) {
		k = &w->worker[i];
		for (s = 0; s < k->deferred.count; s++) {
			const struct item *item = &k->deferred.data[s];
			const struct pyr_cached_walk *way =
				pyr_walk_cache_at(&first->walk_cache, item->type);

			if (!way)
				return pyr_error_no_memory();
			walk(first, way, item);
			if (s % 4096 == 0 && (err = pyr_control_progress(w->control, "asking types",
									 s, k->deferred.count)))
				return err;
		}
	}
	flush(first);
	if (first->out_of_memory)
		return pyr_error_no_memory();
	return walk_freed(first);
}

/* --- all --- */

static pyr_error *prepare(struct weigher *w)
{
	pyr_error *err = pyr_address_bitmap_init(&w->gone);
	struct weight_worker *k;
	unsigned i;

	if (err)
		return err;
	w->worker = calloc(w->workers, sizeof(*w->worker));
	if (!w->worker)
		return pyr_error_no_memory();
	for (i = 0; i < w->workers && !err; i++) {
		k = &w->worker[i];
		k->w = w;
		k->walk_cache =
			(struct pyr_walk_cache){.classifier = &k->classifier, .refs = w->refs};
		if (!(err = pyr_classifier_init(&k->classifier, w->heap->types, true)))
			err = pyr_release_counts_init(&k->shares);
	}
	return err;
}

static void finish(struct weigher *w)
{
	struct pyr_garbage *g = w->garbage;
	unsigned i;

	for (i = 0; w->worker && i < w->workers; i++) {
		struct weight_worker *k = &w->worker[i];

		g->tracked_bytes += k->tracked;
		g->owned_count += k->owned_count;
		g->owned_bytes += k->owned;
		g->native_bytes += k->native;
		g->owned_tracked += k->owned_tracked;
		g->owned_tracked_bytes += k->owned_tracked_bytes;
		pyr_classifier_deinit(&k->classifier);
		pyr_release_counts_deinit(&k->shares);
		pyr_vec_deinit(&k->wave);
		pyr_vec_deinit(&k->next);
		pyr_vec_deinit(&k->deferred);
		pyr_walk_cache_deinit(&k->walk_cache);
	}
	free(w->worker);
}

pyr_error *pyr_garbage_weigh(struct pyr_garbage *g, struct pyr_control *control, uint64_t *weights,
			     struct pyr_address_bitmap *gone)
{
	struct pyr_python *python = pyr_types_python(g->model->heap->types);
	struct weigher w = {
		.garbage = g,
		.control = control,
		.heap = g->model->heap,
		.traverse = g->model->traverse,
		.refs = pyr_traverse_refs(g->model->traverse),
		.layout = &python->layout,
		.weights = weights,
		.concurrent = pyr_target_concurrent(python->target),
	};
	pyr_error *err;

	w.workers = w.concurrent ? pyr_parallel_workers() : 1;
	g->tracked_bytes = g->owned_count = g->owned_bytes = g->native_bytes = 0;
	g->owned_tracked = g->owned_tracked_bytes = 0;
	if (!(err = prepare(&w)) &&
	    !(err = pyr_parallel(control, NULL, w.workers, g->count, GRAIN, mark_members, &w)) &&
	    !(err = pyr_parallel(control, "weighing", w.workers, g->count, GRAIN, weigh_piece, &w)))
		err = weigh_rest(&w);
	finish(&w);
	if (err || !gone)
		pyr_address_bitmap_deinit(&w.gone);
	else
		*gone = w.gone;
	return err;
}
