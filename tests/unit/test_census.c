/* The enumeration of all objects, in processes of every CPython here, against what
 * each says of itself; and the census as a stream against the census over the model,
 * which must agree in every number. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "analysis/census/census.h"
#include "analysis/census/find.h"
#include "objects/enumeration.h"
#include "pythons.h"

/* Tells numbers and addresses, one "word number" a line, and waits. */
#define PROLOGUE                                                                                   \
	"import gc, sys, os\n"                                                                     \
	"class Planted:\n"                                                                         \
	"    def __init__(self, n): self.n = n; self.items = [n, str(n), (n, self)]\n"             \
	"class Slotted:\n"                                                                         \
	"    __slots__ = ('a', 'b')\n"                                                             \
	"def tell(word, number): print(word, number)\n"                                            \
	"def wait():\n"                                                                            \
	"    if sys.version_info >= (3, 8):\n"                                                     \
	"        old, middle = len(gc.get_objects(generation=2)), "                                \
	"len(gc.get_objects(generation=1))\n"                                                      \
	"        tell('generation2', old); tell('generation1', middle)\n"                          \
	"    if hasattr(gc, 'get_freeze_count'): tell('frozen', gc.get_freeze_count())\n"          \
	"    tell('allocated', sys.getallocatedblocks())\n"                                        \
	"    tell('tracked', len(gc.get_objects()))\n"                                             \
	"    tell('end', 0); sys.stdout.flush(); sys.stdin.readline()\n"                           \
	"kept = [Planted(i) for i in range(1000)]\n"                                               \
	"slotted = [Slotted() for i in range(500)]\n"                                              \
	"del slotted[100:300]\n"                                                                   \
	"large = [i * 'x' for i in range(1000, 1300)]\n"                                           \
	"big = list(range(100000, 150000)); table = {i: i for i in range(5000)}\n"                 \
	"passing = [1e300 + 0.0 * i for i in range(90)]; staying = [2e300 + 0.0 * i for i in "     \
	"range(30)]\n"                                                                             \
	"del passing\n"                                                                            \
	"tell('planted', 1000); tell('slotted', 300)\n"                                            \
	"tell('large', len(large)); tell('object', id(kept)); tell('big', id(big))\n"              \
	"tell('string', id(large[7])); tell('table', id(table))\n"

static const char ordinary[] =
	PROLOGUE "gc.collect(); gc.disable(); young = [[] for i in range(40)]\n"
		 "wait()\n";
static const char frozen[] =
	PROLOGUE "gc.collect(); gc.disable()\n"
		 "if hasattr(gc, 'freeze'): gc.freeze()\n"
		 "after = [Slotted() for i in range(50)] + [[] for i in range(60)]\n"
		 "gc.collect()\n"
		 "tell('slotted', 350)\n"
		 "wait()\n";
/* Inside a finalizer, while the collector holds a list of its own. */
static const char collecting[] =
	PROLOGUE "class Dying:\n"
		 "    def __del__(self):\n"
		 "        if self.first: tell('collecting', 1); tell('end', 0); sys.stdout.flush();"
		 " sys.stdin.readline()\n"
		 "cycle = [Dying() for i in range(200)]\n"
		 "for i, d in enumerate(cycle): d.cycle = cycle; d.first = not i\n"
		 "tell('dying', 200); del cycle, d; gc.collect()\n";
static const char several[] =
	PROLOGUE "try: import _interpreters as sub\n"
		 "except ImportError:\n"
		 "    try: import _xxsubinterpreters as sub\n"
		 "    except ImportError: sub = None\n"
		 "made = [sub.create() for i in range(3)] if sub else []\n"
		 "for s in made: sub.run_string(s, 'held = [[i] for i in range(2000)]')\n"
		 "gc.collect(); gc.disable(); tell('interpreters', 1 + len(made))\n"
		 "wait()\n";

struct facts {
	uint64_t generation1, generation2, frozen, allocated, tracked, planted, slotted, large,
		object, big, string, table, collecting, dying, interpreters, end;
};

static void read_facts(FILE *file, struct facts *ret)
{
	static const struct {
		const char *word;
		size_t offset;
	} words[] = {
#define WORD(name) {#name, offsetof(struct facts, name)}
		WORD(generation1), WORD(generation2), WORD(frozen),       WORD(allocated),
		WORD(tracked),     WORD(planted),     WORD(slotted),      WORD(large),
		WORD(object),      WORD(big),         WORD(string),       WORD(table),
		WORD(collecting),  WORD(dying),       WORD(interpreters), WORD(end),
#undef WORD
	};
	char line[256], word[64];
	uint64_t number;
	size_t i;

	memset(ret, 0xff, sizeof(*ret));
	while (ret->end == UINT64_MAX && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %" SCNu64, word, &number) != 2)
			continue;
		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (!strcmp(words[i].word, word))
				memcpy((char *)ret + words[i].offset, &number, 8);
	}
	assert_int_equal(ret->end, 0);
}

struct target {
	const struct python *python;
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *py;
	struct pyr_types *types;
	struct pyr_heap *heap;
};

static void ok(const struct target *t, pyr_error *err)
{
	if (err)
		fail_msg("%s: %s: %s", t->python->name, pyr_error_code_name(err->code),
			 err->message);
}

#define check(t, condition)                                                                        \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("%s:%d: not true: %s", (t)->python->name, __LINE__, #condition);  \
	} while (0)

static const struct pyr_census_row *row_of(struct target *t, const struct pyr_census *c,
					   const char *name)
{
	size_t i;

	for (i = 0; i < c->rows.count; i++)
		if (!strcmp(pyr_type_name(t->types, pyr_types_at(t->types, c->rows.data[i].type)),
			    name))
			return &c->rows.data[i];
	return NULL;
}

static void same_census(struct target *t, const struct pyr_census *a, const struct pyr_census *b)
{
	size_t i, k;

	check(t,
	      a->objects == b->objects && a->gc_objects == b->gc_objects && a->bytes == b->bytes);
	check(t, a->only_block == b->only_block && a->only_gc_list == b->only_gc_list &&
			 a->only_reached == b->only_reached && a->proven == b->proven);
	check(t, !memcmp(a->by_generation, b->by_generation, sizeof(a->by_generation)));
	check(t, !memcmp(a->sizes, b->sizes, sizeof(a->sizes)));
	check(t, a->interpreters == b->interpreters);
	for (i = 0; i < a->interpreters * PYR_GEN_COUNT; i++)
		check(t, a->by_interpreter[i] == b->by_interpreter[i]);
	check(t, a->rows.count == b->rows.count);
	for (i = 0; i < a->rows.count; i++) {
		const struct pyr_census_row *x = &a->rows.data[i];

		for (k = 0; k < b->rows.count && b->rows.data[k].type != x->type; k++)
			;
		check(t, k < b->rows.count);
		if (x->count != b->rows.data[k].count || x->gc_count != b->rows.data[k].gc_count ||
		    x->bytes != b->rows.data[k].bytes ||
		    x->inexact_size != b->rows.data[k].inexact_size)
			fail_msg("%s: %s: %" PRIu64 " objects, %" PRIu64 " tracked, %" PRIu64
				 " bytes; in the model %" PRIu64 ", %" PRIu64 ", %" PRIu64,
				 t->python->name,
				 pyr_type_name(t->types, pyr_types_at(t->types, x->type)), x->count,
				 x->gc_count, x->bytes, b->rows.data[k].count,
				 b->rows.data[k].gc_count, b->rows.data[k].bytes);
	}
}

/* For all objects and each generation: stream and model agree. */
static void check_twins(struct target *t)
{
	struct pyr_census_options options = {.generation = -1, .size_histogram = true};
	struct pyr_census stream, model;

	for (options.generation = -1; options.generation <= 2; options.generation++) {
		ok(t, pyr_census_run(t->types, &t->control, &options, &stream));
		ok(t, pyr_census_of_heap(t->heap, &t->control, &options, &model));
		same_census(t, &stream, &model);
		pyr_census_deinit(&stream);
		pyr_census_deinit(&model);
	}
}

static uint64_t near(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* Telling takes objects of its own, the last ones: they are few and young. */
#define OWN 64

static void check_counts(struct target *t, const struct facts *f, bool mid_collection)
{
	struct pyr_census_options options = {.generation = -1};
	const struct pyr_census_row *row;
	struct pyr_census c;

	ok(t, pyr_census_run(t->types, &t->control, &options, &c));
	check(t, c.proven == !mid_collection);
	row = row_of(t, &c, "__main__.Planted");
	check(t, row && row->count == f->planted);
	check(t, mid_collection ||
			 row->gc_count == (c.by_generation[PYR_GEN_PERMANENT] >= 1000 ? 0 : 1000));
	row = row_of(t, &c, "__main__.Slotted");
	check(t, row && row->count == f->slotted);
	if (mid_collection) {
		row = row_of(t, &c, "__main__.Dying");
		check(t, row && row->count == f->dying && row->gc_count == 0);
		check(t, c.by_generation[PYR_GEN_COLLECTING] >= f->dying + 1 &&
				 c.by_generation[PYR_GEN_COLLECTING] < 3 * f->dying);
	} else {
		check(t, c.by_generation[PYR_GEN_COLLECTING] == 0);
		if (f->generation2 != UINT64_MAX && f->interpreters == UINT64_MAX) {
			check(t, c.by_generation[PYR_GEN_2] == f->generation2);
			check(t, c.by_generation[PYR_GEN_1] == f->generation1);
		}
		if (f->frozen != UINT64_MAX)
			check(t, c.by_generation[PYR_GEN_PERMANENT] == f->frozen);
		if (f->interpreters == UINT64_MAX)
			check(t, near(c.gc_objects, f->tracked) < OWN);
	}
	if (f->interpreters != UINT64_MAX) {
		check(t, c.interpreters == f->interpreters);
		row = row_of(t, &c, "builtins.list");
		check(t, row && row->count >= 2000 * (f->interpreters - 1));
	}
	pyr_census_deinit(&c);
}

static uint64_t blocks_in_use(struct target *t, struct pyr_obmalloc *m)
{
	struct pyr_pool pool;
	uint64_t used = 0;
	pyr_addr at;
	size_t i;

	for (i = 0; i < m->arenas.count; i++) {
		for (at = m->arenas.data[i].first_pool; at < m->arenas.data[i].pool_end;
		     at += m->pool_size) {
			switch (pyr_pool_read(m, &t->py->reader, &m->arenas.data[i], at, &pool)) {
			case PYR_POOL_LIVE:
				check(t, pool.consistent);
				used += pool.used;
				break;
			case PYR_POOL_EMPTY:
				break;
			default:
				fail_msg("%s: a pool at 0x%" PRIx64 " that is none",
					 t->python->name, at);
			}
		}
	}
	return used;
}

static void check_blocks(struct target *t, const struct facts *f)
{
	struct pyr_obmalloc m;
	uint64_t used;

	ok(t, pyr_obmalloc_open(t->py, &m));
	check(t, m.dropped_arenas == 0);
	check(t, m.states.count >= 1 || getenv("PYTHONMALLOC")); /* unused, it has no shape */
	if (m.states.count && m.states.data[0].has_raw_allocated_blocks &&
	    f->allocated != UINT64_MAX && f->interpreters == UINT64_MAX) {
		used = blocks_in_use(t, &m) + m.states.data[0].raw_allocated_blocks;
		if (near(used, f->allocated) > 4 * OWN)
			fail_msg("%s: %" PRIu64 " blocks, sys.getallocatedblocks() said %" PRIu64,
				 t->python->name, used, f->allocated);
	}
	pyr_obmalloc_deinit(&m);
}

static void resolves(struct target *t, pyr_addr addr, pyr_addr owner, enum pyr_part part,
		     int64_t offset)
{
	struct pyr_resolved r;

	ok(t, pyr_heap_resolve(t->heap, &t->control, addr, &r));
	if (t->heap->address[r.id] != owner || r.part != part || r.offset != offset)
		fail_msg("%s: 0x%" PRIx64 " is %d of 0x%" PRIx64 " at %" PRId64
			 ", not %d of 0x%" PRIx64 " at %" PRId64,
			 t->python->name, addr, r.part, t->heap->address[r.id], r.offset, part,
			 owner, offset);
}

static void check_addresses(struct target *t, const struct facts *f)
{
	const struct pyr_layout *l = &t->py->layout;
	struct pyr_resolved r;
	uint64_t items = 0, keys = 0;
	pyr_error *err;
	uint32_t id;

	for (id = 0; id < t->heap->count; id++) {
		check(t, pyr_heap_id(t->heap, t->heap->address[id]) == id);
		check(t, id == 0 || t->heap->address[id - 1] < t->heap->address[id]);
	}
	check(t, pyr_heap_id(t->heap, f->object) != PYR_NO_ID);
	check(t, pyr_heap_id(t->heap, f->object + 8) == PYR_NO_ID);
	check(t, pyr_heap_id(t->heap, f->string) != PYR_NO_ID); /* not a block: 1 KB */
	resolves(t, f->object, f->object, PYR_PART_BODY, 0);
	resolves(t, f->object + 17, f->object, PYR_PART_BODY, 17);
	resolves(t, f->object - 1, f->object, PYR_PART_GC_HEAD, -1);
	resolves(t, f->string + 1000, f->string, PYR_PART_BODY, 1000);
	check(t, pyr_try_u64(&t->py->reader,
			     f->big + (uint64_t)pyr_offset(l, PyListObject, ob_item), &items));
	resolves(t, items + 8 * 40000 + 3, f->big, PYR_PART_BUFFER, 8 * 40000 + 3);
	check(t, pyr_try_u64(&t->py->reader,
			     f->table + (uint64_t)pyr_offset(l, PyDictObject, ma_keys), &keys));
	resolves(t, keys + 20000, f->table, PYR_PART_BUFFER, 20000);
	err = pyr_heap_resolve(t->heap, &t->control, 16, &r);
	check(t, err && err->code == PYR_E_UNREADABLE);
	pyr_error_destroy(err);
}

static bool count_match(void *ctx, const struct pyr_find_match *match)
{
	(void)match;
	++*(uint64_t *)ctx;
	return true;
}

static void check_find(struct target *t, const struct facts *f)
{
	struct pyr_find_options o = {.type = "^__main__\\.Planted$", .generation = -1, .limit = 10};
	struct pyr_find_result result;
	uint64_t shown = 0;
	pyr_error *err;

	ok(t, pyr_find_run(t->heap, &t->control, &o, count_match, &shown, &result));
	check(t, shown == 10 && result.matches == f->planted && result.omitted == f->planted - 10);
	o = (struct pyr_find_options){.type = "Planted", .attr = "n=^77.$", .generation = -1};
	ok(t, pyr_find_run(t->heap, &t->control, &o, count_match, &shown, &result));
	check(t, result.matches == 10 && result.omitted == 0);
	o = (struct pyr_find_options){.repr = "^'x{60}", .generation = -1};
	ok(t, pyr_find_run(t->heap, &t->control, &o, count_match, &shown, &result));
	check(t, result.matches >= f->large);
	/* Floats on the free list are allocated, and no objects. */
	o = (struct pyr_find_options){
		.repr = "^1e\\+300$", .type = "^builtins.float$", .generation = -1};
	ok(t, pyr_find_run(t->heap, &t->control, &o, count_match, &shown, &result));
	check(t, result.matches < 10); /* constants of the code */
	o.repr = "^2e\\+300$";
	ok(t, pyr_find_run(t->heap, &t->control, &o, count_match, &shown, &result));
	check(t, result.matches >= 30 && result.matches < 40);
	o = (struct pyr_find_options){.min_size = 400000, .type = "list", .generation = PYR_GEN_2};
	ok(t, pyr_find_run(t->heap, &t->control, &o, count_match, &shown, &result));
	check(t, t->heap->generation[pyr_heap_id(t->heap, f->big)] != PYR_GEN_2 ||
			 result.matches == 1);
	o = (struct pyr_find_options){
		.type = "builtins.list$", .has_in = true, .in = f->object + 3, .generation = -1};
	ok(t, pyr_find_run(t->heap, &t->control, &o, count_match, &shown, &result));
	check(t, result.matches >= 1);
	o = (struct pyr_find_options){.type = "(", .generation = -1};
	err = pyr_find_run(t->heap, &t->control, &o, count_match, &shown, &result);
	check(t, err && err->code == PYR_E_USAGE);
	pyr_error_destroy(err);
}

static void examine(const struct python *python, const char *script)
{
	struct pyr_target_options options = {.tmpdir = "/tmp", .max_pause = 30};
	struct pyr_python_options python_options = {0};
	struct target t = {.python = python};
	struct python_process process;
	struct facts f;

	python_start(python, script, &process);
	read_facts(process.out, &f);
	pyr_control_init(&t.control);
	ok(&t, pyr_target_open_pid(&t.control, process.pid, &options, &t.target));
	ok(&t, pyr_python_open(t.target, &python_options, &t.py));
	ok(&t, pyr_types_create(t.py, &t.types));
	ok(&t, pyr_heap_build(t.types, &t.control, &t.heap));
	check_counts(&t, &f, f.collecting != UINT64_MAX);
	check_twins(&t);
	check_blocks(&t, &f);
	if (script == ordinary) {
		check_addresses(&t, &f);
		check_find(&t, &f);
	}
	check(&t, t.control.diagnostic_count == 0);
	pyr_heap_destroy(t.heap);
	pyr_types_destroy(t.types);
	pyr_python_destroy(t.py);
	pyr_target_destroy(t.target);
	pyr_control_deinit(&t.control);
	python_finish(&process);
}

static void every_python(const char *script)
{
	static struct python pythons[PYTHONS_MAX];
	size_t i, count = pythons_find(pythons);

	for (i = 0; i < count; i++)
		examine(&pythons[i], script);
}

static void ordinary_heaps(void **state)
{
	(void)state;
	every_python(ordinary);
}

static void frozen_heaps(void **state)
{
	(void)state;
	every_python(frozen);
}

static void heaps_in_a_collection(void **state)
{
	(void)state;
	every_python(collecting);
}

static void several_interpreters(void **state)
{
	(void)state;
	every_python(several);
}

static void other_allocators(void **state)
{
	static const char *const allocators[] = {"malloc", "debug", "malloc_debug"};
	static struct python pythons[PYTHONS_MAX];
	size_t i, count = pythons_find(pythons);

	(void)state;
	for (i = 0; i < count; i++) { /* pairwise: each allocator, each interpreter */
		setenv("PYTHONMALLOC", allocators[i % 3], 1);
		examine(&pythons[i], ordinary);
	}
	unsetenv("PYTHONMALLOC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_heaps),        cmocka_unit_test(frozen_heaps),
		cmocka_unit_test(heaps_in_a_collection), cmocka_unit_test(several_interpreters),
		cmocka_unit_test(other_allocators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
