/* What a debugger shows is read from its process directly only when both are
 * proven to be the same; every doubt leads to the callback. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/debugger.h"
#include "target/reader.h"

/* A debugger: a process that it has stopped, and what it says of its memory. */
struct fake {
	pid_t pid;
	uint64_t sp, pc, tls;
	int answer; /* instead of reading, from `after` reads on; 0: read */
	unsigned after, reads;
	uint64_t lie; /* the byte at this address is shown wrong; 0: none */
};

static uint64_t marker = 1; /* the debuggee sets 2 */

static int read_fake(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct fake *f = ctx;
	struct iovec local = {.iov_base = buf, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = len};

	if (f->reads++ >= f->after && f->answer)
		return f->answer;
	if (process_vm_readv(f->pid, &local, 1, &remote, 1, 0) != (ssize_t)len)
		return 1;
	if (f->lie >= addr && f->lie - addr < len)
		((uint8_t *)buf)[f->lie - addr] ^= 1;
	return 0;
}

static void start(struct fake *f)
{
	struct user_regs_struct regs;
	struct iovec iov = {.iov_base = &regs, .iov_len = sizeof(regs)};
	int status;

	memset(f, 0, sizeof(*f));
	f->pid = fork();
	if (f->pid == 0) {
		volatile char stack[8192]; /* words to compare above the stack pointer */

		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		memset((void *)stack, 5, sizeof(stack));
		*(volatile uint64_t *)&marker = 2;
		raise(SIGSTOP);
		_exit(stack[0]);
	}
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_GETREGSET, f->pid, (void *)1 /* NT_PRSTATUS */, &iov), 0);
#if defined(__x86_64__)
	f->sp = regs.rsp;
	f->pc = regs.rip;
	f->tls = regs.fs_base;
#else
	f->sp = regs.sp;
	f->pc = regs.pc;
#endif
}

static void finish(struct fake *f)
{
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
}

static struct pyr_debugger_source *source(struct fake *f)
{
	struct pyr_debugger facts = {
		.ctx = f,
		.read = read_fake,
		.description = "fake",
#if defined(__x86_64__)
		.machine = "x86_64",
#else
		.machine = "aarch64",
#endif
		.pid = f->pid
	};
	struct pyr_thread thread = {
		.tid = (uint64_t)f->pid, .tls = f->tls, .sp = f->sp, .pc = f->pc};
	struct pyr_debugger_source *s;
	char path[64], auxv[4096];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)f->pid);
	file = fopen(path, "re");
	assert_non_null(file);
	facts.auxv = (const uint8_t *)auxv;
	facts.auxv_size = fread(auxv, 1, sizeof(auxv), file);
	fclose(file);
	assert_null(pyr_debugger_source_create(&facts, &s));
	assert_true(pyr_vec_push(&s->threads, thread));
	return s;
}

/* Open, check the marker, and close; was the callback needed for reading? */
static bool through_callback(struct pyr_debugger_source *s, const char *words)
{
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_reader reader;
	uint64_t value = 0;
	bool callback;
	char *why;

	pyr_control_init(&control);
	assert_null(pyr_target_open_debugger(&control, s, &options, &target, &why));
	assert_non_null(why);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
	free(why);
	callback = target->kind == PYR_TARGET_DEBUGGER;
	assert_int_equal(callback, !pyr_target_concurrent(target));
	assert_false(target->inconsistent);
	assert_int_equal(target->threads.count, 1);
	pyr_reader_init(&reader, target);
	assert_true(pyr_try_u64(&reader, (pyr_addr)(uintptr_t)&marker, &value));
	assert_int_equal(value, 2);
	pyr_reader_deinit(&reader);
	pyr_target_destroy(target);
	pyr_control_deinit(&control);
	return callback;
}

static void test_nothing_offered(void **state)
{
	struct pyr_debugger_source *s;
	struct fake f;

	(void)state;
	start(&f);
	s = source(&f);
	assert_true(through_callback(s, "read through the debugger"));
	pyr_debugger_source_destroy(s);
	finish(&f);
}

static void test_the_same_process(void **state)
{
	struct pyr_debugger_source *s;
	struct fake f;

	(void)state;
	start(&f);
	s = source(&f);
	s->offered_pid = f.pid;
	assert_false(through_callback(s, "read directly from the process's memory"));
	assert_int_equal(f.reads < 20, true); /* for the proof alone */
	pyr_debugger_source_destroy(s);
	finish(&f);
}

/* A process that happens to have the same number elsewhere. */
static void test_another_process(void **state)
{
	struct pyr_debugger_source *s;
	struct fake f;
	pid_t other = fork();

	(void)state;
	if (other == 0) {
		execlp("sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	usleep(100000);
	start(&f);
	s = source(&f);
	s->offered_pid = other;
	assert_true(through_callback(s, "AT_RANDOM"));
	pyr_debugger_source_destroy(s);
	finish(&f);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

static void test_a_stack_that_differs(void **state)
{
	struct pyr_debugger_source *s;
	struct fake f;

	(void)state;
	start(&f);
	f.lie = f.sp + 63 * 8 + 7; /* the last byte of the sample */
	s = source(&f);
	s->offered_pid = f.pid;
	assert_true(through_callback(s, "its stacks are not those"));
	pyr_debugger_source_destroy(s);
	finish(&f);
}

static void test_offers_that_cannot_be_opened(void **state)
{
	struct pyr_debugger_source *s;
	struct fake f;

	(void)state;
	start(&f);
	s = source(&f);
	s->offered_pid = 0x7ffffffe;
	assert_true(through_callback(s, "there is no process"));
	s->offered_core = strdup("/nowhere/core");
	assert_true(through_callback(s, "the core file was not used"));
	pyr_debugger_source_destroy(s);
	finish(&f);
}

/* Ctrl-C in the debugger, and a target that vanishes, are told, not hidden. */
static void test_callback_failures(void **state)
{
	static const struct {
		int answer;
		enum pyr_error_code code;
	} cases[] = {{2, PYR_E_INTERRUPTED}, {3, PYR_E_TARGET_GONE}};
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_debugger_source *s;
	struct pyr_reader reader;
	struct fake f;
	uint64_t value;
	char *why;
	size_t i;

	(void)state;
	pyr_control_init(&control);
	start(&f);
	s = source(&f);
	for (i = 0; i < 2; i++) {
		f.answer = 0;
		assert_null(pyr_target_open_debugger(&control, s, &options, &target, &why));
		free(why);
		pyr_target_drop_cache(target);
		pyr_reader_init(&reader, target);
		f.answer = cases[i].answer;
		f.after = 0;
		assert_false(pyr_try_u64(&reader, f.sp, &value));
		assert_non_null(target->failure);
		assert_int_equal(target->failure->code, cases[i].code);
		pyr_reader_deinit(&reader);
		pyr_target_destroy(target);
	}
	pyr_debugger_source_destroy(s);
	finish(&f);
	pyr_control_deinit(&control);
}

static void test_other_machines(void **state)
{
	struct pyr_debugger facts = {.read = read_fake, .machine = "riscv64"};
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_debugger_source *s;
	struct pyr_control control;
	struct pyr_target *target;
	pyr_error *err;
	char *why;

	(void)state;
	pyr_control_init(&control);
	assert_null(pyr_debugger_source_create(&facts, &s));
	err = pyr_target_open_debugger(&control, s, &options, &target, &why);
	assert_non_null(err);
	assert_int_equal(err->code, PYR_E_UNSUPPORTED_BUILD);
	pyr_error_destroy(err);
	pyr_debugger_source_destroy(s);
	pyr_control_deinit(&control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_offered),
		cmocka_unit_test(test_the_same_process),
		cmocka_unit_test(test_another_process),
		cmocka_unit_test(test_a_stack_that_differs),
		cmocka_unit_test(test_offers_that_cannot_be_opened),
		cmocka_unit_test(test_callback_failures),
		cmocka_unit_test(test_other_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
