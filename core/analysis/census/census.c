/* The fast census: a stream over arenas, lists and what lies outside, counting
 * by type as it goes. Only short gc lists are walked; the members of the longest
 * generation are the tracked objects that are on no other list (objects/lists.h). */
#include "analysis/census/census.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/census/census_table.h"
#include "base/parallel.h"
#include "objects/enumeration.h"

#define RING 16 /* dicts whose keys are on their way into the cache */

struct waiting {
	struct pyr_type_facts *kind;
	bool tracked;
	pyr_addr address;
	uint8_t head[64]; /* the dict's own words */
};

struct census_worker {
	bool sizes;
	struct pyr_tally all_sizes[PYR_CENSUS_SIZES], tracked_sizes[PYR_CENSUS_SIZES];
	struct waiting ring[RING];
	unsigned next;
};

struct census_stream {
	struct pyr_enumeration enumeration;
	const struct pyr_census_options *options;
	struct census_worker *workers;
	struct pyr_census_tally *lists; /* one per gc list */
	bool failed;                    /* out of memory in a callback */
};

static inline void tally(struct census_worker *w, struct pyr_type_facts *kind, bool tracked,
			 uint64_t size)
{
	unsigned class;

	kind->all.count++;
	kind->all.bytes += size;
	if (tracked) {
		kind->tracked.count++;
		kind->tracked.bytes += size;
	}
	if (!w->sizes)
		return;
	class = pyr_census_size_class(size);
	w->all_sizes[class].count++;
	w->all_sizes[class].bytes += size;
	if (tracked) {
		w->tracked_sizes[class].count++;
		w->tracked_sizes[class].bytes += size;
	}
}

static void finish_waiting(struct census_worker *w, struct pyr_classifier *c, struct waiting *d)
{
	if (d->kind)
		tally(w, d->kind, d->tracked, pyr_type_facts_size(c, d->kind, d->address, d->head));
	d->kind = NULL;
}

/* The keys of a dict are far away: ask for them now and measure it later. */
static void put_off(struct census_worker *w, struct pyr_classifier *c, struct pyr_type_facts *kind,
		    pyr_addr addr, const uint8_t *object, bool tracked)
{
	struct waiting *d = &w->ring[w->next++ % RING];
	const uint8_t *keys;

	finish_waiting(w, c, d);
	d->kind = kind;
	d->tracked = tracked;
	d->address = addr;
	memcpy(d->head, object, c->dict_values + 8);
	keys = pyr_peek(&c->far, pyr_load64(object + c->dict_keys), c->keys_header);
	__builtin_prefetch(keys);
}

static inline void count_object(struct pyr_scanner *s, struct pyr_type_facts *kind, pyr_addr addr,
				const uint8_t *object, bool tracked, void *ctx)
{
	struct census_worker *w = ctx;

	if (kind->measure == PYR_MEASURE_DICT &&
	    s->classifier.dict_values + 8 <= sizeof(w->ring[0].head))
		put_off(w, &s->classifier, kind, addr, object, tracked);
	else
		tally(w, kind, tracked, pyr_type_facts_size(&s->classifier, kind, addr, object));
}

static pyr_error *scan_arenas(void *ctx, unsigned index, size_t begin, size_t end)
{
	struct census_stream *st = ctx;
	struct pyr_scanner *s = st->enumeration.scanners[index];
	struct census_worker *w = &st->workers[index];
	unsigned i;

	for (; begin < end; begin++)
		pyr_scan_arena(s, &st->enumeration.obmalloc.arenas.data[begin], true, count_object,
			       w);
	for (i = 0; i < RING; i++)
		finish_waiting(w, &s->classifier, &w->ring[i]);
	return pyr_scanner_check(s);
}

/* A node of a list that is walked. */
static void count_node(void *ctx, size_t list, pyr_addr object)
{
	struct census_stream *st = ctx;
	struct pyr_classifier *c = &st->enumeration.scanners[0]->classifier;
	struct pyr_census_tally *t = &st->lists[list];
	struct pyr_type_facts *kind = NULL;
	const uint8_t *p;
	uint64_t size = 0;
	unsigned class;

	p = pyr_peek(&c->far, object, c->type_at + 8);
	if (p && pyr_refcount_plausible(c, pyr_load64(p + c->refcnt_at)))
		kind = pyr_classifier_kind(c, pyr_load64(p + c->type_at));
	if (!kind)
		return; /* no object, whatever the list says */
	if (st->options->generation >= 0) {
		size = pyr_type_facts_measure_slow(c, kind, object);
		class = pyr_census_size_class(size);
		if (st->options->size_histogram) {
			t->sizes[class].count++;
			t->sizes[class].bytes += size;
		}
	}
	if (!pyr_census_tally_add(t, kind->index, 1, size))
		st->failed = true;
}

static pyr_error *add_outside(struct census_stream *st, struct pyr_census_tally *all,
			      struct pyr_census_tally *tracked, struct pyr_census *ret)
{
	struct pyr_enumeration *s = &st->enumeration;
	struct pyr_classifier *c = &s->scanners[0]->classifier;
	const struct pyr_outside *o;
	struct pyr_type_facts *kind;
	uint64_t size;
	unsigned class;
	pyr_error *err;
	size_t i;
	bool on_list;

	for (i = 0; i < s->outside.count; i++) {
		o = &s->outside.data[i];
		if (!(i & 0xffff) && (err = pyr_control_check(s->control)))
			return err;
		kind = pyr_classifier_kind(c, pyr_types_at(s->types, o->type)->address);
		if (!kind)
			continue;
		on_list = o->found & PYR_FOUND_GC_LIST;
		size = pyr_type_facts_measure_slow(c, kind, o->address);
		class = pyr_census_size_class(size);
		if (!pyr_census_tally_add(all, o->type, 1, size) ||
		    (on_list && !pyr_census_tally_add(tracked, o->type, 1, size)))
			return pyr_error_no_memory();
		if (st->options->size_histogram) {
			all->sizes[class].count++;
			all->sizes[class].bytes += size;
			tracked->sizes[class].count += on_list;
			tracked->sizes[class].bytes += on_list ? size : 0;
		}
		ret->only_gc_list += o->found == PYR_FOUND_GC_LIST;
		ret->only_reached += o->found == PYR_FOUND_REACHED;
	}
	return NULL;
}

/* Everything that the workers counted in the arenas. */
static pyr_error *add_arenas(struct census_stream *st, struct pyr_census_tally *all,
			     struct pyr_census_tally *tracked, struct pyr_census *ret)
{
	struct pyr_type_facts **kinds;
	unsigned w, k;
	uint32_t i;

	for (w = 0; w < st->enumeration.workers; w++) {
		kinds = st->enumeration.scanners[w]->classifier.kinds;
		for (i = 0; i < st->enumeration.scanners[w]->classifier.kind_count; i++)
			if (kinds[i] && (!pyr_census_tally_add(all, i, kinds[i]->all.count,
							       kinds[i]->all.bytes) ||
					 !pyr_census_tally_add(tracked, i, kinds[i]->tracked.count,
							       kinds[i]->tracked.bytes)))
				return pyr_error_no_memory();
		for (k = 0; k < PYR_CENSUS_SIZES; k++) {
			all->sizes[k].count += st->workers[w].all_sizes[k].count;
			all->sizes[k].bytes += st->workers[w].all_sizes[k].bytes;
			tracked->sizes[k].count += st->workers[w].tracked_sizes[k].count;
			tracked->sizes[k].bytes += st->workers[w].tracked_sizes[k].bytes;
		}
		ret->only_block +=
			st->enumeration.scanners[w]->objects - st->enumeration.scanners[w]->tracked;
	}
	return NULL;
}

/* Where tracked objects belong that are on no list that was walked. */
struct destination {
	size_t interpreter;
	enum pyr_generation generation;
};

static struct destination remainder_of(const struct pyr_enumeration *s)
{
	const struct pyr_lists *l = &s->lists;
	size_t i;

	if (l->has_rest)
		return (struct destination){l->rest_interpreter, l->rest_generation};
	if (l->collecting)
		return (struct destination){0, PYR_GEN_COLLECTING};
	for (i = 0; i < l->lists.count; i++)
		if (l->lists.data[i].broken)
			return (struct destination){l->lists.data[i].interpreter,
						    l->lists.data[i].generation};
	return (struct destination){0, l->lists.count ? PYR_GEN_UNTRACKED : PYR_GEN_2};
}

/* Add @t, the members of one generation, to what it counts for. */
static bool place(struct census_stream *st, const struct pyr_census_tally *t, struct destination d,
		  struct pyr_census_tally *selected, struct pyr_census_tally *gc,
		  struct pyr_census *ret)
{
	uint64_t n = pyr_census_tally_count(t);

	ret->by_generation[d.generation] += n;
	if (d.interpreter < ret->interpreters)
		ret->by_interpreter[d.interpreter * PYR_GEN_COUNT + d.generation] += n;
	if (st->options->generation >= 0 &&
	    d.generation != (enum pyr_generation)st->options->generation)
		return true;
	if (d.generation <= PYR_GEN_2 && !pyr_census_tally_merge(gc, t))
		return false;
	return st->options->generation < 0 || pyr_census_tally_merge(selected, t);
}

static pyr_error *assemble(struct census_stream *st, struct pyr_census *ret)
{
	struct pyr_census_tally all = {0}, tracked = {0}, selected = {0}, gc = {0};
	struct pyr_enumeration *s = &st->enumeration;
	uint32_t i, types = pyr_types_count(s->types);
	uint64_t objects, on_lists;
	bool *inexact = calloc(types + 1, sizeof(*inexact));
	pyr_error *err;
	unsigned w;
	size_t k;

	ret->interpreters = s->python->interpreters.count;
	ret->by_interpreter = calloc(ret->interpreters * PYR_GEN_COUNT + 1, sizeof(uint64_t));
	if (!inexact || !ret->by_interpreter) {
		err = pyr_error_no_memory();
		goto out;
	}
	if ((err = add_arenas(st, &all, &tracked, ret)) ||
	    (err = add_outside(st, &all, &tracked, ret)))
		goto out;
	objects = pyr_census_tally_count(&all);
	err = pyr_error_no_memory();
	for (k = 0; k < s->lists.lists.count; k++) {
		const struct pyr_list *list = &s->lists.lists.data[k];

		if (!pyr_census_tally_subtract(&tracked, &st->lists[k]) ||
		    !place(st, &st->lists[k],
			   (struct destination){list->interpreter, list->generation}, &selected,
			   &gc, ret))
			goto out;
	}
	if (!place(st, &tracked, remainder_of(s), &selected, &gc, ret))
		goto out;
	for (i = 0, on_lists = 0; i < PYR_GEN_COUNT; i++)
		on_lists += i == PYR_GEN_UNTRACKED ? 0 : ret->by_generation[i];
	ret->by_generation[PYR_GEN_UNTRACKED] = objects > on_lists ? objects - on_lists : 0;
	if (ret->interpreters)
		ret->by_interpreter[PYR_GEN_UNTRACKED] = ret->by_generation[PYR_GEN_UNTRACKED];
	ret->proven = s->proven;
	for (w = 0; w < s->workers; w++)
		for (i = 0; i < s->scanners[w]->classifier.kind_count && i < types; i++)
			inexact[i] |= s->scanners[w]->classifier.kinds[i] &&
				      s->scanners[w]->classifier.kinds[i]->inexact;
	err = pyr_census_fill(s->types, st->options->generation < 0 ? &all : &selected, &gc,
			      inexact, types, ret);
out:
	free(inexact);
	pyr_census_tally_deinit(&all);
	pyr_census_tally_deinit(&tracked);
	pyr_census_tally_deinit(&selected);
	pyr_census_tally_deinit(&gc);
	return err;
}

static void forget_nodes(struct census_stream *st)
{
	size_t i;

	for (i = 0; st->lists && i < st->enumeration.lists.lists.count; i++)
		pyr_census_tally_deinit(&st->lists[i]);
}

static pyr_error *take(struct census_stream *st, struct pyr_control *control,
		       struct pyr_census *ret)
{
	struct pyr_enumeration *s = &st->enumeration;
	struct pyr_reader *far = &s->scanners[0]->classifier.far;
	pyr_error *err;
	unsigned i;

	st->workers = calloc(s->workers, sizeof(*st->workers));
	st->lists = calloc(s->lists.lists.count + 1, sizeof(*st->lists));
	if (!st->workers || !st->lists)
		return pyr_error_no_memory();
	for (i = 0; i < s->workers; i++)
		st->workers[i].sizes = st->options->size_histogram;
	if ((err = pyr_lists_walk(&s->lists, far, control, count_node, st)) ||
	    (err = pyr_parallel(control, "reading arenas", s->workers, s->obmalloc.arenas.count, 4,
				scan_arenas, st)) ||
	    (err = pyr_enumeration_outside(s)))
		return err;
	if (!s->proven) {
		/* The lists were rewound; during a collection they were walked to the end. */
		if (!s->lists.collecting)
			forget_nodes(st);
		if ((err = pyr_lists_walk_rest(&s->lists, far, control, count_node, st)))
			return err;
	}
	if (st->failed)
		return pyr_error_no_memory();
	pyr_enumeration_diagnose(s);
	return assemble(st, ret);
}

pyr_error *pyr_census_run(struct pyr_types *types, struct pyr_control *control,
			  const struct pyr_census_options *options, struct pyr_census *ret)
{
	struct census_stream st = {.options = options};
	struct pyr_census census;
	pyr_error *err;

	memset(&census, 0, sizeof(census));
	if ((err = pyr_enumeration_open(types, control, &st.enumeration)))
		return err;
	err = take(&st, control, &census);
	forget_nodes(&st);
	free(st.lists);
	free(st.workers);
	pyr_enumeration_close(&st.enumeration);
	if (err)
		pyr_census_deinit(&census);
	else
		*ret = census;
	return err;
}
