/* What the benchmarks share: clocks, memory, and a core opened up to its heap. They print
 * "name value" lines, and end where something fails. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "objects/heap.h"

static inline double on_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double now(void)
{
	return on_clock(CLOCK_MONOTONIC);
}

/* Pages of the core are not ours: anonymous memory alone counts. */
static inline long own_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	long found = 0, kib;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %ld", &kib) == 1)
			found = kib;
	if (f)
		fclose(f);
	return found;
}

static inline void die(pyr_error *err)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name,
		pyr_error_code_name(err->code), err->message);
	pyr_error_destroy(err);
	exit(1);
}

static inline void print_diagnostics(const struct pyr_control *control)
{
	size_t i;

	for (i = 0; i < control->diagnostic_count; i++)
		printf("diagnostic %s\n", control->diagnostics[i].message);
}

struct subject {
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *python;
	struct pyr_types *types;
	struct pyr_heap *heap;
};

/* @sysroot: NULL where the target's files are this machine's. */
static inline void subject_open(struct subject *s, const char *core, const char *sysroot)
{
	const struct pyr_target_options target_options = {.sysroot = sysroot};
	const struct pyr_python_options python_options = {.sysroot = sysroot};

	pyr_control_init(&s->control);
	die(pyr_target_open_core(&s->control, core, &target_options, &s->target));
	die(pyr_python_open(s->target, &python_options, &s->python));
	die(pyr_types_create(s->python, &s->types));
	die(pyr_heap_build(s->types, &s->control, &s->heap));
}

static inline void subject_close(struct subject *s)
{
	pyr_heap_destroy(s->heap);
	pyr_types_destroy(s->types);
	pyr_python_destroy(s->python);
	pyr_target_destroy(s->target);
	pyr_control_deinit(&s->control);
}

#endif
