/* The collector's lists in memory made for it: whole, empty, torn, cyclic; and what is
 * not a CPython at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "between.h"
#include "runtime/gclist.h"

#define BASE UINT64_C(0x7f0000000000)
#define NODES 5000

struct fixture {
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *python;
	struct pyr_reader reader;
	uint64_t *words; /* node i at 4 * i, the head is node 0 */
};

static pyr_addr node(size_t i)
{
	return BASE + 32 * i;
}

static void make(struct fixture *f, size_t nodes)
{
	struct pyr_mapping mapping = {
		.start = BASE, .end = BASE + (1 << 20), .read = true, .write = true};
	struct pyr_build build = {.hexversion = 0x030b07f0, .machine = PYR_MACHINE_X86_64};
	size_t i;

	memset(f, 0, sizeof(*f));
	pyr_control_init(&f->control);
	f->words = calloc(1, 1 << 20);
	f->python = calloc(1, sizeof(*f->python));
	assert_non_null(f->words);
	assert_non_null(f->python);
	for (i = 0; i <= nodes; i++) {
		f->words[4 * i] = node(i == nodes ? 0 : i + 1) | (i % 2); /* flags are masked */
		f->words[4 * i + 1] = node(i ? i - 1 : nodes) | (i % 4);
	}
	assert_null(pyr_target_create(&f->control, PYR_TARGET_MOCK, NULL, NULL, &f->target));
	assert_null(pyr_target_add_mapping(f->target, &mapping));
	assert_null(pyr_target_add_segment(f->target, BASE, BASE + (1 << 20), f->words, 0));
	assert_null(pyr_target_finish(f->target));
	assert_null(pyr_layout_builtin(&build, &f->python->layout));
	f->python->target = f->target;
	pyr_reader_init(&f->reader, f->target);
}

static void drop(struct fixture *f)
{
	pyr_reader_deinit(&f->reader);
	pyr_target_destroy(f->target);
	pyr_control_deinit(&f->control);
	free(f->python);
	free(f->words);
}

/* Walk; every object may come once. */
static size_t walk(struct fixture *f, bool collecting, pyr_addr *broken)
{
	static bool seen[NODES + 1];
	struct pyr_gc_list list;
	pyr_addr objects[7];
	size_t n, i, count = 0, index;

	memset(seen, 0, sizeof(seen));
	pyr_gc_list_init(f->python, &f->reader, node(0), collecting, &list);
	while ((n = pyr_gc_list_next(&list, objects, 7)))
		for (i = 0; i < n; i++, count++) {
			index = (objects[i] - 16 - BASE) / 32;
			assert_between(index, 1, NODES);
			assert_false(seen[index]);
			seen[index] = true;
		}
	*broken = list.broken;
	return count;
}

static void whole(void **state)
{
	struct fixture f;
	pyr_addr broken;

	(void)state;
	make(&f, NODES);
	assert_int_equal(walk(&f, false, &broken), NODES);
	assert_int_equal(broken, 0);
	assert_int_equal(walk(&f, true, &broken), NODES);
	assert_int_equal(broken, 0);
	drop(&f);
	make(&f, 0);
	assert_int_equal(walk(&f, false, &broken), 0);
	assert_int_equal(broken, 0);
	drop(&f);
}

/* One word torn: everything else is reached from the two ends. */
static void torn(void **state)
{
	struct fixture f;
	pyr_addr broken;

	(void)state;
	make(&f, NODES);
	f.words[4 * 1000] = 0x1234567812345678;
	assert_int_equal(walk(&f, false, &broken), NODES);
	assert_int_not_equal(broken, 0);
	drop(&f);
	make(&f, NODES);
	f.words[4 * 1000 + 1] = 0;
	assert_int_equal(walk(&f, false, &broken), NODES);
	assert_int_equal(broken, node(1000));
	drop(&f);
	make(&f, NODES);
	f.words[4 * 1000] = 3;
	f.words[4 * 2000 + 1] = 8;
	assert_int_equal(walk(&f, false, &broken), 1000 + 3001);
	drop(&f);
}

static void cyclic(void **state)
{
	struct fixture f;
	pyr_addr broken;
	size_t n;

	(void)state;
	make(&f, NODES);
	f.words[4 * 3000] = node(17);
	assert_int_equal(walk(&f, false, &broken), NODES);
	assert_int_equal(broken, node(17));
	drop(&f);
	/* During a collection back links mean nothing: the guard ends it. */
	make(&f, NODES);
	f.words[4 * 3000] = node(17);
	{
		struct pyr_gc_list list;
		pyr_addr objects[1024];
		size_t count = 0;

		pyr_gc_list_init(f.python, &f.reader, node(0), true, &list);
		while ((n = pyr_gc_list_next(&list, objects, 1024)))
			count += n;
		assert_int_equal(list.broken != 0, 1);
		assert_between(count, 3000, 20000);
	}
	drop(&f);
}

static pyr_error *open_it(struct fixture *f)
{
	struct pyr_python *python = NULL;
	pyr_error *err = pyr_python_open(f->target, NULL, &python);

	assert_non_null(err);
	assert_null(python);
	return err;
}

static void not_python(void **state)
{
	struct fixture f;
	pyr_error *err;

	(void)state;
	make(&f, NODES);
	err = open_it(&f);
	assert_int_equal(err->code, PYR_E_NOT_PYTHON);
	pyr_error_destroy(err);
	pyr_target_mark_incomplete(f.target, "half of it is missing");
	err = open_it(&f);
	assert_int_equal(err->code, PYR_E_UNREADABLE);
	assert_non_null(strstr(err->message, "half of it is missing"));
	pyr_error_destroy(err);
	drop(&f);
}

/* Memory that begins with _Py_DebugOffsets of a version: the cookie, the version, whether the
 * build is one without the GIL, the size of _PyRuntimeState. Nothing is behind them. */
static void offsets_alone(uint64_t hexversion, uint64_t free_threaded, uint64_t size,
			  enum pyr_error_code code, const char *version)
{
	struct fixture f;
	pyr_error *err;

	make(&f, NODES);
	memset(f.words, 0, 4096);
	memcpy(f.words, "xdebugpy", 8);
	f.words[1] = hexversion;
	f.words[2] = free_threaded;
	f.words[3] = size;
	err = open_it(&f);
	if (err->code != code)
		fail_msg("%s: %s", pyr_error_code_name(err->code), err->message);
	assert_non_null(strstr(err->message, version));
	pyr_error_destroy(err);
	drop(&f);
}

static void free_threaded(void **state)
{
	(void)state;
	offsets_alone(0x030e0af0, 1, 316616, PYR_E_UNSUPPORTED_BUILD, "3.14.10");
}

/* A version that no table describes. */
static void unknown_version(void **state)
{
	(void)state;
	offsets_alone(0x033000f0, 0, 346568, PYR_E_UNKNOWN_LAYOUT, "3.48.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),         cmocka_unit_test(torn),
		cmocka_unit_test(cyclic),        cmocka_unit_test(not_python),
		cmocka_unit_test(free_threaded), cmocka_unit_test(unknown_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
