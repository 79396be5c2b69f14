/* Paths against a slow, obvious twin: Bellman and Ford's relaxation of every edge until
 * nothing changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/retention/paths.h"
#include "random.h"

#define NODES_MAX 48
#define EDGES_MAX 6
#define FAR UINT64_MAX

struct random_graph {
	uint32_t nodes;
	uint32_t count[NODES_MAX], to[NODES_MAX][EDGES_MAX];
	unsigned cost[NODES_MAX][EDGES_MAX];
	bool is_source[NODES_MAX], blocked[NODES_MAX][NODES_MAX];
	unsigned source_cost[NODES_MAX];
	uint8_t phase[NODES_MAX];
	struct pyr_graph graph;
};

static void successors(void *ctx, unsigned worker, uint32_t node,
		       void (*add)(void *sink, uint32_t successor), void *sink)
{
	struct random_graph *r = ctx;
	uint32_t i;

	(void)worker;
	for (i = 0; i < r->count[node]; i++)
		add(sink, r->to[node][i]);
}

static void randomize(struct pyr_control *control, struct random_graph *r)
{
	struct pyr_graph_source source = {.ctx = r, .workers = 1, .successors = successors};
	uint32_t n, m, i, costs = random_below(3);

	memset(r, 0, sizeof(*r));
	source.nodes = r->nodes = 1 + random_below(NODES_MAX);
	for (n = 0; n < r->nodes; n++) {
		r->count[n] = random_below(4);
		for (i = 0; i < r->count[n]; i++) {
			r->to[n][i] = random_below(r->nodes);
			/* many of no cost, of few costs, of many */
			r->cost[n][i] = random_below(costs == 0 ? 2 : costs == 1 ? 4 : 64);
		}
		r->is_source[n] = random_below(12) == 0;
		r->source_cost[n] = random_below(random_below(2) ? 256 : 3);
		r->phase[n] = (uint8_t)random_below(3);
		for (m = 0; m < r->nodes; m++)
			r->blocked[n][m] = random_below(6) == 0;
	}
	assert_null(pyr_graph_build(control, &source, &r->graph));
	assert_null(pyr_graph_reverse(control, &r->graph));
}

static unsigned edge_cost(void *ctx, uint32_t from, uint64_t edge)
{
	struct random_graph *r = ctx;

	return r->cost[from][edge - r->graph.out_start[from]];
}

static bool is_source(void *ctx, uint32_t node, unsigned *cost)
{
	struct random_graph *r = ctx;

	*cost = r->source_cost[node];
	return r->is_source[node];
}

static bool is_allowed(void *ctx, uint32_t from, uint32_t to)
{
	return !((struct random_graph *)ctx)->blocked[from][to];
}

/* The least cost from any source of @phase (-1: all) to each node. */
static void relax(const struct random_graph *r, bool blocked, int phase, const bool *without,
		  uint64_t distance[NODES_MAX])
{
	bool changed = true;
	uint32_t n, i;

	for (n = 0; n < r->nodes; n++)
		distance[n] = r->is_source[n] && (phase < 0 || r->phase[n] == phase) &&
					      !(without && without[n])
				      ? r->source_cost[n]
				      : FAR;
	while (changed) {
		changed = false;
		for (n = 0; n < r->nodes; n++) {
			for (i = 0; distance[n] != FAR && i < r->count[n]; i++) {
				uint32_t to = r->to[n][i];
				uint64_t d = distance[n] + r->cost[n][i];

				if ((blocked && r->blocked[n][to]) || (without && without[to]) ||
				    d >= distance[to])
					continue;
				distance[to] = d;
				changed = true;
			}
		}
	}
}

/* It begins at a source, follows edges, and costs what it says. */
static void check_path(const struct random_graph *r, const struct pyr_path *path, bool blocked)
{
	uint64_t cost = r->source_cost[path->nodes[0]];
	size_t k;

	assert_true(r->is_source[path->nodes[0]]);
	for (k = 1; k < path->count; k++) {
		uint32_t from = path->nodes[k - 1], to = path->nodes[k], i;
		unsigned least = UINT32_MAX;

		for (i = 0; i < r->count[from]; i++)
			if (r->to[from][i] == to && r->cost[from][i] < least)
				least = r->cost[from][i];
		assert_true(least != UINT32_MAX);
		assert_false(blocked && r->blocked[from][to]);
		cost += least;
	}
	assert_int_equal(cost, path->cost);
}

static void one_path_is_the_cheapest(void **state)
{
	struct random_graph r;
	struct pyr_path_costs costs = {edge_cost, &r};
	struct pyr_path_query query = {.source = is_source, .ctx = &r};
	uint64_t distance[NODES_MAX];
	struct pyr_control control;
	struct pyr_path path;
	unsigned found = 0, none = 0;
	int round;

	(void)state;
	pyr_control_init(&control);
	for (round = 0; round < 3000; round++) {
		randomize(&control, &r);
		query.allow = round % 2 ? is_allowed : NULL;
		relax(&r, query.allow != NULL, -1, NULL, distance);
		for (query.target = 0; query.target < r.nodes; query.target++) {
			assert_null(pyr_path_find(&control, &r.graph, &costs, &query, &path));
			if (distance[query.target] == FAR) {
				assert_int_equal(path.count, 0);
				none++;
			} else {
				assert_true(path.count > 0);
				assert_int_equal(path.nodes[path.count - 1], query.target);
				assert_int_equal(path.cost, distance[query.target]);
				check_path(&r, &path, query.allow != NULL);
				found++;
			}
			pyr_path_deinit(&path);
		}
		pyr_graph_deinit(&r.graph);
	}
	assert_true(found > 1000 && none > 1000);
	pyr_control_deinit(&control);
}

static int by_phase(const void *a, const void *b)
{
	const struct pyr_path_source *x = a, *y = b;

	return x->phase - y->phase;
}

/* Every parent's own cost and that of the edge are the least there is. */
static void the_tree_has_the_cheapest_paths(void **state)
{
	struct random_graph r;
	struct pyr_path_costs costs = {edge_cost, &r};
	struct pyr_path_source sources[NODES_MAX];
	uint64_t distance[NODES_MAX];
	bool before[NODES_MAX], placed[NODES_MAX];
	struct pyr_control control;
	struct pyr_path_tree tree;
	int round, phase;
	uint32_t n, i;
	size_t count;

	(void)state;
	pyr_control_init(&control);
	for (round = 0; round < 3000; round++) {
		randomize(&control, &r);
		for (n = 0, count = 0; n < r.nodes; n++)
			if (r.is_source[n])
				sources[count++] = (struct pyr_path_source){
					n, (uint8_t)r.source_cost[n], r.phase[n]};
		qsort(sources, count, sizeof(*sources), by_phase);
		assert_null(pyr_path_tree_build(&control, &r.graph, &costs, sources, count, &tree));
		memset(placed, 0, sizeof(placed));
		for (i = 0; i < tree.reached; i++) {
			n = tree.order[i];
			assert_false(placed[n]);
			assert_true(tree.parent[n] == PYR_PATH_SOURCE || placed[tree.parent[n]]);
			placed[n] = true;
		}
		memset(before, 0, sizeof(before));
		for (phase = 0; phase < 3; phase++) {
			relax(&r, false, phase, before, distance);
			for (n = 0; n < r.nodes; n++) {
				uint32_t p = tree.parent[n];

				if (before[n] || distance[n] == FAR)
					continue;
				if (p == PYR_PATH_SOURCE) {
					assert_int_equal(distance[n], r.source_cost[n]);
					continue;
				}
				assert_true(p < r.nodes && distance[p] != FAR);
				for (i = 0; i < r.count[p]; i++)
					if (r.to[p][i] == n &&
					    distance[p] + r.cost[p][i] == distance[n])
						break;
				assert_true(i < r.count[p]);
			}
			for (n = 0; n < r.nodes; n++)
				before[n] |= distance[n] != FAR;
		}
		for (n = 0; n < r.nodes; n++) {
			assert_int_equal(before[n], tree.parent[n] != PYR_PATH_NONE);
			assert_int_equal(before[n], placed[n]);
		}
		pyr_path_tree_deinit(&tree);
		pyr_graph_deinit(&r.graph);
	}
	pyr_control_deinit(&control);
}

static void chain(void *ctx, unsigned worker, uint32_t node,
		  void (*add)(void *sink, uint32_t successor), void *sink)
{
	(void)worker;
	if (node < *(uint32_t *)ctx)
		add(sink, node + 1);
}

static bool first_only(void *ctx, uint32_t node, unsigned *cost)
{
	(void)ctx;
	*cost = 0;
	return node == 0;
}

/* A list nested a million deep needs no stack. */
static void depth_is_no_problem(void **state)
{
	uint32_t last = 1000000;
	struct pyr_graph_source how = {
		.ctx = &last, .workers = 2, .nodes = last + 1, .successors = chain};
	struct pyr_path_query query = {.target = last, .source = first_only};
	struct pyr_path_source source = {0};
	struct pyr_control control;
	struct pyr_path_tree tree;
	struct pyr_path path;
	struct pyr_graph g;

	(void)state;
	pyr_control_init(&control);
	assert_null(pyr_graph_build(&control, &how, &g));
	assert_null(pyr_graph_reverse(&control, &g));
	assert_null(pyr_path_find(&control, &g, NULL, &query, &path));
	assert_int_equal(path.count, last + 1);
	assert_null(pyr_path_tree_build(&control, &g, NULL, &source, 1, &tree));
	assert_int_equal(tree.reached, last + 1);
	assert_int_equal(tree.parent[last], last - 1);
	pyr_path_tree_deinit(&tree);
	pyr_path_deinit(&path);
	/* cancelled, it says so */
	atomic_store(&control.cancelled, true);
	query.target = last;
	{
		pyr_error *err = pyr_path_find(&control, &g, NULL, &query, &path);

		assert_non_null(err);
		assert_int_equal(err->code, PYR_E_INTERRUPTED);
		pyr_error_destroy(err);
	}
	pyr_graph_deinit(&g);
	pyr_control_deinit(&control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_path_is_the_cheapest),
		cmocka_unit_test(the_tree_has_the_cheapest_paths),
		cmocka_unit_test(depth_is_no_problem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
