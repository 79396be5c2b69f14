/* The ledger and the roots, in a process of each CPython here: of every reference count it
 * is told who holds it, nothing is told twice, and planted objects are held by what the
 * program says they are. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "opened.h"
#include "runtime/access.h"
#include "frames/bytecode.h"
#include "values/object.h"

#define EXPLAINED_MIN 0.995

static const char script[] =
	"import argparse, ast, asyncio, atexit, codecs, collections, concurrent.futures, "
	"contextlib\n"
	"import csv, ctypes, datetime, decimal, email.message, enum, fractions, functools\n"
	"import gc, hashlib, html.parser, http.client, inspect, io, itertools, json, logging, "
	"operator\n"
	"import os, pathlib, pickle, queue, random, re, sqlite3, struct, subprocess, sys, "
	"tempfile\n"
	"import textwrap, threading, time, traceback, typing, unittest.mock, urllib.parse, uuid, "
	"weakref\n"
	"import xml.etree.ElementTree as ET\n"
	"class A(object):\n"
	"    def __init__(s, i): s.i = i; s.o = [i]\n"
	"class S(object):\n"
	"    __slots__ = ('a', '__weakref__')\n"
	"class Planted(object): pass\n"
	"class Color(enum.Enum):\n"
	"    RED = 1\n"
	"xs = [A(i) for i in range(500)]\n"
	"for a in xs[:50]: a.__dict__['zz'] = [1]\n"
	"ds = [vars(a) for a in xs[100:150]]\n"
	"ss = [S() for i in range(50)]\n"
	"for s in ss: s.a = [s]\n"
	"ds2 = {str(i) * 9: {i: (i, [i])} for i in range(500)}\n"
	"od = collections.OrderedDict((str(i) + 'o', [i]) for i in range(50))\n"
	"dd = collections.defaultdict(list, {str(i) + 'd': [i] for i in range(50)})\n"
	"dq = collections.deque([i] for i in range(300))\n"
	"pats = [re.compile('x%d(?P<n%d>y)' % (i, i)) for i in range(30)]\n"
	"ms = [p.match('x%dy' % i) for i, p in enumerate(pats)]\n"
	"lc = functools.lru_cache(maxsize=20)(lambda x: [x])\n"
	"for i in range(30): lc(i)\n"
	"zone = datetime.timezone(datetime.timedelta(hours=5), 'zone five')\n"
	"times = [datetime.datetime(2024, 1, 1, i % 24, tzinfo=zone) for i in range(50)]\n"
	"times += [datetime.time(1, 2, 3, tzinfo=zone), datetime.datetime(2024, 1, 1)]\n"
	"decs = [decimal.Decimal(i) / 7 for i in range(50)]\n"
	"db = sqlite3.connect(':memory:'); db.row_factory = sqlite3.Row\n"
	"rows = db.execute('select 1 as one, 2 as two').fetchall()\n"
	"structs = [struct.Struct('<%dI' % i) for i in range(1, 9)]\n"
	"bio = io.BytesIO(b'some bytes'); sio = io.StringIO(); sio.write('text ' * 10)\n"
	"et = ET.fromstring('<a b=\"c\"><d>x</d></a>')\n"
	"exs = []\n"
	"for i in range(20):\n"
	"    try: {}[i]\n"
	"    except KeyError as e: exs.append(e)\n"
	"try:\n"
	"    import contextvars; var = contextvars.ContextVar('var'); var.set([1])\n"
	"except ImportError: pass\n"
	"local = threading.local(); local.value = [1]\n"
	"def gen(x):\n"
	"    y = [x]\n"
	"    yield y\n"
	"gs = [gen(i) for i in range(20)]\n"
	"for g in gs[5:]: next(g)\n"
	"async def co(x): await asyncio.sleep(x)\n"
	"cos = [co(i) for i in range(5)]\n"
	"import signal; signal.signal(signal.SIGTERM, lambda *a: None)\n"
	"atexit.register(lambda x: x, [1])\n"
	"codecs.lookup('utf-16'); codecs.register_error('mine', lambda e: ('', e.end))\n"
	"class _T(threading.Thread):\n"
	"    def run(self):\n"
	"        of_thread = Planted()\n"
	"        planted['of_thread'] = id(of_thread)\n"
	"        started.set()\n"
	"        threading.Event().wait()\n"
	"planted = {}; started = threading.Event()\n"
	"t = _T(name='worker-1'); t.daemon = True; t.start(); started.wait()\n"
	"del a, s, g, t, i\n"
	"def handle(sess):\n"
	"    kept = Planted(); keep = [kept]; leaked = Planted()\n"
	"    planted.update(sess=id(sess), kept=id(kept), leaked=id(leaked))\n"
	"    planted['handler'] = id(signal.getsignal(signal.SIGTERM))\n"
	"    ctypes.pythonapi.Py_IncRef(ctypes.py_object(leaked))\n"
	"    del kept, leaked\n"
	"    gc.collect()\n"
	"    print(*['%s %d' % (k, planted[k]) for k in ('of_thread', 'sess', 'kept', 'leaked', "
	"'handler')])\n"
	"    sys.stdout.flush()\n"
	"    os.read(0, 1)\n"
	"    os._exit(0)\n"
	"handle(Planted())\n";

/* --- the ledger --- */

struct remainder {
	uint64_t references, objects;
	uint32_t type;
};

static int by_references(const void *a, const void *b)
{
	const struct remainder *x = a, *y = b;

	return x->references > y->references ? -1 : x->references < y->references;
}

/* Which types' references were not found, most first: what to work on. */
static void print_worst(const struct opened *o, size_t max)
{
	uint32_t id, count = pyr_types_count(o->types);
	struct remainder *r = calloc(count, sizeof(*r));
	int64_t left;
	size_t i;

	assert_non_null(r);
	for (id = 0; id < o->heap->count; id++) {
		left = pyr_ledger_remainder(o->ledger, id);
		if (left <= 0)
			continue;
		r[o->heap->type[id]].references += (uint64_t)left;
		r[o->heap->type[id]].objects++;
		r[o->heap->type[id]].type = o->heap->type[id];
	}
	qsort(r, count, sizeof(*r), by_references);
	for (i = 0; i < count && i < max && r[i].references; i++)
		print_message("    %" PRIu64 " to %" PRIu64 " %s\n", r[i].references, r[i].objects,
			      pyr_type_name(o->types, pyr_types_at(o->types, r[i].type)));
	free(r);
}

static void print_negative(const struct opened *o)
{
	uint32_t id;

	for (id = 0; id < o->heap->count; id++)
		if (pyr_ledger_remainder(o->ledger, id) < 0)
			print_message(
				"    negative: %s at 0x%" PRIx64 " counts %u, %u were found\n",
				pyr_type_name(o->types, pyr_types_at(o->types, o->heap->type[id])),
				o->heap->address[id], o->ledger->refcount[id],
				o->ledger->found[id]);
}

/* The lines of an object add up to what was found of it. */
static void lines_add_up(const struct opened *o)
{
	struct pyr_ledger_lines lines;
	uint32_t id, sum;
	size_t k;

	for (id = 0; id < o->heap->count; id += 97) {
		pyr_ledger_lines(o->model, o->roots, id, &lines);
		for (sum = 0, k = 0; k < PYR_EDGE_COUNT; k++)
			sum += lines.edges[k];
		for (k = 0; k < PYR_ROOT_COUNT; k++)
			sum += lines.roots[k];
		assert_int_equal(sum, o->ledger->found[id]);
	}
}

/* Wherever the depth of the stack can be worked out, the code's own co_stacksize has room
 * for it. */
static void stacks_fit(const struct opened *o)
{
	const struct pyr_layout *l = &o->python->layout;
	struct pyr_reader *reader = &o->python->reader;
	unsigned known = 0, unknown = 0, seen = 0;
	struct pyr_stack_site site;
	uint64_t size = 0, length = 0;
	pyr_addr code, bytes;
	uint32_t id;
	int32_t at;

	if (!pyr_has(l, PyCodeObject, co_code))
		return;
	for (id = 0; id < o->heap->count; id++) {
		code = o->heap->address[id];
		if (pyr_get_addr(l, reader, code, PyObject, ob_type) !=
			    o->python->known[PYR_KNOWN_CODE_TYPE] ||
		    seen++ % 5)
			continue;
		bytes = pyr_get_addr(l, reader, code, PyCodeObject, co_code);
		assert_true(pyr_get_u64(l, reader, code, PyCodeObject, co_stacksize, &size));
		assert_true(pyr_get_u64(l, reader, bytes, PyVarObject, ob_size, &length));
		for (at = 0; (uint64_t)at < length; at += 2 * (1 + (int32_t)length / 20)) {
			if (!pyr_code_stack_at(o->types, reader, code, at, &site)) {
				unknown++;
				continue;
			}
			known++;
			assert_true(site.depth <= (uint32_t)size);
		}
	}
	print_message("    depths of stacks: %u known, %u not\n", known, unknown);
	assert_true(known > 20 * unknown / 10);
	assert_true(known > 1000);
}

/* --- the roots --- */

static void in_order(const struct opened *o)
{
	const struct pyr_root *r = o->roots->roots.data;
	size_t i;

	assert_true(o->roots->roots.count > 100);
	for (i = 0; i < o->roots->roots.count; i++) {
		assert_true(r[i].object < o->heap->count);
		assert_false(r[i].owned && r[i].possible);
		if (i && r[i].object == r[i - 1].object)
			assert_true(r[i].kind >= r[i - 1].kind);
		else if (i)
			assert_true(r[i].object > r[i - 1].object);
		/* One word, one exact root. */
		if (i && r[i].slot && r[i].object == r[i - 1].object && r[i].kind == r[i - 1].kind)
			assert_true(r[i].slot != r[i - 1].slot || !r[i].owned || !r[i - 1].owned);
	}
}

/* Is the object held by an exact root with @text in its name? */
static bool held_by(const struct opened *o, uint32_t id, const char *text)
{
	struct pyr_strbuf name = {0};
	bool found = false;
	size_t i, end;

	for (pyr_roots_of(o->roots, id, &i, &end); i < end && !found; i++) {
		if (o->roots->roots.data[i].possible)
			continue;
		pyr_strbuf_clear(&name);
		pyr_root_name(o->roots, &o->roots->roots.data[i], &name);
		found = strstr(pyr_strbuf_str(&name), text) != NULL;
	}
	pyr_strbuf_deinit(&name);
	return found;
}

static uint32_t id_of(const struct opened *o, const char *line, const char *name)
{
	const char *at = strstr(line, name);
	uint32_t id;

	assert_non_null(at);
	id = pyr_heap_id(o->heap, strtoull(at + strlen(name), NULL, 10));
	assert_true(id != PYR_NO_ID);
	return id;
}

static void planted(const struct opened *o, const char *line)
{
	uint32_t sess = id_of(o, line, "sess "), kept = id_of(o, line, "kept "),
		 leaked = id_of(o, line, "leaked "), thread = id_of(o, line, "of_thread ");
	uint32_t modules = pyr_heap_id(o->heap, o->python->interpreters.data[0].modules);

	assert_true(held_by(o, sess, "local \"sess\" of handle at <string>:"));
	assert_true(held_by(o, thread, "local \"of_thread\" of "));
	assert_true(held_by(o, thread, "\"worker-1\""));
	assert_false(held_by(o, kept, "local"));
	assert_true(held_by(o, id_of(o, line, "handler "), "handler of signal 15"));
	/* One reference is nobody's. */
	assert_int_equal(pyr_ledger_remainder(o->ledger, leaked), 1);
	assert_int_equal(pyr_ledger_remainder(o->ledger, kept), 0);
	assert_true(modules != PYR_NO_ID);
	assert_true(held_by(o, modules, "sys.modules"));
	assert_true(held_by(o, pyr_heap_id(o->heap, o->python->known[PYR_KNOWN_LONG_TYPE]),
			    "static type builtins.int"));
}

static void account(const struct python *python)
{
	struct python_process process;
	struct opened o;
	char *line = NULL;
	size_t capacity = 0;
	double ratio;

	python_start(python, script, &process);
	if (getline(&line, &capacity, process.out) <= 0)
		fail_msg("%s does not run the program", python->name);
	opened_process(&o, python, process.pid);
	opened_ledger(&o);
	ratio = pyr_ledger_ratio(o.ledger);
	print_message("  %s: %.3f %% of %" PRIu64 " references are explained; %" PRIu64
		      " objects are excluded, %" PRIu64 " negative\n",
		      python->name, 100 * ratio, o.ledger->refcount_total, o.ledger->excluded,
		      o.ledger->negative);
	print_worst(&o, 5);
	print_negative(&o);
	assert_int_equal(o.ledger->negative, 0);
	assert_true(ratio >= EXPLAINED_MIN);
	in_order(&o);
	lines_add_up(&o);
	stacks_fit(&o);
	planted(&o, line);
	fprintf(process.in, "\n");
	fflush(process.in);
	python_finish(&process);
	opened_close(&o);
	free(line);
}

static void every_count_is_explained(void **state)
{
	(void)state;
	pythons_each(account);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_count_is_explained)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
