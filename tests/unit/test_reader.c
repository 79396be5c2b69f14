/* Typed reads: bounds, seams between segments, blocks through a callback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mock_target.h"

#define BLOCK 65536u

static void seams_between_segments(void **state)
{
	/* the higher address lies lower in our memory */
	static const uint8_t bytes[16] = {9, 10, 11, 12, 13, 14, 15, 16, 1, 2, 3, 4, 5, 6, 7, 8};
	const uint8_t *high = bytes, *low = bytes + 8;
	struct mock_target mock;
	struct pyr_reader r;
	const uint8_t *run;
	uint64_t v = 77;
	uint32_t w;

	(void)state;
	mock_target_init(&mock, false);
	mock_target_add(&mock, 0x1008, high, 8);
	mock_target_add(&mock, 0x1000, low, 8);
	mock_target_finish(&mock);
	pyr_reader_init(&r, mock.target);
	assert_true(pyr_try_u64(&r, 0x1000, &v));
	assert_int_equal(v, 0x0807060504030201);
	assert_true(pyr_try_u64(&r, 0x1004, &v)); /* assembled */
	assert_int_equal(v, 0x0c0b0a0908070605);
	assert_true(pyr_try_u32(&r, 0x100c, &w));
	assert_int_equal(w, 0x100f0e0d);
	v = 77;
	assert_false(pyr_try_u64(&r, 0x1009, &v));
	assert_int_equal(v, 77); /* outputs only on success */
	assert_null(pyr_peek(&r, 0xfff, 2));
	assert_null(pyr_peek(&r, 0x1000, 0));
	assert_null(pyr_peek(&r, 0x1000, SIZE_MAX));
	assert_null(pyr_peek(&r, UINT64_MAX, 2));
	assert_null(pyr_peek(&r, 0x1000, (size_t)1 << 40));
	assert_int_equal(pyr_peek_run(&r, 0x1002, 100, &run), 6);
	assert_ptr_equal(run, low + 2);
	assert_int_equal(pyr_peek_run(&r, 0x1010, 1, &run), 0);
	assert_int_equal(pyr_peek_next(&r, 0, UINT64_MAX), 0x1000);
	assert_int_equal(pyr_peek_next(&r, 0, 0x800), 0x800);
	assert_int_equal(pyr_peek_next(&r, 0x1010, UINT64_MAX), UINT64_MAX);
	pyr_reader_deinit(&r);
	mock_target_deinit(&mock);
}

static void neighbours_become_one_segment(void **state)
{
	static uint8_t bytes[64];
	struct mock_target mock;

	(void)state;
	mock_target_init(&mock, false);
	mock_target_add(&mock, 0x1010, bytes + 16, 16);
	mock_target_add(&mock, 0x1000, bytes, 16);
	mock_target_add(&mock, 0x1020, bytes + 48, 16); /* neighbour by address only */
	mock_target_finish(&mock);
	assert_int_equal(mock.target->segments.count, 2);
	assert_int_equal(mock.target->segments.data[0].start, 0x1000);
	assert_int_equal(mock.target->segments.data[0].end, 0x1020);
	mock_target_deinit(&mock);
}

static void errors_name_the_address(void **state)
{
	static const uint8_t bytes[17] = "abc\0defghijklmno"; /* with the NUL */
	struct mock_target mock;
	struct pyr_reader r;
	uint8_t buf[32];
	pyr_error *err;
	char *text;

	(void)state;
	mock_target_init(&mock, false);
	mock_target_add(&mock, 0x1000, bytes, 16);
	mock_target_finish(&mock);
	pyr_reader_init(&r, mock.target);
	err = pyr_read(&r, 0x1008, buf, 16);
	assert_non_null(err);
	assert_int_equal(err->code, PYR_E_UNREADABLE);
	assert_true(err->has_address);
	assert_int_equal(err->address, 0x1010); /* the first byte that is missing */
	pyr_error_destroy(err);
	assert_null(pyr_read(&r, 0x1000, buf, 16));
	assert_memory_equal(buf, bytes, 16);
	assert_null(pyr_read_cstring(&r, 0x1000, 3, &text));
	assert_string_equal(text, "abc");
	free(text);
	err = pyr_read_cstring(&r, 0x1000, 2, &text);
	assert_int_equal(err->code, PYR_E_CORRUPT);
	pyr_error_destroy(err);
	err = pyr_read_cstring(&r, 0x1004, 100, &text); /* runs off the end */
	assert_int_equal(err->code, PYR_E_UNREADABLE);
	pyr_error_destroy(err);
	assert_null(pyr_read_cstring(&r, 0x1003, 100, &text));
	assert_string_equal(text, "");
	free(text);
	pyr_reader_deinit(&r);
	mock_target_deinit(&mock);
}

static void blocks_are_fetched_once(void **state)
{
	uint8_t *bytes = calloc(4, BLOCK);
	struct mock_target mock;
	struct pyr_reader a, b;
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < 4 * BLOCK; i++)
		bytes[i] = (uint8_t)(i * 7 >> 3);
	mock_target_init(&mock, true);
	mock_target_add(&mock, 0x100000, bytes, 4 * BLOCK);
	pyr_reader_init(&a, mock.target);
	pyr_reader_init(&b, mock.target);
	assert_false(pyr_target_concurrent(mock.target));
	for (i = 0; i + 8 <= 4 * BLOCK; i++) {
		uint64_t want;

		memcpy(&want, bytes + i, 8);
		assert_true(pyr_try_u64(&a, 0x100000 + i, &v));
		assert_int_equal(v, want);
	}
	assert_int_equal(mock.reads, 4);
	assert_true(pyr_try_u64(&b, 0x100000, &v));
	assert_int_equal(mock.reads, 4); /* readers share the blocks */
	pyr_reader_deinit(&a);
	pyr_reader_deinit(&b);
	pyr_target_drop_cache(mock.target);
	pyr_reader_init(&a, mock.target);
	assert_true(pyr_try_u64(&a, 0x100000, &v));
	assert_int_equal(mock.reads, 5);
	pyr_reader_deinit(&a);
	mock_target_deinit(&mock);
	free(bytes);
}

/* Of a block only some pages can be read. */
static void blocks_with_holes(void **state)
{
	static uint8_t page[2 * 4096];
	struct mock_target mock;
	struct pyr_reader r;
	const uint8_t *run;
	uint64_t v;
	size_t reads;

	(void)state;
	memset(page, 0x5a, sizeof(page));
	mock_target_init(&mock, true);
	mock_target_add(&mock, 0x103000, page, sizeof(page));
	pyr_reader_init(&r, mock.target);
	assert_true(pyr_try_u64(&r, 0x104ff8, &v));
	assert_int_equal(v, 0x5a5a5a5a5a5a5a5a);
	assert_int_equal(pyr_peek_run(&r, 0x103000, BLOCK, &run), sizeof(page));
	reads = mock.reads;
	assert_false(pyr_try_u64(&r, 0x104ff9, &v));
	assert_false(pyr_try_u64(&r, 0x102fff, &v));
	assert_false(pyr_try_u64(&r, 0x100000, &v));
	assert_int_equal(mock.reads, reads); /* absence is remembered too */
	assert_int_equal(pyr_peek_next(&r, 0x102fff, UINT64_MAX), 0x103000);
	assert_false(pyr_try_u64(&r, 0x900000, &v)); /* a block that is absent as a whole */
	reads = mock.reads;
	assert_false(pyr_try_u64(&r, 0x90fff0, &v));
	assert_int_equal(mock.reads, reads);
	assert_null(pyr_reader_check(&r));
	pyr_reader_deinit(&r);
	mock_target_deinit(&mock);
}

/* Ctrl-C in a callback is handed over, and does not turn into absence. */
static void interruption_is_no_absence(void **state)
{
	static uint8_t bytes[BLOCK];
	struct mock_target mock;
	struct pyr_reader r;
	pyr_error *err;
	uint64_t v;

	(void)state;
	mock_target_init(&mock, true);
	mock_target_add(&mock, 0x100000, bytes, sizeof(bytes));
	mock.fail_at = 1;
	mock.fail_with = PYR_E_INTERRUPTED;
	pyr_reader_init(&r, mock.target);
	assert_false(pyr_try_u64(&r, 0x100000, &v));
	assert_int_equal(mock.reads, 1); /* and not page by page */
	err = pyr_reader_check(&r);
	assert_non_null(err);
	assert_int_equal(err->code, PYR_E_INTERRUPTED);
	pyr_error_destroy(err);
	assert_null(pyr_reader_check(&r));
	mock.fail_at = 0;
	assert_true(pyr_try_u64(&r, 0x100000, &v));
	pyr_reader_deinit(&r);
	mock_target_deinit(&mock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seams_between_segments),
		cmocka_unit_test(neighbours_become_one_segment),
		cmocka_unit_test(errors_name_the_address),
		cmocka_unit_test(blocks_are_fetched_once),
		cmocka_unit_test(blocks_with_holes),
		cmocka_unit_test(interruption_is_no_absence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
