/* Free lists made by hand: their lengths are known, and then damaged. What real ones hold
 * is asked of CPython in tests/sessions/test_arenas.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_target.h"
#include "pymalloc/freelists.h"

#define INTERPRETER 0x560000000000u
#define OBJECTS 0x7f0000000000u
#define OBJECT_SIZE 256u
#define OBJECT_COUNT 256u

struct fixture {
	struct mock_target mock;
	struct pyr_python python;
	struct pyr_types types;
	uint8_t *interpreter, *objects;
	size_t interpreter_size;
};

static pyr_addr object(unsigned i)
{
	return OBJECTS + i * OBJECT_SIZE;
}

static void set_up(struct fixture *f, uint32_t hexversion)
{
	struct pyr_build build = {.hexversion = hexversion, .machine = PYR_MACHINE_X86_64};
	struct pyr_interpreter interpreter = {.address = INTERPRETER, .main = true};

	memset(f, 0, sizeof(*f));
	assert_null(pyr_layout_builtin(&build, &f->python.layout));
	mock_target_init(&f->mock, false);
	f->python.target = f->mock.target;
	f->types.python = &f->python;
	f->interpreter_size = pyr_sizeof(&f->python.layout, PyInterpreterState);
	f->interpreter = calloc(1, f->interpreter_size);
	f->objects = calloc(OBJECT_COUNT, OBJECT_SIZE);
	assert_true(pyr_vec_push(&f->python.interpreters, interpreter));
	mock_target_add(&f->mock, INTERPRETER, f->interpreter, f->interpreter_size);
	mock_target_add(&f->mock, OBJECTS, f->objects, OBJECT_COUNT * OBJECT_SIZE);
	mock_target_finish(&f->mock);
	pyr_reader_init(&f->python.reader, f->mock.target);
}

static void tear_down(struct fixture *f)
{
	pyr_reader_deinit(&f->python.reader);
	pyr_vec_deinit(&f->python.interpreters);
	mock_target_deinit(&f->mock);
	free(f->interpreter);
	free(f->objects);
}

static const struct pyr_freelist *list_of(const struct pyr_freelists *lists, const char *type,
					  uint32_t length)
{
	size_t i;

	for (i = 0; i < lists->lists.count; i++)
		if (!strcmp(lists->lists.data[i].type, type) &&
		    lists->lists.data[i].length == length)
			return &lists->lists.data[i];
	fail_msg("no list of %s", type);
	return NULL;
}

/* Objects [@first, @first + @count) chained through the word at @link. */
static void chain(struct fixture *f, unsigned first, unsigned count, uint32_t link)
{
	unsigned i;

	for (i = 0; i < count; i++)
		put64(f->objects + (first + i) * OBJECT_SIZE + link,
		      i + 1 < count ? object(first + i + 1) : 0);
}

/* 3.14+: everything is chained by the first word. */
static void chains_are_walked(void **state)
{
	const struct pyr_freelist *list;
	struct pyr_freelists lists;
	const struct pyr_layout *l;
	struct fixture f;
	uint8_t *at;
	size_t i;

	(void)state;
	set_up(&f, 0x030e00f0);
	l = &f.python.layout;
	at = f.interpreter + pyr_offset(l, PyInterpreterState, freelists);
	chain(&f, 0, 7, 0);
	put64(at + pyr_offset(l, _Py_freelists, floats), object(0));
	put64(at + pyr_offset(l, _Py_freelists, floats) + 8, 7);
	chain(&f, 10, 3, 0);
	put64(at + pyr_offset(l, _Py_freelists, tuples) + 4 * 16, object(10)); /* of 5 items */
	put64(at + pyr_offset(l, _Py_freelists, tuples) + 4 * 16 + 8, 3);
	put64(at + pyr_offset(l, _Py_freelists, dicts) + 8, (uint64_t)-1); /* switched off */
	assert_null(pyr_freelists_read(&f.types, NULL, &lists));
	list = list_of(&lists, "builtins.float", 0);
	assert_int_equal(list->objects, 7);
	assert_int_equal(list->estimated, 7);
	assert_int_equal(list->bytes, 7 * 24);
	assert_int_equal(list->maximum, 100);
	assert_true(list->agrees);
	list = list_of(&lists, "builtins.tuple", 5);
	assert_int_equal(list->objects, 3);
	assert_int_equal(list->bytes, 3 * (16 + 32 + 5 * 8));
	assert_int_equal(list_of(&lists, "builtins.tuple", 4)->objects, 0);
	list = list_of(&lists, "builtins.dict", 0);
	assert_int_equal(list->recorded, -1);
	assert_int_equal(list->objects, 0);
	assert_true(list->agrees);
	assert_int_equal(lists.entries.count, 10);
	assert_false(lists.statics_unknown);
	for (i = 0; i < 10; i++)
		assert_int_equal(lists.entries.data[i].address, object(i < 7 ? i : i + 3));
	assert_string_equal(pyr_freelists_at(&lists, object(6), object(7))->type, "builtins.float");
	assert_null(pyr_freelists_at(&lists, object(7), object(10)));
	assert_null(pyr_freelists_at(&lists, object(13), object(99)));
	pyr_freelists_deinit(&lists);
	tear_down(&f);
}

static void damage_is_told(void **state)
{
	const struct pyr_freelist *list;
	struct pyr_freelists lists;
	struct fixture f;
	uint8_t *at;
	unsigned i;

	(void)state;
	set_up(&f, 0x030e00f0);
	at = f.interpreter + pyr_offset(&f.python.layout, PyInterpreterState, freelists) +
	     pyr_offset(&f.python.layout, _Py_freelists, floats);
	for (i = 0; i < 6; i++) {
		chain(&f, 0, 7, 0);
		put64(at, object(0));
		put64(at + 8, 7);
		switch (i) {
		case 0: /* a cycle */
			put64(f.objects + 6 * OBJECT_SIZE, object(2));
			break;
		case 1: /* elsewhere */
			put64(f.objects + 3 * OBJECT_SIZE, 0xdeadbeef0000);
			break;
		case 2: /* shorter than recorded */
			put64(f.objects + 3 * OBJECT_SIZE, 0);
			break;
		case 3: /* longer */
			put64(at + 8, 2);
			break;
		case 4: /* no count at all */
			put64(at + 8, UINT64_C(1) << 62);
			break;
		case 5: /* not aligned */
			put64(f.objects + 3 * OBJECT_SIZE, object(4) + 1);
			break;
		}
		assert_null(pyr_freelists_read(&f.types, NULL, &lists));
		list = list_of(&lists, "builtins.float", 0);
		assert_false(list->agrees);
		assert_true(list->objects <= 8);
		pyr_freelists_deinit(&lists);
	}
	tear_down(&f);
}

/* 3.12: structures of the interpreter, by type; links through members of the object. */
static void structures_by_type(void **state)
{
	const struct pyr_freelist *list;
	struct pyr_freelists lists;
	const struct pyr_layout *l;
	struct fixture f;
	uint8_t *at;
	unsigned i;

	(void)state;
	set_up(&f, 0x030c01f0);
	l = &f.python.layout;
	at = f.interpreter + pyr_offset(l, PyInterpreterState, freelist_float);
	chain(&f, 0, 4, 8);
	put64(at + pyr_offset(l, _Py_float_state, free_list), object(0));
	put32(at + pyr_offset(l, _Py_float_state, numfree), 4);
	at = f.interpreter + pyr_offset(l, PyInterpreterState, freelist_list);
	for (i = 0; i < 5; i++)
		put64(at + pyr_offset(l, _Py_list_state, free_list) + 8 * i, object(20 + i));
	put32(at + pyr_offset(l, _Py_list_state, numfree), 5);
	at = f.interpreter + pyr_offset(l, PyInterpreterState, freelist_tuple);
	chain(&f, 30, 2, 24);
	put64(at + pyr_offset(l, _Py_tuple_state, free_list), object(30));
	put32(at + pyr_offset(l, _Py_tuple_state, numfree), 2);
	put64(f.interpreter + pyr_offset(l, PyInterpreterState, slice_cache), object(40));
	assert_null(pyr_freelists_read(&f.types, NULL, &lists));
	assert_int_equal(list_of(&lists, "builtins.float", 0)->objects, 4);
	list = list_of(&lists, "builtins.list", 0);
	assert_int_equal(list->objects, 5);
	assert_int_equal(list->bytes, 5 * (16 + 40));
	assert_true(list->agrees);
	assert_int_equal(list_of(&lists, "builtins.tuple", 1)->objects, 2);
	assert_int_equal(list_of(&lists, "builtins.slice", 0)->objects, 1);
	pyr_freelists_deinit(&lists);
	/* More than the array has room for. */
	at = f.interpreter + pyr_offset(l, PyInterpreterState, freelist_list);
	put32(at + pyr_offset(l, _Py_list_state, numfree), 81);
	assert_null(pyr_freelists_read(&f.types, NULL, &lists));
	assert_false(list_of(&lists, "builtins.list", 0)->agrees);
	pyr_freelists_deinit(&lists);
	tear_down(&f);
}

/* Until 3.9 only symbols tell. */
static void without_symbols_nothing_is_known(void **state)
{
	struct pyr_freelists lists;
	struct fixture f;

	(void)state;
	set_up(&f, 0x030812f0);
	assert_null(pyr_freelists_read(&f.types, NULL, &lists));
	assert_true(lists.statics_unknown);
	assert_int_equal(lists.lists.count, 0);
	pyr_freelists_deinit(&lists);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_are_walked),
		cmocka_unit_test(damage_is_told),
		cmocka_unit_test(structures_by_type),
		cmocka_unit_test(without_symbols_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
