/* Stop every thread of a process for a bounded time.
 *
 * A thread of ours does all the ptrace calls (the kernel ties a tracee to one
 * thread). It lets the process go when told, when the time is over, and when
 * that thread or this whole program ends, however it ends: a tracee that was
 * seized continues by itself when its tracer is gone. */
#ifndef PYR_TARGET_STOPPER_H
#define PYR_TARGET_STOPPER_H

#include "target/procfs.h"

struct pyr_stopper;

/* Stop the process for at most @seconds. When this returns success every
 * thread stands still outside of its own code: stopped, or asleep in the kernel
 * and bound to stop before its next instruction. Errors: no_permission (also:
 * somebody else traces it), target_gone, interrupted. On error nothing stays
 * stopped. @process is borrowed. */
pyr_error *pyr_stopper_stop(struct pyr_control *control, const struct pyr_process *process,
			    double seconds, struct pyr_stopper **ret);

/* The error that says that @tracer traces the process. */
pyr_error *pyr_stopper_traced(const struct pyr_process *process, pid_t tracer);

/* The threads with their registers, as they stood when they were stopped. */
const struct pyr_thread *pyr_stopper_threads(const struct pyr_stopper *stopper, size_t *count);

/* Is the process still stopped? Any thread. What was read before a true answer
 * was read from a stopped process. */
bool pyr_stopper_holds(const struct pyr_stopper *stopper);

/* Let the process run and wait until it does. Answers for how long it was
 * stopped, in nanoseconds. May be called again. */
uint64_t pyr_stopper_release(struct pyr_stopper *stopper);
/* Releases, too; NULL is allowed. */
void pyr_stopper_destroy(struct pyr_stopper *stopper);

#endif
