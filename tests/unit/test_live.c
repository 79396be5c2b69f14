/* A live process: what is copied is what was there, and it runs afterwards. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "between.h"
#include "target/headroom.h"
#include "target/live.h"
#include "target/reader.h"
#include "target/stopper.h"

#define PAGE 4096u
#define PAGES 64u
#define UNTOUCHED (64u << 20)
#ifdef __SANITIZE_ADDRESS__
#define ROUNDS(n) ((n) / 10 + 1) /* terabytes of shadow are looked at each time */
#else
#define ROUNDS(n) (n)
#endif

/* What the test and its debuggee both know: the debuggee is a fork, so the
 * addresses are the same in both; what is private differs, what is shared is
 * how they talk. */
struct shared {
	atomic_ulong ticks;   /* grows as long as the debuggee runs */
	atomic_ulong signals; /* SIGRTMIN handled */
	atomic_ulong births;  /* threads started */
};
static struct shared *shared;
static uint8_t *ring;      /* PAGES pages; a thread writes n, n, n, ... through them in order */
static uint8_t *untouched; /* UNTOUCHED bytes of which the last page is used */
static uint64_t initialized = 1; /* in the file; the debuggee changes it */
static uint8_t *returned;        /* one page, written and given back again and again */

static void nap(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds,
			     .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add(&shared->signals, 1);
}

__attribute__((noreturn)) static void *write_ring(void *arg)
{
	uint64_t n;
	unsigned i;

	(void)arg;
	for (n = 1;; n++) {
		for (i = 0; i < PAGES; i++)
			*(volatile uint64_t *)(ring + i * PAGE) = n;
		atomic_fetch_add(&shared->ticks, 1);
	}
}

static void *born(void *arg)
{
	atomic_fetch_add(&shared->births, 1);
	return arg;
}

__attribute__((noreturn)) static void *bear(void *arg)
{
	pthread_t thread;

	for (;;)
		if (pthread_create(&thread, NULL, born, arg) == 0)
			pthread_join(thread, NULL);
}

static void debuggee(void)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGRTMIN, on_signal);
	signal(SIGINT, SIG_IGN);
	untouched[UNTOUCHED - PAGE] = 7;
	*(volatile uint64_t *)&initialized = 2;
	prctl(PR_SET_NAME, "ring master");
	pthread_create(&thread, NULL, write_ring, NULL);
	pthread_create(&thread, NULL, bear, NULL);
	for (;;) {
		returned[0] = 9;
		madvise(returned, PAGE, MADV_DONTNEED);
		usleep(1000);
	}
}

static pid_t start(void)
{
	unsigned long before = atomic_load(&shared->ticks);
	pid_t pid = fork();
	int turns;

	if (pid == 0) {
		debuggee();
		_exit(0);
	}
	assert_true(pid > 0);
	for (turns = 0; atomic_load(&shared->ticks) < before + 100 && turns < 1000; turns++)
		nap(0.005);
	return pid;
}

static void finish(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static char state_of(pid_t pid)
{
	char path[64], line[256], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (!(f = fopen(path, "re")))
		return 0;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "State:", 6))
			sscanf(line + 6, " %c", &state);
	fclose(f);
	return state;
}

/* Not "is not marked as stopped": it makes progress. */
static void assert_runs(pid_t pid)
{
	unsigned long before = atomic_load(&shared->ticks);
	int turns;

	for (turns = 0; turns < 400 && atomic_load(&shared->ticks) < before + 3; turns++)
		nap(0.005);
	assert_true(atomic_load(&shared->ticks) >= before + 3);
	assert_true(state_of(pid) != 't' && state_of(pid) != 'T');
}

static void assert_code(pyr_error *err, enum pyr_error_code code, const char *words)
{
	assert_non_null(err);
	if (err->code != code || !strstr(err->message, words))
		fail_msg("%s: %s (wanted: %s)", pyr_error_code_name(err->code), err->message,
			 words);
	pyr_error_destroy(err);
}

static void assert_ok(pyr_error *err)
{
	if (err)
		fail_msg("%s: %s", pyr_error_code_name(err->code), err->message);
}

/* The writer goes through the pages in order: seen at one instant they are
 * n, ..., n, n-1, ..., n-1. */
static void check_ring(struct pyr_reader *reader)
{
	uint64_t first, value, previous;
	unsigned i;

	assert_ok(pyr_read_u64(reader, (pyr_addr)(uintptr_t)ring, &first));
	previous = first;
	for (i = 1; i < PAGES; i++) {
		assert_ok(pyr_read_u64(reader, (pyr_addr)(uintptr_t)ring + i * PAGE, &value));
		assert_true(value == previous || (previous == first && value == first - 1));
		previous = value;
	}
}

static void test_copied_at_one_instant(void **state)
{
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_reader reader;
	pid_t pid = start();
	uint64_t word;
	size_t i;
	int round;

	(void)state;
	pyr_control_init(&control);
	for (round = 0; round < ROUNDS(10); round++) {
		assert_ok(pyr_target_open_pid(&control, pid, &options, &target));
		assert_runs(pid);
		assert_true(target->pause_ns > 0 && !target->inconsistent && !target->stopped);
		assert_true(pyr_target_concurrent(target));
		assert_int_equal(target->incomplete.count, 0);
		pyr_reader_init(&reader, target);
		check_ring(&reader);
		/* Anonymous pages without contents are zeros, not absent. */
		assert_ok(pyr_read_u64(&reader, (pyr_addr)(uintptr_t)untouched, &word));
		assert_int_equal(word, 0);
		assert_ok(pyr_read_u64(&reader, (pyr_addr)(uintptr_t)untouched + UNTOUCHED - PAGE,
				       &word));
		assert_int_equal(word, 7);
		assert_ok(pyr_read_u64(&reader, (pyr_addr)(uintptr_t)&initialized, &word));
		assert_int_equal(word, 2);
		assert_ok(pyr_read_u64(&reader, (pyr_addr)(uintptr_t)returned, &word));
		assert_true(word == 9 || word == 0);
		assert_true(target->threads.count >= 3);
		assert_int_equal(target->threads.data[0].tid, pid);
		assert_string_equal(target->threads.data[0].name, "ring master");
		for (i = 0; i < target->threads.count; i++) {
			const struct pyr_thread *t = &target->threads.data[i];

			assert_non_null(pyr_target_mapping_at(target, t->sp));
			assert_non_null(pyr_target_mapping_at(target, t->tls));
			assert_true(pyr_target_mapping_at(target, t->pc)->exec);
		}
		assert_true(target->auxv.count > 10 && target->exe);
		pyr_reader_deinit(&reader);
		pyr_target_destroy(target);
	}
	finish(pid);
	pyr_control_deinit(&control);
}

static void test_without_stopping(void **state)
{
	struct pyr_target_options options = {.no_stop = true};
	struct pyr_control control;
	struct pyr_target *target;
	pid_t pid = start();

	(void)state;
	pyr_control_init(&control);
	assert_ok(pyr_target_open_pid(&control, pid, &options, &target));
	assert_true(target->inconsistent);
	assert_int_equal(target->pause_ns, 0);
	/* Beside that it ran: pages that it unmapped between the look and the copy. */
	assert_between(target->incomplete.count, 1, 2);
	assert_non_null(strstr(target->incomplete.data[target->incomplete.count - 1], "--no-stop"));
	assert_true(target->threads.count >= 3);
	pyr_target_destroy(target);
	assert_runs(pid);
	finish(pid);
	pyr_control_deinit(&control);
}

/* Nothing moves while it is stopped, threads that are just being born included. */
static void test_stopper_holds_every_thread(void **state)
{
	struct pyr_process process;
	struct pyr_stopper *stopper;
	struct pyr_control control;
	unsigned long ticks, births;
	pid_t pid = start();
	int round;

	(void)state;
	pyr_control_init(&control);
	assert_ok(pyr_process_open(pid, &process));
	for (round = 0; round < ROUNDS(20); round++) {
		assert_ok(pyr_stopper_stop(&control, &process, 5, &stopper));
		ticks = atomic_load(&shared->ticks);
		births = atomic_load(&shared->births);
		nap(0.01);
		assert_int_equal(atomic_load(&shared->ticks), ticks);
		assert_int_equal(atomic_load(&shared->births), births);
		assert_true(pyr_stopper_holds(stopper));
		assert_true(pyr_stopper_release(stopper) >= 10000000);
		pyr_stopper_destroy(stopper);
		assert_runs(pid);
	}
	pyr_process_close(&process);
	finish(pid);
	pyr_control_deinit(&control);
}

static void test_pause_limit(void **state)
{
	struct pyr_process process;
	struct pyr_stopper *stopper;
	struct pyr_control control;
	pid_t pid = start();

	(void)state;
	pyr_control_init(&control);
	assert_ok(pyr_process_open(pid, &process));
	assert_ok(pyr_stopper_stop(&control, &process, 0.2, &stopper));
	assert_true(pyr_stopper_holds(stopper));
	nap(0.4);
	assert_false(pyr_stopper_holds(stopper));
	assert_runs(pid); /* without being told */
	pyr_stopper_destroy(stopper);
	pyr_process_close(&process);
	finish(pid);
	pyr_control_deinit(&control);
}

/* Signals that arrive while threads are being stopped are delivered, once. */
static void test_signals_survive(void **state)
{
	struct pyr_process process;
	struct pyr_stopper *stopper;
	struct pyr_control control;
	unsigned long before = atomic_load(&shared->signals), sent = 0;
	pid_t pid = start();
	int round, i;

	(void)state;
	pyr_control_init(&control);
	assert_ok(pyr_process_open(pid, &process));
	for (round = 0; round < ROUNDS(100); round++) {
		for (i = 0; i < 3; i++)
			sent += sigqueue(pid, SIGRTMIN, (union sigval){0}) == 0;
		assert_ok(pyr_stopper_stop(&control, &process, 5, &stopper));
		for (i = 0; i < 3; i++)
			sent += sigqueue(pid, SIGRTMIN, (union sigval){0}) == 0;
		pyr_stopper_destroy(stopper);
	}
	for (i = 0; i < 400 && atomic_load(&shared->signals) - before < sent; i++)
		nap(0.005);
	nap(0.02);
	assert_int_equal(atomic_load(&shared->signals) - before, sent);
	assert_runs(pid);
	pyr_process_close(&process);
	finish(pid);
	pyr_control_deinit(&control);
}

/* Stop @pid in a process of its own, and say when it stands. */
static pid_t start_stopper(pid_t pid)
{
	struct pyr_process process;
	struct pyr_stopper *stopper;
	struct pyr_control control;
	int pipes[2];
	pid_t tracer;
	char byte = 0;

	assert_int_equal(pipe(pipes), 0);
	tracer = fork();
	if (tracer == 0) {
		pyr_control_init(&control);
		if (pyr_process_open(pid, &process) ||
		    pyr_stopper_stop(&control, &process, 60, &stopper))
			_exit(1);
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	return tracer;
}

static void test_killed_while_stopping(void **state)
{
	pid_t pid = start(), tracer;
	int turns;

	(void)state;
	tracer = start_stopper(pid);
	assert_int_equal(state_of(pid), 't');
	finish(tracer);
	assert_runs(pid);
	/* Somebody stops the process (job control) while we hold it: when we are
	 * killed it is stopped as they asked, not traced, and goes on as they ask. */
	tracer = start_stopper(pid);
	kill(pid, SIGSTOP);
	nap(0.02);
	finish(tracer);
	for (turns = 0; turns < 400 && state_of(pid) != 'T'; turns++)
		nap(0.005);
	assert_int_equal(state_of(pid), 'T');
	kill(pid, SIGCONT);
	assert_runs(pid);
	finish(pid);
}

/* A process that is stopped already stays so, and is read. */
static void test_stopped_before(void **state)
{
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_reader reader;
	pid_t pid = start();
	int turns;

	(void)state;
	pyr_control_init(&control);
	kill(pid, SIGSTOP);
	for (turns = 0; turns < 400 && state_of(pid) != 'T'; turns++)
		nap(0.005);
	assert_ok(pyr_target_open_pid(&control, pid, &options, &target));
	pyr_reader_init(&reader, target);
	check_ring(&reader);
	pyr_reader_deinit(&reader);
	pyr_target_destroy(target);
	for (turns = 0; turns < 400 && state_of(pid) != 'T'; turns++)
		nap(0.005);
	assert_int_equal(state_of(pid), 'T');
	kill(pid, SIGCONT);
	assert_runs(pid);
	finish(pid);
	pyr_control_deinit(&control);
}

static void test_traced_by_another(void **state)
{
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_control control;
	struct pyr_target *target;
	char words[64];
	pid_t pid = start(), tracer = start_stopper(pid);

	(void)state;
	pyr_control_init(&control);
	snprintf(words, sizeof(words), "is being traced by process %d", (int)tracer);
	assert_code(pyr_target_open_pid(&control, pid, &options, &target), PYR_E_NO_PERMISSION,
		    words);
	options.no_stop = true;
	assert_ok(pyr_target_open_pid(&control, pid, &options, &target));
	pyr_target_destroy(target);
	finish(tracer);
	assert_runs(pid);
	finish(pid);
	pyr_control_deinit(&control);
}

static void test_who_is_not_there(void **state)
{
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_control control;
	struct pyr_target *target;
	pid_t pid;
	int turns;

	(void)state;
	pyr_control_init(&control);
	assert_code(pyr_target_open_pid(&control, 0, &options, &target), PYR_E_TARGET_GONE,
		    "there is no process 0");
	assert_code(pyr_target_open_pid(&control, 0x7ffffffe, &options, &target), PYR_E_TARGET_GONE,
		    "there is no process 2147483646");
	assert_code(pyr_target_open_pid(&control, getpid(), &options, &target), PYR_E_USAGE,
		    "pyretain itself");
	pid = start();
	kill(pid, SIGKILL);
	for (turns = 0; turns < 400 && state_of(pid) != 'Z'; turns++)
		nap(0.005);
	assert_code(pyr_target_open_pid(&control, pid, &options, &target), PYR_E_TARGET_GONE,
		    "zombie");
	waitpid(pid, NULL, 0);
	if (state_of(2) && access("/proc/2/exe", F_OK))
		assert_code(pyr_target_open_pid(&control, 2, &options, &target), PYR_E_NOT_PYTHON,
			    "kernel thread");
	pyr_control_deinit(&control);
}

/* It exits between any two of our steps: an answer or target_gone, never else. */
static void test_exits_meanwhile(void **state)
{
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_control control;
	struct pyr_target *target;
	pyr_error *err;
	pid_t pid, killer;
	int round;

	(void)state;
	pyr_control_init(&control);
	for (round = 0; round < ROUNDS(30); round++) {
		pid = start();
		killer = fork();
		if (killer == 0) {
			usleep((useconds_t)round * 300);
			kill(pid, SIGKILL);
			_exit(0);
		}
		err = pyr_target_open_pid(&control, pid, &options, &target);
		if (err)
			assert_code(err, PYR_E_TARGET_GONE, "");
		else
			pyr_target_destroy(target);
		waitpid(killer, NULL, 0);
		finish(pid);
	}
	pyr_control_deinit(&control);
}

/* The same, asked by somebody without privileges: an exiting process gives up its memory
 * before it is gone, and is then readable by root alone. */
static void test_exits_meanwhile_unprivileged(void **state)
{
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_control control;
	struct pyr_target *target;
	pid_t asker = fork(), pid;
	pyr_error *err;
	int round, status;

	(void)state;
	if (asker == 0) {
		pyr_control_init(&control);
		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(1);
		prctl(PR_SET_DUMPABLE, 1); /* what changed its user is protected */
		for (round = 0; round < ROUNDS(200); round++) {
			pid = fork();
			if (pid == 0) {
				usleep((useconds_t)round * 20);
				_exit(0);
			}
			usleep((useconds_t)round * 20);
			err = pyr_target_open_pid(&control, pid, &options, &target);
			if (!err)
				pyr_target_destroy(target);
			else if (err->code != PYR_E_TARGET_GONE)
				_exit(2 + (int)err->code);
			pyr_error_destroy(err);
			finish(pid);
		}
		_exit(0);
	}
	assert_true(asker > 0);
	waitpid(asker, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_no_permission(void **state)
{
	struct pyr_target_options options = {.max_pause = 5};
	struct pyr_control control;
	struct pyr_target *target;
	pyr_error *err;
	pid_t pid, child;
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = start();
	child = fork();
	if (child == 0) {
		pyr_control_init(&control);
		if (setgid(65534) || setuid(65534))
			_exit(1);
		err = pyr_target_open_pid(&control, pid, &options, &target);
		_exit(err && err->code == PYR_E_NO_PERMISSION &&
				      strstr(err->message,
					     "belongs to uid 0 and this is uid 65534") &&
				      strstr(err->message, "CAP_SYS_PTRACE")
			      ? 0
			      : 2);
	}
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_runs(pid);
	finish(pid);
}

/* No memory and no disk: read in place, and for no longer than allowed. Runs in
 * a process of its own; answers the number of the check that failed. */
static int in_place_child(pid_t pid)
{
	struct pyr_target_options options = {.max_pause = 1, .tmpdir = "/dev/shm"};
	struct rlimit limit = {.rlim_cur = 200u << 20, .rlim_max = RLIM_INFINITY};
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_reader reader;
	unsigned long ticks;
	uint64_t first, last;
	pyr_error *err;

	pyr_control_init(&control);
	setrlimit(RLIMIT_AS, &limit);
	if ((err = pyr_target_open_pid(&control, pid, &options, &target))) {
		fprintf(stderr, "%s\n", err->message);
		return 1;
	}
	if (!target->stopped || !strstr(target->description, "read in place"))
		return 2;
	pyr_reader_init(&reader, target);
	ticks = atomic_load(&shared->ticks);
	if (!pyr_try_u64(&reader, (pyr_addr)(uintptr_t)ring, &first) ||
	    !pyr_try_u64(&reader, (pyr_addr)(uintptr_t)ring + (PAGES - 1) * PAGE, &last) ||
	    (last != first && last != first - 1) || atomic_load(&shared->ticks) != ticks)
		return 3;
	if (!pyr_try_u64(&reader, (pyr_addr)(uintptr_t)&initialized, &first) || first != 2)
		return 7;
	nap(1.2);
	if (atomic_load(&shared->ticks) == ticks)
		return 4;
	if (pyr_try_u64(&reader, (pyr_addr)(uintptr_t)untouched, &first))
		return 5;
	err = pyr_reader_check(&reader);
	if (!err || err->code != PYR_E_TARGET_GONE || !strstr(err->message, "pause limit of 1 s"))
		return 6;
	pyr_error_destroy(err);
	pyr_reader_deinit(&reader);
	pyr_target_destroy(target);
	return 0;
}

static void test_in_place(void **state)
{
	pid_t pid = start(), child;
	int status;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	finish(pid);
	skip(); /* its shadow does not fit under an address space limit */
#endif
	child = fork();
	if (child == 0)
		_exit(in_place_child(pid));
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_runs(pid);
	finish(pid);
}

/* The copy in a file holds the same as the one in memory. */
static void test_copy_in_file(void **state)
{
	struct pyr_copy_pass pass = {.phase = NULL};
	struct pyr_copy_result result;
	struct pyr_process process;
	struct pyr_live_view view;
	struct pyr_control control;
	struct pyr_stopper *stopper;
	struct pyr_copy *copies[2];
	struct pyr_target *targets[2];
	const char *dir = pyr_copy_directory(NULL);
	uint64_t compared = 0;
	pid_t pid = start();
	size_t i, k;

	(void)state;
	pyr_control_init(&control);
	assert_ok(pyr_process_open(pid, &process));
	assert_ok(pyr_copy_create(&control, &process, PYR_COPY_IN_MEMORY, dir, &copies[0]));
	assert_ok(pyr_copy_create(&control, &process, PYR_COPY_IN_FILE, dir, &copies[1]));
	assert_ok(pyr_live_look(&process, NULL, true, &view));
	for (i = 0; i < 2; i++) {
		assert_ok(pyr_copy_run(copies[i], &view.plan, &pass, &result));
		assert_int_equal(result.unread, 0);
	}
	pyr_live_view_deinit(&view);
	assert_runs(pid); /* however busy the machine: it writes between the passes */
	assert_ok(pyr_stopper_stop(&control, &process, 5, &stopper));
	assert_ok(pyr_live_look(&process, NULL, true, &view));
	for (i = 0; i < 2; i++) {
		assert_ok(pyr_copy_run(copies[i], &view.plan, &pass, &result));
		assert_true(result.changed > 0 && result.changed < result.read);
		assert_ok(pyr_target_create(&control, PYR_TARGET_MOCK, NULL, NULL, &targets[i]));
		assert_ok(pyr_copy_add_segments(copies[i], &view.plan, targets[i]));
		assert_ok(pyr_target_finish(targets[i]));
	}
	pyr_stopper_destroy(stopper);
	assert_true(targets[0]->segments.count > 5);
	assert_int_equal(targets[0]->segments.count, targets[1]->segments.count);
	for (k = 0; k < targets[0]->segments.count; k++) {
		const struct pyr_segment *a = &targets[0]->segments.data[k];
		const struct pyr_segment *b = &targets[1]->segments.data[k];

		assert_true(a->start == b->start && a->end == b->end);
		/* What was copied; the rest is terabytes of nothing under AddressSanitizer. */
		for (i = 0; i < view.plan.ranges.v.count; i++) {
			const struct pyr_range *r = &view.plan.ranges.v.data[i];
			pyr_addr from = r->start > a->start ? r->start : a->start;
			pyr_addr to = r->end < a->end ? r->end : a->end;

			if (from >= to)
				continue;
			assert_int_equal(memcmp(a->bytes + (from - a->start),
						b->bytes + (from - a->start), to - from),
					 0);
			compared += to - from;
		}
	}
	assert_between(compared, PAGES * PAGE, view.plan.bytes);
	for (i = 0; i < 2; i++) {
		pyr_target_destroy(targets[i]);
		pyr_copy_destroy(copies[i]);
	}
	pyr_live_view_deinit(&view);
	pyr_process_close(&process);
	finish(pid);
	pyr_control_deinit(&control);
}

/* The two ways to ask the kernel what is resident agree. */
static void test_pagemap_both_ways(void **state)
{
	struct pyr_process process;
	struct pyr_stopper *stopper;
	struct pyr_control control;
	struct pyr_live_view views[2];
	pid_t pid = start();
	size_t i;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	finish(pid);
	skip(); /* entry by entry, 16 TiB of shadow take too long */
#endif
	pyr_control_init(&control);
	assert_ok(pyr_process_open(pid, &process));
	assert_ok(pyr_stopper_stop(&control, &process, 5, &stopper));
	for (i = 0; i < 2; i++) {
		process.no_scan = i == 1;
		assert_ok(pyr_live_look(&process, NULL, true, &views[i]));
	}
	pyr_stopper_destroy(stopper);
	assert_true(views[0].plan.bytes > PAGES * PAGE);
	assert_int_equal(views[0].plan.bytes, views[1].plan.bytes);
	assert_int_equal(views[0].plan.ranges.v.count, views[1].plan.ranges.v.count);
	assert_memory_equal(views[0].plan.ranges.v.data, views[1].plan.ranges.v.data,
			    views[0].plan.ranges.v.count * sizeof(struct pyr_range));
	for (i = 0; i < 2; i++)
		pyr_live_view_deinit(&views[i]);
	pyr_process_close(&process);
	finish(pid);
	pyr_control_deinit(&control);
}

static void check_locate(const char *mountinfo, const char *cgroup, bool want_v2,
			 const char *want_mount, const char *want_path)
{
	char *mount, *path;
	bool v2;

	assert_true(pyr_cgroup_locate(mountinfo, cgroup, &v2, &mount, &path));
	assert_int_equal(v2, want_v2);
	assert_string_equal(mount, want_mount);
	assert_string_equal(path, want_path);
	free(mount);
	free(path);
}

static void test_control_groups(void **state)
{
	const char *v2 =
		"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
	const char *v1 =
		"31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
		"32 23 0:28 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
		"33 23 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
	char *mount, *path;
	bool is_v2;

	(void)state;
	check_locate(v2, "0::/user.slice/a.scope\n", true, "/sys/fs/cgroup", "/user.slice/a.scope");
	check_locate(v2, "0::/\n", true, "/sys/fs/cgroup", "");
	check_locate(v1, "5:cpu:/x\n4:memory:/docker/ab\n0::/\n", false, "/sys/fs/cgroup/memory",
		     "");
	check_locate(v1, "4:hugetlb,memory:/docker/ab/c\n0::/\n", false, "/sys/fs/cgroup/memory",
		     "/c");
	check_locate(v1, "4:memory:/docker/abc\n0::/\n", false, "/sys/fs/cgroup/memory", "");
	assert_false(pyr_cgroup_locate("", "0::/a\n", &is_v2, &mount, &path));
	assert_false(pyr_cgroup_locate(v2, "", &is_v2, &mount, &path));
}

static void test_where_the_copy_goes(void **state)
{
	const uint64_t gib = 1ull << 30;

	(void)state;
	assert_int_equal(pyr_copy_place(gib, 16 * gib, 0), PYR_COPY_IN_MEMORY);
	assert_int_equal(pyr_copy_place(8 * gib, 16 * gib, 100 * gib), PYR_COPY_IN_FILE);
	assert_int_equal(pyr_copy_place(8 * gib, 16 * gib, 8 * gib), PYR_COPY_NOWHERE);
	assert_int_equal(pyr_disk_room("/dev/shm"), 0);
	assert_int_equal(pyr_disk_room("/nowhere"), 0);
}

static int prepare(void **state)
{
	(void)state;
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ring = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	untouched =
		mmap(NULL, UNTOUCHED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	returned = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(untouched, UNTOUCHED, MADV_NOHUGEPAGE);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copied_at_one_instant),
		cmocka_unit_test(test_without_stopping),
		cmocka_unit_test(test_stopper_holds_every_thread),
		cmocka_unit_test(test_pause_limit),
		cmocka_unit_test(test_signals_survive),
		cmocka_unit_test(test_killed_while_stopping),
		cmocka_unit_test(test_stopped_before),
		cmocka_unit_test(test_traced_by_another),
		cmocka_unit_test(test_who_is_not_there),
		cmocka_unit_test(test_exits_meanwhile),
		cmocka_unit_test(test_exits_meanwhile_unprivileged),
		cmocka_unit_test(test_no_permission),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_copy_in_file),
		cmocka_unit_test(test_pagemap_both_ways),
		cmocka_unit_test(test_control_groups),
		cmocka_unit_test(test_where_the_copy_goes),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
