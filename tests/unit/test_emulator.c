/* The emulator's box, with functions written for it by hand: what they visit is told, what
 * they must not do ends the call with its reason, and objects that lie in more places than
 * libunicorn can look after are all reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "references/emulator.h"
#include "mock_target.h"

#define PAGE 4096u
#define CODE UINT64_C(0x400000)
#define DATA UINT64_C(0x10000000000)
#define OBJECTS 3000u
#define GAP (2 * PAGE)

static _Alignas(4096) uint8_t code[PAGE];
static _Alignas(4096) uint8_t data[(OBJECTS + 1) * PAGE];

/* mov rax, rsi; mov rdi, [rdi + 16]; mov rsi, rdx; jmp rax: visit(self->field, arg) */
static const uint8_t visit_field[] = {0x48, 0x89, 0xf0, 0x48, 0x8b, 0x7f,
				      0x10, 0x48, 0x89, 0xd6, 0xff, 0xe0};

enum way { ALIGNED, UNALIGNED, CALLBACK };

static pyr_addr place(unsigned i)
{
	return DATA + (uint64_t)i * GAP;
}

static bool writable; /* are the objects' pages? */

static void add(struct mock_target *mock, pyr_addr start, const void *bytes, bool exec)
{
	struct pyr_mapping m = {.start = start,
				.end = start + PAGE,
				.read = true,
				.write = writable && !exec,
				.exec = exec};

	mock_target_add(mock, start, bytes, PAGE);
	assert_null(pyr_target_add_mapping(mock->target, &m));
}

/* Every object has a page of its own and refers to the next one. */
static bool open(struct mock_target *mock, enum way way, const uint8_t *function, size_t size,
		 struct pyr_emulator **ret)
{
	uint8_t *bytes = data + (way == UNALIGNED ? 8 : 0);
	const char *why;
	uint64_t next;
	unsigned i;

	memset(code, 0xf4, sizeof(code));
	memcpy(code, function, size);
	mock_target_init(mock, way == CALLBACK);
	add(mock, CODE, code, true);
	for (i = 0; i < OBJECTS; i++) {
		next = place(i + 1);
		memcpy(bytes + (size_t)i * PAGE + 16, &next, 8);
		add(mock, place(i), bytes + (size_t)i * PAGE, false);
	}
	assert_null(pyr_target_finish(mock->target));
	assert_null(pyr_emulator_create(mock->target, ret, &why));
	if (!*ret) {
		print_message("  %s\n", why);
		mock_target_deinit(mock);
		return false;
	}
	return true;
}

static void objects_in_many_places(void **state)
{
	struct pyr_emulated_call call;
	struct pyr_emulator *emulator;
	struct mock_target mock;
	const char *why = NULL;
	enum way way;
	unsigned i;

	(void)state;
	for (way = ALIGNED; way <= CALLBACK; way++) {
		if (!open(&mock, way, visit_field, sizeof(visit_field), &emulator))
			skip();
		for (i = 0; i < OBJECTS; i++) {
			if (!pyr_emulator_traverse(emulator, CODE, place(i), 32, &call, &why))
				fail_msg("object %u, way %d: %s", i, (int)way, why);
			assert_int_equal(call.visited_count, 1);
			assert_int_equal(call.visited[0], place(i + 1));
			assert_true(call.fixed_fields);
			assert_int_equal(call.read_count, 1);
			assert_int_equal(call.reads[0].offset, 16);
			assert_int_equal(call.reads[0].value, place(i + 1));
		}
		pyr_emulator_destroy(emulator);
		mock_target_deinit(&mock);
	}
}

static void what_leaves_the_box(void **state)
{
	static const struct {
		const char *what, *why;
		uint8_t code[16];
		size_t size;
	} rows[] = {
		{"writes to what is read-only", "writes", {0x48, 0x89, 0x77, 0x10, 0xc3}, 5},
		{"syscall", "system call", {0x0f, 0x05, 0xc3}, 3},
		{"cpuid", "processor", {0x0f, 0xa2, 0xc3}, 3},
		{"vzeroupper", "AVX", {0xc5, 0xf8, 0x77, 0xc3}, 4},
		{"int3", "interrupt", {0xcc}, 1},
		{"int 0x80", "interrupt", {0xcd, 0x80, 0xc3}, 3},
		{"falls off its end", "interrupt", {0x90}, 1},
		{"never ends", "too long", {0xeb, 0xfe}, 2},
		{"mov rax, [8]",
		 "not in the target",
		 {0x48, 0x8b, 0x04, 0x25, 8, 0, 0, 0, 0xc3},
		 9},
		{"jmp [rdi + 24], which is 0", "no", {0xff, 0x67, 0x18}, 3},
	};
	struct pyr_emulated_call call;
	struct pyr_emulator *emulator;
	struct mock_target mock;
	const char *why;
	enum way way;
	size_t i;

	(void)state;
	for (way = ALIGNED; way <= CALLBACK; way++) {
		for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
			if (!open(&mock, way, rows[i].code, rows[i].size, &emulator))
				skip();
			why = NULL;
			if (pyr_emulator_traverse(emulator, CODE, place(1), 32, &call, &why))
				fail_msg("%s: the call ended well", rows[i].what);
			if (!why || !strstr(why, rows[i].why))
				fail_msg("%s: %s", rows[i].what, why ? why : "no reason");
			pyr_emulator_destroy(emulator);
			mock_target_deinit(&mock);
		}
	}
}

/* lock inc qword [rdi + 24]; je locked; push rbx; mov rbx, rdi; mov rdi, [rdi + 16];
 * mov rax, rsi; mov rsi, rdx; call rax; lock dec qword [rbx + 24]; inc byte [rbx + 32];
 * xor eax, eax; cmp byte [rbx + 32], 1; pop rbx; jne locked; ret; locked: hlt
 * Visits its field while it holds a lock, and counts how often it did: more than once is
 * an error, for the copy that was written to is the target's page again. */
static const uint8_t visit_locked[] = {0xf0, 0x48, 0xff, 0x47, 0x18, 0x74, 0x27, 0x53, 0x48, 0x89,
				       0xfb, 0x48, 0x8b, 0x7f, 0x10, 0x48, 0x89, 0xf0, 0x48, 0x89,
				       0xd6, 0xff, 0xd0, 0xf0, 0x48, 0xff, 0x4b, 0x18, 0xfe, 0x43,
				       0x20, 0x31, 0xc0, 0x80, 0x7b, 0x20, 0x01, 0x5b, 0x75, 0x06,
				       0xc3, 0x90, 0x90, 0x90, 0x90, 0x90, 0xf4};

static void writes_are_taken_back(void **state)
{
	struct pyr_emulated_call call;
	struct pyr_emulator *emulator;
	struct mock_target mock;
	uint64_t lock, count;
	const char *why = NULL;
	enum way way;
	unsigned i;

	(void)state;
	for (way = ALIGNED; way <= CALLBACK; way++) {
		const uint8_t *bytes = data + (way == UNALIGNED ? 8 : 0);

		memset(data, 0, sizeof(data));
		writable = true;
		if (!open(&mock, way, visit_locked, sizeof(visit_locked), &emulator))
			skip();
		for (i = 0; i < 2 * OBJECTS; i++) {
			/* Every object twice, and those before and behind it. */
			unsigned one = i / 2;

			if (!pyr_emulator_traverse(emulator, CODE, place(one), 40, &call, &why))
				fail_msg("object %u, way %d: %s", one, (int)way, why);
			assert_int_equal(call.visited_count, 1);
			assert_int_equal(call.visited[0], place(one + 1));
			assert_false(call.fixed_fields);
			memcpy(&lock, bytes + (size_t)one * PAGE + 24, 8);
			memcpy(&count, bytes + (size_t)one * PAGE + 32, 8);
			assert_int_equal(lock, 0);
			assert_int_equal(count, 0);
		}
		pyr_emulator_destroy(emulator);
		mock_target_deinit(&mock);
		writable = false;
	}
}

/* What is mapped as one is divided by the copies in it, and read on both sides of them. */
static void copies_inside_of_a_mapping(void **state)
{
	static const unsigned places[] = {5, 0, 4, 6, 9, 5};
	struct pyr_emulated_call call;
	struct pyr_emulator *emulator;
	struct mock_target mock;
	struct pyr_mapping m = {
		.start = DATA, .end = DATA + 10 * PAGE, .read = true, .write = true};
	const char *why = NULL;
	uint64_t self, next;
	enum way way;
	unsigned i;

	(void)state;
	for (way = ALIGNED; way <= CALLBACK; way++) {
		uint8_t *bytes = data + (way == UNALIGNED ? 8 : 0);

		memset(data, 0, sizeof(data));
		memset(code, 0xf4, sizeof(code));
		memcpy(code, visit_locked, sizeof(visit_locked));
		memcpy(code + 1024, visit_field, sizeof(visit_field));
		for (i = 0; i < 10; i++) {
			next = DATA + i;
			memcpy(bytes + (size_t)i * PAGE + 16, &next, 8);
		}
		mock_target_init(&mock, way == CALLBACK);
		add(&mock, CODE, code, true);
		mock_target_add(&mock, DATA, bytes, 10 * PAGE);
		assert_null(pyr_target_add_mapping(mock.target, &m));
		assert_null(pyr_target_finish(mock.target));
		assert_null(pyr_emulator_create(mock.target, &emulator, &why));
		if (!emulator) {
			mock_target_deinit(&mock);
			skip();
		}
		for (i = 0; i < 6 + 10; i++) {
			unsigned page = i < 6 ? places[i] : i - 6;

			self = DATA + (uint64_t)page * PAGE;
			if (!pyr_emulator_traverse(emulator, i < 6 ? CODE : CODE + 1024, self, 40,
						   &call, &why))
				fail_msg("page %u, way %d: %s", page, (int)way, why);
			assert_int_equal(call.visited_count, 1);
			assert_int_equal(call.visited[0], DATA + page);
		}
		pyr_emulator_destroy(emulator);
		mock_target_deinit(&mock);
	}
}

static void absent_code_and_nothing_visited(void **state)
{
	static const uint8_t nothing[] = {0x31, 0xc0, 0xc3};
	struct pyr_emulated_call call;
	struct pyr_emulator *emulator;
	struct mock_target mock;
	const char *why = NULL;

	(void)state;
	if (!open(&mock, ALIGNED, nothing, sizeof(nothing), &emulator))
		skip();
	assert_false(pyr_emulator_traverse(emulator, 0x1234000, place(0), 32, &call, &why));
	assert_non_null(strstr(why, "its code is not"));
	assert_true(pyr_emulator_traverse(emulator, CODE, place(0), 32, &call, &why));
	assert_int_equal(call.visited_count, 0);
	pyr_emulator_destroy(emulator);
	mock_target_deinit(&mock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_in_many_places),
		cmocka_unit_test(what_leaves_the_box),
		cmocka_unit_test(writes_are_taken_back),
		cmocka_unit_test(copies_inside_of_a_mapping),
		cmocka_unit_test(absent_code_and_nothing_visited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
