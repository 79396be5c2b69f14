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

#include "analysis/retained.h"
#include "analysis/telling.h"
#include "pythons.h"
#include "runtime/object.h"

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
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *python;
	struct pyr_types *types;
	struct pyr_heap *heap;
	struct pyr_model *model;
	struct pyr_roots *roots;
	struct pyr_ledger *ledger;
	struct pyr_telling *telling;
	struct pyr_retained retained;
	const char *name;
};

static void must(struct subject *s, pyr_error *err)
{
	if (err)
		fail_msg("%s: %s", s->name, err->message);
}

/* --- the oracle --- */

struct marks {
	uint8_t *seen;
	uint32_t *stack;
};

static void reach(const struct subject *s, struct marks *m, uint32_t from, uint32_t without)
{
	const struct pyr_graph *g = &s->model->graph;
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

	memset(m->seen, 0, s->heap->count);
	for (i = 0; i < count; i++)
		reach(s, m, roots[i], without);
	for (n = 0; n < s->heap->count; n++)
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

	memset(m->seen, 0, s->heap->count);
	for (i = 0; i < s->roots->roots.count; i++)
		if (!s->roots->roots.data[i].possible)
			roots[count++] = s->roots->roots.data[i].object;
	*exact = count;
	for (i = 0; i < count; i++)
		reach(s, m, roots[i], UINT32_MAX);
	begin = count;
	for (i = 0; i < s->roots->roots.count; i++) {
		n = s->roots->roots.data[i].object;
		if (s->roots->roots.data[i].possible && !m->seen[n] &&
		    pyr_ledger_remainder(s->ledger, n) > 0)
			roots[count++] = n;
	}
	for (i = begin; i < count; i++)
		reach(s, m, roots[i], UINT32_MAX);
	begin = count;
	for (n = 0; n < s->heap->count; n++)
		if (!m->seen[n] && pyr_ledger_remainder(s->ledger, n) > 0)
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
	uint32_t *all = calloc(s->heap->count, sizeof(*all)), n;
	size_t count = 0;

	assert_non_null(all);
	for (n = 0; n < s->heap->count; n++)
		all[n] = n;
	qsort_r(all, s->heap->count, sizeof(*all), by_retained, s->retained.tree.retained);
	for (; count < LARGEST && count < s->heap->count; count++)
		samples[count] = all[count];
	for (n = 0; count < SAMPLES; n++)
		samples[count++] = (uint32_t)((uint64_t)s->heap->count * n / (SAMPLES - LARGEST));
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
	struct pyr_path_costs costs = {.cost = pyr_telling_cost, .ctx = s->telling};
	struct pyr_path_query query = {.target = node, .source = is_exact_root, .ctx = s->roots};
	const struct pyr_graph *g = &s->model->graph;
	struct pyr_path path;
	uint64_t e;
	size_t i;

	must(s, pyr_path_find(&s->control, g, &costs, &query, &path));
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
	uint32_t types = pyr_types_count(s->types), n;
	uint64_t *retained = calloc(types + 1, sizeof(*retained));
	uint64_t *own = calloc(types + 1, sizeof(*own));

	assert_non_null(retained);
	assert_non_null(own);
	must(s, pyr_retained_by_type(&s->retained, s->heap, &s->control, retained, types));
	for (n = 0; n < s->heap->count; n++)
		if (reached[n] && s->heap->type[n] < types)
			own[s->heap->type[n]] += s->retained.sizes[n];
	for (n = 0; n < types; n++) {
		assert_true(retained[n] >= own[n]);
		assert_true(retained[n] <= s->retained.bytes);
	}
	free(retained);
	free(own);
}

static void ask(struct subject *s)
{
	size_t n = s->heap->count, count, exact, i, checked;
	uint32_t samples[SAMPLES], *roots;
	uint64_t all, without;
	struct marks m;
	uint8_t *by_exact;

	m.seen = calloc(n + 1, 1);
	m.stack = calloc(n + 1, sizeof(*m.stack));
	by_exact = calloc(n + 1, 1);
	roots = calloc(n + s->roots->roots.count + 1, sizeof(*roots));
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
				 s->name,
				 pyr_type_name(s->types,
					       pyr_types_at(s->types, s->heap->type[samples[i]])),
				 (unsigned long long)s->heap->address[samples[i]],
				 (unsigned long long)s->retained.tree.retained[samples[i]],
				 (unsigned long long)(all - without));
	}
	print_message("  %s: %zu of %zu objects retain what the oracle says\n", s->name, checked,
		      n);
	free(m.seen);
	free(m.stack);
	free(by_exact);
	free(roots);
}

static void examine(struct subject *s, const char *sysroot)
{
	struct pyr_python_options how = {.sysroot = sysroot};

	must(s, pyr_python_open(s->target, &how, &s->python));
	must(s, pyr_types_create(s->python, &s->types));
	must(s, pyr_heap_build(s->types, &s->control, &s->heap));
	must(s, pyr_model_build(s->heap, &s->control, &s->model));
	must(s, pyr_model_reverse(s->model, &s->control));
	must(s, pyr_roots_find(s->model, &s->control, &s->roots));
	must(s, pyr_ledger_build(s->model, s->roots, &s->control, &s->ledger));
	must(s, pyr_telling_create(s->model, s->roots, s->ledger, &s->control, &s->telling));
	must(s, pyr_retained_compute(s->model, s->roots, s->ledger, &s->control, &s->retained));
	assert_true(s->heap->count > 1000);
	ask(s);
	pyr_retained_deinit(&s->retained);
	pyr_telling_destroy(s->telling);
	pyr_ledger_destroy(s->ledger);
	pyr_roots_destroy(s->roots);
	pyr_model_destroy(s->model);
	pyr_heap_destroy(s->heap);
	pyr_types_destroy(s->types);
	pyr_python_destroy(s->python);
	pyr_target_destroy(s->target);
	pyr_control_deinit(&s->control);
}

static void retained_is_what_removal_frees(void **state)
{
	static struct python pythons[PYTHONS_MAX];
	size_t count = pythons_find(pythons), i;
	struct python_process process;
	char line[100];

	(void)state;
	assert_true(count > 0);
	for (i = 0; i < count; i++) {
		struct subject s = {.name = pythons[i].name};
		struct pyr_target_options options = {
			.sysroot = pythons[i].root[0] ? pythons[i].root : NULL, .max_pause = 5};

		pyr_control_init(&s.control);
		python_start(&pythons[i], script, &process);
		assert_non_null(fgets(line, sizeof(line), process.out));
		must(&s, pyr_target_open_pid(&s.control, process.pid, &options, &s.target));
		examine(&s, options.sysroot);
		fprintf(process.in, "\n");
		fflush(process.in);
		python_finish(&process);
	}
}

static struct {
	const char *core, *sysroot, *exe;
} asked;

static void retained_in_a_core(void **state)
{
	struct subject s = {.name = asked.core};
	struct pyr_target_options options = {.sysroot = asked.sysroot, .exe = asked.exe};

	(void)state;
	pyr_control_init(&s.control);
	must(&s, pyr_target_open_core(&s.control, asked.core, &options, &s.target));
	examine(&s, asked.sysroot);
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
