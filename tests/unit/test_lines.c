/* Line tables against co_lines() and dis.findlinestarts() of every CPython here, for
 * all code of some thirty modules of its standard library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pythons.h"
#include "random.h"
#include "frames/lines.h"

/* For each code object: C kind firstlineno table-in-hex, then R start end line for
 * each range of instructions (line 0: none), then an empty line. */
static const char script[] =
	"import sys, dis, types, importlib.util, binascii\n"
	"kind = 'N' if sys.version_info < (3, 10) else 'P' if sys.version_info < (3, 11) else 'L'\n"
	"def ranges(c):\n"
	"    if kind != 'N':\n"
	"        return [(s, e, l or 0) for s, e, l in c.co_lines()]\n"
	"    starts = [(0, c.co_firstlineno)] + list(dis.findlinestarts(c))\n"
	"    ends = [s for s, l in starts[1:]] + [len(c.co_code)]\n"
	"    return [(s, e, l) for (s, l), e in zip(starts, ends)]\n"
	"def walk(c):\n"
	"    table = c.co_lnotab if kind == 'N' else c.co_linetable\n"
	"    print('C', kind, c.co_firstlineno, binascii.hexlify(table).decode() or '-')\n"
	"    for r in ranges(c): print('R %d %d %d' % r)\n"
	"    print('.')\n"
	"    for k in c.co_consts:\n"
	"        if isinstance(k, types.CodeType): walk(k)\n"
	"odd = 'def f(x):\\n' + '  x = [x,' + '\\n' * 300 + '  x]\\n' + '  if x: return (\\n' + "
	"'\\n' * 200"
	" + 'x)\\n  return (lambda:\\n\\n\\n x)' + '\\n\\ndef g():\\n  ' + ';'.join(['a=1'] * "
	"500)\n"
	"walk(compile(odd, 'odd', 'exec'))\n"
	"for name in '''argparse ast asyncio.base_events asyncio.tasks calendar cmd codecs "
	"collections\n"
	"  configparser contextlib copy csv dataclasses datetime decimal difflib dis email.message "
	"enum\n"
	"  fractions functools heapq inspect json.decoder logging os pickle random shutil "
	"statistics\n"
	"  string subprocess tarfile textwrap threading typing unittest.case weakref "
	"zipfile'''.split():\n"
	"    spec = importlib.util.find_spec(name) if name != 'dataclasses' or kind != 'N' else "
	"None\n"
	"    code = spec and spec.loader.get_code(name)\n"
	"    if code: walk(code)\n"
	"print('end')\n";

static size_t unhex(const char *text, uint8_t **ret)
{
	size_t n = strcmp(text, "-") ? strlen(text) / 2 : 0, i;
	unsigned byte;

	*ret = malloc(n + 1);
	assert_non_null(*ret);
	for (i = 0; i < n; i++) {
		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		(*ret)[i] = (uint8_t)byte;
	}
	return n;
}

static int32_t line_of(char kind, const uint8_t *table, size_t size, int32_t first, int32_t lasti)
{
	return kind == 'N'   ? pyr_line_lnotab(table, size, first, lasti)
	       : kind == 'P' ? pyr_line_pep626(table, size, first, lasti)
			     : pyr_line_locations(table, size, first, lasti);
}

static size_t check_code(const struct python *python, FILE *out, const char *head)
{
	char *hex = malloc(strlen(head) + 1), line[200], kind;
	int first, start, end, expected, at;
	size_t size, checked = 0;
	uint8_t *table;

	assert_non_null(hex);
	assert_int_equal(sscanf(head, "C %c %d %s", &kind, &first, hex), 3);
	size = unhex(hex, &table);
	while (fgets(line, sizeof(line), out) && line[0] == 'R') {
		assert_int_equal(sscanf(line, "R %d %d %d", &start, &end, &expected), 3);
		for (at = start; at < end; at += 2, checked++)
			if (line_of(kind, table, size, first, at) != expected)
				fail_msg("%s: line %d, not %d, at offset %d of the code at line %d",
					 python->name, line_of(kind, table, size, first, at),
					 expected, at, first);
	}
	assert_int_equal(line[0], '.');
	free(table);
	free(hex);
	return checked;
}

static void ask(const struct python *python)
{
	struct python_process process;
	size_t capacity = 0, codes = 0, checked = 0;
	char *line = NULL;

	python_start(python, script, &process);
	while (getline(&line, &capacity, process.out) > 0 && line[0] == 'C') {
		checked += check_code(python, process.out, line);
		codes++;
	}
	assert_string_equal(line, "end\n");
	free(line);
	assert_int_equal(python_finish(&process), 0);
	assert_true(codes > 500);
	print_message("%s: %zu instructions of %zu code objects\n", python->name, checked, codes);
}

static void against_cpython(void **state)
{
	(void)state;
	pythons_each(ask);
}

/* Damaged tables answer something, and read nothing outside. */
static void damaged(void **state)
{
	uint8_t bytes[64];
	int32_t at;
	size_t i, n, round;

	(void)state;
	for (round = 0; round < 20000; round++) {
		n = round % sizeof(bytes);
		for (i = 0; i < n; i++)
			bytes[i] = (uint8_t)random_word();
		at = (int32_t)random_below(1 << 16);
		pyr_line_lnotab(bytes, n, 1, at);
		pyr_line_pep626(bytes, n, 1, at);
		pyr_line_locations(bytes, n, 1, at);
	}
	assert_int_equal(pyr_line_lnotab(NULL, 0, 7, 0), 7);
	assert_int_equal(pyr_line_pep626(NULL, 0, 7, -1), 7);
	assert_int_equal(pyr_line_locations(NULL, 0, 7, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_cpython),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
