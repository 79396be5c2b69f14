/* Run a function over a range on all cores. */
#ifndef PYR_BASE_PARALLEL_H
#define PYR_BASE_PARALLEL_H

#include <stddef.h>

#include "base/control.h"
#include "base/error.h"

/* Number of workers pyr_parallel() uses: online CPUs allowed to this process,
 * at most 64; the environment variable PYRETAIN_THREADS overrides. */
unsigned pyr_parallel_workers(void);

/* Call @fn(ctx, worker, begin, end) for consecutive pieces of [0, count) of at
 * most @grain elements, on @workers threads (worker is 0 .. workers-1; 1 runs
 * all on the calling thread). Worker threads block every signal. The calling
 * thread is worker 0 and reports progress for @phase (NULL: none). Stops early
 * when @control is cancelled or a call fails; the first error is returned. */
pyr_error *pyr_parallel(struct pyr_control *control, const char *phase, unsigned workers,
			size_t count, size_t grain,
			pyr_error *(*fn)(void *ctx, unsigned worker, size_t begin, size_t end),
			void *ctx);

#endif
