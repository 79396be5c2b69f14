#define _GNU_SOURCE
#include "base/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROGRESS_INTERVAL_NS 100000000u

void pyr_control_init(struct pyr_control *control)
{
	memset(control, 0, sizeof(*control));
	atomic_init(&control->cancelled, false);
}

void pyr_control_clear(struct pyr_control *control)
{
	size_t i;

	atomic_store(&control->cancelled, false);
	for (i = 0; i < control->diagnostic_count; i++)
		free(control->diagnostics[i].message);
	control->diagnostic_count = 0;
	control->diagnostics_omitted = 0;
}

void pyr_control_deinit(struct pyr_control *control)
{
	pyr_control_clear(control);
	free(control->diagnostics);
	control->diagnostics = NULL;
}

pyr_error *pyr_control_check(const struct pyr_control *control)
{
	if (pyr_control_cancelled(control))
		return pyr_error_create(PYR_E_INTERRUPTED, "interrupted");
	return NULL;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

pyr_error *pyr_control_progress(struct pyr_control *control, const char *phase, uint64_t done,
				uint64_t total)
{
	uint64_t now;

	if (control->progress) {
		now = now_ns();
		if (now - control->last_progress_ns >= PROGRESS_INTERVAL_NS) {
			control->last_progress_ns = now;
			if (!control->progress(control->progress_ctx, phase, done, total))
				atomic_store(&control->cancelled, true);
		}
	}
	return pyr_control_check(control);
}

void pyr_control_diagnose(struct pyr_control *control, const char *format, ...)
{
	struct pyr_diagnostic *d;
	va_list args;
	char *message;
	int length;
	size_t i;

	va_start(args, format);
	length = vasprintf(&message, format, args);
	va_end(args);
	if (length < 0)
		return;
	for (i = 0; i < control->diagnostic_count; i++) {
		if (!strcmp(control->diagnostics[i].message, message)) {
			control->diagnostics[i].times++;
			free(message);
			return;
		}
	}
	if (!control->diagnostics)
		control->diagnostics = calloc(PYR_DIAGNOSTICS_MAX, sizeof(*d));
	if (!control->diagnostics || control->diagnostic_count == PYR_DIAGNOSTICS_MAX) {
		control->diagnostics_omitted++;
		free(message);
		return;
	}
	d = &control->diagnostics[control->diagnostic_count++];
	d->message = message;
	d->times = 1;
}
