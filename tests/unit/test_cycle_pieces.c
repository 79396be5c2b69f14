/* Numbering some objects anew, components and where the cycles are, against slow, obvious
 * twins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/collection/cycle_members.h"
#include "random.h"

#define NODES_MAX 300u
#define VISITED 0x20u /* PYR_MODEL_TRAVERSED, which cycle_members.h follows */

/* Some nodes of a random graph, and which of those reach which, by visited edges. */
struct sample {
	struct pyr_graph graph;
	struct pyr_model model;
	uint64_t start[NODES_MAX + 1];
	uint32_t out[NODES_MAX * 8];
	uint8_t flags[NODES_MAX * 8];
	uint32_t objects[NODES_MAX], count;
	uint32_t place[NODES_MAX]; /* by id; UINT32_MAX: none of them */
	uint64_t weights[NODES_MAX];
	uint8_t reach[NODES_MAX][NODES_MAX]; /* by place, over one edge or more */
	struct pyr_id_subset subset;
};

static struct sample s;
static struct pyr_control control;

static void reach_from(uint32_t from)
{
	uint32_t stack[NODES_MAX], depth = 0, place = from, next;
	uint64_t e;

	for (;;) {
		for (e = s.start[s.objects[place]]; e < s.start[s.objects[place] + 1]; e++) {
			next = s.place[s.out[e]];
			if (!(s.flags[e] & VISITED) || next == UINT32_MAX || s.reach[from][next])
				continue;
			s.reach[from][next] = 1;
			stack[depth++] = next;
		}
		if (!depth)
			return;
		place = stack[--depth];
	}
}

static void make_sample(void)
{
	uint32_t nodes = 1 + random_below(NODES_MAX), n, i, near = 1 + random_below(40);
	uint32_t degree = 1 + random_below(4), taken = 1 + random_below(10);
	uint64_t e = 0;

	memset(&s, 0, sizeof(s));
	for (n = 0; n < nodes; n++) {
		s.start[n] = e;
		for (i = random_below(degree + 1); i > 0; i--, e++) {
			/* Mostly to neighbours, as in a heap. */
			s.out[e] = random_below(8)
					   ? (n + nodes + random_below(2 * near) - near) % nodes
					   : random_below(nodes);
			s.flags[e] = (uint8_t)(random_below(32) | (random_below(10) ? VISITED : 0));
		}
		s.place[n] = UINT32_MAX;
		s.weights[n] = 1 + random_below(1000);
		if (random_below(taken + 1)) {
			s.place[n] = s.count;
			s.objects[s.count++] = n;
		}
	}
	s.start[nodes] = e;
	s.graph =
		(struct pyr_graph){.nodes = nodes, .edges = e, .out_start = s.start, .out = s.out};
	s.model.graph = s.graph;
	s.model.flags = s.flags;
	for (i = 0; i < s.count; i++)
		reach_from(i);
	assert_null(pyr_id_subset_create(&control, s.objects, s.count, nodes, &s.subset));
}

static void a_subset_numbers_what_is_in_it(void **state)
{
	enum { NODES = 700000 };
	uint32_t *ids = malloc(NODES * sizeof(*ids)), count, id, place;
	struct pyr_id_subset subset;
	int round;

	(void)state;
	for (round = 0; round < 4; round++) {
		for (id = 0, count = 0; id < NODES; id++)
			if (round == 3 || (round && !random_below(round == 1 ? 3 : 5000)))
				ids[count++] = id;
		assert_null(pyr_id_subset_create(&control, ids, count, NODES, &subset));
		assert_int_equal(subset.count, count);
		for (id = 0, place = 0; id < NODES; id++) {
			if (place < count && ids[place] == id)
				assert_int_equal(pyr_id_subset_place(&subset, id), place++);
			else
				assert_int_equal(pyr_id_subset_place(&subset, id),
						 PYR_NOT_IN_SUBSET);
		}
		pyr_id_subset_deinit(&subset);
	}
	free(ids);
}

static uint64_t number_of_edge(uint32_t number, uint32_t flags, uint32_t from, uint32_t to)
{
	return ((uint64_t)number << 40) + ((uint64_t)flags << 32) + from * UINT64_C(1000) + to;
}

static pyr_error *kind_of(void *ctx, unsigned worker, const struct pyr_cycle_view *view,
			  uint64_t *ret)
{
	const struct pyr_components *c = view->part;
	uint64_t kind = 0, e;
	uint32_t i, node;

	assert_ptr_equal(ctx, &s);
	assert_true(worker < PYR_CYCLE_WORKERS_MAX);
	for (i = 0; i < view->count; i++) {
		node = view->nodes[i];
		for (e = c->start.data[node]; e < c->start.data[node + 1]; e++)
			if (c->of.data[c->out.data[e]] == view->cycle)
				kind += number_of_edge(PYR_CYCLE_NUMBER(view->labels[e]),
						       PYR_CYCLE_FLAGS(view->labels[e]),
						       view->ids[node], view->ids[c->out.data[e]]);
	}
	*ret = kind;
	return NULL;
}

/* Two places of one cycle, or one that leads to itself. */
static bool together(uint32_t a, uint32_t b)
{
	return s.reach[a][b] && s.reach[b][a];
}

static uint64_t obvious_kind(uint32_t first)
{
	uint64_t kind = 0, e;
	uint32_t place, id, next;

	for (place = 0; place < s.count; place++) {
		if (!together(first, place))
			continue;
		id = s.objects[place];
		for (e = s.start[id]; e < s.start[id + 1]; e++) {
			next = s.place[s.out[e]];
			if (s.flags[e] & VISITED && next != UINT32_MAX && together(first, next))
				kind += number_of_edge((uint32_t)(e - s.start[id]), s.flags[e], id,
						       s.out[e]);
		}
	}
	return kind;
}

static void check_members(struct pyr_cycle_places *found)
{
	struct pyr_cycles cycles = {.model = &s.model,
				    .objects = s.objects,
				    .count = s.count,
				    .subset = &s.subset,
				    .found = *found};
	struct pyr_cycle_members members;
	uint32_t cycle, place, n;

	assert_null(pyr_cycle_members_init(&cycles, &members));
	for (cycle = 0; cycle < found->count; cycle++) {
		assert_null(pyr_cycle_members_find(&members, cycle));
		assert_int_equal(members.places.count, found->facts[cycle].members);
		for (place = 0, n = 0; place < s.count; place++) {
			if (!together(found->facts[cycle].first, place))
				continue;
			assert_int_equal(members.places.data[n], place);
			assert_int_equal(members.index[place], n++);
		}
		assert_int_equal(n, members.places.count);
	}
	pyr_cycle_members_deinit(&members);
}

static void check_found(const struct pyr_cycle_places *found, bool besides)
{
	uint32_t first[NODES_MAX], a, b, cycles = 0, members, cycle, objects = 0;
	uint64_t bytes = 0;

	for (a = 0; a < s.count; a++) {
		for (b = 0; b < a && !together(a, b); b++)
			;
		first[a] = together(a, a) ? b : UINT32_MAX;
		cycles += first[a] == a;
		if (first[a] == UINT32_MAX)
			assert_true(found->of[a] >= s.count);
		else
			assert_int_equal(found->of[a], first[a]);
	}
	assert_int_equal(found->count, cycles);
	for (cycle = 0; cycle < cycles; cycle++) {
		const struct pyr_cycle_facts *f = &found->facts[cycle];
		uint32_t reached = 0;
		uint64_t weight = 0;

		assert_int_equal(first[f->first], f->first);
		for (a = 0, members = 0; a < s.count; a++) {
			members += first[a] == f->first;
			weight += first[a] == f->first ? s.weights[a] : 0;
			reached += first[a] == UINT32_MAX && s.reach[f->first][a];
		}
		assert_int_equal(f->members, members);
		assert_true(f->objects >= members && f->objects <= members + reached);
		assert_true(f->bytes >= weight);
		assert_true(besides || (f->objects == members && f->bytes == weight));
		assert_int_equal(found->kind[cycle], obvious_kind(f->first));
		/* They come after those that they lead to. */
		for (b = cycle + 1; b < cycles; b++)
			assert_false(s.reach[f->first][found->facts[b].first]);
		objects += f->objects;
		bytes += f->bytes;
	}
	/* What several cycles lead to counts with one of them. */
	for (a = 0; a < s.count; a++) {
		for (cycle = 0; cycle < cycles; cycle++)
			if (first[a] != UINT32_MAX ||
			    (besides && s.reach[found->facts[cycle].first][a]))
				break;
		if (cycle < cycles) {
			objects--;
			bytes -= s.weights[a];
		}
	}
	assert_int_equal(objects, 0);
	assert_int_equal(bytes, 0);
}

static void cycles_are_where_nodes_reach_themselves(void **state)
{
	static const char *const threads[] = {"1", "3"};
	struct pyr_cycle_places found[2];
	int round, i;

	(void)state;
	for (round = 0; round < 600; round++) {
		make_sample();
		struct pyr_cycle_source source = {
			.graph = &s.graph,
			.flags = s.flags,
			.visited = VISITED,
			.objects = s.objects,
			.count = s.count,
			.subset = &s.subset,
			.weights = s.weights,
			.besides = random_below(4) != 0,
			.piece = random_below(3) ? 1 + random_below(s.count + 2) : 0,
			.kind_of = kind_of,
			.ctx = &s,
		};
		for (i = 0; i < 2; i++) {
			setenv("PYRETAIN_THREADS", threads[i], 1);
			assert_null(pyr_cycle_places_find(&control, &source, &found[i]));
			check_found(&found[i], source.besides);
		}
		unsetenv("PYRETAIN_THREADS");
		check_members(&found[0]);
		for (i = 0; i < (int)found[0].count; i++) {
			const struct pyr_cycle_facts *a = &found[0].facts[i],
						     *b = &found[1].facts[i];

			assert_int_equal(a->first, b->first);
			assert_int_equal(a->objects, b->objects);
			assert_int_equal(a->bytes, b->bytes);
		}
		pyr_cycle_places_deinit(&found[0]);
		pyr_cycle_places_deinit(&found[1]);
		pyr_id_subset_deinit(&s.subset);
	}
}

/* The part of a graph that some nodes are, numbered by place. */
static void load(struct pyr_components *c)
{
	uint32_t n, i;

	c->nodes = s.count;
	c->start.count = c->out.count = c->marks.count = 0;
	for (n = 0; n < s.count; n++) {
		uint8_t marks = 0;

		assert_true(pyr_vec_push(&c->start, c->out.count));
		for (i = (uint32_t)s.start[s.objects[n]]; i < s.start[s.objects[n] + 1]; i++) {
			uint32_t next = s.place[s.out[i]];

			if (next == UINT32_MAX)
				marks |= PYR_NODE_LEAVES;
			else if (s.flags[i] & VISITED)
				assert_true(pyr_vec_push(&c->out, next));
			if (next == n && s.flags[i] & VISITED)
				marks |= PYR_NODE_SELF;
		}
		assert_true(pyr_vec_push(&c->marks, marks));
	}
	assert_true(pyr_vec_push(&c->start, c->out.count));
}

static void what_leads_out_stays_open(void **state)
{
	uint32_t at[NODES_MAX], n, m, i, open;
	uint8_t leaves[NODES_MAX];
	struct pyr_components c = {0};
	int round;

	(void)state;
	for (round = 0; round < 600; round++) {
		make_sample();
		load(&c);
		if (s.count)
			memcpy(leaves, c.marks.data, s.count);
		assert_null(pyr_components_find(&c, &control));
		for (i = 0; i < c.closed; i++)
			at[c.order.data[s.count - c.closed + i]] = i;
		for (n = 0, open = 0; n < s.count; n++) {
			bool leads_out = leaves[n] & PYR_NODE_LEAVES;

			for (m = 0; m < s.count; m++)
				leads_out |= s.reach[n][m] && leaves[m] & PYR_NODE_LEAVES;
			open += leads_out;
			assert_int_equal(c.of.data[n] == PYR_NODE_OPEN, leads_out);
			if (leads_out)
				continue;
			assert_int_equal(c.of.data[n] == PYR_NODE_ALONE, !s.reach[n][n]);
			for (m = 0; m < s.count; m++) {
				if (s.reach[n][m] && !s.reach[m][n])
					assert_true(at[n] < at[m]);
				if (s.reach[n][n])
					assert_int_equal(c.of.data[n] == c.of.data[m],
							 together(n, m));
			}
		}
		assert_int_equal(c.closed, s.count - open);
		pyr_id_subset_deinit(&s.subset);
	}
	pyr_components_deinit(&c);
}

/* A list nested a million deep, the last one holding the first, needs no stack. */
static void depth_is_no_problem(void **state)
{
	enum { NODES = 1000000 };
	struct pyr_components c = {.nodes = NODES};
	uint32_t n;

	(void)state;
	for (n = 0; n <= NODES; n++)
		assert_true(pyr_vec_push(&c.start, n));
	for (n = 0; n < NODES; n++)
		assert_true(pyr_vec_push(&c.out, (n + 1) % NODES) && pyr_vec_push(&c.marks, 0));
	assert_null(pyr_components_find(&c, &control));
	assert_int_equal(c.sizes.count, 1);
	assert_int_equal(c.sizes.data[0], NODES);
	/* Without the last one's reference they are none. */
	c.start.data[NODES] = NODES - 1;
	assert_null(pyr_components_find(&c, &control));
	assert_int_equal(c.sizes.count, 0);
	assert_int_equal(c.closed, NODES);
	assert_int_equal(c.order.data[0], 0);
	pyr_components_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_subset_numbers_what_is_in_it),
		cmocka_unit_test(cycles_are_where_nodes_reach_themselves),
		cmocka_unit_test(what_leads_out_stays_open),
		cmocka_unit_test(depth_is_no_problem),
	};
	int failed;

	pyr_control_init(&control);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pyr_control_deinit(&control);
	return failed;
}
