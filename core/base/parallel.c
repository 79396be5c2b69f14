#define _GNU_SOURCE
#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WORKERS_MAX 64u

struct job {
	struct pyr_control *control;
	const char *phase;
	size_t count, grain;
	pyr_error *(*fn)(void *ctx, unsigned worker, size_t begin, size_t end);
	void *ctx;
	atomic_size_t next;
	_Atomic(pyr_error *) error;
};

struct parallel_worker {
	struct job *job;
	unsigned index;
	pthread_t thread;
};

unsigned pyr_parallel_workers(void)
{
	const char *text = getenv("PYRETAIN_THREADS");
	cpu_set_t set;
	long n = 0;

	if (text)
		n = strtol(text, NULL, 10);
	if (n <= 0 && sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	if (n <= 0)
		n = 1;
	return n > (long)WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static void fail(struct job *job, pyr_error *err)
{
	pyr_error *none = NULL;

	if (!atomic_compare_exchange_strong(&job->error, &none, err))
		pyr_error_destroy(err);
}

static void run(struct job *job, unsigned index)
{
	pyr_error *err;
	size_t begin, end;

	while (!atomic_load_explicit(&job->error, memory_order_relaxed) &&
	       !pyr_control_cancelled(job->control)) {
		begin = atomic_fetch_add(&job->next, job->grain);
		if (begin >= job->count)
			break;
		end = job->count - begin < job->grain ? job->count : begin + job->grain;
		if ((err = job->fn(job->ctx, index, begin, end))) {
			fail(job, err);
			break;
		}
		if (index == 0 && job->phase &&
		    (err = pyr_control_progress(job->control, job->phase, end, job->count))) {
			fail(job, err);
			break;
		}
	}
}

static void *worker_main(void *arg)
{
	struct parallel_worker *w = arg;

	run(w->job, w->index);
	return NULL;
}

pyr_error *pyr_parallel(struct pyr_control *control, const char *phase, unsigned workers,
			size_t count, size_t grain,
			pyr_error *(*fn)(void *ctx, unsigned worker, size_t begin, size_t end),
			void *ctx)
{
	struct job job = {.control = control,
			  .phase = phase,
			  .count = count,
			  .grain = grain ? grain : 1,
			  .fn = fn,
			  .ctx = ctx};
	struct parallel_worker w[WORKERS_MAX];
	sigset_t all, old;
	unsigned i, started = 0;
	pyr_error *err;

	atomic_init(&job.next, 0);
	atomic_init(&job.error, NULL);
	if (workers > WORKERS_MAX)
		workers = WORKERS_MAX;
	if (workers > 1 && count > job.grain) {
		/* A signal must reach the thread that can act on it: the caller's. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		for (i = 1; i < workers; i++) {
			w[started].job = &job;
			w[started].index = i;
			if (pthread_create(&w[started].thread, NULL, worker_main, &w[started]))
				break;
			started++;
		}
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	run(&job, 0);
	for (i = 0; i < started; i++)
		pthread_join(w[i].thread, NULL);
	err = atomic_load(&job.error);
	return err ? err : pyr_control_check(control);
}
