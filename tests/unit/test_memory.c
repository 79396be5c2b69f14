/* The account of the memory and the use of mappings, of targets that the test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/memory/memory.h"
#include "mock_target.h"
#include "native/mappings.h"
#include "target/residency.h"

#define PAGE UINT64_C(4096)
#define ANON UINT64_C(0x700000000000)

static uint8_t bytes[16 * 4096];

static void map(struct mock_target *mock, pyr_addr start, pyr_addr end, const char *path,
		bool shared)
{
	struct pyr_mapping m = {.start = start,
				.end = end,
				.path = path,
				.read = true,
				.write = true,
				.shared = shared};

	assert_null(pyr_target_add_mapping(mock->target, &m));
}

/* Anonymous memory, a file, shared memory, the kernel's page; a gap. */
static void make(struct mock_target *mock)
{
	mock_target_init(mock, false);
	mock->target->kind = PYR_TARGET_CORE;
	map(mock, ANON, ANON + 4 * PAGE, NULL, false);
	map(mock, ANON + 4 * PAGE, ANON + 6 * PAGE, "/usr/lib/libx.so", false);
	map(mock, ANON + 8 * PAGE, ANON + 9 * PAGE, "/dev/shm/pool", true);
	map(mock, ANON + 9 * PAGE, ANON + 10 * PAGE, "[vdso]", false);
	map(mock, ANON + 10 * PAGE, ANON + 12 * PAGE, "[stack]", false);
	/* The dump lacks a page of the first and has one that no mapping has. */
	mock_target_add(mock, ANON, bytes, 3 * PAGE);
	mock_target_add(mock, ANON + 4 * PAGE, bytes, 3 * PAGE);
	mock_target_add(mock, ANON + 8 * PAGE, bytes, 4 * PAGE);
	mock_target_finish(mock);
}

static void account(struct mock_target *mock, struct pyr_memory *ret)
{
	struct pyr_memory_input input = {.target = mock->target};
	uint64_t sum = 0;
	int c;

	assert_null(pyr_memory_account(&input, &mock->control, ret));
	for (c = 0; c < PYR_MEMORY_CATEGORIES; c++)
		sum += ret->bytes[c];
	assert_int_equal(sum, ret->total);
}

static void rows_of_a_core(void **state)
{
	struct pyr_memory memory;
	struct mock_target mock;

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	memset(bytes, 'x', 2 * PAGE);
	make(&mock);
	account(&mock, &memory);
	assert_int_equal(memory.basis, PYR_MEMORY_DUMPED);
	assert_int_equal(memory.total, 10 * PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_UNCLAIMED], 4 * PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_FILE_OWN], 2 * PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_SHARED], PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_KERNEL], PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_STACKS], 2 * PAGE);
	/* The third page of each run is zeros. */
	assert_int_equal(memory.zeros[PYR_MEMORY_UNCLAIMED], 2 * PAGE);
	assert_int_equal(memory.zeros[PYR_MEMORY_STACKS], 2 * PAGE);
	assert_int_equal(memory.unclaimed.count, 2);
	assert_int_equal(memory.unclaimed.data[0].start, ANON);
	assert_int_equal(memory.unclaimed.data[0].bytes, 3 * PAGE);
	assert_string_equal(memory.unclaimed.data[0].looks, "text");
	pyr_memory_deinit(&memory);
	mock_target_deinit(&mock);
}

/* Ranges end inside of mappings; what is swapped is counted beside the rest. */
static void rows_of_a_process(void **state)
{
	static const struct pyr_resident resident[] = {
		{ANON + PAGE, ANON + 2 * PAGE, PYR_PAGE_OWN},
		{ANON + 2 * PAGE, ANON + 4 * PAGE, PYR_PAGE_SWAPPED},
		{ANON + 4 * PAGE, ANON + 5 * PAGE, PYR_PAGE_OWN},
		{ANON + 5 * PAGE, ANON + 6 * PAGE, PYR_PAGE_FILE},
		{ANON + 8 * PAGE, ANON + 9 * PAGE, PYR_PAGE_FILE},
		{ANON + 11 * PAGE, ANON + 12 * PAGE, PYR_PAGE_OWN},
	};
	struct pyr_residency *r = calloc(1, sizeof(*r));
	struct pyr_memory memory;
	struct mock_target mock;
	size_t i;

	(void)state;
	make(&mock);
	mock.target->kind = PYR_TARGET_LIVE;
	assert_non_null(r);
	r->known = true;
	for (i = 0; i < sizeof(resident) / sizeof(*resident); i++)
		assert_true(pyr_vec_push(&r->ranges, resident[i]));
	mock.target->residency = r;
	account(&mock, &memory);
	assert_int_equal(memory.basis, PYR_MEMORY_RESIDENT);
	assert_int_equal(memory.total, 5 * PAGE);
	assert_int_equal(memory.total_swapped, 2 * PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_UNCLAIMED], PAGE);
	assert_int_equal(memory.swapped[PYR_MEMORY_UNCLAIMED], 2 * PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_FILE_OWN], PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_FILE_PAGES], PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_SHARED], PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_STACKS], PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_KERNEL], 0);
	assert_int_equal(memory.total_zeros, 0);
	pyr_memory_deinit(&memory);
	mock_target_deinit(&mock);
}

/* A stack that a thread left: struct pthread at its end names itself and the block. */
static void stack_of_an_ended_thread(void **state)
{
	pyr_addr pthread = ANON + 3 * PAGE - 0x940, block = ANON + PAGE, size = 2 * PAGE;
	struct pyr_memory memory;
	struct mock_target mock;

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes + (pthread - ANON), &pthread, 8);
	memcpy(bytes + (pthread - ANON) + 16, &pthread, 8);
	memcpy(bytes + (pthread - ANON) + 0x690, &block, 8);
	memcpy(bytes + (pthread - ANON) + 0x698, &size, 8);
	make(&mock);
	account(&mock, &memory);
	assert_int_equal(memory.bytes[PYR_MEMORY_ENDED_STACKS], 2 * PAGE);
	assert_int_equal(memory.bytes[PYR_MEMORY_UNCLAIMED], 2 * PAGE);
	pyr_memory_deinit(&memory);
	mock_target_deinit(&mock);
}

static void what_bytes_look_like(void **state)
{
	static const struct {
		double number;
		const char *looks;
	} rows[] = {{1.5, "numbers (float64)"}, {-273.15, "numbers (float64)"}};
	struct mock_target mock;
	struct pyr_reader reader;
	uint64_t word;
	size_t i, k;

	(void)state;
	mock_target_init(&mock, false);
	mock_target_add(&mock, ANON, bytes, PAGE);
	mock_target_finish(&mock);
	pyr_reader_init(&reader, mock.target);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (k = 0; k < PAGE; k += 8)
			memcpy(bytes + k, &rows[i].number, 8);
		assert_string_equal(pyr_bytes_look_like(mock.target, &reader, ANON, ANON + PAGE),
				    rows[i].looks);
	}
	for (k = 0; k < PAGE; k += 8) {
		word = k;
		memcpy(bytes + k, &word, 8);
	}
	assert_string_equal(pyr_bytes_look_like(mock.target, &reader, ANON, ANON + PAGE),
			    "small integers (int64)");
	memset(bytes, 0, PAGE);
	assert_string_equal(pyr_bytes_look_like(mock.target, &reader, ANON, ANON + PAGE), "zeros");
	memcpy(bytes, "\177ELF", 4);
	assert_string_equal(pyr_bytes_look_like(mock.target, &reader, ANON, ANON + PAGE),
			    "an ELF file");
	/* Too little of it is there. */
	assert_string_equal(
		pyr_bytes_look_like(mock.target, &reader, ANON + PAGE - 8, ANON + 2 * PAGE), "");
	pyr_reader_deinit(&reader);
	mock_target_deinit(&mock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_a_core),
		cmocka_unit_test(rows_of_a_process),
		cmocka_unit_test(stack_of_an_ended_thread),
		cmocka_unit_test(what_bytes_look_like),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
