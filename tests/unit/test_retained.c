/* What objects retain, in a heap of each CPython here, against the obvious oracle: take the
 * object away and see what is no longer reached. And every object that a root reaches has
 * a path, every other none.
 *
 * test_retained CORE [SYSROOT [EXE]]: the same for one core. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/retention/retained.h"
#include "analysis/retention/edge_costs.h"
#include "opened.h"
#include "values/object.h"

#define SAMPLES 120u
#define LARGEST 40u

static const char script[] =
	"import asyncio, collections, functools, gc, os, sys, threading, weakref\n"
	"class Node(object):\n"
	"    def __init__(s, n): s.n = n; s.next = None; s.load = [n] * 10\n"
	"class Slots(object):\n"
	"    __slots__ = ('a', 'b')\n"
	"nodes = [Node(i) for i in range(300)]\n"
	"for a, b in zip(nodes, nodes[1:]): a.next = b\n"
	"del nodes[100:]\n" /* a chain: each retains all behind it */
	"shared = {i: [i] for i in range(100)}\n"
	"users = [dict(shared=shared, own=list(range(i))) for i in range(50)]\n"
	"slots = [Slots() for i in range(50)]\n"
	"for s in slots: s.a = slots; s.b = (s, [s])\n"
	"cached = functools.lru_cache(maxsize=None)(lambda n: [n] * n)\n"
	"for i in range(50): cached(i)\n"
	"weak = weakref.WeakValueDictionary((i, n) for i, n in enumerate(nodes))\n"
	"def gen():\n"
	"    held = [Node(1)]\n"
	"    yield held\n"
	"gens = [gen() for i in range(10)]\n"
	"for g in gens: next(g)\n"
	"gc.collect(); gc.disable()\n"
	"for i in range(20):\n"
	"    x, y = Node(1), Node(2); x.next = y; y.next = x\n"
	"del x, y\n"
	"print('ready'); sys.stdout.flush()\n"
	"sys.stdin.readline()\n"
	"os._exit(0)\n";

struct subject {
	struct opened o;
	struct pyr_edge_costs *edge_costs;
	struct pyr_retained retained;
};

static void must(struct subject *s, pyr_error *err)
{
	if (err)
		fail_msg("%s: %s", s->o.name, err->message);
}

/* --- the oracle --- */

struct marks {
	uint8_t *seen;
	uint32_t *stack;
};

static void reach(const struct subject *s, struct marks *m, uint32_t from, uint32_t without)
{
	const struct pyr_graph *g = &s->o.model->graph;
	size_t depth = 0;
	uint64_t e;

	if (from == without || m->seen[from])
		return;
	m->seen[from] = 1;
	m->stack[depth++] = from;
	while (depth) {
		uint32_t n = m->stack[--depth];

		for (e = g->out_start[n]; e < g->out_start[n + 1]; e++)
			if (g->out[e] != without && !m->seen[g->out[e]]) {
				m->seen[g->out[e]] = 1;
				m->stack[depth++] = g->out[e];
			}
	}
}

/* Bytes that are reached from @roots without @without. */
static uint64_t weigh(const struct subject *s, struct marks *m, const uint32_t *roots, size_t count,
		      uint32_t without)
{
	uint64_t bytes = 0;
	uint32_t n;
	size_t i;

	memset(m->seen, 0, s->o.heap->count);
	for (i = 0; i < count; i++)
		reach(s, m, roots[i], without);
	for (n = 0; n < s->o.heap->count; n++)
		if (m->seen[n])
			bytes += s->retained.sizes[n];
	return bytes;
}

/* Exact roots, then words of C memory, then what has references that were not found: the
 * later ones only where those before do not reach. Answers how many, @exact of them exact. */
static size_t choose_roots(const struct subject *s, struct marks *m, uint32_t *roots, size_t *exact)
{
	size_t count = 0, i, begin;
	uint32_t n;

	memset(m->seen, 0, s->o.heap->count);
	for (i = 0; i < s->o.roots->roots.count; i++)
		if (!s->o.roots->roots.data[i].possible)
			roots[count++] = s->o.roots->roots.data[i].object;
	*exact = count;
	for (i = 0; i < count; i++)
		reach(s, m, roots[i], UINT32_MAX);
	begin = count;
	for (i = 0; i < s->o.roots->roots.count; i++) {
		n = s->o.roots->roots.data[i].object;
		if (s->o.roots->roots.data[i].possible && !m->seen[n] &&
		    pyr_ledger_remainder(s->o.ledger, n) > 0)
			roots[count++] = n;
	}
	for (i = begin; i < count; i++)
		reach(s, m, roots[i], UINT32_MAX);
	begin = count;
	for (n = 0; n < s->o.heap->count; n++)
		if (!m->seen[n] && pyr_ledger_remainder(s->o.ledger, n) > 0)
			roots[count++] = n;
	for (i = begin; i < count; i++)
		reach(s, m, roots[i], UINT32_MAX);
	return count;
}

/* --- the questions --- */

static int by_retained(const void *a, const void *b, void *ctx)
{
	const uint64_t *retained = ctx;
	uint64_t x = retained[*(const uint32_t *)a], y = retained[*(const uint32_t *)b];

	return x > y ? -1 : x < y;
}

/* The objects that retain most, and others from all over the heap. */
static size_t choose(const struct subject *s, uint32_t samples[SAMPLES])
{
	uint32_t *all = calloc(s->o.heap->count, sizeof(*all)), n;
	size_t count = 0;

	assert_non_null(all);
	for (n = 0; n < s->o.heap->count; n++)
		all[n] = n;
	qsort_r(all, s->o.heap->count, sizeof(*all), by_retained, s->retained.tree.retained);
	for (; count < LARGEST && count < s->o.heap->count; count++)
		samples[count] = all[count];
	for (n = 0; count < SAMPLES; n++)
		samples[count++] = (uint32_t)((uint64_t)s->o.heap->count * n / (SAMPLES - LARGEST));
	free(all);
	return count;
}

static bool is_exact_root(void *ctx, uint32_t node, unsigned *cost)
{
	const struct pyr_roots *roots = ctx;
	size_t i, end;

	pyr_roots_of(roots, node, &i, &end);
	for (; i < end; i++)
		if (!roots->roots.data[i].possible) {
			*cost = 0;
			return true;
		}
	return false;
}

/* @reached: by exact roots. */
static void path_is_there(struct subject *s, uint32_t node, bool reached)
{
	struct pyr_path_costs costs = {.cost = pyr_edge_costs_of, .ctx = s->edge_costs};
	struct pyr_path_query query = {.target = node, .source = is_exact_root, .ctx = s->o.roots};
	const struct pyr_graph *g = &s->o.model->graph;
	struct pyr_path path;
	uint64_t e;
	size_t i;

	must(s, pyr_path_find(&s->o.control, g, &costs, &query, &path));
	assert_int_equal(path.count > 0, reached);
	for (i = 1; i < path.count; i++) {
		for (e = g->out_start[path.nodes[i - 1]]; g->out[e] != path.nodes[i]; e++)
			assert_true(e + 1 < g->out_start[path.nodes[i - 1] + 1]);
	}
	pyr_path_deinit(&path);
}

/* Of each type: no more than all there is, no less than its own objects that are reached. */
static void types_add_up(struct subject *s, const uint8_t *reached)
{
	uint32_t types = pyr_types_count(s->o.types), n;
	uint64_t *retained = calloc(types + 1, sizeof(*retained));
	uint64_t *own = calloc(types + 1, sizeof(*own));

	assert_non_null(retained);
	assert_non_null(own);
	must(s, pyr_retained_by_type(&s->retained, s->o.heap, &s->o.control, retained, types));
	for (n = 0; n < s->o.heap->count; n++)
		if (reached[n] && s->o.heap->type[n] < types)
			own[s->o.heap->type[n]] += s->retained.sizes[n];
	for (n = 0; n < types; n++) {
		assert_true(retained[n] >= own[n]);
		assert_true(retained[n] <= s->retained.bytes);
	}
	free(retained);
	free(own);
}

static void ask(struct subject *s)
{
	size_t n = s->o.heap->count, count, exact, i, checked;
	uint32_t samples[SAMPLES], *roots;
	uint64_t all, without;
	struct marks m;
	uint8_t *by_exact;

	m.seen = calloc(n + 1, 1);
	m.stack = calloc(n + 1, sizeof(*m.stack));
	by_exact = calloc(n + 1, 1);
	roots = calloc(n + s->o.roots->roots.count + 1, sizeof(*roots));
	assert_true(m.seen && m.stack && roots && by_exact);
	count = choose_roots(s, &m, roots, &exact);
	all = weigh(s, &m, roots, count, UINT32_MAX);
	types_add_up(s, m.seen);
	weigh(s, &m, roots, exact, UINT32_MAX);
	memcpy(by_exact, m.seen, n);
	checked = choose(s, samples);
	for (i = 0; i < checked; i++) {
		path_is_there(s, samples[i], by_exact[samples[i]]);
		without = weigh(s, &m, roots, count, samples[i]);
		if (s->retained.tree.retained[samples[i]] != all - without)
			fail_msg("%s: the %s at 0x%llx retains %llu bytes, without it %llu are "
				 "not reached",
				 s->o.name,
				 pyr_type_name(
					 s->o.types,
					 pyr_types_at(s->o.types, s->o.heap->type[samples[i]])),
				 (unsigned long long)s->o.heap->address[samples[i]],
				 (unsigned long long)s->retained.tree.retained[samples[i]],
				 (unsigned long long)(all - without));
	}
	print_message("  %s: %zu of %zu objects retain what the oracle says\n", s->o.name, checked,
		      n);
	free(m.seen);
	free(m.stack);
	free(by_exact);
	free(roots);
}

static void examine(struct subject *s)
{
	struct opened *o = &s->o;

	opened_ledger(o);
	must(s, pyr_edge_costs_create(o->model, o->roots, o->ledger, &o->control, &s->edge_costs));
	must(s, pyr_retained_compute(o->model, o->roots, o->ledger, &o->control, &s->retained));
	assert_true(o->heap->count > 1000);
	ask(s);
	pyr_retained_deinit(&s->retained);
	pyr_edge_costs_destroy(s->edge_costs);
	opened_close(o);
}

static void ask_process(const struct python *python)
{
	struct python_process process;
	struct subject s;
	char line[100];

	python_start(python, script, &process);
	assert_non_null(fgets(line, sizeof(line), process.out));
	opened_process(&s.o, python, process.pid);
	examine(&s);
	fprintf(process.in, "\n");
	fflush(process.in);
	python_finish(&process);
}

static void retained_is_what_removal_frees(void **state)
{
	(void)state;
	pythons_each(ask_process);
}

static struct {
	const char *core, *sysroot, *exe;
} asked;

static void retained_in_a_core(void **state)
{
	struct subject s;
	struct pyr_target_options options = {.sysroot = asked.sysroot, .exe = asked.exe};

	(void)state;
	opened_core(&s.o, asked.core, &options);
	examine(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(retained_is_what_removal_frees)};
	const struct CMUnitTest one[] = {cmocka_unit_test(retained_in_a_core)};

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2)
		return cmocka_run_group_tests(tests, NULL, NULL);
	asked.core = argv[1];
	asked.sysroot = argc > 2 && argv[2][0] ? argv[2] : NULL;
	asked.exe = argc > 3 ? argv[3] : NULL;
	return cmocka_run_group_tests(one, NULL, NULL);
}
