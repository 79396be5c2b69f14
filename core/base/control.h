/* What a long computation shares with whoever asked for it: a cancel flag,
 * progress, and diagnostics. One per session; the flag may be set from a
 * signal handler or another thread, the rest is for the calling thread. */
#ifndef PYR_BASE_CONTROL_H
#define PYR_BASE_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Identical messages are counted, not stored again; at most this many
 * different ones are kept, and `omitted` counts the rest. */
#define PYR_DIAGNOSTICS_MAX 100

struct pyr_control {
	atomic_bool cancelled;
	/* Called on the calling thread at most ~10 times a second; may be NULL.
	 * @total is 0 when unknown. Answers false to cancel. */
	bool (*progress)(void *ctx, const char *phase, uint64_t done, uint64_t total);
	void *progress_ctx;
	uint64_t last_progress_ns;

	struct pyr_diagnostic {
		char *message;
		uint64_t times;
	} * diagnostics;
	size_t diagnostic_count;
	uint64_t diagnostics_omitted;
};

void pyr_control_init(struct pyr_control *control);
void pyr_control_deinit(struct pyr_control *control);
void pyr_control_clear(struct pyr_control *control); /* cancel flag and diagnostics */

static inline bool pyr_control_cancelled(const struct pyr_control *control)
{
	return atomic_load_explicit(&control->cancelled, memory_order_relaxed);
}

/* NULL, or an "interrupted" error once the flag is set. */
pyr_error *pyr_control_check(const struct pyr_control *control);

/* Report progress (rate-limited) and check for cancellation; calling thread only. */
pyr_error *pyr_control_progress(struct pyr_control *control, const char *phase, uint64_t done,
				uint64_t total);

/* One line about something that was wrong and stepped over; calling thread
 * only. Shown to people and in JSON as "diagnostics". */
void pyr_control_diagnose(struct pyr_control *control, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
