#include "runtime/interpreters.h"

#include "runtime/identify.h"
#include "runtime/raw.h"

/* More interpreters than any program has; the list of a damaged target ends there. */
#define INTERPRETERS_MAX 65536

static void fill_one(struct pyr_python *python, struct pyr_raw raw, struct pyr_interpreter *in)
{
	const struct pyr_layout *l = raw.layout;

#define GET(field) pyr_raw_get(raw, in->address, PYR_FIELD(PyInterpreterState, field))
	in->modules = GET(modules);
	in->sysdict = GET(sysdict);
	in->builtins = GET(builtins);
	in->finalizing = GET(finalizing) != 0;
#undef GET
	if (pyr_is(l, gc_location, INTERPRETER) && pyr_has(l, PyInterpreterState, gc))
		in->gc = in->address + (uint64_t)pyr_offset(l, PyInterpreterState, gc);
	else if (pyr_is(l, gc_location, RUNTIME) && python->runtime &&
		 pyr_has(l, _PyRuntimeState, gc))
		in->gc = python->runtime + (uint64_t)pyr_offset(l, _PyRuntimeState, gc);
}

static bool seen(const struct pyr_python *python, pyr_addr address)
{
	size_t i;

	for (i = 0; i < python->interpreters.count; i++)
		if (python->interpreters.data[i].address == address)
			return true;
	return false;
}

pyr_error *pyr_python_fill_interpreters(struct pyr_python *python,
					const struct pyr_candidate *candidate)
{
	struct pyr_raw raw = {&python->layout, &python->reader};
	pyr_addr main = pyr_identify_main(raw.layout, raw.reader, candidate), at = 0;
	struct pyr_interpreter in, swap;
	uint64_t word;
	size_t i;

	if (python->runtime)
		at = pyr_raw_get(raw, python->runtime,
				 PYR_FIELD(_PyRuntimeState, interpreters_head));
	if (!at)
		at = candidate->interpreter ? candidate->interpreter : main;
	for (; at && python->interpreters.count < INTERPRETERS_MAX; at = word) {
		if (seen(python, at)) {
			pyr_control_diagnose(python->target->control,
					     "the list of interpreters is a cycle at 0x%llx",
					     (unsigned long long)at);
			break;
		}
		if (!pyr_raw_field(raw, at, PYR_FIELD(PyInterpreterState, next), &word)) {
			pyr_control_diagnose(python->target->control,
					     "the interpreter at 0x%llx is not in the target",
					     (unsigned long long)at);
			break;
		}
		memset(&in, 0, sizeof(in));
		in.address = at;
		in.main = at == main;
		fill_one(python, raw, &in);
		if (!pyr_vec_push(&python->interpreters, in))
			return pyr_error_no_memory();
	}
	if (main && !seen(python, main)) {
		memset(&in, 0, sizeof(in));
		in.address = main;
		in.main = true;
		fill_one(python, raw, &in);
		if (!pyr_vec_push(&python->interpreters, in))
			return pyr_error_no_memory();
	}
	for (i = 0; i < python->interpreters.count; i++) {
		/* 3.6 gives interpreters no ids; they are numbered as they were made. */
		if (pyr_raw_field(raw, python->interpreters.data[i].address,
				  PYR_FIELD(PyInterpreterState, id), &word))
			python->interpreters.data[i].id = (int64_t)word;
		else
			python->interpreters.data[i].id =
				(int64_t)(python->interpreters.count - 1 - i);
	}
	for (i = 1; i < python->interpreters.count; i++)
		if (python->interpreters.data[i].main) {
			swap = python->interpreters.data[i];
			memmove(&python->interpreters.data[1], &python->interpreters.data[0],
				i * sizeof(swap));
			python->interpreters.data[0] = swap;
			break;
		}
	return pyr_reader_check(&python->reader);
}
