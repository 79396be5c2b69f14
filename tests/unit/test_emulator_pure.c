/* The C library's functions as the emulator does them, against the C library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "references/emulator_pure.h"

#define SIZE 1024u
#define BASE UINT64_C(0x7f0000000000)

/* Two pages' worth of target memory; what is behind them is absent. */
static uint8_t memory[2 * SIZE];

static bool read_memory(void *ctx, pyr_addr addr, void *buf, size_t len)
{
	(void)ctx;
	if (addr < BASE || addr - BASE > sizeof(memory) || len > sizeof(memory) - (addr - BASE))
		return false;
	memcpy(buf, memory + (addr - BASE), len);
	return true;
}

static uint64_t call(const char *name, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t arguments[3] = {BASE + a, b, c};
	uint64_t result = 0xdeadbeef;

	assert_true(pyr_pure_call(pyr_pure_named(name), arguments, read_memory, NULL, &result));
	return result;
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static int as_int(uint64_t v)
{
	return sign((int)(uint32_t)v);
}

static uint64_t place(const void *p)
{
	return p ? BASE + (uint64_t)((const uint8_t *)p - memory) : 0;
}

static void answers_are_the_librarys(void **state)
{
	unsigned round, a, b, n, i;
	const char *x, *y;
	uint8_t c;

	(void)state;
	srand(7);
	for (round = 0; round < 20000; round++) {
		/* Few letters, so that prefixes are long; a NUL in each half. */
		for (i = 0; i < 64; i++)
			memory[rand() % sizeof(memory)] = (uint8_t)("aab\xff"[rand() % 4]);
		a = (unsigned)rand() % (SIZE - 300);
		b = SIZE + (unsigned)rand() % (SIZE - 300);
		if (round % 2)
			memcpy(memory + b, memory + a, 100);
		memory[a + (unsigned)rand() % 300] = 0;
		memory[b + (unsigned)rand() % 300] = 0;
		memory[SIZE - 1] = memory[2 * SIZE - 1] = 0;
		n = (unsigned)rand() % 300;
		c = (uint8_t)("abcx\0\xff"[rand() % 6]);
		x = (const char *)memory + a;
		y = (const char *)memory + b;
		assert_int_equal(as_int(call("strcmp", a, BASE + b, 0)), sign(strcmp(x, y)));
		assert_int_equal(as_int(call("strncmp", a, BASE + b, n)), sign(strncmp(x, y, n)));
		assert_int_equal(as_int(call("memcmp", a, BASE + b, n)), sign(memcmp(x, y, n)));
		assert_int_equal(call("strlen", a, 0, 0), strlen(x));
		assert_int_equal(call("strnlen", a, n, 0), strnlen(x, n));
		assert_int_equal(call("strchr", a, c, 0), place(strchr(x, c)));
		assert_int_equal(call("strrchr", a, c, 0), place(strrchr(x, c)));
		assert_int_equal(call("memchr", a, c, n), place(memchr(x, c, n)));
	}
}

static void what_is_absent_is_not_compared(void **state)
{
	const uint64_t absent[3] = {BASE + sizeof(memory), BASE, 5};
	const uint64_t runs_out[3] = {BASE + SIZE, 'x', UINT64_MAX};
	uint64_t result;

	(void)state;
	memset(memory, 'a', sizeof(memory));
	assert_int_equal(pyr_pure_named("strcpy"), PYR_PURE_NONE);
	assert_int_equal(pyr_pure_named("strcmp_"), PYR_PURE_NONE);
	assert_false(pyr_pure_call(PYR_PURE_STRCMP, absent, read_memory, NULL, &result));
	assert_false(pyr_pure_call(PYR_PURE_STRLEN, runs_out, read_memory, NULL, &result));
	assert_false(pyr_pure_call(PYR_PURE_MEMCHR, runs_out, read_memory, NULL, &result));
	assert_false(pyr_pure_call(PYR_PURE_NONE, absent, read_memory, NULL, &result));
	/* The end of memory is no matter where the string ends before it. */
	memory[sizeof(memory) - 1] = 0;
	assert_int_equal(call("strlen", SIZE, 0, 0), SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_the_librarys),
		cmocka_unit_test(what_is_absent_is_not_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
