/* Thread states, whose OS thread each is, and who holds the GIL. */
#include <stdlib.h>

#include "runtime/interpreters.h"
#include "runtime/raw.h"

#define THREADS_MAX 1000000

/* thread_id is pthread_self(): the thread pointer on x86-64 (glibc and musl); on
 * aarch64 the struct pthread ends at the thread pointer, so it is the next thread
 * pointer above within the size of that structure. */
static ssize_t by_thread_pointer(const struct pyr_target *target, uint64_t thread_id)
{
	uint64_t slack = target->machine == PYR_MACHINE_AARCH64 ? 8192 : 0;
	uint64_t best = UINT64_MAX, distance;
	ssize_t found = -1;
	size_t i;

	for (i = 0; thread_id && i < target->threads.count; i++) {
		distance = target->threads.data[i].tls - thread_id;
		if (target->threads.data[i].tls && distance <= slack && distance < best) {
			best = distance;
			found = (ssize_t)i;
		}
	}
	return found;
}

static ssize_t by_native_id(const struct pyr_target *target, uint64_t native_id)
{
	size_t i;

	for (i = 0; native_id && i < target->threads.count; i++)
		if (target->threads.data[i].tid == native_id)
			return (ssize_t)i;
	return -1;
}

/* The thread state that holds the GIL of interpreter @in, 0: none or unknown. */
static pyr_addr gil_holder(struct pyr_python *python, const struct pyr_interpreter *in)
{
	struct pyr_raw raw = {&python->layout, &python->reader};
	uint64_t gil, locked;
	pyr_addr at, holder;

	switch (pyr_trait(raw.layout, gil_location)) {
	case PYR_TRAIT(gil_location, STATIC):
		if (!python->image ||
		    !pyr_image_symbol(python->target, python->image, "_PyThreadState_Current", &at,
				      NULL) ||
		    !pyr_try_u64(raw.reader, at, &holder))
			return 0;
		return holder;
	case PYR_TRAIT(gil_location, RUNTIME):
		return python->runtime ? pyr_raw_get(raw, python->runtime,
						     PYR_FIELD(_PyRuntimeState, tstate_current))
				       : 0;
	default:
		/* A pointer: to the interpreter's own, or to the main interpreter's. */
		gil = pyr_raw_get(raw, in->address, PYR_FIELD(PyInterpreterState, ceval_gil));
		if (!gil ||
		    !pyr_raw_field(raw, gil, PYR_FIELD(_gil_runtime_state, locked), &locked) ||
		    (int32_t)locked != 1)
			return 0;
		return pyr_raw_get(raw, gil, PYR_FIELD(_gil_runtime_state, last_holder));
	}
}

static bool seen(const struct pyr_python *python, size_t first, pyr_addr address)
{
	size_t i;

	for (i = first; i < python->threads.count; i++)
		if (python->threads.data[i].address == address)
			return true;
	return false;
}

static pyr_error *fill_interpreter(struct pyr_python *python, size_t index)
{
	struct pyr_raw raw = {&python->layout, &python->reader};
	const struct pyr_interpreter *in = &python->interpreters.data[index];
	pyr_addr holder = gil_holder(python, in), at, previous = 0, interp;
	size_t first = python->threads.count;
	struct pyr_python_thread t;

	at = pyr_raw_get(raw, in->address, PYR_FIELD(PyInterpreterState, threads_head));
	for (; at && python->threads.count - first < THREADS_MAX;
	     previous = at, at = pyr_raw_get(raw, at, PYR_FIELD(PyThreadState, next))) {
		/* Looked up in full only where the back link does not hold. */
		if (!pyr_raw_field(raw, at, PYR_FIELD(PyThreadState, interp), &interp) ||
		    interp != in->address ||
		    (pyr_raw_get(raw, at, PYR_FIELD(PyThreadState, prev)) != previous &&
		     seen(python, first, at))) {
			pyr_control_diagnose(python->target->control,
					     "the list of threads of interpreter %lld is broken at "
					     "0x%llx",
					     (long long)in->id, (unsigned long long)at);
			break;
		}
		memset(&t, 0, sizeof(t));
		t.address = at;
		t.interpreter = index;
		t.thread_id = pyr_raw_get(raw, at, PYR_FIELD(PyThreadState, thread_id));
		t.native_id = pyr_raw_get(raw, at, PYR_FIELD(PyThreadState, native_thread_id));
		t.os_thread = by_thread_pointer(python->target, t.thread_id);
		if (t.os_thread < 0)
			t.os_thread = by_native_id(python->target, t.native_id);
		if (!t.native_id && t.os_thread >= 0)
			t.native_id = python->target->threads.data[t.os_thread].tid;
		t.holds_gil = at == holder;
		if (!pyr_vec_push(&python->threads, t))
			return pyr_error_no_memory();
	}
	return NULL;
}

/* The main thread of the process: the runtime knows it by its thread id (3.7+);
 * otherwise it is the oldest of the main interpreter, the last in the list. */
static size_t main_thread(struct pyr_python *python)
{
	struct pyr_raw raw = {&python->layout, &python->reader};
	uint64_t id = python->runtime ? pyr_raw_get(raw, python->runtime,
						    PYR_FIELD(_PyRuntimeState, main_thread))
				      : 0;
	size_t i, last = 0;

	for (i = 0; i < python->threads.count && python->threads.data[i].interpreter == 0; i++) {
		if (id && python->threads.data[i].thread_id == id)
			return i;
		last = i;
	}
	return last;
}

pyr_error *pyr_python_fill_threads(struct pyr_python *python)
{
	struct pyr_python_thread main;
	pyr_error *err;
	size_t i;

	for (i = 0; i < python->interpreters.count; i++)
		if ((err = fill_interpreter(python, i)))
			return err;
	if (python->threads.count && (i = main_thread(python))) {
		main = python->threads.data[i];
		memmove(&python->threads.data[1], &python->threads.data[0], i * sizeof(main));
		python->threads.data[0] = main;
	}
	return pyr_reader_check(&python->reader);
}
