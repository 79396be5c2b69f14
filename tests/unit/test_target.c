/* Segments and mappings against a slow twin: one byte at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mock_target.h"
#include "random.h"

#define SPACE 256u
#define PIECES 12u

struct piece {
	unsigned start, end;
	bool file;
};

/* Which piece gives the byte at @at: dumped ones first, then the one that
 * starts lower, then the one that was added first. */
static int owner(const struct piece *v, unsigned at)
{
	int best = -1;
	unsigned i;

	for (i = 0; i < PIECES; i++) {
		if (at < v[i].start || at >= v[i].end)
			continue;
		if (best < 0 || (!v[i].file && v[best].file) ||
		    (v[i].file == v[best].file && v[i].start < v[best].start))
			best = (int)i;
	}
	return best;
}

static void overlaps_like_the_twin(void **state)
{
	static uint8_t bytes[PIECES][SPACE];
	unsigned round, i, at;

	(void)state;
	for (i = 0; i < PIECES; i++)
		memset(bytes[i], (int)i + 1, SPACE);
	for (round = 0; round < 3000; round++) {
		struct piece v[PIECES];
		struct mock_target mock;
		const uint8_t *run;
		struct pyr_reader r;
		pyr_addr end = 0;

		mock_target_init(&mock, false);
		for (i = 0; i < PIECES; i++) {
			v[i].start = random_below(SPACE);
			v[i].end = v[i].start + random_below(64);
			if (v[i].end > SPACE)
				v[i].end = SPACE;
			v[i].file = random_below(2);
			assert_null(pyr_target_add_segment(mock.target, v[i].start, v[i].end,
							   bytes[i] + v[i].start,
							   v[i].file ? PYR_SEG_FROM_FILE : 0));
		}
		mock_target_finish(&mock);
		mock_target_finish(&mock); /* again changes nothing */
		for (i = 0; i < mock.target->segments.count; i++) {
			const struct pyr_segment *s = &mock.target->segments.data[i];

			assert_true(s->start >= end && s->end > s->start);
			end = s->end;
		}
		pyr_reader_init(&r, mock.target);
		for (at = 0; at < SPACE; at++) {
			int want = owner(v, at);

			if (want < 0) {
				assert_int_equal(pyr_peek_run(&r, at, 1, &run), 0);
			} else {
				assert_int_equal(pyr_peek_run(&r, at, 1, &run), 1);
				assert_ptr_equal(run, &bytes[want][at]);
			}
		}
		pyr_reader_deinit(&r);
		mock_target_deinit(&mock);
	}
}

static void mappings_are_found(void **state)
{
	static const uint8_t bytes[0x1800];
	struct pyr_mapping high = {.start = 0x4000, .end = 0x6000, .path = "/lib/b.so"},
			   low = {.start = 0x1000, .end = 0x3000, .path = NULL},
			   inside = {.start = 0x5000, .end = 0x7000, .path = "/lib/c.so"},
			   empty = {.start = 0x9000, .end = 0x9000};
	const struct pyr_mapping *m;
	struct mock_target mock;

	(void)state;
	mock_target_init(&mock, false);
	assert_null(pyr_target_add_mapping(mock.target, &high));
	assert_null(pyr_target_add_mapping(mock.target, &low));
	assert_null(pyr_target_add_mapping(mock.target, &inside));
	assert_null(pyr_target_add_mapping(mock.target, &empty));
	mock_target_add(&mock, 0x2000, bytes, 0x1800);
	assert_null(pyr_target_add_segment(mock.target, 0x4000, 0x5000, bytes, PYR_SEG_FROM_FILE));
	mock_target_finish(&mock);
	assert_int_equal(mock.target->mappings.count, 2);
	m = pyr_target_mapping_at(mock.target, 0x1000);
	assert_non_null(m);
	assert_int_equal(m->end, 0x3000);
	assert_int_equal(m->present, 0x1000);
	m = pyr_target_mapping_at(mock.target, 0x5fff);
	assert_non_null(m);
	assert_string_equal(m->path, "/lib/b.so");
	assert_int_equal(m->present, 0); /* a file's pages are not the target's */
	assert_null(pyr_target_mapping_at(mock.target, 0xfff));
	assert_null(pyr_target_mapping_at(mock.target, 0x3000));
	assert_null(pyr_target_mapping_at(mock.target, 0x6000));
	mock_target_deinit(&mock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlaps_like_the_twin),
		cmocka_unit_test(mappings_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
