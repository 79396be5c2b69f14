#include "analysis/retention/paths.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

/* Costs that differ by less than this are in different buckets. */
#define RING 256u
/* Rows longer than this belong to one large container: its edges are alike, and one
 * stands for all. */
#define ROW_MAX (UINT64_C(1) << 20)
#define CHECK_EVERY 0xffffu

static unsigned cost_of(const struct pyr_path_costs *costs, uint32_t from, uint64_t edge)
{
	unsigned cost = costs && costs->cost ? costs->cost(costs->ctx, from, edge) : 1;

	return cost < PYR_EDGE_COST_MAX ? cost : PYR_EDGE_COST_MAX;
}

/* --- one path, backwards --- */

struct step {
	uint32_t node, next; /* go from node to next, towards the target */
};

struct path_search {
	const struct pyr_graph *graph;
	const struct pyr_path_costs *costs;
	const struct pyr_path_query *query;
	PYR_VEC(struct step) buckets[RING];
	uint64_t waiting;
	uint64_t *best; /* by node: the least cost it was put in a bucket for, + 1; 0: never */
	uint32_t *next; /* by node: as in struct step, once it is settled */
	uint64_t looked;
	struct {
		bool found;
		uint32_t node;
		uint64_t cost;
	} source; /* the cheapest so far */
};

#define SETTLED (UINT64_C(1) << 63)

/* The cheapest of the edges from @from to @to. */
static unsigned backward_cost(const struct path_search *s, uint32_t from, uint32_t to)
{
	const struct pyr_graph *g = s->graph;
	uint64_t e, begin = g->out_start[from], end = g->out_start[from + 1];
	unsigned cost, least = PYR_EDGE_COST_MAX;

	if (!s->costs || !s->costs->cost)
		return 1;
	if (end - begin > ROW_MAX)
		return cost_of(s->costs, from, begin + (end - begin) / 2);
	for (e = begin; e < end; e++) {
		if (g->out[e] != to)
			continue;
		cost = cost_of(s->costs, from, e);
		if (cost < least)
			least = cost;
	}
	return least;
}

static bool put(struct path_search *s, uint32_t node, uint32_t next, uint64_t cost)
{
	struct step step = {node, next};

	if (!pyr_vec_push(&s->buckets[cost % RING], step))
		return false;
	s->waiting++;
	return true;
}

static void consider_source(struct path_search *s, uint32_t node, uint64_t cost)
{
	unsigned extra = 0;

	if (!s->query->source(s->query->ctx, node, &extra))
		return;
	if (extra > PYR_SOURCE_COST_MAX)
		extra = PYR_SOURCE_COST_MAX;
	if (s->source.found && s->source.cost <= cost + extra)
		return;
	s->source.found = true;
	s->source.node = node;
	s->source.cost = cost + extra;
}

static pyr_error *settle(struct path_search *s, struct step step, uint64_t cost)
{
	const struct pyr_graph *g = s->graph;
	uint32_t node = step.node, from;
	uint64_t e, next;

	if (s->best[node] & SETTLED)
		return NULL;
	if (step.next != PYR_PATH_NONE && s->query->allow &&
	    !s->query->allow(s->query->ctx, node, step.next))
		return NULL; /* another edge may still lead here, at a higher cost */
	s->best[node] = SETTLED;
	s->next[node] = step.next;
	s->looked++;
	consider_source(s, node, cost);
	for (e = g->in_start[node]; e < g->in_start[node + 1]; e++) {
		from = g->in[e];
		if (s->best[from] & SETTLED || (e > g->in_start[node] && g->in[e - 1] == from))
			continue;
		next = cost + backward_cost(s, from, node);
		/* What is found wanting later may be all there is: keep every way then. */
		if (!s->query->allow && s->best[from] && s->best[from] <= next + 1)
			continue;
		if (!s->best[from] || s->best[from] > next + 1)
			s->best[from] = next + 1;
		if (!put(s, from, node, next))
			return pyr_error_no_memory();
	}
	return NULL;
}

static pyr_error *run_search(struct path_search *s, struct pyr_control *control)
{
	uint64_t cost, steps = 0;
	pyr_error *err;
	size_t i;

	for (cost = 0; s->waiting && (!s->source.found || cost < s->source.cost); cost++) {
		/* edges of no cost add to the bucket that is being emptied */
		for (i = 0; i < s->buckets[cost % RING].count; i++) {
			s->waiting--;
			if ((err = settle(s, s->buckets[cost % RING].data[i], cost)) ||
			    (!(++steps & CHECK_EVERY) &&
			     (err = pyr_control_progress(control, "looking for a path", s->looked,
							 s->graph->nodes))))
				return err;
		}
		s->buckets[cost % RING].count = 0;
	}
	return NULL;
}

static pyr_error *read_path(const struct path_search *s, struct pyr_path *ret)
{
	struct pyr_path path = {.cost = s->source.cost, .looked = s->looked};
	uint32_t node;

	if (s->source.found) {
		for (node = s->source.node; node != PYR_PATH_NONE; node = s->next[node])
			path.count++;
		path.nodes = malloc(path.count * sizeof(*path.nodes));
		if (!path.nodes)
			return pyr_error_no_memory();
		path.count = 0;
		for (node = s->source.node; node != PYR_PATH_NONE; node = s->next[node])
			path.nodes[path.count++] = node;
	}
	*ret = path;
	return NULL;
}

pyr_error *pyr_path_find(struct pyr_control *control, const struct pyr_graph *graph,
			 const struct pyr_path_costs *costs, const struct pyr_path_query *query,
			 struct pyr_path *ret)
{
	struct path_search s = {.graph = graph, .costs = costs, .query = query};
	pyr_error *err = NULL;
	unsigned i;

	/* untouched pages of these cost nothing */
	s.best = calloc((size_t)graph->nodes + 1, sizeof(*s.best));
	s.next = malloc(((size_t)graph->nodes + 1) * sizeof(*s.next));
	if (!s.best || !s.next || !put(&s, query->target, PYR_PATH_NONE, 0))
		err = pyr_error_no_memory();
	if (!err && !(err = run_search(&s, control)))
		err = read_path(&s, ret);
	for (i = 0; i < RING; i++)
		pyr_vec_deinit(&s.buckets[i]);
	free(s.best);
	free(s.next);
	return err;
}

void pyr_path_deinit(struct pyr_path *path)
{
	free(path->nodes);
	memset(path, 0, sizeof(*path));
}

/* --- all paths, forwards --- */

struct tree {
	const struct pyr_graph *graph;
	const struct pyr_path_costs *costs;
	PYR_VEC(uint32_t) buckets[RING];
	uint64_t waiting;
	uint32_t *distance; /* of the phase; SETTLED_NODE: its parent is final */
	struct pyr_path_tree result;
};

#define UNSEEN UINT32_MAX
#define SETTLED_NODE (UINT32_MAX - 1)

static bool reach(struct tree *t, uint32_t node, uint32_t parent, uint64_t distance)
{
	/* beyond four billion the order of paths is no longer that of their costs */
	uint32_t d = distance < SETTLED_NODE - 1 ? (uint32_t)distance : SETTLED_NODE - 1;

	if (t->distance[node] != UNSEEN &&
	    (t->distance[node] == SETTLED_NODE || t->distance[node] <= d))
		return true;
	t->distance[node] = d;
	t->result.parent[node] = parent;
	if (!pyr_vec_push(&t->buckets[distance % RING], node))
		return false;
	t->waiting++;
	return true;
}

static pyr_error *run_phase(struct tree *t, struct pyr_control *control)
{
	const struct pyr_graph *g = t->graph;
	uint64_t distance, e;
	uint32_t node;
	pyr_error *err;
	size_t i;

	for (distance = 0; t->waiting; distance++) {
		for (i = 0; i < t->buckets[distance % RING].count; i++) {
			node = t->buckets[distance % RING].data[i];
			t->waiting--;
			if (t->distance[node] == SETTLED_NODE)
				continue;
			t->distance[node] = SETTLED_NODE;
			t->result.order[t->result.reached++] = node;
			for (e = g->out_start[node]; e < g->out_start[node + 1]; e++)
				if (!reach(t, g->out[e], node,
					   distance + cost_of(t->costs, node, e)))
					return pyr_error_no_memory();
			if (!(t->result.reached & CHECK_EVERY) &&
			    (err = pyr_control_progress(control, "paths", t->result.reached,
							g->nodes)))
				return err;
		}
		t->buckets[distance % RING].count = 0;
	}
	return NULL;
}

pyr_error *pyr_path_tree_build(struct pyr_control *control, const struct pyr_graph *graph,
			       const struct pyr_path_costs *costs,
			       const struct pyr_path_source *sources, size_t source_count,
			       struct pyr_path_tree *ret)
{
	struct tree t = {.graph = graph, .costs = costs};
	size_t n = (size_t)graph->nodes + 1, i, k;
	pyr_error *err = NULL;

	t.distance = malloc(n * sizeof(*t.distance));
	t.result.parent = malloc(n * sizeof(*t.result.parent));
	t.result.order = malloc(n * sizeof(*t.result.order));
	if (!t.distance || !t.result.parent || !t.result.order) {
		err = pyr_error_no_memory();
		goto out;
	}
	memset(t.distance, 0xff, n * sizeof(*t.distance));
	memset(t.result.parent, 0xff, n * sizeof(*t.result.parent));
	for (i = 0; i < source_count && !err; i = k) {
		for (k = i; k < source_count && sources[k].phase == sources[i].phase && !err; k++)
			if (sources[k].node < graph->nodes &&
			    !reach(&t, sources[k].node, PYR_PATH_SOURCE, sources[k].cost))
				err = pyr_error_no_memory();
		if (!err)
			err = run_phase(&t, control);
	}
out:
	for (i = 0; i < RING; i++)
		pyr_vec_deinit(&t.buckets[i]);
	free(t.distance);
	if (err) {
		pyr_path_tree_deinit(&t.result);
		return err;
	}
	*ret = t.result;
	return NULL;
}

void pyr_path_tree_deinit(struct pyr_path_tree *tree)
{
	free(tree->parent);
	free(tree->order);
	memset(tree, 0, sizeof(*tree));
}
