/* The index of addresses and the set of pages, against slow twins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "objects/index.h"
#include "objects/pages.h"
#include "objects/scan.h"
#include "random.h"

static int by_value(const void *a, const void *b)
{
	const pyr_addr *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Clusters of neighbours at the ends of pages and leaves, one of them with objects at
 * multiples of 16 alone, and loners. */
static uint32_t make_addresses(pyr_addr *out, uint32_t count)
{
	static const pyr_addr bases[] = {0x1000, 0x3ffff000, 0x55d000000000, 0x7f1234567000,
					 0x7fffffffe000};
	uint32_t i, kept = 0;

	for (i = 0; i < count; i++)
		out[i] = (i % 3 ? bases[random_word() % 5] + random_word() % 12288
				: random_word() >> 17) &
			 ~UINT64_C(7) & ((UINT64_C(1) << 47) - 1);
	for (i = 0; i < count; i++)
		if (out[i] >> 16 == bases[3] >> 16)
			out[i] &= ~UINT64_C(15);
	qsort(out, count, sizeof(*out), by_value);
	for (i = 0; i < count; i++)
		if (!kept || out[i] != out[kept - 1])
			out[kept++] = out[i];
	return kept;
}

static uint32_t slow_find(const pyr_addr *v, uint32_t count, pyr_addr addr)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (v[i] == addr)
			return i;
	return UINT32_MAX;
}

static void index_like_the_twin(void **state)
{
	static pyr_addr v[2000];
	struct pyr_control control;
	struct pyr_index *index;
	uint32_t count, i, round;

	(void)state;
	pyr_control_init(&control);
	for (round = 0; round < 5; round++) {
		count = make_addresses(v, round ? 2000 : 1);
		assert_null(pyr_index_create(v, count, &control, &index));
		for (i = 0; i < count; i++) {
			assert_int_equal(pyr_index_find(index, v[i]), i);
			assert_int_equal(pyr_index_find(index, v[i] + 1), UINT32_MAX);
			assert_int_equal(pyr_index_find(index, v[i] + 8),
					 slow_find(v, count, v[i] + 8));
			assert_int_equal(pyr_index_find(index, v[i] - 8),
					 slow_find(v, count, v[i] - 8));
			assert_int_equal(pyr_index_find(index, v[i] | UINT64_C(1) << 47),
					 UINT32_MAX);
		}
		pyr_index_destroy(index);
	}
	assert_null(pyr_index_create(v, 0, &control, &index));
	assert_int_equal(pyr_index_find(index, 0x1000), UINT32_MAX);
	pyr_index_destroy(index);
	pyr_control_deinit(&control);
}

/* So many that several threads enter them, and pages lie across their pieces. */
static void large_index(void **state)
{
	uint32_t count = 300000, i;
	pyr_addr *v = malloc(count * sizeof(*v)), addr = 0x7f0000000ff0;
	struct pyr_control control;
	struct pyr_index *index;

	(void)state;
	assert_non_null(v);
	pyr_control_init(&control);
	for (i = 0; i < count; i++)
		v[i] = addr +=
			i % 977 ? 16 + random_word() % 4 * 16 : 8 + random_word() % 1000 * 4096;
	setenv("PYRETAIN_THREADS", "3", 1);
	assert_null(pyr_index_create(v, count, &control, &index));
	unsetenv("PYRETAIN_THREADS");
	for (i = 0; i < count; i++) {
		assert_int_equal(pyr_index_find(index, v[i]), i);
		assert_int_equal(pyr_index_find(index, v[i] + 8),
				 i + 1 < count && v[i + 1] == v[i] + 8 ? i + 1 : UINT32_MAX);
	}
	pyr_index_destroy(index);
	pyr_control_deinit(&control);
	free(v);
}

#define SPAN 64u /* pages about a boundary of leaves */

static void pages_like_the_twin(void **state)
{
	const pyr_addr base = (UINT64_C(5) << 30) - SPAN / 2 * 4096;
	struct pyr_pages pages;
	bool twin[SPAN];
	unsigned round, i, a, b, all;

	(void)state;
	for (all = 0; all < 2; all++) {
		assert_null(pyr_pages_init(&pages));
		if (all)
			assert_null(pyr_pages_add_all(&pages));
		memset(twin, (int)all, sizeof(twin));
		for (round = 0; round < 500; round++) {
			a = (unsigned)(random_word() % (SPAN * 4096));
			b = (unsigned)(random_word() % (SPAN * 4096));
			if (b < a)
				i = a, a = b, b = i;
			if (random_word() & 1) {
				assert_null(pyr_pages_add(&pages, base + a, base + b));
				for (i = 0; i < SPAN; i++)
					twin[i] |= a < b && i * 4096 < b && (i + 1) * 4096 > a;
			} else {
				assert_null(pyr_pages_remove(&pages, base + a, base + b));
				for (i = 0; i < SPAN; i++)
					twin[i] &= !(i * 4096 >= a && (i + 1) * 4096 <= b);
			}
			for (i = 0; i < SPAN; i++)
				assert_int_equal(pyr_pages_has(&pages, base + i * 4096 + round),
						 twin[i]);
		}
		assert_int_equal(pyr_pages_has(&pages, 0x7f0000000000), all);
		assert_false(pyr_pages_has(&pages, UINT64_C(1) << 47));
		assert_false(pyr_pages_has(&pages, UINT64_MAX));
		assert_null(pyr_pages_add(&pages, 0x7fffffffe000, UINT64_MAX));
		assert_true(pyr_pages_has(&pages, 0x7fffffffffff));
		pyr_pages_deinit(&pages);
	}
}

static void sets_know_their_members(void **state)
{
	struct pyr_address_hash set = {0};
	uint64_t i;

	(void)state;
	for (i = 1; i <= 20000; i++)
		assert_int_equal(pyr_address_hash_add(&set, i * 16), 1);
	for (i = 1; i <= 20000; i++)
		assert_int_equal(pyr_address_hash_add(&set, i * 16), 0);
	assert_int_equal(set.count, 20000);
	pyr_address_hash_deinit(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_like_the_twin),
		cmocka_unit_test(large_index),
		cmocka_unit_test(pages_like_the_twin),
		cmocka_unit_test(sets_know_their_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
