/* Objects that lie: counts, lengths, kinds and chains that no CPython would
 * write. Every question must be answered or refused, never followed blindly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_target.h"
#include "random.h"
#include "runtime/access.h"
#include "values/object.h"

#define BASE 0x7f0000100000u
#define SIZE 0x20000u

/* Types lie at fixed distances, objects from OBJECTS on. */
enum { TYPE, OBJECT, LIST, STR, INT, DICT, TUPLE, PLAIN, TYPES };
#define TYPE_AT(i) (BASE + 0x1000u * (i))
#define OBJECTS (BASE + 0x10000u)
#define NAMES (BASE + 0x1f000u)

struct world {
	struct mock_target mock;
	struct pyr_python python;
	struct pyr_types *types;
	uint8_t *bytes;
};

static void put(struct world *w, pyr_addr addr, uint64_t value, size_t size)
{
	assert_true(size <= 8 && addr >= BASE && addr + size <= BASE + SIZE);
	memcpy(w->bytes + (addr - BASE), &value, size);
}

#define PUT(w, addr, id, field, value)                                                             \
	put((w), (addr) + (pyr_addr)pyr_offset(&(w)->python.layout, id, field), (value),           \
	    pyr_place_width(&(w)->python.layout.fields[PYR_FIELD(id, field)]))

static void make_type(struct world *w, int i, int base, const char *name, uint64_t basicsize,
		      uint64_t itemsize, uint64_t flags)
{
	pyr_addr t = TYPE_AT(i), n = NAMES + 64u * (unsigned)i;

	memcpy(w->bytes + (n - BASE), name, strlen(name) + 1);
	PUT(w, t, PyObject, ob_refcnt, 5);
	PUT(w, t, PyObject, ob_type, TYPE_AT(TYPE));
	PUT(w, t, PyTypeObject, tp_name, n);
	PUT(w, t, PyTypeObject, tp_basicsize, basicsize);
	PUT(w, t, PyTypeObject, tp_itemsize, itemsize);
	PUT(w, t, PyTypeObject, tp_dealloc, 0x400000);
	PUT(w, t, PyTypeObject, tp_flags, flags | PYR_TPFLAGS_READY);
	PUT(w, t, PyTypeObject, tp_base, base < 0 ? 0 : TYPE_AT(base));
	PUT(w, t, PyTypeObject, tp_mro, OBJECTS); /* an empty tuple would do */
}

static int setup(void **state)
{
	struct pyr_build build = {.hexversion = 0x030b07f0, .machine = PYR_MACHINE_X86_64};
	struct world *w = calloc(1, sizeof(*w));

	w->bytes = calloc(1, SIZE);
	mock_target_init(&w->mock, false);
	mock_target_add(&w->mock, BASE, w->bytes, SIZE);
	mock_target_finish(&w->mock);
	w->python.target = w->mock.target;
	pyr_reader_init(&w->python.reader, w->mock.target);
	assert_null(pyr_layout_builtin(&build, &w->python.layout));
	make_type(w, TYPE, OBJECT, "type", 904, 40, PYR_TPFLAGS_TYPE_SUBCLASS);
	make_type(w, OBJECT, -1, "object", 16, 0, 0);
	make_type(w, LIST, OBJECT, "list", 40, 0, PYR_TPFLAGS_LIST_SUBCLASS | PYR_TPFLAGS_HAVE_GC);
	make_type(w, STR, OBJECT, "str", 80, 0, PYR_TPFLAGS_UNICODE_SUBCLASS);
	make_type(w, INT, OBJECT, "int", 24, 4, PYR_TPFLAGS_LONG_SUBCLASS);
	make_type(w, DICT, OBJECT, "dict", 48, 0, PYR_TPFLAGS_DICT_SUBCLASS | PYR_TPFLAGS_HAVE_GC);
	make_type(w, TUPLE, OBJECT, "tuple", 24, 8,
		  PYR_TPFLAGS_TUPLE_SUBCLASS | PYR_TPFLAGS_HAVE_GC);
	make_type(w, PLAIN, OBJECT, "m.Plain", 32, 0, PYR_TPFLAGS_HAVE_GC);
	w->python.known[PYR_KNOWN_TYPE_TYPE] = TYPE_AT(TYPE);
	w->python.known[PYR_KNOWN_OBJECT_TYPE] = TYPE_AT(OBJECT);
	w->python.known[PYR_KNOWN_LIST_TYPE] = TYPE_AT(LIST);
	w->python.known[PYR_KNOWN_UNICODE_TYPE] = TYPE_AT(STR);
	w->python.known[PYR_KNOWN_LONG_TYPE] = TYPE_AT(INT);
	w->python.known[PYR_KNOWN_DICT_TYPE] = TYPE_AT(DICT);
	w->python.known[PYR_KNOWN_TUPLE_TYPE] = TYPE_AT(TUPLE);
	assert_null(pyr_types_create(&w->python, &w->types));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	pyr_types_destroy(w->types);
	pyr_reader_deinit(&w->python.reader);
	mock_target_deinit(&w->mock);
	free(w->bytes);
	free(w);
	return 0;
}

static pyr_addr make(struct world *w, unsigned slot, int type)
{
	pyr_addr obj = OBJECTS + 0x200u + 0x200u * slot;

	PUT(w, obj, PyObject, ob_refcnt, 1);
	PUT(w, obj, PyObject, ob_type, TYPE_AT(type));
	return obj;
}

static void expect_repr(struct world *w, pyr_addr obj, const char *want)
{
	struct pyr_strbuf out = {0};

	pyr_object_repr(w->types, &w->python.reader, obj, NULL, &out);
	assert_string_equal(pyr_strbuf_str(&out), want);
	pyr_strbuf_deinit(&out);
}

static void expect_code(pyr_error *err, enum pyr_error_code code)
{
	assert_non_null(err);
	assert_int_equal(err->code, code);
	pyr_error_destroy(err);
}

static void test_the_sound_world(void **state)
{
	struct world *w = *state;
	pyr_addr list = make(w, 0, LIST), n = make(w, 1, INT);
	struct pyr_object_header header;
	uint64_t size;
	bool exact;

	PUT(w, n, PyVarObject, ob_size, (uint64_t)-1);
	PUT(w, n, PyLongObject, ob_digit, 42);
	PUT(w, list, PyVarObject, ob_size, 2);
	PUT(w, list, PyListObject, ob_item, list + 0x100);
	PUT(w, list, PyListObject, allocated, 4);
	put(w, list + 0x100, n, 8);
	put(w, list + 0x108, list, 8);
	expect_repr(w, list, "[-42, [...]]");
	assert_null(pyr_object_header(w->types, &w->python.reader, list, &header));
	assert_string_equal(header.type->name, "builtins.list");
	assert_true(header.is_gc);
	assert_false(header.tracked);
	assert_null(pyr_object_size(w->types, &w->python.reader, header.type, list, &size, &exact));
	assert_int_equal(size, 16 + 40 + 4 * 8);
}

static void test_what_is_no_type(void **state)
{
	struct world *w = *state;
	struct pyr_reader *r = &w->python.reader;
	const uint64_t sizes[] = {0, 8, 1u << 30};
	pyr_addr odd = TYPE_AT(PLAIN);
	int i;

	/* A metatype's chain that goes round and never reaches `type`. */
	make_type(w, 9, OBJECT, "A", 904, 40, PYR_TPFLAGS_TYPE_SUBCLASS);
	make_type(w, 10, OBJECT, "B", 904, 40, PYR_TPFLAGS_TYPE_SUBCLASS);
	PUT(w, TYPE_AT(9), PyObject, ob_type, TYPE_AT(10));
	PUT(w, TYPE_AT(10), PyObject, ob_type, TYPE_AT(9));
	assert_null(pyr_types_get(w->types, r, TYPE_AT(9)));
	/* A base that is its own base. */
	make_type(w, 11, 11, "C", 16, 0, 0);
	assert_null(pyr_types_get(w->types, r, TYPE_AT(11)));
	assert_null(pyr_types_get(w->types, r, 0));
	assert_null(pyr_types_get(w->types, r, TYPE_AT(LIST) + 8));
	assert_null(pyr_types_get(w->types, r, BASE + SIZE - 16));
	assert_null(pyr_types_get(w->types, r, 0xdeadbeefdeadbeef));
	for (i = 0; i < 3; i++) {
		PUT(w, odd, PyTypeObject, tp_basicsize, sizes[i]);
		assert_null(pyr_types_get(w->types, r, odd));
	}
}

static void test_freed_and_absent(void **state)
{
	struct world *w = *state;
	struct pyr_reader *r = &w->python.reader;
	pyr_addr list = make(w, 0, LIST);
	struct pyr_object_header header;

	PUT(w, list, PyObject, ob_refcnt, 0);
	expect_code(pyr_object_header(w->types, r, list, &header), PYR_E_FREED);
	PUT(w, list, PyObject, ob_refcnt, 0x7f0000001234);
	expect_code(pyr_object_header(w->types, r, list, &header), PYR_E_NOT_AN_OBJECT);
	PUT(w, list, PyObject, ob_refcnt, 1);
	PUT(w, list, PyObject, ob_type, list);
	expect_code(pyr_object_header(w->types, r, list, &header), PYR_E_NOT_AN_OBJECT);
	expect_code(pyr_object_header(w->types, r, 0x1000, &header), PYR_E_UNREADABLE);
	expect_repr(w, 0x1000, "<unreadable>");
}

static void test_lengths_that_lie(void **state)
{
	struct world *w = *state;
	struct pyr_reader *r = &w->python.reader;
	pyr_addr list = make(w, 0, LIST), str = make(w, 1, STR), n = make(w, 2, INT);
	const struct pyr_type *type;
	uint64_t size, count;
	pyr_addr items;
	int64_t value;
	char *text;
	bool exact;

	PUT(w, list, PyVarObject, ob_size, UINT64_C(1) << 50);
	PUT(w, list, PyListObject, ob_item, list + 0x100);
	PUT(w, list, PyListObject, allocated, UINT64_C(1) << 60);
	expect_repr(w, list, "[<unreadable>]");
	expect_code(pyr_sequence_items(w->types, r, list, &items, &count), PYR_E_CORRUPT);
	type = pyr_types_get(w->types, r, TYPE_AT(LIST));
	expect_code(pyr_object_size(w->types, r, type, list, &size, &exact), PYR_E_CORRUPT);
	/* within bounds, but the items are not there */
	PUT(w, list, PyVarObject, ob_size, 3);
	PUT(w, list, PyListObject, ob_item, 0x10);
	expect_repr(w, list, "[<unreadable>]");

	PUT(w, str, PyASCIIObject, length, UINT64_C(1) << 39);
	put(w, str + 32, 1u << 2 | 1u << 5 | 1u << 6 | 1u << 7,
	    4); /* kind 1, compact, ascii, ready */
	expect_code(pyr_str_utf8(w->types, r, str, SIZE_MAX, &text, NULL), PYR_E_UNREADABLE);
	put(w, str + 32, 3u << 2 | 1u << 7, 4); /* kind 3 */
	expect_code(pyr_str_utf8(w->types, r, str, 10, &text, NULL), PYR_E_CORRUPT);
	expect_repr(w, str, "<unreadable>");
	assert_false(pyr_str_equals(w->types, r, str, "x"));

	PUT(w, n, PyVarObject, ob_size, UINT64_C(1) << 45);
	expect_code(pyr_int_value(w->types, r, n, &value), PYR_E_CORRUPT);
	PUT(w, n, PyVarObject, ob_size, 100000);
	expect_repr(w, n, "<int of about 903090 digits>");
}

static void test_dicts_that_lie(void **state)
{
	struct world *w = *state;
	struct pyr_reader *r = &w->python.reader;
	pyr_addr dict = make(w, 0, DICT), keys = make(w, 4, PLAIN);
	struct pyr_dict_iter iter;

	PUT(w, dict, PyDictObject, ma_used, 3);
	PUT(w, dict, PyDictObject, ma_keys, keys);
	put(w, keys, 0, 8);
	put(w, keys + 8, 0, 8);
	put(w, keys + 8, 200, 1); /* dk_log2_size */
	expect_code(pyr_dict_iter_init(w->types, r, dict, &iter), PYR_E_CORRUPT);
	PUT(w, keys, PyDictKeysObject, dk_log2_size, 3);
	PUT(w, keys, PyDictKeysObject, dk_log2_index_bytes, 3);
	PUT(w, keys, PyDictKeysObject, dk_kind, 9);
	expect_code(pyr_dict_iter_init(w->types, r, dict, &iter), PYR_E_CORRUPT);
	PUT(w, keys, PyDictKeysObject, dk_kind, 0);
	PUT(w, keys, PyDictKeysObject, dk_nentries, 1000000);
	expect_code(pyr_dict_iter_init(w->types, r, dict, &iter), PYR_E_CORRUPT);
	expect_repr(w, dict, "{<unreadable>}");
	/* One entry whose value is the dict itself, and whose key is no object. */
	PUT(w, keys, PyDictKeysObject, dk_nentries, 1);
	put(w, keys + 32 + 8 + 8, 0x1000, 8);
	put(w, keys + 32 + 8 + 16, dict, 8);
	PUT(w, dict, PyDictObject, ma_used, 1);
	expect_repr(w, dict, "{<unreadable object at 0x1000>: {...}}");
	assert_int_equal(pyr_dict_get(w->types, r, dict, "x"), 0);
}

/* Flipped bytes everywhere: nothing crashes, and every repr stays in its bounds. */
static void test_flipped_bytes(void **state)
{
	struct world *w = *state;
	struct pyr_repr_options options = {.max_length = 120, .depth = 5, .items = 5};
	uint64_t random;
	unsigned round, i;

	test_the_sound_world(state);
	for (round = 0; round < 5000; round++) {
		struct {
			size_t at;
			uint8_t old;
		} undo[20];

		for (i = 0; i < 20; i++) {
			random = random_word();
			undo[i].at = random % 2 ? random % 0x8000 : 0x10000 + random % 0x1000;
			undo[i].old = w->bytes[undo[i].at];
			w->bytes[undo[i].at] = (uint8_t)(random >> 32);
		}
		pyr_types_destroy(w->types);
		assert_null(pyr_types_create(&w->python, &w->types));
		for (i = 0; i < 6; i++) {
			pyr_addr obj = OBJECTS + 0x200u + 0x200u * i;
			struct pyr_object_header header;
			struct pyr_strbuf out = {0};
			uint64_t size;
			bool exact;
			pyr_error *err =
				pyr_object_header(w->types, &w->python.reader, obj, &header);

			if (!err)
				err = pyr_object_size(w->types, &w->python.reader, header.type, obj,
						      &size, &exact);
			pyr_error_destroy(err);
			pyr_object_repr(w->types, &w->python.reader, obj, &options, &out);
			assert_true(out.length <= options.max_length);
			pyr_strbuf_deinit(&out);
		}
		for (i = 20; i-- > 0;)
			w->bytes[undo[i].at] = undo[i].old;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_sound_world, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_type, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_and_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lengths_that_lie, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dicts_that_lie, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flipped_bytes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
