/* What goes with unreachable objects, in a copy of each CPython here, against the same in the
 * obvious way: rounds over all references of the model until nothing more is freed. On one
 * thread and on several, with objects that garbage of different pieces shares. And the set of
 * addresses that it is kept in. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/collection/garbage.h"
#include "analysis/collection/release_counts.h"
#include "opened.h"
#include "values/object.h"

/* Strings and tuples (which the collection lets go of) that a node alone owns, that the first
 * and the last share, and so on to the middle; chains whose every link is held twice; what is
 * kept besides; classes, which their base knows; arrays. */
static const char script[] =
	"import array, functools, gc, itertools, sys\n"
	"gc.disable()\n"
	"class Node(object): pass\n"
	"class Slotted(object): __slots__ = ('me', 'own', '__weakref__')\n"
	"def chain(n):\n"
	"    t = ('end %d' % n,)\n"
	"    for i in range(n): t = (t, t)\n"
	"    return t\n"
	"COUNT = 9000\n"
	"shared = [('shared %d' % i, ('deep %d' % i,) * 2, chain(3)) for i in range(COUNT // 2)]\n"
	"kept = shared[::10]\n"
	"nodes = []\n"
	"for i in range(COUNT):\n"
	"    n = Node()\n"
	"    n.me = [n, Slotted()]\n"
	"    n.me[1].me, n.me[1].own = n, 10.5 + i\n"
	"    n.own, n.table = 'own %d' % i, {'k': 'value %d' % i, 'n': 1 << 70 + i % 9}\n"
	"    n.shared = shared[min(i, COUNT - 1 - i)]\n"
	"    if i % 3 == 0: n.shared = (n.shared, n.shared)\n"
	"    n.buffer = bytearray(i % 1000)\n"
	"    n.set = set([n.own, n.own * 2])\n"
	"    n.view = memoryview(n.buffer) if i % 50 == 0 else None\n"
	"    nodes.append(n)\n"
	"for i in range(20):\n"
	"    nodes[i].chain = chain(2000)\n"
	"    nodes[i].cls = type('C%d' % i, (Node,), {'node': nodes[i], 'f': lambda self, n=n: "
	"n})\n"
	"    nodes[i].parts = iter([nodes[i], 'in an iterator %d' % i])\n"
	"    nodes[i].partial = functools.partial(print, nodes[i], 'in a partial %d' % i)\n"
	"    nodes[i].chained = itertools.chain([nodes[i]], ['in a chain %d' % i])\n"
	"    nodes[i].array = array.array('d', [i] * 100)\n"
	"    nodes[i].generator = (n for n in nodes[i].me)\n"
	"for i in range(3): gc.collect()\n"
	"del nodes, shared, n, chain\n"
	"sys.stdout.write('ready\\n')\n"
	"sys.stdout.flush()\n"
	"sys.stdin.readline()\n";

/* --- the obvious way --- */

struct slow {
	struct pyr_garbage *garbage;
	bool *gone;       /* by id */
	uint32_t *owner;  /* by id */
	uint32_t *let_go; /* by id */
	uint64_t owned_count, owned_bytes, tracked_bytes, native_bytes, owned_tracked;
	uint64_t *weights;
};

static bool is_last(const struct pyr_model *model, uint32_t id, uint32_t let_go)
{
	struct pyr_python *python = pyr_types_python(model->heap->types);
	int64_t count;
	bool immortal;

	return pyr_object_refcount(&python->layout, &python->reader, model->heap->address[id],
				   &count, &immortal) &&
	       !immortal && count > 0 && count <= (int64_t)let_go;
}

static void weigh_slowly(struct slow *s, uint32_t id, bool member)
{
	const struct pyr_heap *heap = s->garbage->model->heap;
	struct pyr_reader *reader = &pyr_types_python(heap->types)->reader;
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	uint64_t bytes;
	bool exact;

	assert_null(pyr_object_size(heap->types, reader, type, heap->address[id], &bytes, &exact));
	s->weights[s->owner[id]] += bytes;
	s->native_bytes += pyr_native_bytes(heap->types, reader, type, heap->address[id]);
	if (member) {
		s->tracked_bytes += bytes;
		return;
	}
	s->owned_count++;
	s->owned_bytes += bytes;
	s->owned_tracked += heap->generation[id] != PYR_GEN_UNTRACKED;
}

static void free_slowly(struct slow *s)
{
	const struct pyr_model *m = s->garbage->model;
	const struct pyr_graph *g = &m->graph;
	uint32_t id, to, place;
	bool change = true;
	uint64_t e;

	for (place = 0; place < s->garbage->count; place++) {
		s->gone[s->garbage->objects[place]] = true;
		s->owner[s->garbage->objects[place]] = place;
	}
	while (change) {
		change = false;
		memset(s->let_go, 0, g->nodes * sizeof(*s->let_go));
		for (id = 0; id < g->nodes; id++)
			for (e = g->out_start[id]; s->gone[id] && e < g->out_start[id + 1]; e++) {
				to = g->out[e];
				if (!(m->flags[e] & PYR_MODEL_OWNED) || s->gone[to])
					continue;
				if (!s->let_go[to]++ || s->owner[to] < s->owner[id])
					s->owner[to] = s->owner[id];
			}
		for (id = 0; id < g->nodes; id++)
			if (s->let_go[id] && is_last(m, id, s->let_go[id]))
				s->gone[id] = change = true;
	}
	for (id = 0; id < g->nodes; id++)
		if (s->gone[id])
			weigh_slowly(s, id,
				     pyr_id_subset_place(&s->garbage->subset, id) !=
					     PYR_NOT_IN_SUBSET);
}

static void slow_init(struct slow *s, struct pyr_garbage *garbage)
{
	uint32_t nodes = garbage->model->graph.nodes;

	memset(s, 0, sizeof(*s));
	s->garbage = garbage;
	s->gone = calloc(nodes, sizeof(*s->gone));
	s->owner = calloc(nodes, sizeof(*s->owner));
	s->let_go = calloc(nodes, sizeof(*s->let_go));
	s->weights = calloc(garbage->count + 1, sizeof(*s->weights));
	assert_true(s->gone && s->owner && s->let_go && s->weights);
	free_slowly(s);
}

static void slow_deinit(struct slow *s)
{
	free(s->gone);
	free(s->owner);
	free(s->let_go);
	free(s->weights);
}

/* --- both --- */

static void compare(const struct slow *s, struct pyr_control *control, const char *threads)
{
	struct pyr_garbage *g = s->garbage;
	const struct pyr_heap *heap = g->model->heap;
	uint64_t *weights = calloc(g->count + 1, sizeof(*weights));
	struct pyr_address_bitmap gone;
	uint32_t i, id, found = 0;
	pyr_addr addr;

	setenv("PYRETAIN_THREADS", threads, 1);
	assert_null(pyr_garbage_weigh(g, control, weights, &gone));
	for (addr = 0; pyr_address_bitmap_next(&gone, &addr); addr += 8, found++) {
		id = pyr_heap_id(heap, addr);
		assert_true(id != PYR_NO_ID && s->gone[id]);
	}
	assert_int_equal(found, g->count + s->owned_count);
	assert_int_equal(g->owned_count, s->owned_count);
	assert_int_equal(g->owned_bytes, s->owned_bytes);
	assert_int_equal(g->tracked_bytes, s->tracked_bytes);
	assert_int_equal(g->native_bytes, s->native_bytes);
	assert_int_equal(g->owned_tracked, s->owned_tracked);
	for (i = 0; i < g->count; i++)
		assert_int_equal(weights[i], s->weights[i]);
	pyr_address_bitmap_deinit(&gone);
	free(weights);
}

static void check(const struct python *python)
{
	struct python_process process;
	struct pyr_garbage garbage;
	struct opened o;
	char line[64];
	struct slow s;

	python_start(python, script, &process);
	assert_non_null(fgets(line, sizeof(line), process.out));
	opened_process(&o, python, process.pid);
	opened_heap(&o);
	assert_null(pyr_model_build(o.heap, &o.control, &o.model));
	assert_null(pyr_garbage_find(o.model, &o.control, 2, 0, &garbage));
	slow_init(&s, &garbage);
	compare(&s, &o.control, "1");
	compare(&s, &o.control, "2");
	compare(&s, &o.control, "7");
	print_message("  %s: %" PRIu32 " unreachable, %" PRIu64 " go with them\n", python->name,
		      garbage.count, s.owned_count);
	assert_true(garbage.count >= 27000 && s.owned_count > 9000 * 4);
	assert_true(s.native_bytes >= 20 * 800);
	slow_deinit(&s);
	pyr_garbage_deinit(&garbage);
	opened_close(&o);
	fprintf(process.in, "\n");
	fflush(process.in);
	python_finish(&process);
}

static void what_goes_with_garbage(void **state)
{
	(void)state;
	pythons_each(check);
}

static void addresses_are_kept_in_order(void **state)
{
	static const pyr_addr some[] = {8,
					504,
					512,
					4096,
					UINT64_C(1) << 30,
					(UINT64_C(1) << 30) + 520,
					(UINT64_C(1) << 47) - 8};
	struct pyr_address_bitmap set;
	uint64_t added;
	pyr_addr at = 0;
	size_t i;

	(void)state;
	assert_null(pyr_address_bitmap_init(&set));
	assert_false(pyr_address_bitmap_next(&set, &at));
	for (i = sizeof(some) / sizeof(*some); i-- > 0;) {
		assert_false(pyr_address_bitmap_has(&set, some[i]));
		assert_true(pyr_address_bitmap_add_word(&set, some[i] & ~UINT64_C(511),
							UINT64_C(1) << (some[i] >> 3 & 63),
							&added));
		assert_true(added);
		assert_true(pyr_address_bitmap_has(&set, some[i]));
		assert_false(pyr_address_bitmap_has(&set, some[i] ^ 8));
	}
	assert_true(pyr_address_bitmap_add_word(&set, 512, 3, &added));
	assert_int_equal(added, 2);
	assert_true(pyr_address_bitmap_has(&set, 520));
	for (i = 0, at = 0; pyr_address_bitmap_next(&set, &at); at += 8)
		if (at != 520)
			assert_int_equal(at, some[i++]);
	assert_int_equal(i, sizeof(some) / sizeof(*some));
	assert_true(pyr_address_bitmap_takes((UINT64_C(1) << 47) - 8));
	assert_false(pyr_address_bitmap_takes(UINT64_C(1) << 47));
	assert_false(pyr_address_bitmap_takes(12));
	pyr_address_bitmap_deinit(&set);
}

static void shares_are_found_again(void **state)
{
	struct pyr_release_counts shares;
	uint32_t i, n = 100000;

	(void)state;
	assert_null(pyr_release_counts_init(&shares));
	for (i = 1; i <= n; i++) {
		assert_null(pyr_release_counts_find(&shares, i * 48));
		assert_true(pyr_release_counts_add(&shares,
						   (struct pyr_release_count){i * 48, i, n - i}));
	}
	for (i = 1; i <= n; i++) {
		const struct pyr_release_count *share = pyr_release_counts_find(&shares, i * 48);

		assert_non_null(share);
		assert_true(share->address == i * 48 && share->left == i && share->owner == n - i);
		assert_null(pyr_release_counts_find(&shares, i * 48 + 8));
	}
	assert_int_equal(shares.count, n);
	pyr_release_counts_deinit(&shares);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_kept_in_order),
		cmocka_unit_test(shares_are_found_again),
		cmocka_unit_test(what_goes_with_garbage),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
