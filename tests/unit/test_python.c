/* Finding CPython, its interpreters, threads, frames and the collector's state, in live
 * processes of every CPython here, against what each says of itself. */
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

#include "pythons.h"
#include "runtime/find.h"
#include "frames/frames.h"
#include "values/thread_names.h"
#include "runtime/gcstate.h"
#include "runtime/interpreters.h"

static const char script[] =
	"import sys, gc, threading, types, _collections_abc, time\n"
	"sys.setswitchinterval(1e-5)\n"
	"try: import _interpreters as sub\n"
	"except ImportError:\n"
	"    try: import _xxsubinterpreters as sub\n"
	"    except ImportError: sub = None\n"
	"subs = [sub.create() for i in range(2)] if sub else []\n"
	"def busy():\n"
	"    n = 0\n"
	"    while n >= 0: n = n + 1\n"
	"def idle(marker): time.sleep(1000)\n"
	"def generator(held):\n"
	"    yield held\n"
	"    yield 2\n"
	"threads = [threading.Thread(target=busy, name='busy one', daemon=True),\n"
	"           threading.Thread(target=idle, args=([1],), name='h\\xe9', daemon=True)]\n"
	"for t in threads: t.start()\n"
	"suspended = generator([1, 2]); next(suspended)\n"
	"class Once:\n"
	"    def __await__(self): return iter([1])\n"
	"async def coroutine(held):\n"
	"    kept = 1\n"
	"    await Once()\n"
	"async def asynchronous(held):\n"
	"    yield held\n"
	"    yield 2\n"
	"waiting = coroutine([3]); waiting.send(None)\n"
	"agen = asynchronous([4])\n"
	"try: agen.asend(None).send(None)\n"
	"except StopIteration: pass\n"
	"over = generator([5]); list(over)\n"
	"fresh = generator([6])\n"
	"def show(o, f): print('generator', id(o), id(f.f_locals['held']), f.f_lineno)\n"
	"def name(f): return getattr(f.f_code, 'co_qualname', f.f_code.co_name)\n"
	"class Asks:\n"
	"    def facts(self, mine, *rest):\n"
	"        captured = ['cell']\n"
	"        def inner(): return captured\n"
	"        gc.collect(); gc.disable(); gc.set_threshold(701, 12, 13)\n"
	"        if hasattr(gc, 'freeze'): gc.freeze(); print('frozen', gc.get_freeze_count())\n"
	"        kept = [[] for i in range(33)]; gc.collect()\n"
	"        gens = hasattr(gc, 'freeze') and sys.version_info >= (3, 8)\n"
	"        if gens: print('gen2', len(gc.get_objects(generation=2)))\n"
	"        print('version', sys.hexversion, getattr(sys, 'abiflags', '') or '-')\n"
	"        for t in threading.enumerate(): print('thread', t.ident, ascii(t.name))\n"
	"        print('interpreters', 1 + len(subs))\n"
	"        for s in gc.get_stats(): print('stats', s['collections'], s['collected'])\n"
	"        print('local', 'self', id(self)); print('local', 'mine', id(mine))\n"
	"        print('local', 'rest', id(rest)); print('local', 'kept', id(kept))\n"
	"        print('cell', 'captured', id(captured))\n"
	"        show(suspended, suspended.gi_frame); show(waiting, waiting.cr_frame)\n"
	"        show(agen, agen.ag_frame); show(fresh, fresh.gi_frame)\n"
	"        print('finished', id(over))\n"
	"        f = sys._getframe()\n"
	"        while f: print('frame', name(f), f.f_lineno + (1 if f.f_back and"
	" f.f_code.co_name == 'facts' else 0) * 2); f = f.f_back\n"
	"        print('end')\n"
	"        sys.stdout.flush(); sys.stdin.readline()\n"
	"def deep(n, asks): return deep(n - 1, asks) if n else asks.facts({'a': 1}, 2, 3)\n"
	"deep(3, Asks())\n";

struct target {
	const struct python *python;
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *py;
	struct pyr_types *types;
};

static void ok(const struct python *python, pyr_error *err)
{
	if (err)
		fail_msg("%s: %s: %s", python->name, pyr_error_code_name(err->code), err->message);
}

#define check(t, condition)                                                                        \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("%s: not true: %s", (t)->python->name, #condition);               \
	} while (0)

static struct pyr_python_thread *thread_by_id(struct target *t, uint64_t id)
{
	size_t i;

	for (i = 0; i < t->py->threads.count; i++)
		if (t->py->threads.data[i].thread_id == id)
			return &t->py->threads.data[i];
	fail_msg("%s: no thread with id %" PRIu64, t->python->name, id);
	return NULL;
}

static bool has_variable(const struct pyr_frame *frame, const char *name, pyr_addr value,
			 struct target *t)
{
	uint64_t inside = 0;
	size_t i;

	for (i = 0; i < frame->variables.count; i++) {
		const struct pyr_variable *v = &frame->variables.data[i];

		if (!v->name || strcmp(v->name, name))
			continue;
		if (v->kind == PYR_VARIABLE_LOCAL)
			return v->value == value;
		return v->kind == PYR_VARIABLE_CELL &&
		       pyr_try_u64(&t->py->reader,
				   v->value + pyr_offset(&t->py->layout, PyCellObject, ob_ref),
				   &inside) &&
		       inside == value;
	}
	return false;
}

static void check_generator(struct target *t, pyr_addr address, pyr_addr held, int line)
{
	struct pyr_frames frames;

	ok(t->python, pyr_generator_frame(t->types, &t->py->reader, address, &frames));
	check(t, frames.frames.count == 1 && !frames.truncated);
	check(t, frames.frames.data[0].generator == address);
	check(t, frames.frames.data[0].line == line);
	check(t, has_variable(&frames.frames.data[0], "held", held, t));
	pyr_frames_deinit(&frames);
}

static void check_finished(struct target *t, pyr_addr address)
{
	struct pyr_frames frames;

	ok(t->python, pyr_generator_frame(t->types, &t->py->reader, address, &frames));
	check(t, frames.frames.count == 0 && !frames.truncated);
	pyr_frames_deinit(&frames);
}

/* What the process told, line by line. */
static void check_facts(struct target *t, FILE *facts)
{
	struct pyr_gc_state *gc = NULL;
	struct pyr_frames frames;
	size_t gcs, at = 0, g = 0, threads = 0;
	char line[512], text[300];
	unsigned long long a, b;
	int number;

	ok(t->python, pyr_gc_states_read(t->py, &t->py->reader, &gc, &gcs));
	ok(t->python, pyr_gc_count_objects(t->py, &t->py->reader, gc, gcs));
	ok(t->python, pyr_thread_frames(t->types, &t->py->reader, 0, &frames));
	check(t, !frames.truncated);
	check(t, !gc[0].enabled && !gc[0].collecting && gc[0].garbage && !gc[0].garbage_count);
	check(t, gc[0].generations[0].threshold == 701 && gc[0].generations[1].threshold == 12 &&
			 gc[0].generations[2].threshold == 13);
	check(t, gc[0].generations[0].count > 0 && gc[0].generations[0].objects < 200);
	while (fgets(line, sizeof(line), facts) && strcmp(line, "end\n")) {
		if (sscanf(line, "version %llu %299s", &a, text) == 2) {
			check(t, t->py->hexversion == a);
			check(t, !strcmp(t->py->abiflags, strcmp(text, "-") ? text : ""));
			check(t, !strcmp(t->py->patchlevel_source, "sys.hexversion"));
		} else if (sscanf(line, "thread %llu %299[^\n]", &a, text) == 2) {
			struct pyr_python_thread *thread = thread_by_id(t, a);

			check(t, thread->os_thread >= 0 && thread->native_id && thread->name);
			if (strstr(text, "xe9"))
				check(t, !strcmp(thread->name, "h\xc3\xa9"));
			else
				check(t, strstr(text, thread->name));
			check(t, thread->holds_gil == !strcmp(thread->name, "busy one"));
			threads++;
		} else if (sscanf(line, "interpreters %d", &number) == 1) {
			check(t, t->py->interpreters.count == (size_t)number);
		} else if (sscanf(line, "frozen %llu", &a) == 1) {
			check(t, gc[0].frozen == a);
		} else if (sscanf(line, "gen2 %llu", &a) == 1) {
			check(t, gc[0].generations[2].objects == a);
		} else if (sscanf(line, "stats %llu %llu", &a, &b) == 2) {
			if (gc[0].generations[g].has_stats) {
				check(t, gc[0].generations[g].collections == a);
				check(t, gc[0].generations[g].collected == b);
			} else {
				check(t, pyr_is(&t->py->layout, gc_location, STATIC));
			}
			g++;
		} else if (sscanf(line, "local %299s %llu", text, &a) == 2 ||
			   sscanf(line, "cell %299s %llu", text, &a) == 2) {
			check(t, has_variable(&frames.frames.data[0], text, a, t));
		} else if (sscanf(line, "generator %llu %llu %d", &a, &b, &number) == 3) {
			check_generator(t, a, b, number);
		} else if (sscanf(line, "finished %llu", &a) == 1) {
			check_finished(t, a);
		} else if (sscanf(line, "frame %299s %d", text, &number) == 2) {
			check(t, at < frames.frames.count);
			if (strcmp(frames.frames.data[at].name, text) ||
			    frames.frames.data[at].line != number)
				fail_msg("%s: frame %zu is %s:%d, not %s:%d", t->python->name, at,
					 frames.frames.data[at].name, frames.frames.data[at].line,
					 text, number);
			check(t, !strcmp(frames.frames.data[at].filename, "<string>"));
			at++;
		} else {
			fail_msg("%s: %s", t->python->name, line);
		}
	}
	check(t, at == frames.frames.count && at == 6 && threads == 3 && g == 3);
	check(t, !strcmp(t->py->threads.data[0].name, "MainThread"));
	pyr_frames_deinit(&frames);
	pyr_gc_states_destroy(gc, gcs);
}

typedef pyr_error *rung(struct pyr_target *, struct pyr_reader *, struct pyr_candidates *);

static bool proposes(struct target *t, rung *find)
{
	struct pyr_candidates candidates = {0};
	bool found = false;
	size_t i;

	ok(t->python, find(t->target, &t->py->reader, &candidates));
	for (i = 0; i < candidates.list.count; i++) {
		const struct pyr_candidate *c = &candidates.list.data[i];
		pyr_addr runtime = pyr_candidate_runtime(c, &t->py->layout);

		if (runtime ? runtime == t->py->runtime
			    : c->interpreter == t->py->interpreters.data[0].address)
			found = true;
	}
	pyr_vec_deinit(&candidates.list);
	return found;
}

/* Every rung that applies to the version, though the first one was enough. */
static void check_ladder(struct target *t)
{
	const struct pyr_layout *l = &t->py->layout;
	pyr_addr found = 0;
	uint64_t basicsize;

	check(t, !strcmp(t->py->found_by, "symbol") || !t->py->runtime);
	if (pyr_has(l, _PyRuntimeState, debug_offsets))
		check(t, proposes(t, pyr_find_by_cookie));
	if (t->py->runtime)
		check(t, proposes(t, pyr_find_by_runtime_scan));
	check(t, proposes(t, pyr_find_by_thread_scan));
	ok(t->python, pyr_find_type_of_type(t->target, &t->py->reader, &found, &basicsize));
	check(t, found == t->py->known[PYR_KNOWN_TYPE_TYPE]);
	check(t, basicsize == pyr_sizeof(l, PyHeapTypeObject));
	if (pyr_is(l, gc_location, STATIC)) {
		ok(t->python, pyr_find_generations(t->target, &t->py->reader, l, &found));
		check(t, found && found == t->py->generations);
	}
}

/* Without symbols the same objects are found in the target's own modules. */
static void check_known(struct target *t)
{
	pyr_addr by_symbol[PYR_KNOWN_COUNT];
	const struct pyr_image *image = t->py->image;
	size_t i;

	for (i = 0; i < PYR_KNOWN_COUNT; i++)
		check(t, t->py->known[i]);
	memcpy(by_symbol, t->py->known, sizeof(by_symbol));
	memset(t->py->known, 0, sizeof(t->py->known));
	t->py->image = NULL;
	pyr_python_fill_known(t->py);
	t->py->image = image;
	for (i = 0; i < PYR_KNOWN_COUNT; i++)
		if (t->py->known[i] != by_symbol[i])
			fail_msg("%s: known object %zu is at 0x%" PRIx64 ", not 0x%" PRIx64,
				 t->python->name, i, t->py->known[i], by_symbol[i]);
	memcpy(t->py->known, by_symbol, sizeof(by_symbol));
}

static void ask(const struct python *python)
{
	struct pyr_target_options options = {0};
	struct target t = {.python = python};
	struct python_process process;
	char *facts = NULL, line[512];
	size_t size;
	FILE *kept = open_memstream(&facts, &size);

	assert_non_null(kept);
	python_start(python, script, &process);
	while (fgets(line, sizeof(line), process.out)) {
		fputs(line, kept);
		if (!strcmp(line, "end\n"))
			break;
	}
	check(&t, !strcmp(line, "end\n"));
	fclose(kept);
	usleep(100000); /* until it waits for its input */
	pyr_control_init(&t.control);
	ok(python, pyr_target_open_pid(&t.control, process.pid, &options, &t.target));
	ok(python, pyr_python_open(t.target, NULL, &t.py));
	pyr_threads_name(t.py);
	ok(python, pyr_types_create(t.py, &t.types));
	kept = fmemopen(facts, size, "r");
	check_facts(&t, kept);
	check_ladder(&t);
	check_known(&t);
	print_message("%s: CPython %s, %s, %s\n", python->name, t.py->version, t.py->found_by,
		      t.py->malloc_name);
	fclose(kept);
	free(facts);
	pyr_types_destroy(t.types);
	pyr_python_destroy(t.py);
	pyr_target_destroy(t.target);
	pyr_control_deinit(&t.control);
	kill(process.pid, SIGKILL);
	python_finish(&process);
}

static void live_processes(void **state)
{
	(void)state;
	pythons_each(ask);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(live_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
