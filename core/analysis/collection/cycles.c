#include "analysis/collection/cycles.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/collection/cycle_kinds.h"

#define SMALL 64u         /* cycles up to this size are searched from each object */
#define STARTS 32u        /* larger ones from so many of the best objects */
#define LATE 1024u        /* a reference's number among its object's, at most */
#define BUDGET (1u << 21) /* references followed for one ring */

/* --- a ring of one cycle --- */

struct cycle_search {
	const struct pyr_cycles *cycles;
	const struct pyr_heap *heap;
	struct pyr_cycle_members members; /* of the cycle at hand */
	uint32_t *from;                   /* by index into its places */
	uint32_t *via;                    /* likewise: which of its references led there */
	PYR_VEC(uint32_t) queue;
	PYR_VEC(uint32_t) best; /* places */
	uint64_t best_cost;
	uint64_t followed, budget; /* references */
	uint32_t *slots;           /* groups by shape: index + 1 */
	size_t slot_count;
};

/* How little an object tells in a ring: classes and what belongs to them least. */
static unsigned cost_of(const struct cycle_search *s, uint32_t place)
{
	const struct pyr_type *type =
		pyr_types_at(s->heap->types, s->heap->type[s->cycles->objects[place]]);

	switch (type->shape) {
	case PYR_SHAPE_TYPE:
		return 40;
	case PYR_SHAPE_MODULE:
		return 20;
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_TUPLE:
	case PYR_SHAPE_CELL:
		return type->exact_shape ? 2 : 3;
	default:
		return type->heap ? 3 : 4;
	}
}

/* The first of like references tells most: [0] rather than [7]. */
static pyr_error *keep_ring(struct cycle_search *s, uint32_t start, uint32_t end, uint32_t last)
{
	uint64_t cost = last < LATE ? last : LATE;
	uint32_t at;
	size_t n = 0, i;

	for (at = end;; at = s->from[at]) {
		cost += (uint64_t)cost_of(s, s->members.places.data[at]) * LATE * LATE;
		n++;
		if (at == start)
			break;
		cost += s->via[at] < LATE ? s->via[at] : LATE;
	}
	if (cost >= s->best_cost)
		return NULL;
	s->best.count = 0;
	if (!pyr_vec_reserve(&s->best, n))
		return pyr_error_no_memory();
	for (at = end, i = n; i-- > 0; at = s->from[at])
		s->best.data[i] = s->members.places.data[at];
	s->best.count = n;
	s->best_cost = cost;
	return NULL;
}

/* The shortest way from @start back to itself, breadth first. */
static pyr_error *search_from(struct cycle_search *s, uint32_t start)
{
	const struct pyr_cycles *c = s->cycles;
	const struct pyr_graph *g = &c->model->graph;
	uint32_t first = c->found.of[s->members.places.data[start]], at, id, place, target, number;
	uint64_t e;
	size_t i;

	memset(s->from, 0xff, s->members.places.count * sizeof(*s->from));
	s->queue.count = 0;
	if (!pyr_vec_push(&s->queue, start))
		return pyr_error_no_memory();
	for (i = 0; i < s->queue.count && s->followed < s->budget; i++) {
		at = s->queue.data[i];
		id = c->objects[s->members.places.data[at]];
		number = 0; /* of its references among the objects */
		for (e = g->out_start[id]; e < g->out_start[id + 1]; e++) {
			if (!(c->model->flags[e] & PYR_MODEL_TRAVERSED))
				continue;
			place = pyr_id_subset_place(c->subset, g->out[e]);
			if (place == PYR_NOT_IN_SUBSET)
				continue;
			s->followed++;
			number++;
			if (c->found.of[place] != first)
				continue;
			target = s->members.index[place];
			if (target == start)
				return keep_ring(s, start, at, number - 1);
			if (s->from[target] != UINT32_MAX)
				continue;
			s->from[target] = at;
			s->via[target] = number - 1;
			if (!pyr_vec_push(&s->queue, target))
				return pyr_error_no_memory();
		}
	}
	return NULL;
}

static bool grow(uint32_t **array, uint32_t count)
{
	uint32_t *grown = realloc(*array, ((size_t)count + 1) * sizeof(*grown));

	if (grown)
		*array = grown;
	return grown;
}

/* Of the cycle whose members were found. */
static pyr_error *find_ring(struct cycle_search *s, struct pyr_model *model, struct pyr_ring *ret)
{
	const struct pyr_cycles *c = s->cycles;
	const uint32_t *places = s->members.places.data;
	uint32_t size = (uint32_t)s->members.places.count, i, tried = 0, cheapest = UINT32_MAX;
	pyr_error *err = NULL;
	unsigned cost;

	s->best.count = 0;
	s->best_cost = UINT64_MAX;
	s->followed = 0;
	s->budget = BUDGET;
	if (!grow(&s->from, size) || !grow(&s->via, size))
		return pyr_error_no_memory();
	for (cost = 2; cost <= 40 && !err && tried < STARTS; cost++)
		for (i = 0; i < size && !err && (size <= SMALL || tried < STARTS); i++)
			if (cost_of(s, places[i]) == cost) {
				tried++;
				err = search_from(s, i);
				if (cheapest == UINT32_MAX)
					cheapest = i;
			}
	/* So large that no way back was found within the budget: one search to its end. */
	if (!err && !s->best.count) {
		s->budget = UINT64_MAX;
		err = search_from(s, cheapest);
	}
	if (err)
		return err;
	if (!s->best.count)
		return pyr_error_create(PYR_E_NO_MEMORY,
					"a cycle of %u objects is too large to show", size);
	for (i = 0; i < s->best.count; i++)
		s->best.data[i] = c->objects[s->best.data[i]];
	return pyr_ring_make(model, s->best.data, s->best.count, ret);
}

/* --- groups --- */

static size_t hash_of(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32);
}

static size_t probe(const struct cycle_search *s, const char *shape)
{
	size_t i = hash_of(shape) & (s->slot_count - 1);

	while (s->slots[i] && strcmp(s->cycles->groups.data[s->slots[i] - 1].shape, shape) != 0)
		i = (i + 1) & (s->slot_count - 1);
	return i;
}

/* The slot of @shape in a table of groups by shape, open addressing; 0 there: it is new. */
static bool slot_of(struct cycle_search *s, const char *shape, size_t *ret)
{
	size_t wanted = s->slot_count ? s->slot_count : 256, g;

	while (s->cycles->groups.count * 2 >= wanted)
		wanted *= 2;
	if (wanted != s->slot_count) {
		uint32_t *slots = calloc(wanted, sizeof(*slots));

		if (!slots)
			return false;
		free(s->slots);
		s->slots = slots;
		s->slot_count = wanted;
		for (g = 0; g < s->cycles->groups.count; g++)
			slots[probe(s, s->cycles->groups.data[g].shape)] = (uint32_t)g + 1;
	}
	*ret = probe(s, shape);
	return true;
}

static void group_deinit(struct pyr_cycle_group *group)
{
	free(group->shape);
	free(group->example);
	pyr_ring_deinit(&group->ring);
}

/* The members at hand and @ring, if it has one rather than the group itself by now. */
static pyr_error *take_example(const struct cycle_search *s, struct pyr_cycle_group *group,
			       struct pyr_ring *ring)
{
	size_t i, n = s->members.places.count;
	uint32_t *example = malloc((n + 1) * sizeof(*example));
	struct pyr_ring old = group->ring;

	if (!example)
		return pyr_error_no_memory();
	for (i = 0; i < n; i++)
		example[i] = s->cycles->objects[s->members.places.data[i]];
	if (group->example) {
		group->ring = *ring;
		*ring = old;
	}
	free(group->example);
	group->example = example;
	group->example_count = (uint32_t)n;
	return NULL;
}

/* The group of @cycle's shape, which is made if there is none yet. The smallest cycle is
 * its example. */
static pyr_error *group_of(struct pyr_cycles *c, struct cycle_search *s, uint32_t cycle,
			   size_t *ret)
{
	struct pyr_cycle_group group = {0}, *to;
	struct pyr_strbuf shape = {0};
	size_t slot;
	pyr_error *err;

	if ((err = pyr_cycle_members_find(&s->members, cycle)))
		return err;
	err = find_ring(s, c->model, &group.ring);
	if (err && err->code == PYR_E_UNREADABLE) {
		pyr_error_destroy(err);
		memset(&group.ring, 0, sizeof(group.ring));
		pyr_strbuf_add(&shape, "a cycle whose references cannot be read");
	} else if (err) {
		return err;
	} else {
		pyr_ring_shape(c->model->heap->types, &group.ring, &shape);
	}
	if (!slot_of(s, pyr_strbuf_str(&shape), &slot))
		goto no_memory;
	if (!s->slots[slot]) {
		if (!(group.shape = pyr_strbuf_take(&shape)) || !pyr_vec_push(&c->groups, group))
			goto no_memory;
		s->slots[slot] = (uint32_t)c->groups.count;
		memset(&group, 0, sizeof(group));
	}
	*ret = s->slots[slot] - 1;
	to = &c->groups.data[*ret];
	if (!to->example || s->members.places.count < to->example_count)
		err = take_example(s, to, &group.ring);
	pyr_strbuf_deinit(&shape);
	group_deinit(&group);
	return err;
no_memory:
	pyr_strbuf_deinit(&shape);
	group_deinit(&group);
	return pyr_error_no_memory();
}

/* Add cycles that are alike to the group of their shape. */
static pyr_error *add_kind(struct pyr_cycles *c, struct cycle_search *s, const uint32_t *cycles,
			   uint32_t n)
{
	const struct pyr_cycle_facts *facts;
	struct pyr_cycle_group *group;
	pyr_error *err;
	uint32_t i;
	size_t g = 0;

	if ((err = group_of(c, s, cycles[0], &g)))
		return err;
	group = &c->groups.data[g];
	group->cycles += n;
	for (i = 0; i < n; i++) {
		facts = &c->found.facts[cycles[i]];
		group->members += facts->members;
		group->objects += facts->objects;
		group->bytes += facts->bytes;
	}
	return NULL;
}

static pyr_error *make_groups(struct pyr_cycles *c, struct pyr_control *control)
{
	const uint64_t *kind = c->found.kind;
	struct cycle_search s = {.cycles = c, .heap = c->model->heap};
	uint32_t count = c->found.count, *order = NULL, first, end;
	pyr_error *err;

	if ((err = pyr_cycle_members_init(c, &s.members)))
		return err;
	err = pyr_cycle_kinds(c, &s.members, control, &order);
	for (first = 0; first < count && !err; first = end) {
		for (end = first + 1; end < count && kind[order[end]] == kind[order[first]]; end++)
			;
		if (!(err = add_kind(c, &s, order + first, end - first)))
			err = pyr_control_progress(control, "naming cycles", first, count);
	}
	free(order);
	free(s.from);
	free(s.via);
	free(s.slots);
	pyr_vec_deinit(&s.queue);
	pyr_vec_deinit(&s.best);
	pyr_cycle_members_deinit(&s.members);
	return err;
}

static pyr_error *leave_out_modules(struct pyr_cycles *c)
{
	struct pyr_cycle_places *found = &c->found;
	const struct pyr_heap *heap = c->model->heap;
	bool *has = calloc((size_t)c->count + 1, sizeof(*has)); /* by first place of a cycle */
	uint32_t place, i, kept = 0;

	if (!has)
		return pyr_error_no_memory();
	for (place = 0; place < c->count; place++)
		if (found->of[place] < c->count &&
		    pyr_types_at(heap->types, heap->type[c->objects[place]])->shape ==
			    PYR_SHAPE_MODULE)
			has[found->of[place]] = true;
	for (i = 0; i < found->count; i++) {
		if (has[found->facts[i].first])
			continue;
		found->facts[kept] = found->facts[i];
		found->kind[kept++] = found->kind[i];
	}
	c->with_modules = found->count - kept;
	found->count = kept;
	free(has);
	return NULL;
}

static int most_first(const void *a, const void *b)
{
	const struct pyr_cycle_group *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	if (x->cycles != y->cycles)
		return x->cycles > y->cycles ? -1 : 1;
	return strcmp(x->shape, y->shape);
}

pyr_error *pyr_cycles_find(struct pyr_model *model, struct pyr_control *control,
			   const uint32_t *objects, uint32_t count,
			   const struct pyr_id_subset *subset, const uint64_t *weights,
			   bool besides, bool without_modules, struct pyr_cycles *ret)
{
	struct pyr_cycles c = {
		.model = model, .objects = objects, .count = count, .subset = subset};
	struct pyr_cycle_rough rough = {.model = model};
	struct pyr_cycle_source source = {.graph = &model->graph,
					  .flags = model->flags,
					  .visited = PYR_MODEL_TRAVERSED,
					  .objects = objects,
					  .count = count,
					  .subset = subset,
					  .weights = weights,
					  .besides = besides,
					  .kind_of = pyr_cycle_rough_kind,
					  .ctx = &rough};
	pyr_error *err;

	err = pyr_cycle_places_find(control, &source, &c.found);
	pyr_cycle_rough_deinit(&rough);
	if (err)
		return err;
	if (!without_modules || !(err = leave_out_modules(&c)))
		err = make_groups(&c, control);
	pyr_cycle_places_deinit(&c.found);
	if (err) {
		pyr_cycles_deinit(&c);
		return err;
	}
	if (c.groups.count)
		qsort(c.groups.data, c.groups.count, sizeof(*c.groups.data), most_first);
	*ret = c;
	return NULL;
}

void pyr_cycles_deinit(struct pyr_cycles *c)
{
	size_t i;

	for (i = 0; i < c->groups.count; i++)
		group_deinit(&c->groups.data[i]);
	pyr_vec_deinit(&c->groups);
	memset(c, 0, sizeof(*c));
}
