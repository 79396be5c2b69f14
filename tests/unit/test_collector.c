/* The collector's algorithm: small heaps by hand, and random ones against the same
 * algorithm written the obvious way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/collection/collector.h"
#include "base/search.h"
#include "graph/model.h"

#define BOTH (PYR_MODEL_TRAVERSED | PYR_MODEL_OWNED)
#define MAX_NODES 400u
#define MAX_EDGES 4000u

struct edge {
	uint32_t from, to;
	uint8_t flags;
};

struct heap {
	uint32_t nodes, edge_count;
	struct edge edges[MAX_EDGES];
	int32_t refs[MAX_NODES];
	bool believe;
	/* rows */
	uint64_t start[MAX_NODES + 1];
	uint32_t out[MAX_EDGES];
	uint8_t flags[MAX_EDGES];
	struct pyr_graph graph;
};

static void add(struct heap *h, uint32_t from, uint32_t to, uint8_t flags)
{
	assert_true(h->edge_count < MAX_EDGES && from < h->nodes && to < h->nodes);
	h->edges[h->edge_count++] = (struct edge){from, to, flags};
}

static void make_rows(struct heap *h)
{
	uint32_t n, e;
	uint64_t at = 0;

	for (n = 0; n < h->nodes; n++) {
		h->start[n] = at;
		for (e = 0; e < h->edge_count; e++)
			if (h->edges[e].from == n) {
				h->out[at] = h->edges[e].to;
				h->flags[at++] = h->edges[e].flags;
			}
	}
	h->start[n] = at;
	h->graph = (struct pyr_graph){
		.nodes = h->nodes, .edges = at, .out_start = h->start, .out = h->out};
}

static void collect(struct heap *h, unsigned workers, struct pyr_collector_result *ret)
{
	struct pyr_collector_input input = {
		.graph = &h->graph,
		.flags = h->flags,
		.believe_inferred = h->believe,
		.workers = workers,
	};
	int32_t refs[MAX_NODES];
	struct pyr_control control;

	pyr_control_init(&control);
	memcpy(refs, h->refs, sizeof(refs));
	assert_null(pyr_collector_run(&control, &input, refs, ret));
	pyr_control_deinit(&control);
}

static bool is_among(const struct pyr_collector_result *result, uint32_t id)
{
	return bsearch(&id, result->objects, result->count, sizeof(id), pyr_by_number);
}

/* The same in the obvious way: rounds over all edges until nothing changes. */
static void collect_slowly(const struct heap *h, bool garbage[MAX_NODES])
{
	int64_t refs[MAX_NODES];
	bool alive[MAX_NODES], change = true, member, counted;
	const struct edge *e;
	uint32_t i;

	for (i = 0; i < h->nodes; i++)
		refs[i] = h->refs[i];
	for (i = 0; i < h->edge_count; i++) {
		e = &h->edges[i];
		member = h->refs[e->from] != PYR_COUNT_NONE && h->refs[e->to] != PYR_COUNT_NONE;
		counted = e->flags & PYR_MODEL_TRAVERSED
				  ? e->flags & PYR_MODEL_OWNED ||
					    (PYR_MODEL_KIND(e->flags) != PYR_EDGE_LOCAL &&
					     PYR_MODEL_KIND(e->flags) != PYR_EDGE_STACK &&
					     PYR_MODEL_KIND(e->flags) != PYR_EDGE_FIELD)
				  : h->believe && e->flags & PYR_MODEL_INFERRED;
		if (member && counted)
			refs[e->to]--;
	}
	for (i = 0; i < h->nodes; i++)
		alive[i] = h->refs[i] != PYR_COUNT_NONE && refs[i] != 0;
	while (change) {
		change = false;
		for (i = 0; i < h->edge_count; i++) {
			e = &h->edges[i];
			if (alive[e->from] && !alive[e->to] && h->refs[e->to] != PYR_COUNT_NONE &&
			    e->flags & (PYR_MODEL_TRAVERSED | PYR_MODEL_INFERRED))
				alive[e->to] = change = true;
		}
	}
	for (i = 0; i < h->nodes; i++)
		garbage[i] = h->refs[i] != PYR_COUNT_NONE && !alive[i];
}

static void expect(struct heap *h, const char *garbage)
{
	struct pyr_collector_result result;
	uint32_t i;

	make_rows(h);
	collect(h, 1, &result);
	for (i = 0; i < h->nodes; i++)
		if (is_among(&result, i) != (garbage[i] == 'x'))
			fail_msg("object %u is%s found garbage", i,
				 garbage[i] == 'x' ? " not" : "");
	pyr_collector_result_deinit(&result);
}

static struct heap heap;

static struct heap *fresh(uint32_t nodes)
{
	memset(&heap, 0, sizeof(heap));
	heap.nodes = nodes;
	return &heap;
}

static void test_cycles(void **state)
{
	struct heap *h = fresh(6);

	(void)state;
	/* 0 <-> 1, nobody else; 2 <-> 3, held once more; 4 holds itself; 5 hangs off 4. */
	add(h, 0, 1, BOTH);
	add(h, 1, 0, BOTH);
	add(h, 2, 3, BOTH);
	add(h, 3, 2, BOTH);
	add(h, 4, 4, BOTH);
	add(h, 4, 5, BOTH);
	memcpy(h->refs, (int32_t[]){1, 1, 1, 2, 1, 1}, 6 * sizeof(int32_t));
	expect(h, "xx--xx");
}

static void test_what_keeps_alive(void **state)
{
	struct heap *h = fresh(8);

	(void)state;
	/* An older generation's reference is not taken off. */
	h->refs[0] = PYR_COUNT_NONE;
	add(h, 0, 1, BOTH);
	add(h, 1, 1, BOTH);
	h->refs[1] = 2;
	/* Owned and not visited: neither. */
	add(h, 2, 3, PYR_MODEL_OWNED);
	add(h, 3, 2, BOTH);
	h->refs[2] = 1;
	h->refs[3] = 1;
	/* Inferred: followed and never taken off. */
	add(h, 4, 5, PYR_MODEL_INFERRED | PYR_EDGE_WORD);
	add(h, 5, 4, BOTH);
	h->refs[4] = 1;
	h->refs[5] = 1;
	/* Two visits of one reference: no sense, so alive. */
	add(h, 6, 7, BOTH);
	add(h, 6, 7, BOTH);
	add(h, 7, 6, BOTH);
	h->refs[6] = h->refs[7] = 1;
	expect(h, "--------");
	/* Were the guess right, 4 and 5 would be garbage. */
	h->believe = true;
	expect(h, "----xx--");
}

static void test_negative_is_told(void **state)
{
	struct heap *h = fresh(3);
	struct pyr_collector_result result;

	(void)state;
	add(h, 0, 1, BOTH);
	add(h, 0, 1, BOTH);
	add(h, 1, 2, BOTH);
	h->refs[0] = h->refs[1] = h->refs[2] = 1;
	make_rows(h);
	collect(h, 1, &result);
	assert_int_equal(result.negative, 1);
	assert_int_equal(result.first_negative, 1);
	assert_int_equal(result.count, 0);
	pyr_collector_result_deinit(&result);
}

/* 3.14+: a frame's uncounted reference is followed and not taken off. */
static void test_uncounted_stack_references(void **state)
{
	struct heap *h = fresh(4);

	(void)state;
	/* 0 and 1 own each other; the generator 0 borrows 1 besides. */
	add(h, 0, 1, BOTH);
	add(h, 0, 1, PYR_MODEL_TRAVERSED | PYR_EDGE_LOCAL);
	add(h, 1, 0, BOTH);
	h->refs[0] = h->refs[1] = 1;
	/* 2 is alive and borrows 3, whose only count is its own: held from outside, 3 not. */
	h->refs[2] = 1;
	add(h, 2, 3, PYR_MODEL_TRAVERSED | PYR_EDGE_STACK);
	add(h, 3, 3, BOTH);
	h->refs[3] = 1;
	expect(h, "xx--");
	/* Other references that are visited and not counted are taken off all the same. */
	h = fresh(2);
	add(h, 0, 0, BOTH);
	add(h, 0, 1, PYR_MODEL_TRAVERSED | PYR_EDGE_TYPE);
	h->refs[0] = h->refs[1] = 1;
	expect(h, "xx");
}

static uint32_t seed = 12345;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

/* Counts that are right, with here and there one reference more from outside. */
static void random_heap(struct heap *h, uint32_t round)
{
	uint32_t i, edges, from, to, kind;
	uint8_t flags;

	h->believe = round % 7 == 0;
	edges = h->nodes + random_below(h->nodes * (1 + round % 4));
	for (i = 0; i < h->nodes; i++) {
		if (random_below(10) == 0)
			h->refs[i] = PYR_COUNT_NONE;
	}
	for (i = 0; i < edges; i++) {
		from = random_below(h->nodes);
		/* Near by, so that there are many small heaps in one. */
		to = from / 8 * 8 + random_below(8);
		to = to < h->nodes ? to : from;
		kind = random_below(20);
		flags = kind == 0   ? PYR_MODEL_INFERRED
			: kind == 1 ? PYR_MODEL_TRAVERSED | PYR_EDGE_LOCAL
			: kind == 2 ? PYR_MODEL_OWNED
				    : BOTH;
		add(h, from, to, flags);
		if (h->refs[to] != PYR_COUNT_NONE && kind != 1)
			h->refs[to]++;
	}
	for (i = 0; i < h->nodes; i++)
		if (h->refs[i] != PYR_COUNT_NONE && (h->refs[i] == 0 || !random_below(12)))
			h->refs[i]++;
}

static void test_equals_the_obvious_way(void **state)
{
	struct pyr_collector_result result;
	bool garbage[MAX_NODES];
	uint32_t round, i, found = 0;
	unsigned workers;
	struct heap *h;

	(void)state;
	for (round = 0; round < 600; round++) {
		h = fresh(1 + random_below(MAX_NODES));
		random_heap(h, round);
		make_rows(h);
		collect_slowly(h, garbage);
		for (workers = 1; workers <= 3; workers++) {
			collect(h, workers, &result);
			for (i = 0; i < h->nodes; i++)
				if (is_among(&result, i) != garbage[i])
					fail_msg("round %u, %u workers: object %u", round, workers,
						 i);
			found += result.count;
			pyr_collector_result_deinit(&result);
		}
	}
	assert_true(found > 1000);
}

/* Wide and deep enough for several markers to share their work. */
static void test_large(void **state)
{
	enum { N = 1 << 20, NEGATIVE = 1 << 14 };
	struct pyr_graph g = {.nodes = N, .edges = 2 * (uint64_t)N};
	struct pyr_collector_input input = {.graph = &g};
	uint8_t *flags = malloc(g.edges);
	int32_t *refs = malloc(N * sizeof(*refs));
	struct pyr_collector_result result;
	struct pyr_control control;
	uint32_t i;

	(void)state;
	pyr_control_init(&control);
	g.out_start = malloc((N + 1) * sizeof(*g.out_start));
	g.out = malloc(g.edges * sizeof(*g.out));
	assert_true(flags && refs && g.out_start && g.out);
	input.flags = flags;
	memset(flags, BOTH, g.edges);
	/* Even numbers: a binary tree under 0. Odd ones: each holds the next and the one
	 * before, in rings of 8. */
	for (i = 0; i <= N; i++)
		g.out_start[i] = 2 * (uint64_t)i;
	for (i = 0; i < N; i += 2) {
		uint32_t left = 2 * (i / 2) + 1, right = left + 1;

		g.out[2 * (size_t)i] = left < N / 2 ? 2 * left : i;
		g.out[2 * (size_t)i + 1] = right < N / 2 ? 2 * right : i;
	}
	for (i = 1; i < N; i += 2) {
		uint32_t ring = i / 16 * 16, at = (i - ring) / 2;

		g.out[2 * (size_t)i] = ring + 2 * ((at + 1) % 8) + 1;
		g.out[2 * (size_t)i + 1] = ring + 2 * ((at + 7) % 8) + 1;
	}
	for (input.workers = 1; input.workers <= 4; input.workers++) {
		memset(refs, 0, N * sizeof(*refs));
		for (i = 0; i < 2 * (uint32_t)N; i++)
			refs[g.out[i]]++;
		refs[0]++;
		/* Of these some are reached from 0 before they are come by. */
		for (i = NEGATIVE; i < N; i += NEGATIVE)
			refs[i] -= 3;
		assert_null(pyr_collector_run(&control, &input, refs, &result));
		assert_int_equal(result.negative, N / NEGATIVE - 1);
		assert_int_equal(result.first_negative, NEGATIVE);
		assert_int_equal(result.count, N / 2);
		assert_int_equal(result.objects[0], 1);
		assert_int_equal(result.objects[N / 2 - 1], N - 1);
		pyr_collector_result_deinit(&result);
	}
	free(g.out_start);
	free(g.out);
	free(flags);
	free(refs);
	pyr_control_deinit(&control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_what_keeps_alive),
		cmocka_unit_test(test_negative_is_told),
		cmocka_unit_test(test_uncounted_stack_references),
		cmocka_unit_test(test_equals_the_obvious_way),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
