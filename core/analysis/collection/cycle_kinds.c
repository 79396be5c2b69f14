#include "analysis/collection/cycle_kinds.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"

#define SAMPLE 64u /* cycles of a kind whose names are asked first */
#define COUNTED 3u /* more objects than these are just more */
#define FEW 32u    /* keys that are sorted by insertion */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static void sort_keys(uint64_t *keys, size_t count)
{
	uint64_t key;
	size_t i, k;

	if (count > FEW) {
		qsort(keys, count, sizeof(*keys), pyr_by_word);
		return;
	}
	for (i = 1; i < count; i++) {
		key = keys[i];
		for (k = i; k > 0 && keys[k - 1] > key; k--)
			keys[k] = keys[k - 1];
		keys[k] = key;
	}
}

static const struct pyr_type *type_of(const struct pyr_heap *heap, uint32_t id)
{
	return pyr_types_at(heap->types, heap->type[id]);
}

/* The references among a cycle's objects as a set, and how many objects it has unless
 * there are containers in it: a parent with two children is like one with seven. */
static uint64_t kind_of(struct pyr_cycle_keys *keys, uint32_t objects, bool containers)
{
	uint64_t h = containers ? 0 : objects < COUNTED ? objects : COUNTED, last = 0;
	size_t i;

	sort_keys(keys->v.data, keys->v.count);
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
static uint64_t rough_key(const struct pyr_type *from, uint64_t ends, uint32_t label,
			  uint64_t length)
{
	enum pyr_edge_kind kind = PYR_MODEL_KIND(PYR_CYCLE_FLAGS(label));
	uint64_t h = mix(ends, kind);

	switch (kind) {
	case PYR_EDGE_ATTRIBUTE:
	case PYR_EDGE_SLOT:
	case PYR_EDGE_FIELD:
	case PYR_EDGE_LOCAL:
	case PYR_EDGE_WORD:
		return mix(h, PYR_CYCLE_NUMBER(label));
	case PYR_EDGE_VALUE:
		return may_be_instance_dict(from) && length < 64 ? mix(h, PYR_CYCLE_NUMBER(label))
								 : h;
	default:
		return h;
	}
}

pyr_error *pyr_cycle_rough_kind(void *ctx, unsigned worker, const struct pyr_cycle_view *view,
				uint64_t *ret)
{
	struct pyr_cycle_rough *r = ctx;
	struct pyr_cycle_keys *keys = &r->keys[worker];
	const struct pyr_components *part = view->part;
	const struct pyr_graph *g = &r->model->graph;
	uint32_t i, id, node, next, objects = 0;
	const struct pyr_type *type;
	uint64_t e, from, length;
	bool containers = false;
	enum pyr_edge_kind kind;

	keys->v.count = 0;
	for (i = 0; i < view->count; i++) {
		node = view->nodes[i];
		id = view->ids[node];
		type = type_of(r->model->heap, id);
		objects += !may_be_instance_dict(type);
		from = mix(0, type->index);
		length = g->out_start[id + 1] - g->out_start[id];
		for (e = part->start.data[node]; e < part->start.data[node + 1]; e++) {
			next = part->out.data[e];
			if (part->of.data[next] != view->cycle)
				continue;
			kind = PYR_MODEL_KIND(PYR_CYCLE_FLAGS(view->labels[e]));
			containers |= kind == PYR_EDGE_ITEM || kind == PYR_EDGE_KEY;
			if (!pyr_vec_push(
				    &keys->v,
				    rough_key(type,
					      mix(from, r->model->heap->type[view->ids[next]]),
					      view->labels[e], length)))
				return pyr_error_no_memory();
		}
	}
	*ret = kind_of(keys, objects, containers);
	return NULL;
}

void pyr_cycle_rough_deinit(struct pyr_cycle_rough *rough)
{
	unsigned w;

	for (w = 0; w < PYR_CYCLE_WORKERS_MAX; w++)
		pyr_vec_deinit(&rough->keys[w].v);
}

/* --- by names --- */

struct naming {
	const struct pyr_cycles *cycles;
	struct pyr_cycle_members *members;
	const struct pyr_heap *heap;
	struct pyr_control *control;
	struct pyr_cycle_keys keys;
	const uint32_t *order; /* of the cycles, by what the model knows */
};

struct cycle_walk {
	const struct naming *n;
	struct pyr_cycle_keys *keys;
	const struct pyr_type *from;
	uint32_t first; /* of the cycle */
	bool instance_dict, containers;
};

static void name_key(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct cycle_walk *w = ctx;
	const struct pyr_cycles *c = w->n->cycles;
	enum pyr_edge_kind kind = PYR_REF_KIND(label);
	uint32_t id, place;
	uint64_t h;

	if (!(label & PYR_REF_TRAVERSED) || (id = pyr_heap_id(w->n->heap, target)) == PYR_NO_ID)
		return;
	place = pyr_id_subset_place(c->subset, id);
	if (place == PYR_NOT_IN_SUBSET || c->found.of[place] != w->first)
		return;
	h = mix(mix(mix(0, w->from->index), type_of(w->n->heap, id)->index), kind);
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

/* Is object @dict held as the __dict__ of one of the cycle's objects? */
static bool is_instance_dict(const struct naming *n, uint32_t dict)
{
	const struct pyr_cycles *c = n->cycles;
	const struct pyr_graph *g = &c->model->graph;
	uint32_t id;
	uint64_t e;
	size_t i;

	if (!may_be_instance_dict(type_of(n->heap, dict)))
		return false;
	if (n->members->places.count > 64)
		return true;
	for (i = 0; i < n->members->places.count; i++) {
		id = c->objects[n->members->places.data[i]];
		if (type_of(n->heap, id)->dictoffset == 0 && !type_of(n->heap, id)->pre_header)
			continue;
		for (e = g->out_start[id]; e < g->out_start[id + 1]; e++)
			if (g->out[e] == dict &&
			    (PYR_MODEL_KIND(c->model->flags[e]) == PYR_EDGE_FIELD ||
			     PYR_MODEL_KIND(c->model->flags[e]) == PYR_EDGE_WORD))
				return true;
	}
	return false;
}

static pyr_error *named_kind(struct naming *n, uint32_t cycle, uint64_t *ret)
{
	const struct pyr_cycles *c = n->cycles;
	struct cycle_walk w = {.n = n, .keys = &n->keys, .first = c->found.facts[cycle].first};
	uint32_t id, objects = 0;
	pyr_error *err;
	size_t i;

	if ((err = pyr_cycle_members_find(n->members, cycle)))
		return err;
	w.keys->v.count = 0;
	for (i = 0; i < n->members->places.count; i++) {
		id = c->objects[n->members->places.data[i]];
		w.from = type_of(n->heap, id);
		w.instance_dict = is_instance_dict(n, id);
		objects += !w.instance_dict;
		pyr_model_walk(c->model, id, name_key, &w);
	}
	if (w.keys->out_of_memory)
		return pyr_error_no_memory();
	*ret = kind_of(w.keys, objects, w.containers);
	return NULL;
}

/* Cycles order[first .. end) are alike by the model; by names too? */
static pyr_error *name_run(struct naming *n, uint32_t first, uint32_t end)
{
	uint32_t step = (end - first + SAMPLE - 1) / SAMPLE, i;
	uint64_t kind, sample = 0;
	bool differ = false;
	pyr_error *err;

	for (i = first; i < end; i += step) {
		if ((err = named_kind(n, n->order[i], &kind)))
			return err;
		differ |= i != first && kind != sample;
		sample = kind;
	}
	for (i = first; i < end; i++) {
		if (differ) {
			if ((err = named_kind(n, n->order[i], &kind)))
				return err;
		} else {
			kind = sample;
		}
		n->cycles->found.kind[n->order[i]] = kind;
		if (i % 4096 == 0 && (err = pyr_control_check(n->control)))
			return err;
	}
	return NULL;
}

/* --- like cycles together --- */

struct kind {
	uint64_t kind;
	uint32_t cycles;
	uint32_t next; /* where the next one of them goes */
};

/* In the order of their first cycles: the numbers of kinds come from those of types, which
 * differ from one run to the next. */
struct kinds {
	PYR_VEC(struct kind) v;
	uint32_t *slots; /* index into v + 1, open addressing; 0: free */
	size_t slot_count;
	uint32_t last; /* the kind that was found last: like cycles come together */
};

static uint32_t *slot_of(const struct kinds *k, uint64_t kind)
{
	size_t i = (kind ^ kind >> 32) & (k->slot_count - 1);

	while (k->slots[i] && k->v.data[k->slots[i] - 1].kind != kind)
		i = (i + 1) & (k->slot_count - 1);
	return &k->slots[i];
}

static bool fill_slots(struct kinds *k, size_t slot_count)
{
	uint32_t *slots = calloc(slot_count, sizeof(*slots));
	size_t i;

	if (!slots)
		return false;
	free(k->slots);
	k->slots = slots;
	k->slot_count = slot_count;
	for (i = 0; i < k->v.count; i++)
		*slot_of(k, k->v.data[i].kind) = (uint32_t)i + 1;
	return true;
}

/* The entry of @kind; NULL: no memory for a new one. */
static struct kind *entry_of(struct kinds *k, uint64_t kind)
{
	uint32_t *slot;

	if (k->last < k->v.count && k->v.data[k->last].kind == kind)
		return &k->v.data[k->last];
	if (k->v.count * 2 >= k->slot_count &&
	    !fill_slots(k, k->slot_count ? k->slot_count * 2 : 256))
		return NULL;
	slot = slot_of(k, kind);
	if (!*slot) {
		if (!pyr_vec_push(&k->v, (struct kind){.kind = kind}))
			return NULL;
		*slot = (uint32_t)k->v.count;
	}
	k->last = *slot - 1;
	return &k->v.data[k->last];
}

static pyr_error *sort_cycles(const struct pyr_cycle_places *found, uint32_t *order)
{
	struct kinds k = {0};
	struct kind *kind;
	uint32_t i, next = 0;
	pyr_error *err = NULL;

	for (i = 0; i < found->count && !err; i++) {
		if ((kind = entry_of(&k, found->kind[i])))
			kind->cycles++;
		else
			err = pyr_error_no_memory();
	}
	for (i = 0; i < k.v.count; i++) {
		k.v.data[i].next = next;
		next += k.v.data[i].cycles;
	}
	for (i = 0; i < found->count && !err; i++) {
		if ((kind = entry_of(&k, found->kind[i])))
			order[kind->next++] = i;
		else
			err = pyr_error_no_memory();
	}
	free(k.slots);
	pyr_vec_deinit(&k.v);
	return err;
}

static pyr_error *name_all(struct naming *n)
{
	const struct pyr_cycle_places *found = &n->cycles->found;
	uint32_t first, end;
	uint64_t kind;
	pyr_error *err;

	for (first = 0; first < found->count; first = end) {
		kind = found->kind[n->order[first]];
		for (end = first + 1; end < found->count && found->kind[n->order[end]] == kind;
		     end++)
			;
		if ((err = name_run(n, first, end)))
			return err;
	}
	return NULL;
}

pyr_error *pyr_cycle_kinds(struct pyr_cycles *cycles, struct pyr_cycle_members *members,
			   struct pyr_control *control, uint32_t **ret)
{
	uint32_t *order = malloc(((size_t)cycles->found.count + 1) * sizeof(*order));
	struct naming n = {.cycles = cycles,
			   .members = members,
			   .heap = cycles->model->heap,
			   .control = control,
			   .order = order};
	pyr_error *err;

	if (!order)
		return pyr_error_no_memory();
	if (!(err = sort_cycles(&cycles->found, order)) && !(err = name_all(&n)))
		err = sort_cycles(&cycles->found, order);
	pyr_vec_deinit(&n.keys.v);
	if (err) {
		free(order);
		return err;
	}
	*ret = order;
	return NULL;
}
