#include "analysis/cycle_kinds.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"

#define GRAIN 4096u
#define SAMPLE 64u /* cycles of a kind whose names are asked first */
#define COUNTED 3u /* more objects than these are just more */
#define WORKERS_MAX 64u

struct keys {
	PYR_VEC(uint64_t) v;
	bool out_of_memory;
};

struct naming {
	const struct pyr_cycles *cycles;
	const struct pyr_heap *heap;
	struct pyr_control *control;
	unsigned workers;
	struct keys keys[WORKERS_MAX];
	struct pyr_cycle_kind *kinds;
	uint32_t count;
};

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static const struct pyr_type *type_of(const struct naming *n, uint32_t place)
{
	return pyr_types_at(n->heap->types, n->heap->type[n->cycles->objects[place]]);
}

static bool in_component(const struct pyr_cycles *c, uint32_t place, uint32_t component)
{
	return place != PYR_NOT_IN_SUBSET && c->components.of[place] == component;
}

/* The references among a cycle's objects as a set, and how many objects it has unless
 * there are containers in it: a parent with two children is like one with seven. */
static uint64_t kind_of(struct keys *keys, uint32_t objects, bool containers)
{
	uint64_t h = containers ? 0 : objects < COUNTED ? objects : COUNTED, last = 0;
	size_t i;

	if (keys->v.count > 1)
		qsort(keys->v.data, keys->v.count, sizeof(*keys->v.data), by_value);
	for (i = 0; i < keys->v.count; i++) {
		if (i && keys->v.data[i] == last)
			continue;
		last = keys->v.data[i];
		h = mix(h, last);
	}
	return h;
}

/* Is it the dict of an instance, as far as can be seen without names? Then its items are
 * attributes. */
static bool may_be_instance_dict(const struct pyr_type *type)
{
	return type->shape == PYR_SHAPE_DICT && type->exact_shape;
}

/* --- by the model alone --- */

/* By place in the row: the attributes of like objects come in the same order. */
static uint64_t rough_key(const struct pyr_type *from, const struct pyr_type *to,
			  enum pyr_edge_kind kind, uint64_t number, uint64_t length)
{
	uint64_t h = mix(mix(mix(0, from->index), to->index), kind);

	switch (kind) {
	case PYR_EDGE_ATTRIBUTE:
	case PYR_EDGE_SLOT:
	case PYR_EDGE_FIELD:
	case PYR_EDGE_LOCAL:
	case PYR_EDGE_WORD:
		return mix(h, number);
	case PYR_EDGE_VALUE:
		return may_be_instance_dict(from) && length < 64 ? mix(h, number) : h;
	default:
		return h;
	}
}

static void rough_keys(struct naming *n, uint32_t component, struct keys *keys, uint32_t *objects,
		       bool *containers)
{
	const struct pyr_cycles *c = n->cycles;
	const struct pyr_graph *g = &c->model->graph, *sub = &c->graph;
	uint32_t i, place, id;
	uint64_t e, k;

	for (i = c->start[component]; i < c->start[component + 1]; i++) {
		place = c->order[i];
		id = c->objects[place];
		*objects += !may_be_instance_dict(type_of(n, place));
		k = sub->out_start[place];
		for (e = g->out_start[id]; e < g->out_start[id + 1]; e++) {
			enum pyr_edge_kind kind = PYR_MODEL_KIND(c->model->flags[e]);
			uint32_t target;

			if (!(c->model->flags[e] & PYR_MODEL_TRAVERSED) ||
			    k == sub->out_start[place + 1] || c->objects[sub->out[k]] != g->out[e])
				continue; /* the rows of both graphs have one order */
			target = sub->out[k++];
			if (!in_component(c, target, component))
				continue;
			*containers |= kind == PYR_EDGE_ITEM || kind == PYR_EDGE_KEY;
			if (!pyr_vec_push(&keys->v,
					  rough_key(type_of(n, place), type_of(n, target), kind,
						    e - g->out_start[id],
						    g->out_start[id + 1] - g->out_start[id])))
				keys->out_of_memory = true;
		}
	}
}

static pyr_error *rough_kinds(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct naming *n = ctx;
	struct keys *keys = &n->keys[worker];
	bool containers;
	uint32_t objects;

	for (; begin < end; begin++) {
		keys->v.count = 0;
		objects = 0;
		containers = false;
		rough_keys(n, n->kinds[begin].component, keys, &objects, &containers);
		n->kinds[begin].kind = kind_of(keys, objects, containers);
	}
	return keys->out_of_memory ? pyr_error_no_memory() : NULL;
}

/* --- by names --- */

struct walk {
	struct naming *n;
	struct keys *keys;
	const struct pyr_type *from;
	const struct pyr_subset *subset;
	uint32_t component;
	bool instance_dict, containers;
};

static void name_key(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct walk *w = ctx;
	const struct pyr_cycles *c = w->n->cycles;
	enum pyr_edge_kind kind = PYR_REF_KIND(label);
	uint32_t id, place;
	uint64_t h;

	if (!(label & PYR_REF_TRAVERSED) || (id = pyr_heap_id(w->n->heap, target)) == PYR_NO_ID)
		return;
	place = pyr_subset_place(w->subset, id);
	if (!in_component(c, place, w->component))
		return;
	h = mix(mix(mix(0, w->from->index), type_of(w->n, place)->index), kind);
	switch (kind) {
	case PYR_EDGE_FIELD:
		h = mix(h, PYR_REF_NAME(label));
		break;
	case PYR_EDGE_ATTRIBUTE:
	case PYR_EDGE_SLOT:
	case PYR_EDGE_LOCAL:
	case PYR_EDGE_WORD:
		h = mix(h, detail);
		break;
	case PYR_EDGE_VALUE:
		if (w->instance_dict)
			h = mix(h, detail);
		else
			w->containers = true;
		break;
	case PYR_EDGE_ITEM:
	case PYR_EDGE_KEY:
		w->containers = true;
		break;
	default:
		break;
	}
	if (!pyr_vec_push(&w->keys->v, h))
		w->keys->out_of_memory = true;
}

/* Is @place held as the __dict__ of one of the cycle's objects? */
static bool is_instance_dict(struct naming *n, uint32_t component, uint32_t place)
{
	const struct pyr_cycles *c = n->cycles;
	const struct pyr_graph *g = &c->model->graph;
	uint32_t i, id;
	uint64_t e;

	if (!may_be_instance_dict(type_of(n, place)))
		return false;
	if (c->components.size[component] > 64)
		return true;
	for (i = c->start[component]; i < c->start[component + 1]; i++) {
		id = c->objects[c->order[i]];
		if (type_of(n, c->order[i])->dictoffset == 0 &&
		    !type_of(n, c->order[i])->pre_header)
			continue;
		for (e = g->out_start[id]; e < g->out_start[id + 1]; e++)
			if (g->out[e] == c->objects[place] &&
			    (PYR_MODEL_KIND(c->model->flags[e]) == PYR_EDGE_FIELD ||
			     PYR_MODEL_KIND(c->model->flags[e]) == PYR_EDGE_WORD))
				return true;
	}
	return false;
}

static pyr_error *named_kind(struct naming *n, const struct pyr_subset *subset, uint32_t component,
			     uint64_t *ret)
{
	const struct pyr_cycles *c = n->cycles;
	struct walk w = {.n = n, .keys = &n->keys[0], .subset = subset, .component = component};
	uint32_t i, place, objects = 0;

	w.keys->v.count = 0;
	for (i = c->start[component]; i < c->start[component + 1]; i++) {
		place = c->order[i];
		w.from = type_of(n, place);
		w.instance_dict = is_instance_dict(n, component, place);
		objects += !w.instance_dict;
		pyr_model_walk(c->model, c->objects[place], name_key, &w);
	}
	if (w.keys->out_of_memory)
		return pyr_error_no_memory();
	*ret = kind_of(w.keys, objects, w.containers);
	return NULL;
}

static int by_kind(const void *a, const void *b)
{
	const struct pyr_cycle_kind *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->component < y->component ? -1 : x->component > y->component;
}

/* Kinds [first, end) are alike by the model; by names too? */
static pyr_error *name_run(struct naming *n, const struct pyr_subset *subset, uint32_t first,
			   uint32_t end)
{
	uint32_t step = (end - first + SAMPLE - 1) / SAMPLE, i;
	uint64_t kind, sample = 0;
	bool differ = false;
	pyr_error *err;

	for (i = first; i < end; i += step) {
		if ((err = named_kind(n, subset, n->kinds[i].component, &kind)))
			return err;
		differ |= i != first && kind != sample;
		sample = kind;
	}
	for (i = first; i < end; i++) {
		if (differ) {
			if ((err = named_kind(n, subset, n->kinds[i].component, &kind)))
				return err;
		} else {
			kind = sample;
		}
		n->kinds[i].kind = kind;
		if (i % 4096 == 0 && (err = pyr_control_check(n->control)))
			return err;
	}
	return NULL;
}

static pyr_error *name_all(struct naming *n, const struct pyr_subset *subset)
{
	uint32_t first, end;
	pyr_error *err;

	for (first = 0; first < n->count; first = end) {
		for (end = first + 1; end < n->count && n->kinds[end].kind == n->kinds[first].kind;
		     end++)
			;
		if ((err = name_run(n, subset, first, end)))
			return err;
	}
	return NULL;
}

pyr_error *pyr_cycle_kinds(const struct pyr_cycles *cycles, struct pyr_control *control,
			   struct pyr_cycle_kind **ret, uint32_t *count)
{
	struct naming n = {.cycles = cycles,
			   .heap = cycles->model->heap,
			   .control = control,
			   .workers = pyr_parallel_workers()};
	struct pyr_subset subset = {0};
	uint32_t component;
	pyr_error *err;
	unsigned w;

	for (component = 0; component < cycles->components.count; component++)
		n.count += pyr_cycles_is_cycle(cycles, component);
	n.kinds = malloc(((size_t)n.count + 1) * sizeof(*n.kinds));
	if (!n.kinds)
		return pyr_error_no_memory();
	n.count = 0;
	for (component = 0; component < cycles->components.count; component++)
		if (pyr_cycles_is_cycle(cycles, component))
			n.kinds[n.count++].component = component;
	err = pyr_parallel(control, "comparing cycles", n.workers, n.count, GRAIN, rough_kinds, &n);
	if (!err) {
		qsort(n.kinds, n.count, sizeof(*n.kinds), by_kind);
		err = pyr_subset_create(cycles->objects, cycles->count, n.heap->count, &subset);
	}
	if (!err && !(err = name_all(&n, &subset)))
		qsort(n.kinds, n.count, sizeof(*n.kinds), by_kind);
	pyr_subset_deinit(&subset);
	for (w = 0; w < WORKERS_MAX; w++)
		pyr_vec_deinit(&n.keys[w].v);
	if (err) {
		free(n.kinds);
		return err;
	}
	*ret = n.kinds;
	*count = n.count;
	return NULL;
}
