/* Graphs and dominators against slow, obvious twins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/retention/dominators.h"
#include "base/parallel.h"
#include "random.h"

#define NODES_MAX 64

struct random_graph {
	uint32_t nodes;
	uint32_t count[NODES_MAX], to[NODES_MAX][8];
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

static void randomize(struct random_graph *r)
{
	uint32_t n, i;

	r->nodes = 1 + random_below(NODES_MAX);
	for (n = 0; n < r->nodes; n++) {
		r->count[n] = random_below(4);
		for (i = 0; i < r->count[n]; i++)
			r->to[n][i] = random_below(r->nodes);
	}
}

static void reach(const struct random_graph *r, uint32_t from, uint32_t without, uint8_t *seen)
{
	uint32_t stack[NODES_MAX * 8], depth = 0, n, i;

	if (from == without || seen[from])
		return;
	stack[depth++] = from;
	seen[from] = 1;
	while (depth) {
		n = stack[--depth];
		for (i = 0; i < r->count[n]; i++) {
			uint32_t t = r->to[n][i];

			if (t != without && !seen[t]) {
				seen[t] = 1;
				stack[depth++] = t;
			}
		}
	}
}

static void build(struct pyr_control *control, struct random_graph *r, struct pyr_graph *g)
{
	struct pyr_graph_source source = {
		.ctx = r, .workers = 2, .nodes = r->nodes, .successors = successors};

	assert_null(pyr_graph_build(control, &source, g));
	assert_null(pyr_graph_reverse(control, g));
}

static void rows_are_what_was_told(void **state)
{
	struct random_graph r;
	struct pyr_control control;
	struct pyr_graph g;
	uint32_t n, i, m;
	int round;

	(void)state;
	pyr_control_init(&control);
	for (round = 0; round < 200; round++) {
		uint64_t in = 0;

		randomize(&r);
		build(&control, &r, &g);
		for (n = 0; n < r.nodes; n++) {
			assert_int_equal(g.out_start[n + 1] - g.out_start[n], r.count[n]);
			for (i = 0; i < r.count[n]; i++)
				assert_int_equal(g.out[g.out_start[n] + i], r.to[n][i]);
			for (uint64_t e = g.in_start[n]; e < g.in_start[n + 1]; e++, in++) {
				m = g.in[e];
				for (i = 0; i < r.count[m] && r.to[m][i] != n; i++)
					;
				assert_true(i < r.count[m]);
			}
		}
		assert_int_equal(in, g.edges);
		pyr_graph_deinit(&g);
	}
	pyr_control_deinit(&control);
}

/* Retained by n: what becomes unreachable when n is taken away. */
static void retained_is_what_removal_frees(void **state)
{
	uint64_t sizes[NODES_MAX], expected;
	uint8_t all[NODES_MAX], without[NODES_MAX];
	struct pyr_dominators d;
	struct random_graph r;
	struct pyr_control control;
	struct pyr_graph g;
	uint32_t roots[4], n, m;
	size_t root_count, i;
	int round;

	(void)state;
	pyr_control_init(&control);
	for (round = 0; round < 2000; round++) {
		randomize(&r);
		build(&control, &r, &g);
		root_count = random_below(5);
		for (i = 0; i < root_count; i++)
			roots[i] = random_below(r.nodes);
		for (n = 0; n < r.nodes; n++)
			sizes[n] = 1 + random_below(1000);
		assert_null(pyr_dominators_compute(&control, &g, roots, root_count, sizes, &d));
		memset(all, 0, sizeof(all));
		for (i = 0; i < root_count; i++)
			reach(&r, roots[i], UINT32_MAX, all);
		for (n = 0; n < r.nodes; n++) {
			if (!all[n]) {
				assert_int_equal(d.parent[n], PYR_NOT_REACHABLE);
				assert_int_equal(d.retained[n], 0);
				continue;
			}
			memset(without, 0, sizeof(without));
			for (i = 0; i < root_count; i++)
				reach(&r, roots[i], n, without);
			for (m = 0, expected = 0; m < r.nodes; m++)
				if (all[m] && !without[m])
					expected += sizes[m];
			assert_int_equal(d.retained[n], expected);
		}
		pyr_dominators_deinit(&d);
		pyr_graph_deinit(&g);
	}
	pyr_control_deinit(&control);
}

/* Roots of a second phase count only for what the first does not reach. */
static void later_roots_share_nothing_with_earlier_ones(void **state)
{
	uint64_t sizes[NODES_MAX];
	uint8_t first[NODES_MAX];
	struct pyr_dominators phased, plain;
	struct random_graph r;
	struct pyr_control control;
	struct pyr_graph g;
	uint32_t roots[8], kept[8], reached[2], n, count;
	size_t ends[2], kept_count, i;
	int round;

	(void)state;
	pyr_control_init(&control);
	for (round = 0; round < 1000; round++) {
		randomize(&r);
		build(&control, &r, &g);
		ends[0] = random_below(4);
		ends[1] = ends[0] + random_below(5);
		for (i = 0; i < ends[1]; i++)
			roots[i] = random_below(r.nodes);
		for (n = 0; n < r.nodes; n++)
			sizes[n] = 1 + random_below(1000);
		memset(first, 0, sizeof(first));
		for (i = 0, kept_count = 0; i < ends[0]; i++) {
			reach(&r, roots[i], UINT32_MAX, first);
			kept[kept_count++] = roots[i];
		}
		for (; i < ends[1]; i++)
			if (!first[roots[i]])
				kept[kept_count++] = roots[i];
		assert_null(pyr_dominators_compute_phased(&control, &g, roots, ends, 2, sizes,
							  reached, &phased));
		assert_null(pyr_dominators_compute(&control, &g, kept, kept_count, sizes, &plain));
		for (n = 0, count = 0; n < r.nodes; n++) {
			assert_int_equal(phased.parent[n], plain.parent[n]);
			assert_int_equal(phased.retained[n], plain.retained[n]);
			count += first[n];
		}
		assert_int_equal(reached[0], count);
		pyr_dominators_deinit(&phased);
		pyr_dominators_deinit(&plain);
		pyr_graph_deinit(&g);
	}
	pyr_control_deinit(&control);
}

static void chain(void *ctx, unsigned worker, uint32_t node,
		  void (*add)(void *sink, uint32_t successor), void *sink)
{
	uint32_t last = *(uint32_t *)ctx;

	(void)worker;
	if (node < last)
		add(sink, node + 1);
}

/* A list nested a million deep needs no stack. */
static void depth_is_no_problem(void **state)
{
	uint32_t last = 1000000, root = 0;
	struct pyr_graph_source source = {
		.ctx = &last, .workers = 2, .nodes = last + 1, .successors = chain};
	uint64_t *sizes = calloc((size_t)last + 1, sizeof(*sizes));
	struct pyr_control control;
	struct pyr_dominators d;
	struct pyr_graph g;
	uint32_t n;

	(void)state;
	pyr_control_init(&control);
	for (n = 0; n <= last; n++)
		sizes[n] = 1;
	assert_null(pyr_graph_build(&control, &source, &g));
	assert_null(pyr_graph_reverse(&control, &g));
	assert_null(pyr_dominators_compute(&control, &g, &root, 1, sizes, &d));
	assert_int_equal(d.retained[0], last + 1);
	assert_int_equal(d.parent[last], last - 1);
	pyr_dominators_deinit(&d);
	pyr_graph_deinit(&g);
	free(sizes);
	pyr_control_deinit(&control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_what_was_told),
		cmocka_unit_test(retained_is_what_removal_frees),
		cmocka_unit_test(later_roots_share_nothing_with_earlier_ones),
		cmocka_unit_test(depth_is_no_problem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
