#include "opened.h"
#include "values/thread_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void must(const struct opened *o, pyr_error *err)
{
	if (err)
		fail_msg("%s: %s: %s", o->name, pyr_error_code_name(err->code), err->message);
}

static void open_types(struct opened *o, const struct pyr_target_options *options)
{
	struct pyr_python_options how = {.sysroot = options->sysroot};

	must(o, pyr_python_open(o->target, &how, &o->python));
	pyr_threads_name(o->python);
	must(o, pyr_types_create(o->python, &o->types));
}

void opened_process(struct opened *ret, const struct python *python, pid_t pid)
{
	const struct pyr_target_options options = {.sysroot = python->root[0] ? python->root : NULL,
						   .tmpdir = "/tmp",
						   .max_pause = 30};

	memset(ret, 0, sizeof(*ret));
	ret->name = python->name;
	pyr_control_init(&ret->control);
	must(ret, pyr_target_open_pid(&ret->control, pid, &options, &ret->target));
	open_types(ret, &options);
}

void opened_core(struct opened *ret, const char *path, const struct pyr_target_options *options)
{
	memset(ret, 0, sizeof(*ret));
	ret->name = path;
	pyr_control_init(&ret->control);
	must(ret, pyr_target_open_core(&ret->control, path, options, &ret->target));
	open_types(ret, options);
}

void opened_heap(struct opened *o)
{
	must(o, pyr_heap_build(o->types, &o->control, &o->heap));
}

void opened_ledger(struct opened *o)
{
	opened_heap(o);
	must(o, pyr_model_build(o->heap, &o->control, &o->model));
	must(o, pyr_model_reverse(o->model, &o->control));
	must(o, pyr_roots_find(o->model, &o->control, &o->roots));
	must(o, pyr_ledger_build(o->model, o->roots, &o->control, &o->ledger));
}

void opened_close(struct opened *o)
{
	pyr_ledger_destroy(o->ledger);
	pyr_roots_destroy(o->roots);
	pyr_model_destroy(o->model);
	pyr_heap_destroy(o->heap);
	pyr_types_destroy(o->types);
	pyr_python_destroy(o->python);
	pyr_target_destroy(o->target);
	pyr_control_deinit(&o->control);
}
