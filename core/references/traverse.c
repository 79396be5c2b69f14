#include "references/traverse.h"

#include <stdlib.h>

#include "references/emulator.h"
#include "references/refs_plan.h"
#include "runtime/access.h"
#include "values/values.h"

#define OFFSETS_MAX 64u /* words of an instance that a learned function may read */
#define PATTERNS_MAX 32u
#define RECHECK_EVERY 256u
#define NAMED_MAX 4096u  /* bytes of an instance in which visited words are looked for */
#define INFER_MAX 65536u /* bytes of an instance that are looked at for pointers */

/* One call that was seen: which words it read, and which of them were not NULL. */
struct pattern {
	uint64_t read, present;
};

struct learned {
	bool rejected;
	uint32_t offsets[OFFSETS_MAX];
	uint32_t offset_count, pattern_count, since_check;
	struct pattern patterns[PATTERNS_MAX];
	const char *fell_back; /* why the last emulation was abandoned */
};

struct pyr_traverse {
	struct pyr_types *types;
	struct pyr_refs *refs;
	struct pyr_emulator *emulator;
	const char *no_emulation;
	struct learned **learned; /* by type index */
	uint32_t capacity;
	uint64_t counts[PYR_WAY_COUNT];
	uint64_t damaged;
	bool (*known)(void *ctx, pyr_addr target); /* NULL: of no object */
	void *known_ctx;
};

static bool ask_target(void *ctx, const struct pyr_type *type, pyr_addr object, pyr_addr target,
		       size_t *visited)
{
	struct pyr_traverse *h = ctx;
	struct pyr_emulated_call call;
	const char *why;
	size_t i;

	if (!h->emulator || !pyr_emulator_traverse(h->emulator, type->traverse, object,
						   (uint64_t)type->basicsize, &call, &why))
		return false;
	*visited = target ? 0 : call.visited_count;
	for (i = 0; target && i < call.visited_count; i++)
		*visited += call.visited[i] == target;
	return true;
}

/* Functions of CPython ask which interpreter runs: the thread that holds its lock knows. */
static void use_running_thread(struct pyr_traverse *h)
{
	const struct pyr_python *python = pyr_types_python(h->types);
	size_t i;

	for (i = 0; h->emulator && i < python->threads.count; i++) {
		const struct pyr_python_thread *t = &python->threads.data[i];

		if (t->holds_gil && t->os_thread >= 0 &&
		    (size_t)t->os_thread < python->target->threads.count) {
			pyr_emulator_use_thread(h->emulator,
						python->target->threads.data[t->os_thread].tls);
			return;
		}
	}
}

pyr_error *pyr_traverse_create(struct pyr_types *types, struct pyr_traverse **ret)
{
	struct pyr_traverse *h = calloc(1, sizeof(*h));
	pyr_error *err;

	if (!h)
		return pyr_error_no_memory();
	h->types = types;
	if ((err = pyr_refs_create(types, &h->refs)) ||
	    (err = pyr_emulator_create(pyr_types_python(types)->target, &h->emulator,
				       &h->no_emulation))) {
		pyr_traverse_destroy(h);
		return err;
	}
	if (h->emulator)
		use_running_thread(h);
	pyr_refs_ask(h->refs, ask_target, h);
	*ret = h;
	return NULL;
}

void pyr_traverse_destroy(struct pyr_traverse *h)
{
	uint32_t i;

	if (!h)
		return;
	for (i = 0; i < h->capacity; i++)
		free(h->learned[i]);
	free(h->learned);
	pyr_emulator_destroy(h->emulator);
	pyr_refs_destroy(h->refs);
	free(h);
}

struct pyr_refs *pyr_traverse_refs(struct pyr_traverse *h)
{
	return h->refs;
}

bool pyr_traverse_is_gc(struct pyr_traverse *h, pyr_addr is_gc, pyr_addr addr)
{
	const char *why;
	int answer;

	return h->emulator && pyr_emulator_ask(h->emulator, is_gc, addr, &answer, &why) && answer;
}

uint64_t pyr_traverse_damaged(const struct pyr_traverse *h)
{
	return h->damaged;
}

const uint64_t *pyr_traverse_counts(const struct pyr_traverse *h)
{
	return h->counts;
}

const char *pyr_traverse_no_emulation(const struct pyr_traverse *h)
{
	return h->emulator ? NULL : h->no_emulation;
}

void pyr_traverse_fallbacks(const struct pyr_traverse *h,
			    void (*fn)(void *ctx, const struct pyr_type *type, const char *why),
			    void *ctx)
{
	uint32_t i;

	for (i = 0; i < h->capacity; i++)
		if (h->learned[i] && h->learned[i]->fell_back)
			fn(ctx, pyr_types_at(h->types, i), h->learned[i]->fell_back);
}

static struct learned *learnt_of(struct pyr_traverse *h, const struct pyr_type *type)
{
	uint32_t wanted = type->index + 1, i;
	struct learned **grown;

	if (wanted > h->capacity) {
		wanted = wanted < 1024 ? 1024 : wanted * 2;
		grown = realloc(h->learned, wanted * sizeof(*grown));
		if (!grown)
			return NULL;
		for (i = h->capacity; i < wanted; i++)
			grown[i] = NULL;
		h->learned = grown;
		h->capacity = wanted;
	}
	if (!h->learned[type->index])
		h->learned[type->index] = calloc(1, sizeof(struct learned));
	return h->learned[type->index];
}

/* --- learning --- */

/* The bit of @offset in patterns, giving it one; OFFSETS_MAX: no more room. */
static uint32_t bit_of(struct learned *k, uint32_t offset)
{
	uint32_t i;

	for (i = 0; i < k->offset_count; i++)
		if (k->offsets[i] == offset)
			return i;
	if (k->offset_count == OFFSETS_MAX)
		return OFFSETS_MAX;
	k->offsets[k->offset_count] = offset;
	return k->offset_count++;
}

static void learn(struct learned *k, const struct pyr_emulated_call *call)
{
	struct pattern p = {0};
	uint32_t i, bit;
	size_t r;

	if (k->rejected)
		return;
	if (!call->fixed_fields) {
		k->rejected = true;
		return;
	}
	for (r = 0; r < call->read_count; r++) {
		bit = bit_of(k, call->reads[r].offset);
		if (bit == OFFSETS_MAX) {
			k->rejected = true;
			return;
		}
		p.read |= UINT64_C(1) << bit;
		if (call->reads[r].value)
			p.present |= UINT64_C(1) << bit;
	}
	for (i = 0; i < k->pattern_count; i++) {
		if (k->patterns[i].present == p.present && k->patterns[i].read == p.read)
			return;
	}
	/* A function of many patterns is cheaper to emulate than to look up. */
	if (k->pattern_count == PATTERNS_MAX)
		k->rejected = true;
	else
		k->patterns[k->pattern_count++] = p;
}

/* The words of the object at the known offsets; which are there is a bit mask. */
static bool read_words(const struct learned *k, struct pyr_reader *reader, pyr_addr addr,
		       uint64_t words[OFFSETS_MAX], uint64_t *present)
{
	uint32_t i;

	*present = 0;
	for (i = 0; i < k->offset_count; i++) {
		if (!pyr_try_u64(reader, addr + k->offsets[i], &words[i]))
			return false;
		if (words[i])
			*present |= UINT64_C(1) << i;
	}
	return true;
}

static const struct pattern *match(const struct learned *k, uint64_t present)
{
	uint32_t i;

	for (i = 0; i < k->pattern_count; i++)
		if ((present & k->patterns[i].read) == k->patterns[i].present)
			return &k->patterns[i];
	return NULL;
}

static void tell_word(const struct pyr_traverse *h, uint32_t offset, pyr_addr target, pyr_ref_fn fn,
		      void *ctx)
{
	const struct pyr_layout *l = &pyr_types_python(h->types)->layout;
	bool type = (int32_t)offset == pyr_offset(l, PyObject, ob_type);

	fn(ctx, target, (type ? PYR_EDGE_TYPE : PYR_EDGE_WORD) | PYR_REF_TRAVERSED | PYR_REF_OWNED,
	   offset);
}

/* False, and nothing told, when what was learned does not say. */
static bool tell_learnt(const struct pyr_traverse *h, const struct learned *k,
			struct pyr_reader *reader, pyr_addr addr, pyr_ref_fn fn, void *ctx)
{
	uint64_t words[OFFSETS_MAX], present;
	const struct pattern *p;
	uint32_t i;

	if (k->rejected || !k->pattern_count || !read_words(k, reader, addr, words, &present) ||
	    !(p = match(k, present)))
		return false;
	for (i = 0; i < k->offset_count; i++)
		if (p->present & UINT64_C(1) << i)
			tell_word(h, k->offsets[i], words[i], fn, ctx);
	return true;
}

static bool walk_learnt(struct pyr_traverse *h, struct learned *k, struct pyr_reader *reader,
			pyr_addr addr, pyr_ref_fn fn, void *ctx)
{
	return ++k->since_check % RECHECK_EVERY && tell_learnt(h, k, reader, addr, fn, ctx);
}

/* --- emulation --- */

/* Where in the instance the visited pointer lies, if it does: names the edge. Words that
 * are equal are visited one after the other; @named has a bit for each that was. */
static uint64_t word_offset(struct pyr_reader *reader, pyr_addr addr, uint64_t size,
			    pyr_addr target, uint64_t named[NAMED_MAX / 512])
{
	uint64_t offset, word, *bits;

	for (offset = 8; offset + 8 <= size && offset < NAMED_MAX; offset += 8) {
		bits = &named[offset / 512];
		if (!(*bits >> offset / 8 % 64 & 1) && pyr_try_u64(reader, addr + offset, &word) &&
		    word == target) {
			*bits |= UINT64_C(1) << offset / 8 % 64;
			return offset;
		}
	}
	return UINT64_MAX;
}

static bool walk_emulated(struct pyr_traverse *h, struct learned *k, struct pyr_reader *reader,
			  const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn, void *ctx)
{
	struct pyr_emulated_call call;
	const char *why = h->no_emulation;
	uint64_t offset, named[NAMED_MAX / 512] = {0};
	size_t i;

	if (!h->emulator || !pyr_emulator_traverse(h->emulator, type->traverse, addr,
						   (uint64_t)type->basicsize, &call, &why)) {
		k->fell_back = why;
		return false;
	}
	learn(k, &call);
	/* Told as it will be from now on. */
	if (tell_learnt(h, k, reader, addr, fn, ctx))
		return true;
	for (i = 0; i < call.visited_count; i++) {
		offset = word_offset(reader, addr, (uint64_t)type->basicsize, call.visited[i],
				     named);
		if (offset != UINT64_MAX)
			tell_word(h, (uint32_t)offset, call.visited[i], fn, ctx);
		else
			fn(ctx, call.visited[i],
			   PYR_EDGE_VISITED | PYR_REF_TRAVERSED | PYR_REF_OWNED, i);
	}
	return true;
}

/* --- inference --- */

void pyr_traverse_bound(struct pyr_traverse *h, bool (*known)(void *ctx, pyr_addr target),
			void *ctx)
{
	h->known = known;
	h->known_ctx = ctx;
}

static void guess(const struct pyr_traverse *h, pyr_addr target, enum pyr_edge_kind kind,
		  uint64_t detail, pyr_ref_fn fn, void *ctx)
{
	if (!h->known || !h->known(h->known_ctx, target))
		fn(ctx, target, kind | PYR_REF_INFERRED, detail);
}

struct guessing {
	const struct pyr_traverse *h;
	pyr_ref_fn fn;
	void *ctx;
	uint64_t count;
};

static bool guess_value(void *ctx, const char *name, pyr_addr value)
{
	struct guessing *g = ctx;

	(void)name;
	guess(g->h, value, PYR_EDGE_VISITED, g->count++, g->fn, g->ctx);
	return true;
}

/* Attributes that lie before or behind the instance: whether its tp_traverse visits them
 * cannot be asked. */
static void guess_attributes(struct pyr_traverse *h, struct pyr_reader *reader,
			     const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn, void *ctx)
{
	struct guessing g = {.h = h, .fn = fn, .ctx = ctx};
	pyr_addr dict;

	if (!(type->flags & PYR_TPFLAGS_MANAGED_DICT))
		return;
	dict = pyr_object_dict(h->types, reader, type, addr);
	if (dict)
		guess_value(&g, NULL, dict);
	else
		pyr_error_destroy(pyr_object_attributes(h->types, reader, addr, guess_value, &g));
}

/* Words of the instance that are the start of an object of a known type. They
 * keep alive, and are never subtracted from a reference count. */
static void walk_inferred(struct pyr_traverse *h, struct pyr_reader *reader,
			  const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn, void *ctx)
{
	const struct pyr_layout *l = &pyr_types_python(h->types)->layout;
	uint64_t size = (uint64_t)type->basicsize, items = 0, offset, word, header;

	if (type->itemsize > 0 && pyr_get_u64(l, reader, addr, PyVarObject, ob_size, &items) &&
	    items < INFER_MAX)
		size += items * (uint64_t)type->itemsize;
	header = pyr_sizeof(l, PyObject);
	for (offset = header; offset + 8 <= size && offset < INFER_MAX; offset += 8) {
		pyr_addr its_type;

		if (!pyr_try_u64(reader, addr + offset, &word) || !word || word % 8 ||
		    word == addr ||
		    !pyr_try_u64(reader, word + (pyr_addr)pyr_offset(l, PyObject, ob_type),
				 &its_type) ||
		    !pyr_types_find(h->types, its_type))
			continue;
		guess(h, word, PYR_EDGE_WORD, offset, fn, ctx);
	}
	guess_attributes(h, reader, type, addr, fn, ctx);
}

static void walk_natively(struct pyr_traverse *h, struct pyr_reader *reader,
			  const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn, void *ctx)
{
	h->damaged += pyr_refs_walk(h->refs, reader, type, addr, fn, ctx) == PYR_REFS_DAMAGED;
}

/* Was the type among what was told? And what is only visited, for others own it. */
struct noticing {
	pyr_ref_fn fn;
	void *ctx;
	bool through;
	struct pyr_visited visited;
};

static void notice_type(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct noticing *n = ctx;

	n->visited.type |= PYR_REF_KIND(label) == PYR_EDGE_TYPE;
	if (PYR_REF_KIND(label) == PYR_EDGE_WORD && detail / 8 < PYR_VISITED_WORDS)
		n->visited.words[detail / 512] |= UINT64_C(1) << (detail / 8 % 64);
	if (n->through && PYR_REF_KIND(label) == PYR_EDGE_VISITED)
		label &= ~PYR_REF_OWNED;
	n->fn(n->ctx, target, label, detail);
}

/* @check: do not trust what was learned. */
static enum pyr_traverse_method walk_asking(struct pyr_traverse *h, struct pyr_reader *reader,
					    const struct pyr_type *type, enum pyr_coverage coverage,
					    pyr_addr addr, bool check, pyr_ref_fn fn, void *ctx)
{
	const struct pyr_type *asked =
		coverage == PYR_REFS_UNKNOWN ? pyr_refs_traverse_type(h->refs, reader, type) : type;
	struct noticing seen = {
		.fn = fn,
		.ctx = ctx,
		.through = pyr_refs_visits_through(h->refs, reader, type, addr),
	};
	struct learned *k = learnt_of(h, asked);
	enum pyr_traverse_method way = PYR_WAY_INFERRED;

	if (k && !check && walk_learnt(h, k, reader, addr, notice_type, &seen))
		way = PYR_WAY_LEARNED;
	else if (k && walk_emulated(h, k, reader, asked, addr, notice_type, &seen))
		way = PYR_WAY_EMULATED;
	else if (coverage == PYR_REFS_PARTIAL) /* what is known of the layout is still exact */
		walk_natively(h, reader, type, addr, fn, ctx);
	else
		walk_inferred(h, reader, asked, addr, fn, ctx);
	if (way != PYR_WAY_INFERRED || coverage == PYR_REFS_UNKNOWN)
		h->damaged += !pyr_refs_walk_unvisited(
			h->refs, reader, type, addr, way != PYR_WAY_INFERRED ? &seen.visited : NULL,
			fn, ctx);
	return way;
}

/* A type that is a C variable, of a metatype of an extension (numpy's dtypes): it is no
 * object of the collector's (type_is_gc(), typeobject.c), so that its traverse function is
 * never called, and need not bear to be. It is walked as `type` is then, NULL otherwise. */
static const struct pyr_type *as_static_type(struct pyr_traverse *h, struct pyr_reader *reader,
					     const struct pyr_type *type, pyr_addr addr)
{
	const struct pyr_python *python = pyr_types_python(h->types);
	uint64_t flags;

	if (type->shape != PYR_SHAPE_TYPE ||
	    !pyr_get_u64(&python->layout, reader, addr, PyTypeObject, tp_flags, &flags) ||
	    flags & PYR_TPFLAGS_HEAPTYPE)
		return NULL;
	return pyr_types_find(h->types, python->known[PYR_KNOWN_TYPE_TYPE]);
}

static enum pyr_traverse_method walk(struct pyr_traverse *h, struct pyr_reader *reader,
				     const struct pyr_type *type, pyr_addr addr, bool check,
				     pyr_ref_fn fn, void *ctx)
{
	const struct pyr_type *plain;
	enum pyr_traverse_method way = PYR_WAY_NATIVE;
	enum pyr_coverage coverage;

	pyr_refs_verify_type_visit(h->refs, reader, type, addr);
	coverage = pyr_refs_coverage(h->refs, reader, type);
	switch (coverage) {
	case PYR_REFS_NATIVE:
	case PYR_REFS_DAMAGED:
		walk_natively(h, reader, type, addr, fn, ctx);
		break;
	case PYR_REFS_NONE:
		walk_natively(h, reader, type, addr, fn, ctx);
		way = PYR_WAY_NONE;
		break;
	case PYR_REFS_PARTIAL:
	case PYR_REFS_UNKNOWN:
		plain = as_static_type(h, reader, type, addr);
		if (plain && plain != type)
			walk_natively(h, reader, plain, addr, fn, ctx);
		else
			way = walk_asking(h, reader, type, coverage, addr, check, fn, ctx);
		break;
	}
	h->counts[way]++;
	return way;
}

enum pyr_traverse_method pyr_traverse_walk(struct pyr_traverse *h, struct pyr_reader *reader,
					   const struct pyr_type *type, pyr_addr addr,
					   pyr_ref_fn fn, void *ctx)
{
	return walk(h, reader, type, addr, false, fn, ctx);
}

enum pyr_traverse_method pyr_traverse_check(struct pyr_traverse *h, struct pyr_reader *reader,
					    const struct pyr_type *type, pyr_addr addr,
					    pyr_ref_fn fn, void *ctx)
{
	return walk(h, reader, type, addr, true, fn, ctx);
}

bool pyr_traverse_learned(const struct pyr_traverse *h, struct pyr_reader *reader,
			  const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn, void *ctx,
			  bool *damaged)
{
	struct noticing seen = {.fn = fn, .ctx = ctx};
	const struct pyr_type *asked = pyr_refs_traverse_type(h->refs, reader, type);
	const struct learned *k = asked->index < h->capacity ? h->learned[asked->index] : NULL;

	if (!k || pyr_refs_coverage(h->refs, reader, type) != PYR_REFS_UNKNOWN ||
	    pyr_refs_owner_walker(h->refs, reader, type) != PYR_WALK_UNKNOWN ||
	    pyr_refs_must_ask(h->refs, reader, type, addr) ||
	    !tell_learnt(h, k, reader, addr, notice_type, &seen))
		return false;
	*damaged = !pyr_refs_walk_unvisited(h->refs, reader, type, addr, &seen.visited, fn, ctx);
	return true;
}

void pyr_traverse_count_learned(struct pyr_traverse *h, uint64_t count)
{
	h->counts[PYR_WAY_LEARNED] += count;
}
