/* Words of C memory that may be references, in a process of every CPython here: native
 * code (tests/debuggees/native_holder.c) holds an object in each place that C has, and
 * each is found under the name of its place. Objects that no native code holds have no
 * such roots, nor have those whose count was raised and forgotten. */
#define _GNU_SOURCE
#include <fnmatch.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "opened.h"

#define NOBODYS 100 /* objects without such roots */

/* "KIND|PATTERN|ADDRESS", then "end". */
static const char script[] =
	"import ctypes, gc, os, sys\n"
	"path, stripped = sys.stdin.readline().strip(), sys.stdin.readline().strip()\n"
	"c = ctypes.CDLL(path); bare = ctypes.CDLL(stripped)\n"
	"class Held(object): pass\n"
	"class Store(list): pass\n"
	"held = {}\n"
	"def keep(o, count=1):\n"
	"    for i in range(count): ctypes.pythonapi.Py_IncRef(ctypes.py_object(o))\n"
	"    return ctypes.c_void_p(id(o))\n"
	"def native(function, kind, pattern, *more):\n"
	"    o = Store([1, 2]); place = function(keep(o), *more); print(kind + '|' + pattern + '|' "
	"+ "
	"str(id(o)))\n"
	"def deep(n): return deep(n - 1) if n else [Held() for i in range(5)]\n"
	"for f in (c.hold_store, c.hold_large, bare.hidden_place): f.restype = ctypes.c_void_p\n"
	"nobodys = [Held() for i in range(100)]\n"
	"for o in nobodys: o.list = [o]; print('none|nobody|' + str(id(o)))\n"
	"leaked = [Held() for i in range(100)]\n"
	"for o in leaked: keep(o); print('none|leaked|' + str(id(o)))\n"
	"del leaked, o\n"
	"for name in ('hold_static', 'hold_entry', 'hold_hidden'):\n"
	"    native(getattr(c, name), 'c_static', 'native_holder.so:' + {'hold_static': "
	"'holder_cache',\n"
	"           'hold_entry': 'holder_table+0x18', 'hold_hidden': 'holder_hidden'}[name])\n"
	"native(bare.hold_hidden, 'c_static', 'stripped_holder.so+0x*')\n"
	"native(c.hold_store, 'native', 'malloc chunk 0x* (1[02][04] bytes, probably an instance "
	"of '"
	"'app::Store)+0x10')\n"
	"native(c.hold_large, 'native', 'malloc chunk 0x*[0-9a-f] (210* bytes)+0x1000')\n"
	"local = Store([3])\n"
	"native(c.hold_in_thread, 'c_stack', 'C stack of thread * \"holder\" at sp+0x*', "
	"keep(local))\n"
	"print('c_static|thread-local storage of thread * \"holder\" at tp-0x*|' + "
	"str(id(local)))\n"
	"if hasattr(c, 'hold_in_register'): native(c.hold_in_register, 'register', 'register r12 "
	"of thread *')\n"
	"for i in range(50): deep(30)\n"
	"gc.collect(); print('end'); sys.stdout.flush(); sys.stdin.readline()\n"
	"os._exit(0)\n";

/* Build the library into @root's /tmp; the name inside of the root in @path. */
static void build(const struct python *python, const char *flags, const char *name, char path[300],
		  char outside[900])
{
	char command[3000], *source = program_path("debuggees/native_holder.c");

	snprintf(path, 300, "/tmp/pyretain-native.%d/%s", (int)getpid(), name);
	snprintf(outside, 900, "%s/tmp/pyretain-native.%d", python->root, (int)getpid());
	snprintf(command, sizeof(command),
		 "mkdir -p %s && ${CC:-cc} -O0 -g -shared -fPIC -pthread %s -o %s%s %s", outside,
		 flags, python->root, path, source);
	assert_int_equal(system(command), 0);
	free(source);
}

struct subject {
	const struct python *python;
	struct pyr_heap *heap;
	struct pyr_roots *roots;
	unsigned planted, nobodys, nobodys_with_roots, wrong;
};

/* The roots of one object that words of C memory are. */
static unsigned possible_roots(struct subject *s, uint32_t id, const char *kind,
			       const char *pattern, struct pyr_strbuf *others)
{
	struct pyr_strbuf name = {0};
	unsigned matches = 0;
	size_t i, end;

	pyr_roots_of(s->roots, id, &i, &end);
	for (; i < end; i++) {
		const struct pyr_root *root = &s->roots->roots.data[i];

		if (root->kind < PYR_ROOT_C_STATIC)
			continue;
		assert_true(root->possible);
		assert_false(root->owned);
		pyr_strbuf_clear(&name);
		pyr_root_name(s->roots, root, &name);
		if (pattern && !strcmp(pyr_root_kind_name(root->kind), kind) &&
		    !fnmatch(pattern, pyr_strbuf_str(&name), 0))
			matches++;
		else if (!pattern || root->kind != PYR_ROOT_C_STACK) /* what calls left behind */
			pyr_strbuf_printf(others, " [%s: %s]", pyr_root_kind_name(root->kind),
					  pyr_strbuf_str(&name));
	}
	pyr_strbuf_deinit(&name);
	return matches;
}

static void check(struct subject *s, const char *kind, const char *pattern, pyr_addr addr)
{
	struct pyr_strbuf others = {0};
	uint32_t id = pyr_heap_id(s->heap, addr);
	unsigned n;

	if (id == PYR_NO_ID) {
		print_error("%s: %s: 0x%" PRIx64 " is not in the heap\n", s->python->name, pattern,
			    addr);
		s->wrong++;
		return;
	}
	if (!strcmp(kind, "none")) {
		possible_roots(s, id, kind, NULL, &others);
		s->nobodys++;
		if (others.length) {
			s->nobodys_with_roots++;
			print_message("  %s: %s:%s\n", s->python->name, pattern, others.data);
		}
	} else {
		n = possible_roots(s, id, kind, pattern, &others);
		s->planted++;
		/* A frame may keep it more than once. */
		if (!strcmp(kind, "c_stack") ? n < 1 : n != 1 || others.length) {
			print_error("%s: %s: %u times, and%s\n", s->python->name, pattern, n,
				    pyr_strbuf_str(&others));
			s->wrong++;
		}
	}
	pyr_strbuf_deinit(&others);
}

static void examine(const struct python *python)
{
	struct subject s = {.python = python};
	struct opened o;
	struct python_process process;
	char path[300], stripped[300], directory[900], command[1000], line[300], *kind, *pattern,
		*rest;
	unsigned counts[PYR_ROOT_COUNT] = {0}, k, planted;
	PYR_VEC(char *) lines = {0};
	size_t i;

	build(python, "", "native_holder.so", path, directory);
	build(python, "-s", "stripped_holder.so", stripped, directory);
	python_start(python, script, &process);
	fprintf(process.in, "%s\n%s\n", path, stripped);
	fflush(process.in);
	while (fgets(line, sizeof(line), process.out) && strncmp(line, "end", 3))
		assert_true(pyr_vec_push(&lines, strdup(line)));
	assert_true(lines.count >= 2 * NOBODYS + 8);
	opened_process(&o, python, process.pid);
	opened_heap(&o);
	assert_null(pyr_model_build(o.heap, &o.control, &o.model));
	assert_null(pyr_roots_find(o.model, &o.control, &o.roots));
	s.heap = o.heap;
	s.roots = o.roots;
	planted = (unsigned)lines.count - 2 * NOBODYS;
	for (i = 0; i < lines.count; i++) {
		kind = strtok_r(lines.data[i], "|", &rest);
		pattern = strtok_r(NULL, "|", &rest);
		check(&s, kind, pattern, strtoull(rest, NULL, 10));
		free(lines.data[i]);
	}
	pyr_vec_deinit(&lines);
	for (i = 0; i < s.roots->roots.count; i++)
		counts[s.roots->roots.data[i].kind]++;
	print_message("  %s:", python->name);
	for (k = PYR_ROOT_C_STATIC; k < PYR_ROOT_COUNT; k++)
		print_message(" %s %u", pyr_root_kind_name((enum pyr_root_kind)k), counts[k]);
	print_message("; %u of %u objects of nobody's have roots\n", s.nobodys_with_roots,
		      s.nobodys);
	assert_int_equal(s.wrong, 0);
	assert_int_equal(s.planted, planted);
	/* What is left in memory that nobody cleared may point at one. */
	assert_true(s.nobodys_with_roots <= 4);
	opened_close(&o);
	python_finish(&process);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

static void native_holders_by_name(void **state)
{
	(void)state;
	pythons_each(examine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(native_holders_by_name)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
