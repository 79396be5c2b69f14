/* What objects of extension modules refer to, against gc.get_referents(): numpy, pandas and
 * lxml where they are installed, and modules made for this test (tests/debuggees/extensions)
 * by hand, with Cython and with pybind11, where the interpreter's headers and the compilers
 * are here. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "references.h"
#include "referents.h"

static const char script[] =
	"import sys; sys.path.insert(0, sys.stdin.readline().strip())\n"
	"import ctypes, gc, os, socket, datetime, unicodedata\n"
	"kept, made = [], []\n"
	"def attempt(name):\n"
	"    try: module = __import__(name)\n"
	"    except ImportError: return None\n"
	"    made.append(name); return module\n"
	"cext = attempt('cext')\n"
	"if cext:\n"
	"    class Sub(cext.Pair): pass\n"
	"    pairs = [cext.Pair([i], {}) for i in range(600)] + [cext.Pair(), cext.Pair([1]), "
	"Sub([2])]\n"
	"    pairs[-1].x = pairs\n"
	"    chains = [cext.Chain() for i in range(50)]\n"
	"    for i, c in enumerate(chains):\n"
	"        for k in range(i): c.add('strong', [k]); c.add('weak', [k]); c.add('two', [k], "
	"(k, []));"
	" c.append([k])\n"
	"    cext.hold([[1]]); kept += [pairs, chains]\n"
	"cyext = attempt('cyext')\n"
	"if cyext: kept += cyext.planted()\n"
	"pbext = attempt('pbext')\n"
	"if pbext:\n"
	"    pets = [pbext.Pet() for i in range(30)]; dogs = [pbext.Dog() for i in range(30)]\n"
	"    class Cat(pbext.Pet): pass\n"
	"    pets += [Cat() for i in range(10)]\n"
	"    for p in pets: p.owner = [p]; p.add([1]); p.attribute = [2]\n"
	"    for d in dogs: d.own([d])\n"
	"    kept += [pets, dogs, pbext.keep([1], pets[0]) if 0 else None]\n"
	"numpy = attempt('numpy')\n"
	"if numpy:\n"
	"    a = numpy.array([[1], {}, None], dtype=object); v = a[1:]\n"
	"    s = numpy.zeros(5, dtype=[('x', 'O'), ('y', 'f8')]); s['x'] = [[1]] * 5\n"
	"    its = [numpy.nditer(numpy.ones(3)), numpy.ones(3).flat, "
	"numpy.broadcast(numpy.ones(3), 1),\n"
	"           numpy.vectorize(len), numpy.random.default_rng(1), numpy.ma.array([1, 2]),\n"
	"           numpy.matrix([1]), numpy.float64(1.5), numpy.dtype('f8,i4'), "
	"numpy.add.reduce]\n"
	"    kept += [a, v, s, its]\n"
	"pandas = attempt('pandas')\n"
	"if pandas:\n"
	"    f = pandas.DataFrame({'a': range(50), 'b': [[i] for i in range(50)], 'c': "
	"list('xyzzy') * 10})\n"
	"    g = f.groupby('c'); m = f.merge(f[['a']], on='a')\n"
	"    i = pandas.MultiIndex.from_product([[1, 2], ['a', 'b']]); t = "
	"pandas.date_range('2020', periods=9)\n"
	"    kept += [f, g, g.a.sum(), m, i, t, t[0], pandas.Timedelta('1d'), pandas.Interval(0, "
	"1),\n"
	"             pandas.Categorical(['a', 'b']), pandas.Series([1, None], dtype='Int64'), "
	"f.rolling(3),\n"
	"             pandas.Period('2020'), pandas.offsets.BDay(), f.index.get_loc(3), "
	"f.index._engine]\n"
	"lxml = attempt('lxml.etree')\n"
	"if lxml:\n"
	"    e = lxml.etree.fromstring('<a b=\"c\"><d>x</d><!-- y --></a>'); e2 = e[0]; tree = "
	"e.getroottree()\n"
	"    kept += [e, e2, tree, e.attrib, e.iter(), lxml.etree.XPath('//d'), "
	"lxml.etree.XMLParser(),\n"
	"             list(e.iter()), lxml.etree.Element('z'), e.xpath('//d/text()'), "
	"lxml.etree.XSLT(\n"
	"             lxml.etree.XML('<xsl:stylesheet version=\"1.0\" "
	"xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\"/>'))]\n"
	"gc.collect(); gc.disable()\n"
	"if cext:\n"
	"    late = [cext.Late('kind-of-value', [i]) for i in range(20)]\n"
	"    late += [cext.Late('kind-of-v', [1]), cext.Late('other', [2]), cext.Late('kind-of-x', "
	"[3])]\n"
	"sys.stderr.write('    made: %s\\n' % ' '.join(made))\n";

/* Compile what can be, into @directory of this machine. */
static void build(const struct python *python, const char *directory)
{
	char command[3000], *source = program_path("debuggees/extensions/build.sh");

	snprintf(command, sizeof(command), "%s %s %s", source, directory, python->path);
	assert_int_equal(system(command), 0);
	free(source);
}

static void referents_of_extensions(void **state)
{
	static struct python pythons[PYTHONS_MAX];
	size_t count = pythons_find(pythons), i;
	char directory[64], command[100], *whole;
	struct referents r;

	(void)state;
	assert_true(count > 0);
	assert_true(asprintf(&whole, "%s%s", script, strstr(references_script, "syscall = ")) > 0);
	for (i = 0; i < count; i++) {
		/* A root's Python finds numpy and pandas, where they are installed; there are no
		 * compilers for it. */
		if (strstr(pythons[i].root, "debug") || strstr(pythons[i].root, "forky"))
			continue;
		snprintf(directory, sizeof(directory), "/tmp/pyretain-ext.%d.%zu", (int)getpid(),
			 i);
		if (!pythons[i].root[0])
			build(&pythons[i], directory);
		referents_check(&pythons[i], whole, directory, NULL, &r);
		assert_int_equal(r.different, 0);
		if (r.emulation)
			assert_int_equal(r.fallbacks, 0);
		snprintf(command, sizeof(command), "rm -rf %s", directory);
		assert_int_equal(system(command), 0);
	}
	free(whole);
}

static bool is_removed(const char *type)
{
	/* A module's m_traverse is code of the extension; names of static types are its data. */
	static const char *const beginnings[] = {"cext.",           "cyext.",    "pbext.",
						 "__main__.",       "pybind11_", "_cython_",
						 "builtins.module", "<type at "};
	size_t i;

	for (i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
		if (!strncmp(type, beginnings[i], strlen(beginnings[i])))
			return true;
	return false;
}

/* A core whose extension modules are no more: their types are guessed, and nothing that is
 * guessed is told as certain; all others are as before. */
static void guesses_without_binaries(void **state)
{
	static struct python pythons[PYTHONS_MAX];
	size_t count = pythons_find(pythons), i;
	struct referents_removed removed = {.may_fall_back = is_removed};
	struct referents r;
	char directory[64], *whole;

	(void)state;
	assert_true(asprintf(&whole, "%s%s", script, strstr(references_script, "syscall = ")) > 0);
	for (i = 0; i < count; i++) {
		if (strncmp(pythons[i].path, "/usr/bin/", 9) || pythons[i].root[0])
			continue;
		snprintf(directory, sizeof(directory), "/tmp/pyretain-gone.%d", (int)getpid());
		build(&pythons[i], directory);
		removed.directory = directory;
		referents_check(&pythons[i], whole, directory, &removed, &r);
		assert_int_equal(r.different, 0);
		if (r.emulation)
			assert_int_equal(r.strange, 0);
		assert_true(r.inferred > 500 && r.fallbacks >= 3);
		assert_true(r.same > 5000);
		/* What lies in the instance is found; what a list of C structs holds is not. */
		assert_true(r.guessed * 10 >= r.wanted * 9);
	}
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(referents_of_extensions),
					   cmocka_unit_test(guesses_without_binaries)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
