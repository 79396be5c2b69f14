/* Debug info as a source of layouts: this program's own, damaged copies of it, none at
 * all, and a server's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "loaded_layout.h"

/* This program's own debug info: structures with CPython's names and shapes of every kind
 * that its compilers produce. */
typedef struct {
	uint64_t padding;
	union {
		struct {
			uint32_t other, ob_refcnt;
		};
		uint64_t full;
	};
	char gap[20];
	void *const ob_type;
} _object;
struct _gc_head {
	struct {
		uint64_t gc_next, gc_prev[3];
	} gc;
};
typedef const struct _gc_head PyGC_Head;
typedef struct {
	uint16_t first;
	uint64_t length;
	struct {
		unsigned int pad : 3, interned : 2, kind : 5;
		unsigned int : 7;
		unsigned int compact : 9, ascii : 1;
	} state;
} PyASCIIObject;
struct gc_stats {
	struct {
		uint64_t items[5];
		int8_t index;
	} young;
	struct {
		uint32_t before[3];
		uint64_t items[7][2];
		int8_t index;
	} old[2];
};
struct block { /* another one than the deque's */
	int size;
} arena_block;
_object the_object;
PyGC_Head the_head;
PyASCIIObject the_string;
struct gc_stats the_stats;

static void test_own_debug_info(void **state)
{
	struct pyr_dwarf_file file = {.path = "/proc/self/exe"};
	const struct pyr_field_place *place;

	(void)state;
	load(0x030b07f0, PYR_MACHINE_X86_64);
	assert_null(pyr_layout_overlay_dwarf(&layout, &file, PYR_SOURCE_DWARF));
	assert_int_equal(layout.struct_source[PYR_STRUCT(PyObject)], PYR_SOURCE_DWARF);
	assert_at(PyObject, ob_refcnt, offsetof(_object, ob_refcnt));
	assert_at(PyObject, ob_type, offsetof(_object, ob_type));
	assert_int_equal(pyr_sizeof(&layout, PyObject), sizeof(_object));
	assert_at(PyGC_Head, gc_prev, offsetof(PyGC_Head, gc.gc_prev));
	assert_int_equal(pyr_layout_place(&layout, PYR_FIELD(PyGC_Head, gc_prev))->size, 24);
	assert_at(PyGC_Head, gc_refs, -1);

	/* pad 0-2, interned 3-4, kind 5-9, compact 17-25, ascii 26 */
	place = pyr_layout_place(&layout, PYR_FIELD(PyASCIIObject, state_interned));
	assert_int_equal(place->offset, 16);
	assert_int_equal(place->bit_offset, 3);
	assert_int_equal(place->bit_width, 2);
	place = pyr_layout_place(&layout, PYR_FIELD(PyASCIIObject, state_kind));
	assert_int_equal(place->offset * 8 + place->bit_offset, 16 * 8 + 5);
	assert_int_equal(place->bit_width, 5);
	assert_int_equal(place->size, 2);
	place = pyr_layout_place(&layout, PYR_FIELD(PyASCIIObject, state_ascii));
	assert_int_equal(place->offset * 8 + place->bit_offset, 16 * 8 + 26);

	assert_at(gc_stats, young_index, offsetof(struct gc_stats, young.index));
	assert_at(gc_stats, old0, offsetof(struct gc_stats, old[0].items));
	assert_at(gc_stats, old1, offsetof(struct gc_stats, old[1].items));
	assert_int_equal(pyr_layout_place(&layout, PYR_FIELD(gc_stats, old1))->size, 7 * 2 * 8);

	/* Not described here: as the table has them. */
	assert_at(block, rightlink, 520);
	assert_int_equal(layout.struct_source[PYR_STRUCT(block)], PYR_SOURCE_BUILTIN);
	assert_at(PyListObject, ob_item, 24);
}

static void damaged_file(const char *path, const uint8_t *bytes, size_t length)
{
	struct pyr_dwarf_file file = {.path = path};
	struct pyr_debug_query query = {.exe_path = path};
	struct pyr_debug_file found;
	FILE *out = fopen(path, "wb");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, length, out), length);
	fclose(out);
	layout = other;
	pyr_error *err = pyr_layout_overlay_dwarf(&layout, &file, PYR_SOURCE_DWARF);
	if (err) {
		assert_int_equal(err->code, PYR_E_BAD_FILE);
		assert_memory_equal(&layout, &other, sizeof(layout));
	}
	pyr_error_destroy(err);
	pyr_error_destroy(pyr_layout_debug_file_find(&query, &found));
	free(found.path);
}

/* Whatever happens to a file: an error or an answer, and this process lives. */
static void test_damaged_debug_info(void **state)
{
	char path[] = "/tmp/pyretain-layout-XXXXXX";
	FILE *in = fopen("/proc/self/exe", "rb");
	uint8_t *bytes, *copy;
	long length;
	int fd = mkstemp(path);

	(void)state;
	assert_non_null(in);
	assert_true(fd >= 0);
	close(fd);
	fseek(in, 0, SEEK_END);
	length = ftell(in);
	rewind(in);
	bytes = malloc(length);
	copy = malloc(length);
	assert_true(bytes && copy && fread(bytes, 1, length, in) == (size_t)length);
	fclose(in);
	load(0x030b07f0, PYR_MACHINE_X86_64);
	other = layout;
	srand(1);
	for (int i = 0; i < 60; i++) {
		memcpy(copy, bytes, length);
		for (int k = 0; k < 2000; k++) /* debug info is in the second half */
			copy[length / 3 + rand() % (length - length / 3)] = (uint8_t)rand();
		damaged_file(path, copy, i % 4 ? (size_t)length : (size_t)(rand() % length));
	}
	damaged_file(path, (const uint8_t *)"", 0);
	damaged_file(path, bytes, 64);
	unlink(path);
	free(bytes);
	free(copy);
}

static void test_no_debug_info(void **state)
{
	struct pyr_debug_query query = {.build_id = "0123456789abcdef0123456789abcdef01234567",
					.exe_path = "/nonexistent/python3"};
	struct pyr_debug_file found;
	struct pyr_dwarf_file file = {.path = "/nonexistent/file"};
	pyr_error *err;

	(void)state;
	assert_null(pyr_layout_debug_file_find(&query, &found));
	assert_null(found.path);
	query = (struct pyr_debug_query){.exe_path = "/proc/self/exe"};
	assert_null(pyr_layout_debug_file_find(&query, &found));
	assert_string_equal(found.path, "/proc/self/exe");
	free(found.path);
	/* Another file than the one that the target was made from does not count. */
	query.build_id = "0123456789abcdef0123456789abcdef01234567";
	assert_null(pyr_layout_debug_file_find(&query, &found));
	assert_null(found.path);
	err = pyr_layout_overlay_dwarf(&layout, &file, PYR_SOURCE_DWARF);
	assert_int_equal(err->code, PYR_E_BAD_FILE);
	pyr_error_destroy(err);
}

#define ID "00112233445566778899aabbccddeeff00112233"

/* A server is asked last, and only when one is configured and asking is allowed. */
static void test_debuginfod(void **state)
{
	char dir[] = "/tmp/pyretain-debuginfod-XXXXXX", path[128], url[128], text[5] = "";
	struct pyr_debug_query query = {.build_id = ID, .exe_path = "/nonexistent"};
	struct pyr_debug_file found;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/buildid", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/buildid/" ID, dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/buildid/" ID "/debuginfo", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("here", file);
	fclose(file);
	snprintf(url, sizeof(url), "file://%s", dir);
	snprintf(path, sizeof(path), "%s/cache", dir);
	setenv("DEBUGINFOD_CACHE_PATH", path, 1);

	unsetenv("DEBUGINFOD_URLS");
	query.allow_debuginfod = true;
	assert_null(pyr_layout_debug_file_find(&query, &found));
	assert_null(found.path);
	setenv("DEBUGINFOD_URLS", url, 1);
	query.allow_debuginfod = false;
	assert_null(pyr_layout_debug_file_find(&query, &found));
	assert_null(found.path);
	query.allow_debuginfod = true;
	assert_null(pyr_layout_debug_file_find(&query, &found));
	if (!found.path) {
		print_message("libdebuginfod is not installed: nothing to ask with\n");
	} else {
		assert_int_equal(found.source, PYR_SOURCE_DEBUGINFOD);
		file = fopen(found.path, "r");
		assert_non_null(file);
		assert_int_equal(fread(text, 1, 4, file), 4);
		fclose(file);
		assert_string_equal(text, "here");
		free(found.path);
	}
	unsetenv("DEBUGINFOD_URLS");
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_debug_info),
		cmocka_unit_test(test_damaged_debug_info),
		cmocka_unit_test(test_no_debug_info),
		cmocka_unit_test(test_debuginfod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
