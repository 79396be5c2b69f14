#include "analysis/cycles.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/cycle_kinds.h"
#include "base/large.h"
#include "base/parallel.h"

#define SMALL 64u         /* cycles up to this size are searched from each object */
#define STARTS 32u        /* larger ones from so many of the best objects */
#define LATE 1024u        /* a reference's number among its object's, at most */
#define BUDGET (1u << 21) /* references followed for one ring */

/* --- the graph among the objects --- */

struct source {
	const struct pyr_model *model;
	const uint32_t *objects;
	const struct pyr_subset *subset;
};

static void successors(void *ctx, unsigned worker, uint32_t place,
		       void (*add)(void *sink, uint32_t successor), void *sink)
{
	const struct source *s = ctx;
	const struct pyr_graph *g = &s->model->graph;
	uint32_t id = s->objects[place], target;
	uint64_t e;

	(void)worker;
	for (e = g->out_start[id]; e < g->out_start[id + 1]; e++) {
		if (!(s->model->flags[e] & PYR_MODEL_TRAVERSED))
			continue;
		target = pyr_subset_place(s->subset, g->out[e]);
		if (target != PYR_NOT_IN_SUBSET)
			add(sink, target);
	}
}

/* Places by component, a counting sort. */
static pyr_error *order_places(struct pyr_cycles *c)
{
	uint32_t n = c->components.count, i, *next;

	c->start = calloc((size_t)n + 2, sizeof(*c->start));
	c->order = pyr_large_alloc((size_t)c->count + 1, sizeof(*c->order));
	next = malloc(((size_t)n + 1) * sizeof(*next));
	if (!c->start || !c->order || !next) {
		free(next);
		return pyr_error_no_memory();
	}
	for (i = 0; i < n; i++)
		c->start[i + 1] = c->start[i] + c->components.size[i];
	memcpy(next, c->start, n * sizeof(*next));
	for (i = 0; i < c->count; i++)
		c->order[next[c->components.of[i]]++] = i;
	free(next);
	return NULL;
}

/* Whose an object is that is in no cycle: components come with those first that others
 * lead to, so from the last on each is reached before it leads on. */
static pyr_error *find_holders(struct pyr_cycles *c, bool besides)
{
	uint32_t component, holder, i, place;
	uint64_t e;

	c->holder = pyr_large_alloc((size_t)c->count + 1, sizeof(*c->holder));
	if (!c->holder)
		return pyr_error_no_memory();
	memset(c->holder, 0xff, ((size_t)c->count + 1) * sizeof(*c->holder));
	for (component = c->components.count; component-- > 0;) {
		holder = pyr_cycles_is_cycle(c, component) ? component : PYR_NO_CYCLE;
		for (i = c->start[component]; i < c->start[component + 1]; i++) {
			place = c->order[i];
			if (holder != PYR_NO_CYCLE)
				c->holder[place] = holder;
			for (e = c->graph.out_start[place];
			     besides && e < c->graph.out_start[place + 1]; e++)
				if (c->holder[c->graph.out[e]] == PYR_NO_CYCLE)
					c->holder[c->graph.out[e]] = c->holder[place];
		}
	}
	return NULL;
}

/* --- a ring of one cycle --- */

struct search {
	const struct pyr_cycles *cycles;
	const struct pyr_heap *heap;
	uint32_t component;
	uint32_t *from; /* by index into the component's places */
	uint32_t *via;  /* likewise: which of its references led there */
	PYR_VEC(uint32_t) queue;
	PYR_VEC(uint32_t) best; /* places */
	uint64_t best_cost;
	uint64_t followed, budget; /* references */
	uint32_t *slots;           /* groups by shape: index + 1 */
	size_t slot_count;
	uint32_t *index; /* by place: index into the component's places; of all components */
};

/* How little an object tells in a ring: classes and what belongs to them least. */
static unsigned cost_of(const struct search *s, uint32_t place)
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
static pyr_error *keep_ring(struct search *s, uint32_t start, uint32_t end, uint32_t last)
{
	const uint32_t *places = s->cycles->order + s->cycles->start[s->component];
	uint64_t cost = last < LATE ? last : LATE;
	uint32_t at;
	size_t n = 0, i;

	for (at = end;; at = s->from[at]) {
		cost += (uint64_t)cost_of(s, places[at]) * LATE * LATE;
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
		s->best.data[i] = places[at];
	s->best.count = n;
	s->best_cost = cost;
	return NULL;
}

/* The shortest way from @start back to itself, breadth first. */
static pyr_error *search_from(struct search *s, uint32_t start)
{
	const struct pyr_cycles *c = s->cycles;
	const uint32_t *places = c->order + c->start[s->component];
	uint32_t at, target;
	uint64_t e;
	size_t i;

	memset(s->from, 0xff, c->components.size[s->component] * sizeof(*s->from));
	s->queue.count = 0;
	if (!pyr_vec_push(&s->queue, start))
		return pyr_error_no_memory();
	for (i = 0; i < s->queue.count && s->followed < s->budget; i++) {
		at = s->queue.data[i];
		for (e = c->graph.out_start[places[at]]; e < c->graph.out_start[places[at] + 1];
		     e++) {
			s->followed++;
			if (c->components.of[c->graph.out[e]] != s->component)
				continue;
			target = s->index[c->graph.out[e]];
			if (target == start)
				return keep_ring(s, start, at,
						 (uint32_t)(e - c->graph.out_start[places[at]]));
			if (s->from[target] != UINT32_MAX)
				continue;
			s->from[target] = at;
			s->via[target] = (uint32_t)(e - c->graph.out_start[places[at]]);
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

static pyr_error *find_ring(struct search *s, struct pyr_model *model, uint32_t component,
			    struct pyr_ring *ret)
{
	const struct pyr_cycles *c = s->cycles;
	uint32_t size = c->components.size[component], i, tried = 0, cheapest = UINT32_MAX;
	const uint32_t *places = c->order + c->start[component];
	pyr_error *err = NULL;
	unsigned cost;

	s->component = component;
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

static size_t probe(const struct search *s, const char *shape)
{
	size_t i = hash_of(shape) & (s->slot_count - 1);

	while (s->slots[i] && strcmp(s->cycles->groups.data[s->slots[i] - 1].shape, shape) != 0)
		i = (i + 1) & (s->slot_count - 1);
	return i;
}

/* The slot of @shape in a table of groups by shape, open addressing; 0 there: it is new. */
static bool slot_of(struct search *s, const char *shape, size_t *ret)
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

static pyr_error *add_kind(struct pyr_cycles *c, struct search *s,
			   const struct pyr_cycle_kind *kinds, uint32_t n)
{
	struct pyr_cycle_group group = {.example = kinds[0].component};
	struct pyr_strbuf shape = {0};
	size_t g, slot;
	uint32_t i;
	pyr_error *err = find_ring(s, c->model, group.example, &group.ring);

	if (err && err->code == PYR_E_UNREADABLE) {
		pyr_error_destroy(err);
		memset(&group.ring, 0, sizeof(group.ring));
		pyr_strbuf_add(&shape, "a cycle whose references cannot be read");
		err = NULL;
	} else if (!err) {
		pyr_ring_shape(c->model->heap->types, &group.ring, &shape);
	}
	if (err)
		return err;
	if (!slot_of(s, pyr_strbuf_str(&shape), &slot)) {
		pyr_strbuf_deinit(&shape);
		pyr_ring_deinit(&group.ring);
		return pyr_error_no_memory();
	}
	g = s->slots[slot] - 1;
	if (!s->slots[slot]) {
		g = c->groups.count;
		group.shape = pyr_strbuf_take(&shape);
		if (!group.shape || !pyr_vec_push(&c->groups, group)) {
			free(group.shape);
			pyr_ring_deinit(&group.ring);
			return pyr_error_no_memory();
		}
		s->slots[slot] = (uint32_t)c->groups.count;
	} else {
		pyr_strbuf_deinit(&shape);
		pyr_ring_deinit(&group.ring);
	}
	c->groups.data[g].cycles += n;
	for (i = 0; i < n; i++) {
		c->group[kinds[i].component] = (uint32_t)g;
		c->groups.data[g].members += c->components.size[kinds[i].component];
	}
	return NULL;
}

static pyr_error *make_groups(struct pyr_cycles *c, struct pyr_control *control)
{
	struct search s = {.cycles = c, .heap = c->model->heap};
	struct pyr_cycle_kind *kinds = NULL;
	uint32_t count = 0, first, end, i, component;
	pyr_error *err;

	c->group = malloc(((size_t)c->components.count + 1) * sizeof(*c->group));
	s.index = malloc(((size_t)c->count + 1) * sizeof(*s.index));
	if (!c->group || !s.index) {
		free(s.index);
		return pyr_error_no_memory();
	}
	memset(c->group, 0xff, ((size_t)c->components.count + 1) * sizeof(*c->group));
	for (component = 0; component < c->components.count; component++)
		for (i = c->start[component]; i < c->start[component + 1]; i++)
			s.index[c->order[i]] = i - c->start[component];
	err = pyr_cycle_kinds(c, control, &kinds, &count);
	for (first = 0; first < count && !err; first = end) {
		for (end = first + 1; end < count && kinds[end].kind == kinds[first].kind; end++)
			;
		if (!(err = add_kind(c, &s, kinds + first, end - first)))
			err = pyr_control_progress(control, "naming cycles", first, count);
	}
	free(kinds);
	free(s.index);
	free(s.from);
	free(s.via);
	free(s.slots);
	pyr_vec_deinit(&s.queue);
	pyr_vec_deinit(&s.best);
	return err;
}

struct rank {
	uint32_t index;
	const struct pyr_cycle_group *group;
};

static int most_first(const void *a, const void *b)
{
	const struct pyr_cycle_group *x = ((const struct rank *)a)->group,
				     *y = ((const struct rank *)b)->group;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	if (x->cycles != y->cycles)
		return x->cycles > y->cycles ? -1 : 1;
	return strcmp(x->shape, y->shape);
}

static pyr_error *sort_groups(struct pyr_cycles *c)
{
	size_t n = c->groups.count, i;
	struct rank *ranks = malloc((n + 1) * sizeof(*ranks));
	struct pyr_cycle_group *sorted = malloc((n + 1) * sizeof(*sorted));
	uint32_t *to = malloc((n + 1) * sizeof(*to)), component;
	pyr_error *err = NULL;

	if (!ranks || !sorted || !to) {
		err = pyr_error_no_memory();
		goto out;
	}
	for (i = 0; i < n; i++)
		ranks[i] = (struct rank){(uint32_t)i, &c->groups.data[i]};
	qsort(ranks, n, sizeof(*ranks), most_first);
	for (i = 0; i < n; i++) {
		sorted[i] = *ranks[i].group;
		to[ranks[i].index] = (uint32_t)i;
	}
	if (n)
		memcpy(c->groups.data, sorted, n * sizeof(*sorted));
	for (component = 0; component < c->components.count; component++)
		if (c->group[component] != PYR_NO_CYCLE)
			c->group[component] = to[c->group[component]];
out:
	free(ranks);
	free(sorted);
	free(to);
	return err;
}

static void weigh_groups(struct pyr_cycles *c, const uint64_t *weights)
{
	struct pyr_cycle_group *group;
	uint32_t i;

	for (i = 0; i < c->count; i++) {
		if (c->holder[i] == PYR_NO_CYCLE)
			continue;
		group = &c->groups.data[c->group[c->holder[i]]];
		group->objects++;
		if (weights)
			group->bytes += weights[i];
	}
}

pyr_error *pyr_cycles_find(struct pyr_model *model, struct pyr_control *control,
			   const uint32_t *objects, uint32_t count, const struct pyr_subset *subset,
			   const uint64_t *weights, bool besides, struct pyr_cycles *ret)
{
	struct pyr_cycles c = {.model = model, .objects = objects, .count = count};
	struct source s = {.model = model, .objects = objects, .subset = subset};
	struct pyr_graph_source source = {.ctx = &s,
					  .workers = pyr_parallel_workers(),
					  .nodes = count,
					  .successors = successors};
	pyr_error *err;

	if (!(err = pyr_graph_build(control, &source, &c.graph)) &&
	    !(err = pyr_components_compute(control, &c.graph, NULL, &c.components)) &&
	    !(err = order_places(&c)) && !(err = find_holders(&c, besides)) &&
	    !(err = make_groups(&c, control))) {
		weigh_groups(&c, weights);
		err = sort_groups(&c);
	}
	if (err) {
		pyr_cycles_deinit(&c);
		return err;
	}
	*ret = c;
	return NULL;
}

void pyr_cycles_deinit(struct pyr_cycles *c)
{
	size_t i;

	for (i = 0; i < c->groups.count; i++) {
		free(c->groups.data[i].shape);
		pyr_ring_deinit(&c->groups.data[i].ring);
	}
	pyr_vec_deinit(&c->groups);
	pyr_graph_deinit(&c->graph);
	pyr_components_deinit(&c->components);
	free(c->start);
	free(c->order);
	free(c->holder);
	free(c->group);
	memset(c, 0, sizeof(*c));
}
