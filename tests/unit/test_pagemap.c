/* What the kernel has of a range: pages in memory, nothing for what was never touched, and
 * nothing for guard pages, which the pagemap shows among the swapped ones. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/live.h"
#include "target/residency.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* since Linux 6.13 */
#endif
#define PAGE 4096u
#define PAGES 64u

static uint8_t *pages; /* all touched but the last; GUARD_* of them are guard pages */
enum { GUARD_FIRST = 10, GUARD_END = 13, GUARD_ALONE = 20, HOLE = PAGES - 1 };

/* A child that has touched the pages and installed the guards; *errno_of: why it could not. */
static pid_t start(int *errno_of)
{
	int ready[2];
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int why = 0;
		ssize_t n;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		memset(pages, 7, HOLE * PAGE);
		if (madvise(pages + GUARD_FIRST * PAGE, (GUARD_END - GUARD_FIRST) * PAGE,
			    MADV_GUARD_INSTALL) ||
		    madvise(pages + GUARD_ALONE * PAGE, PAGE, MADV_GUARD_INSTALL))
			why = errno;
		n = write(ready[1], &why, sizeof(why));
		for (; n == sizeof(why);)
			pause();
		_exit(1);
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], errno_of, sizeof(*errno_of)), sizeof(*errno_of));
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void finish(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void assert_ok(pyr_error *err)
{
	if (err)
		fail_msg("%s", err->message);
}

static void check_range(struct pyr_range range, unsigned first, unsigned end)
{
	assert_int_equal(range.start, (uintptr_t)pages + first * PAGE);
	assert_int_equal(range.end, (uintptr_t)pages + end * PAGE);
}

static void test_guard_pages(void **state)
{
	struct pyr_process process;
	int why, i;
	pid_t pid = start(&why);

	(void)state;
	if (why == EINVAL) {
		finish(pid);
		skip(); /* a kernel before 6.13 has no guard pages */
	}
	assert_int_equal(why, 0);
	assert_ok(pyr_process_open(pid, &process));
	if (process.pagemap < 0) {
		finish(pid);
		skip();
	}
	for (i = 0; i < 2; i++) {
		struct pyr_range_list ranges = {.v = {0}};
		uint64_t swapped = 0;

		process.no_scan = i == 1;
		assert_ok(pyr_process_resident(&process, (uintptr_t)pages,
					       (uintptr_t)pages + PAGES * PAGE, false, &ranges,
					       &swapped));
		assert_int_equal(swapped, 0);
		assert_int_equal(ranges.v.count, 3);
		check_range(ranges.v.data[0], 0, GUARD_FIRST);
		check_range(ranges.v.data[1], GUARD_END, GUARD_ALONE);
		check_range(ranges.v.data[2], GUARD_ALONE + 1, HOLE);
		pyr_vec_deinit(&ranges.v);
	}
	pyr_process_close(&process);
	finish(pid);
}

/* The whole process: no page of it is said to be in swap, and its copy lacks nothing. */
static void test_process_with_guard_pages(void **state)
{
	struct pyr_vma vma = {
		.mapping = {.start = (uintptr_t)pages, .end = (uintptr_t)pages + PAGES * PAGE}};
	struct pyr_vma_list vmas = {.text = NULL};
	struct pyr_residency residency;
	struct pyr_process process;
	uint64_t own = 0;
	int why;
	pid_t pid = start(&why);
	size_t i;

	(void)state;
	if (why == EINVAL) {
		finish(pid);
		skip();
	}
	assert_ok(pyr_process_open(pid, &process));
	assert_true(pyr_vec_push(&vmas.v, vma));
	assert_ok(pyr_residency_read(&process, &vmas, &residency));
	if (residency.known) {
		for (i = 0; i < residency.ranges.count; i++) {
			assert_int_equal(residency.ranges.data[i].kind, PYR_PAGE_OWN);
			own += residency.ranges.data[i].end - residency.ranges.data[i].start;
		}
		assert_int_equal(own, (HOLE - (GUARD_END - GUARD_FIRST) - 1) * (uint64_t)PAGE);
	}
	pyr_residency_deinit(&residency);
	pyr_vma_list_deinit(&vmas);
	pyr_process_close(&process);
	finish(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guard_pages),
		cmocka_unit_test(test_process_with_guard_pages),
	};

	pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (pages == MAP_FAILED)
		return 1;
	madvise(pages, PAGES * PAGE, MADV_NOHUGEPAGE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
