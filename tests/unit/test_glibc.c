/* malloc seen from a core of this very process, against mallinfo2() and
 * malloc_trim() asked at the same instant. */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "native/glibc.h"

#define THREADS 4
#define SLOTS 4000

static pthread_barrier_t barrier;
static char directory[] = "/tmp/pyretain-glibc.XXXXXX";

/* Allocate and free all sizes, so that fastbins, tcache, bins, tops and mmapped
 * chunks are in use; every third block stays. */
static void churn(unsigned seed, void **slot)
{
	unsigned i, k;
	size_t size;

	for (i = 0; i < 40000; i++) {
		seed = seed * 1103515245u + 12345u;
		k = (seed >> 8) % SLOTS;
		free(slot[k]);
		size = (seed >> 4) % 100 ? (seed >> 10) % 3000 : 150000 + seed % 300000;
		slot[k] = i % 50 ? malloc(size) : aligned_alloc(256, (size + 255) & ~(size_t)255);
		if (slot[k])
			memset(slot[k], 1, size < 64 ? size : 64);
	}
	for (k = 0; k < SLOTS; k += 3) {
		free(slot[k]);
		slot[k] = NULL;
	}
}

static void *thread_main(void *arg)
{
	static __thread void *slot[SLOTS];

	churn((unsigned)(uintptr_t)arg, slot);
	pthread_barrier_wait(&barrier);
	pause();
	return NULL;
}

/* A copy of this process that stands still while gdb writes its core. */
static void write_core(const char *path)
{
	char command[300];
	int status;
	pid_t child = (pid_t)syscall(SYS_fork);

	if (child == 0) {
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
		for (;;)
			pause();
	}
	snprintf(command, sizeof(command),
		 "gdb --batch -nx -p %d -ex 'generate-core-file %s' >%s.log 2>&1", (int)child, path,
		 path);
	assert_int_equal(system(command), 0);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

struct totals {
	uint64_t count[PYR_CHUNK_STATES], bytes[PYR_CHUNK_STATES], trimmable;
};

static bool add(void *ctx, pyr_addr memory, uint64_t size, enum pyr_chunk_state state,
		size_t region)
{
	struct totals *t = ctx;

	(void)memory;
	(void)region;
	t->count[state]++;
	t->bytes[state] += size;
	return true;
}

static void add_trim(void *ctx, pyr_addr start, pyr_addr end, size_t region)
{
	struct totals *t = ctx;

	(void)region;
	t->trimmable += end - start;
}

static void totals_equal_mallinfo2(void **state)
{
	static void *slot[SLOTS], *small[60];
	struct pyr_target_options options = {0};
	struct pyr_mallinfo2 ours;
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_reader reader;
	struct pyr_glibc glibc;
	struct totals t = {0};
	struct pyr_glibc_visitor visitor = {.chunk = add, .trim = add_trim, .ctx = &t};
	struct pyr_glibc_mapped_list mapped;
	struct mallinfo2 m;
	uint64_t chunks = 0, bytes = 0, system_mem = 0, tops = 0, fast = 0, tcache = 0;
	pthread_t thread;
	char path[100];
	size_t i;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	/* AddressSanitizer puts an allocator of its own in glibc's place. */
	skip();
#endif
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/core", directory);
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread, NULL, thread_main, (void *)(i * 7919 + 1)),
				 0);
	pthread_barrier_wait(&barrier);
	churn(42, slot);
	/* More small blocks than the tcache takes: the rest goes to a fastbin, where
	 * there are some. */
	for (i = 0; i < 60; i++)
		small[i] = malloc(40);
	for (i = 0; i < 60; i++)
		free(small[i]);
	m = mallinfo2();
	write_core(path);

	pyr_control_init(&control);
	assert_null(pyr_target_open_core(&control, path, &options, &target));
	pyr_reader_init(&reader, target);
	assert_null(pyr_glibc_read(target, &reader, &glibc));
	assert_true(glibc.arenas.count > 1);
	assert_true(glibc.has_parameters);
	pyr_glibc_mallinfo2(&glibc, &ours);
	assert_int_equal(ours.arena, m.arena);
	assert_int_equal(ours.ordblks, m.ordblks);
	assert_int_equal(ours.smblks, m.smblks);
	assert_int_equal(ours.hblks, m.hblks);
	assert_int_equal(ours.hblkhd, m.hblkhd);
	assert_int_equal(ours.fsmblks, m.fsmblks);
	assert_int_equal(ours.uordblks, m.uordblks);
	assert_int_equal(ours.fordblks, m.fordblks);
	assert_int_equal(ours.keepcost, m.keepcost);
	/* There was something to get wrong, unless this glibc has no fastbins any more. */
	assert_true(glibc.layout >= PYR_GLIBC_2_43 ? ours.smblks == 0 : ours.smblks > 0);

	/* The chunk walk finds the same free chunks that the bins list. */
	assert_null(pyr_glibc_walk(&glibc, &reader, &visitor));
	for (i = 0; i < glibc.arenas.count; i++) {
		const struct pyr_glibc_arena *a = &glibc.arenas.data[i];

		chunks += a->unsorted.chunks + a->small.chunks + a->large.chunks;
		bytes += a->unsorted.bytes + a->small.bytes + a->large.bytes;
		fast += a->fast.chunks;
		tcache += a->tcache.chunks;
		system_mem += a->system_mem;
		tops += a->top_size;
	}
	assert_int_equal(t.count[PYR_CHUNK_FREE], chunks);
	assert_int_equal(t.bytes[PYR_CHUNK_FREE], bytes);
	assert_int_equal(t.count[PYR_CHUNK_FAST], fast);
	assert_int_equal(t.count[PYR_CHUNK_TCACHE], tcache);
	assert_int_equal(tcache + fast, glibc.cached.count);
	/* The copy has one thread; the tcaches of the others are known by their shape. */
	assert_int_equal(glibc.tcaches.count, THREADS + 1);
	assert_true(t.trimmable > 0);
	assert_null(pyr_glibc_find_mapped(&glibc, target, &reader, NULL, 0, &mapped));
	assert_int_equal(mapped.v.count, m.hblks);
	assert_int_equal(mapped.bytes, m.hblkhd);
	assert_true(mapped.exact);
	pyr_glibc_mapped_deinit(&mapped);
	/* What is neither chunk nor top: heap headers and fence posts. */
	bytes = t.bytes[0] + t.bytes[1] + t.bytes[2] + t.bytes[3] + tops;
	assert_true(bytes <= system_mem);
	assert_true(system_mem - bytes < glibc.regions.count * 4096);
	assert_int_equal(glibc.damaged, 0);
	assert_int_equal(visitor.damaged, 0);

	pyr_glibc_deinit(&glibc);
	pyr_reader_deinit(&reader);
	pyr_target_destroy(target);
	pyr_control_deinit(&control);
	unlink(path);
	strcat(path, ".log");
	unlink(path);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(totals_equal_mallinfo2)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
