#define _GNU_SOURCE
#include "target/stopper.h"

#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#ifndef NT_ARM_TLS
#define NT_ARM_TLS 0x401
#endif

/* A thread in uninterruptible sleep does not answer; after this long it counts
 * as standing still, because the pending stop catches it before it runs again. */
#define SLEEPER_NS 200000000ull
#define SECOND_NS 1000000000ull

struct tracee {
	pid_t tid;
	bool stopped; /* in a ptrace stop; else asleep in the kernel */
	bool gone;
	int signal; /* a signal whose delivery the stop interrupted; given back on release */
};

struct pyr_stopper {
	struct pyr_control *control;
	const struct pyr_process *process;
	double seconds;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool settled;   /* stopped, or failed with `error` */
	bool dismissed; /* the owner wants the process to run */
	pyr_error *error;
	atomic_bool holds;

	PYR_VEC(struct tracee) tracees;
	PYR_VEC(struct pyr_thread) threads;
	uint64_t began_ns, pause_ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static void pause_briefly(unsigned *turn)
{
	struct timespec t = {.tv_nsec = *turn < 20 ? 50000 : 1000000};

	(*turn)++;
	nanosleep(&t, NULL);
}

pyr_error *pyr_stopper_traced(const struct pyr_process *process, pid_t tracer)
{
	char path[64], line[128], name[64] = "";
	int group = (int)tracer;
	FILE *f;

	/* The kernel names the thread that traces; people know the process. */
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tracer);
	if ((f = fopen(path, "re"))) {
		while (fgets(line, sizeof(line), f)) {
			sscanf(line, "Name: %63[^\n]", name);
			sscanf(line, "Tgid: %d", &group);
		}
		fclose(f);
	}
	return pyr_error_create(
		PYR_E_NO_PERMISSION,
		"process %d (%s) is being traced by process %d%s%s%s: detach that, use "
		"pyretain inside it if it is a debugger, or read without stopping "
		"(--no-stop)",
		(int)process->pid, process->name, group, *name ? " (" : "", name, *name ? ")" : "");
}

/* Seize one thread and ask it to stop; NULL also when it has just exited. */
static pyr_error *seize(struct pyr_stopper *s, pid_t tid)
{
	struct tracee tracee = {.tid = tid};
	pid_t tracer = 0;
	char state;
	int error;

	if (!pyr_vec_reserve(&s->tracees, 1))
		return pyr_error_no_memory();
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL)) {
		error = errno;
		state = pyr_process_thread_state(s->process, tid, &tracer);
		if (state == 0 || state == 'Z' || state == 'X')
			return NULL;
		if (tracer)
			return pyr_stopper_traced(s->process, tracer);
		return error == ESRCH ? NULL : pyr_process_no_permission(s->process);
	}
	if (!s->began_ns)
		s->began_ns = now_ns();
	(void)pyr_vec_push(&s->tracees, tracee);
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return NULL;
}

static bool known(const struct pyr_stopper *s, pid_t tid)
{
	size_t i;

	for (i = 0; i < s->tracees.count; i++)
		if (s->tracees.data[i].tid == tid)
			return true;
	return false;
}

/* Seize the threads that are not seized yet; *found: were there any? */
static pyr_error *seize_new(struct pyr_stopper *s, bool *found)
{
	size_t count, i, before = s->tracees.count;
	pid_t *tids;
	pyr_error *err;

	if ((err = pyr_process_tids(s->process, &tids, &count)))
		return err;
	for (i = 0; i < count && !err; i++)
		if (!known(s, tids[i]))
			err = seize(s, tids[i]);
	free(tids);
	*found = s->tracees.count > before;
	return err;
}

/* Look at one thread that was asked to stop.
 *
 * PTRACE_GETSIGINFO answers only for a stopped tracee, so the stop is seen even
 * when the program we live in has waited for it in another thread. A stop of
 * ours and a group stop have PTRACE_EVENT_STOP in si_code (or no siginfo at
 * all); anything else is a signal on its way to the thread. */
static void look(struct tracee *t)
{
	siginfo_t info;
	int status;

	if (waitpid(t->tid, &status, __WALL | __WNOTHREAD | WNOHANG) == t->tid &&
	    (WIFEXITED(status) || WIFSIGNALED(status))) {
		t->gone = true;
		return;
	}
	memset(&info, 0, sizeof(info));
	if (ptrace(PTRACE_GETSIGINFO, t->tid, NULL, &info)) {
		if (errno == EINVAL)
			t->stopped = true; /* group stop */
		return;
	}
	t->stopped = true;
	if (info.si_code >> 8 == PTRACE_EVENT_STOP)
		return;
	t->signal = info.si_signo;
}

/* Wait until all seized threads stand still. */
static pyr_error *settle(struct pyr_stopper *s, uint64_t deadline)
{
	uint64_t began = now_ns(), now;
	unsigned turn = 0;
	pyr_error *err;
	bool waiting, awake;
	size_t i;
	char state;

	for (;;) {
		waiting = awake = false;
		now = now_ns();
		for (i = 0; i < s->tracees.count; i++) {
			struct tracee *t = &s->tracees.data[i];

			if (t->stopped || t->gone)
				continue;
			look(t);
			if (t->stopped || t->gone)
				continue;
			state = pyr_process_thread_state(s->process, t->tid, NULL);
			if (state == 0 || state == 'Z' || state == 'X') {
				t->gone = true;
				continue;
			}
			waiting = true;
			if (state != 'D' || now - began < SLEEPER_NS)
				awake = true;
		}
		if (!waiting || !awake)
			return NULL;
		if ((err = pyr_control_check(s->control)))
			return err;
		if (now > deadline)
			return pyr_error_create(PYR_E_UNREADABLE,
						"process %d did not stop within %g s (--max-pause)",
						(int)s->process->pid, s->seconds);
		pause_briefly(&turn);
	}
}

static void read_registers(struct tracee *t, struct pyr_thread *thread)
{
	struct iovec iov = {.iov_base = thread->regs, .iov_len = sizeof(thread->regs)};

	if (ptrace(PTRACE_GETREGSET, t->tid, (void *)NT_PRSTATUS, &iov))
		return;
	thread->nregs = (unsigned)(iov.iov_len / sizeof(thread->regs[0]));
#if defined(__x86_64__)
	/* struct user_regs_struct, sys/user.h */
	thread->pc = thread->regs[16];
	thread->sp = thread->regs[19];
	thread->tls = thread->regs[21];
#elif defined(__aarch64__)
	thread->sp = thread->regs[31];
	thread->pc = thread->regs[32];
	iov.iov_base = &thread->tls;
	iov.iov_len = sizeof(thread->tls);
	ptrace(PTRACE_GETREGSET, t->tid, (void *)NT_ARM_TLS, &iov);
#else
#error "which register is the stack pointer?"
#endif
}

static pyr_error *describe_threads(struct pyr_stopper *s)
{
	size_t i;

	for (i = 0; i < s->tracees.count; i++) {
		struct tracee *t = &s->tracees.data[i];
		struct pyr_thread thread;

		if (t->gone)
			continue;
		memset(&thread, 0, sizeof(thread));
		thread.tid = (uint64_t)t->tid;
		if (t->stopped)
			read_registers(t, &thread);
		else
			pyr_process_thread_blocked_at(s->process, t->tid, &thread.sp, &thread.pc);
		pyr_process_thread_name(s->process, t->tid, thread.name);
		if (!pyr_vec_push(&s->threads, thread))
			return pyr_error_no_memory();
	}
	return s->threads.count ? NULL : pyr_process_gone(s->process);
}

/* A thread may be born while its siblings are being stopped: again until no
 * unknown one is left. */
static pyr_error *stop_all(struct pyr_stopper *s)
{
	uint64_t deadline = now_ns() + (uint64_t)(s->seconds * (double)SECOND_NS);
	pyr_error *err;
	bool found;

	do {
		if ((err = seize_new(s, &found)) || (err = settle(s, deadline)))
			return err;
	} while (found);
	return describe_threads(s);
}

static void let_go(struct pyr_stopper *s)
{
	struct tracee *t;
	size_t i;

	for (i = 0; i < s->tracees.count; i++) {
		t = &s->tracees.data[i];
		/* A thread that was never seen stopped cannot be detached; it is
		 * released when this tracer thread ends, a moment from now. But try:
		 * it may have stopped since. */
		if (!t->gone && !t->stopped)
			look(t);
		if (t->stopped)
			ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(intptr_t)t->signal);
	}
	if (s->began_ns)
		s->pause_ns = now_ns() - s->began_ns;
}

static void *tracer_main(void *arg)
{
	struct pyr_stopper *s = arg;
	pyr_error *err = stop_all(s);
	struct timespec until;
	uint64_t end;

	if (err)
		let_go(s);
	pthread_mutex_lock(&s->lock);
	s->settled = true;
	s->error = err;
	atomic_store(&s->holds, !err);
	pthread_cond_broadcast(&s->changed);
	if (!err) {
		end = s->began_ns + (uint64_t)(s->seconds * (double)SECOND_NS);
		until.tv_sec = (time_t)(end / SECOND_NS);
		until.tv_nsec = (long)(end % SECOND_NS);
		while (!s->dismissed && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
			;
		/* First the word, then the deed: who saw `holds` after reading read
		 * from a stopped process. */
		atomic_store(&s->holds, false);
		let_go(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static pyr_error *start_thread(struct pyr_stopper *s)
{
	pthread_condattr_t attr;
	sigset_t all, old;
	int failed;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&s->lock, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	failed = pthread_create(&s->thread, NULL, tracer_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!failed)
		return NULL;
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	return pyr_error_no_memory();
}

pyr_error *pyr_stopper_stop(struct pyr_control *control, const struct pyr_process *process,
			    double seconds, struct pyr_stopper **ret)
{
	struct pyr_stopper *s = calloc(1, sizeof(*s));
	pyr_error *err;

	if (!s)
		return pyr_error_no_memory();
	s->control = control;
	s->process = process;
	s->seconds = seconds;
	atomic_init(&s->holds, false);
	if ((err = start_thread(s))) {
		free(s);
		return err;
	}
	pthread_mutex_lock(&s->lock);
	while (!s->settled)
		pthread_cond_wait(&s->changed, &s->lock);
	err = s->error;
	s->error = NULL;
	pthread_mutex_unlock(&s->lock);
	if (err) {
		pyr_stopper_destroy(s);
		return err;
	}
	*ret = s;
	return NULL;
}

const struct pyr_thread *pyr_stopper_threads(const struct pyr_stopper *stopper, size_t *count)
{
	*count = stopper->threads.count;
	return stopper->threads.data;
}

bool pyr_stopper_holds(const struct pyr_stopper *stopper)
{
	return atomic_load(&stopper->holds);
}

uint64_t pyr_stopper_release(struct pyr_stopper *stopper)
{
	pthread_mutex_lock(&stopper->lock);
	if (!stopper->dismissed) {
		stopper->dismissed = true;
		pthread_cond_broadcast(&stopper->changed);
		pthread_mutex_unlock(&stopper->lock);
		/* The end of the tracer thread releases what it could not detach. */
		pthread_join(stopper->thread, NULL);
		return stopper->pause_ns;
	}
	pthread_mutex_unlock(&stopper->lock);
	return stopper->pause_ns;
}

void pyr_stopper_destroy(struct pyr_stopper *stopper)
{
	if (!stopper)
		return;
	pyr_stopper_release(stopper);
	pthread_cond_destroy(&stopper->changed);
	pthread_mutex_destroy(&stopper->lock);
	pyr_error_destroy(stopper->error);
	pyr_vec_deinit(&stopper->tracees);
	pyr_vec_deinit(&stopper->threads);
	free(stopper);
}
