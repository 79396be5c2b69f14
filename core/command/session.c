#define _GNU_SOURCE
#include "command/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command/retention_cache.h"
#include "analysis/collection/garbage.h"
#include "target/debugger.h"
#include "values/thread_names.h"

pyr_session *pyr_session_create(void)
{
	struct pyr_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	pyr_control_init(&session->control);
	session->options.max_pause = 5;
	return session;
}

static void forget_tracked(struct pyr_session *session)
{
	pyr_model_destroy(session->tracked_model);
	session->tracked_model = NULL;
	pyr_heap_destroy(session->tracked_heap);
	session->tracked_heap = NULL;
}

void pyr_session_close(struct pyr_session *session)
{
	pyr_retention_cache_destroy(session->retention);
	session->retention = NULL;
	free(session->unreachable);
	session->unreachable = NULL;
	pyr_ledger_destroy(session->ledger);
	session->ledger = NULL;
	pyr_roots_destroy(session->roots);
	session->roots = NULL;
	pyr_model_destroy(session->model);
	session->model = NULL;
	forget_tracked(session);
	pyr_traverse_destroy(session->traverse);
	session->traverse = NULL;
	pyr_heap_destroy(session->heap);
	session->heap = NULL;
	pyr_types_destroy(session->types);
	session->types = NULL;
	pyr_python_destroy(session->python);
	session->python = NULL;
	pyr_target_destroy(session->target);
	session->target = NULL;
	free(session->route);
	session->route = NULL;
}

static void forget_origin(struct pyr_session *session)
{
	pyr_session_close(session);
	session->origin = PYR_ORIGIN_NONE;
	free(session->core_path);
	session->core_path = NULL;
	session->pid = 0;
	if (session->debugger)
		pyr_debugger_source_destroy(session->debugger);
	session->debugger = NULL;
	session->results.count = 0;
}

void pyr_session_destroy(pyr_session *session)
{
	if (!session)
		return;
	forget_origin(session);
	pyr_control_deinit(&session->control);
	pyr_vec_deinit(&session->results);
	free(session->exe);
	free(session->sysroot);
	free(session->debug_dir);
	free(session->tmpdir);
	free(session->help_text);
	free(session);
}

void pyr_session_invalidate(pyr_session *session)
{
	pyr_session_close(session);
}

void pyr_session_interrupt(pyr_session *session)
{
	atomic_store(&session->control.cancelled, true);
}

int pyr_session_use_core(pyr_session *session, const char *path)
{
	char *copy = strdup(path);

	if (!copy)
		return -1;
	forget_origin(session);
	session->core_path = copy;
	session->origin = PYR_ORIGIN_CORE;
	return 0;
}

int pyr_session_use_pid(pyr_session *session, int pid)
{
	forget_origin(session);
	session->pid = pid;
	session->origin = PYR_ORIGIN_PID;
	return 0;
}

static int set_string(char **owned, const char **option, const char *value)
{
	char *copy = NULL;

	if (value && value[0]) {
		copy = strdup(value);
		if (!copy)
			return -1;
	}
	free(*owned);
	*owned = copy;
	*option = copy;
	return 0;
}

/* NULL and "" mean yes: the option was just named. */
static int set_flag(bool *flag, const char *value)
{
	if (!value || !value[0] || !strcmp(value, "1") || !strcmp(value, "yes") ||
	    !strcmp(value, "on") || !strcmp(value, "true"))
		*flag = true;
	else if (!strcmp(value, "0") || !strcmp(value, "no") || !strcmp(value, "off") ||
		 !strcmp(value, "false"))
		*flag = false;
	else
		return -1;
	return 0;
}

int pyr_session_option(pyr_session *session, const char *name, const char *value)
{
	struct pyr_target_options *options = &session->options;
	double seconds;
	char *end;

	if (!strcmp(name, "exe"))
		return set_string(&session->exe, &options->exe, value);
	if (!strcmp(name, "sysroot"))
		return set_string(&session->sysroot, &options->sysroot, value);
	if (!strcmp(name, "debug-dir"))
		return set_string(&session->debug_dir, &options->debug_dir, value);
	if (!strcmp(name, "tmpdir"))
		return set_string(&session->tmpdir, &options->tmpdir, value);
	if (!strcmp(name, "no-stop"))
		return set_flag(&options->no_stop, value);
	if (!strcmp(name, "force"))
		return set_flag(&options->force, value);
	if (!strcmp(name, "max-pause")) {
		seconds = value ? strtod(value, &end) : -1;
		if (!value || end == value || *end || !isfinite(seconds) || seconds < 0)
			return -1;
		options->max_pause = seconds;
		return 0;
	}
	return -1;
}

/* --- a debugger --- */

int pyr_session_use_debugger(pyr_session *session, const struct pyr_debugger *debugger)
{
	struct pyr_debugger_source *source;
	pyr_error *err = pyr_debugger_source_create(debugger, &source);

	if (err) {
		pyr_error_destroy(err);
		return -1;
	}
	forget_origin(session);
	session->debugger = source;
	session->origin = PYR_ORIGIN_DEBUGGER;
	return 0;
}

int pyr_debugger_add_mapping(pyr_session *session, uint64_t start, uint64_t end, const char *flags,
			     uint64_t file_offset, const char *path)
{
	struct pyr_mapping mapping = {.start = start, .end = end, .file_offset = file_offset};
	char *copy = NULL;

	if (!session->debugger || end <= start)
		return -1;
	if (path && path[0]) {
		copy = strdup(path);
		if (!copy)
			return -1;
	}
	mapping.path = copy;
	mapping.read = flags && strchr(flags, 'r');
	mapping.write = flags && strchr(flags, 'w');
	mapping.exec = flags && strchr(flags, 'x');
	mapping.shared = flags && strchr(flags, 's');
	if (!pyr_vec_push(&session->debugger->mappings, mapping)) {
		free(copy);
		return -1;
	}
	return 0;
}

int pyr_debugger_add_thread(pyr_session *session, uint64_t tid, uint64_t tls, uint64_t sp,
			    uint64_t pc, const char *name)
{
	struct pyr_thread thread = {.tid = tid, .tls = tls, .sp = sp, .pc = pc};

	if (!session->debugger)
		return -1;
	if (name)
		strncpy(thread.name, name, sizeof(thread.name) - 1);
	return pyr_vec_push(&session->debugger->threads, thread) ? 0 : -1;
}

int pyr_debugger_set_registers(pyr_session *session, uint64_t tid, const uint64_t *values,
			       size_t count)
{
	struct pyr_thread *thread;
	size_t i;

	for (i = 0; session->debugger && i < session->debugger->threads.count; i++) {
		thread = &session->debugger->threads.data[i];
		if (thread->tid != tid || count > sizeof(thread->regs) / sizeof(*thread->regs))
			continue;
		memcpy(thread->regs, values, count * sizeof(*values));
		thread->nregs = (unsigned)count;
		return 0;
	}
	return -1;
}

int pyr_debugger_name_frames(pyr_session *session,
			     int (*frame_at)(void *ctx, uint64_t tid, uint64_t addr, char *name,
					     size_t size),
			     void *ctx)
{
	if (!session->debugger)
		return -1;
	session->debugger->frames.at = frame_at;
	session->debugger->frames.ctx = ctx;
	return 0;
}

int pyr_debugger_offer_core(pyr_session *session, const char *path)
{
	char *copy;

	if (!session->debugger || !(copy = strdup(path)))
		return -1;
	free(session->debugger->offered_core);
	session->debugger->offered_core = copy;
	return 0;
}

int pyr_debugger_offer_pid(pyr_session *session, int pid)
{
	if (!session->debugger)
		return -1;
	session->debugger->offered_pid = pid;
	return 0;
}

/* --- the layers --- */

/* Close everything when the core file is no longer the one that was opened. */
static void check_core(struct pyr_session *session)
{
	struct stat st;
	int64_t modified;

	if (stat(session->core_path, &st) != 0)
		return; /* removed: what is open is still the old file */
	modified = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	if (session->target && session->core_identity.device == st.st_dev &&
	    session->core_identity.inode == st.st_ino &&
	    session->core_identity.size == st.st_size &&
	    session->core_identity.modified_ns == modified)
		return;
	if (session->target) {
		pyr_session_close(session);
		pyr_control_diagnose(&session->control, "%s has changed and was opened again",
				     session->core_path);
	}
	session->core_identity.device = st.st_dev;
	session->core_identity.inode = st.st_ino;
	session->core_identity.size = st.st_size;
	session->core_identity.modified_ns = modified;
}

pyr_error *pyr_session_target(struct pyr_session *session, struct pyr_target **ret)
{
	pyr_error *err = NULL;

	if (session->origin == PYR_ORIGIN_CORE)
		check_core(session);
	if (!session->target) {
		switch (session->origin) {
		case PYR_ORIGIN_NONE:
			return pyr_error_create(PYR_E_USAGE,
						"nothing to look at: give a core file (-c CORE) or "
						"a process (-p PID)");
		case PYR_ORIGIN_CORE:
			err = pyr_target_open_core(&session->control, session->core_path,
						   &session->options, &session->target);
			break;
		case PYR_ORIGIN_PID:
			err = pyr_target_open_pid(&session->control, session->pid,
						  &session->options, &session->target);
			break;
		case PYR_ORIGIN_DEBUGGER:
			err = pyr_target_open_debugger(&session->control, session->debugger,
						       &session->options, &session->target,
						       &session->route);
			break;
		}
		if (err)
			return err;
	}
	*ret = session->target;
	return NULL;
}

pyr_error *pyr_session_python(struct pyr_session *session, struct pyr_python **ret)
{
	struct pyr_python_options options = {.debug_dir = session->options.debug_dir,
					     .sysroot = session->options.sysroot,
					     .force = session->options.force};
	struct pyr_target *target = NULL;
	pyr_error *err;

	if ((err = pyr_session_target(session, &target)))
		return err;
	if (!session->python) {
		if ((err = pyr_python_open(target, &options, &session->python)))
			return err;
		pyr_threads_name(session->python);
	}
	*ret = session->python;
	return NULL;
}

pyr_error *pyr_session_types(struct pyr_session *session, struct pyr_types **ret)
{
	struct pyr_python *python;
	pyr_error *err;

	if ((err = pyr_session_python(session, &python)))
		return err;
	if (!session->types && (err = pyr_types_create(python, &session->types)))
		return err;
	*ret = session->types;
	return NULL;
}

pyr_error *pyr_session_heap(struct pyr_session *session, struct pyr_heap **ret)
{
	struct pyr_types *types;
	pyr_error *err;

	if ((err = pyr_session_types(session, &types)))
		return err;
	if (!session->heap) {
		forget_tracked(session);
		if ((err = pyr_heap_build(types, &session->control, &session->heap)))
			return err;
	}
	*ret = session->heap;
	return NULL;
}

pyr_error *pyr_session_traverse(struct pyr_session *session, struct pyr_traverse **ret)
{
	struct pyr_heap *heap;
	pyr_error *err;

	if ((err = pyr_session_heap(session, &heap)))
		return err;
	if (!session->model && !session->traverse &&
	    (err = pyr_traverse_create(heap->types, &session->traverse)))
		return err;
	*ret = session->model ? session->model->traverse : session->traverse;
	return NULL;
}

pyr_error *pyr_session_model(struct pyr_session *session, struct pyr_model **ret)
{
	struct pyr_heap *heap;
	pyr_error *err;

	if ((err = pyr_session_heap(session, &heap)))
		return err;
	if (!session->model && (err = pyr_model_build(heap, &session->control, &session->model)))
		return err;
	*ret = session->model;
	return NULL;
}

/* Guesses are bounded by what all objects are known to hold: then the model of all is needed. */
static pyr_error *build_tracked(struct pyr_session *session, struct pyr_types *types)
{
	pyr_error *err;

	if ((err = pyr_heap_build_tracked(types, &session->control, &session->tracked_heap)) ||
	    !session->tracked_heap)
		return err;
	err = pyr_model_build(session->tracked_heap, &session->control, &session->tracked_model);
	if (err || session->tracked_model->inferred)
		forget_tracked(session);
	return err;
}

pyr_error *pyr_session_collector_model(struct pyr_session *session, struct pyr_model **ret)
{
	struct pyr_types *types;
	pyr_error *err;

	/* Closes all when the core file is another one by now. */
	if ((err = pyr_session_types(session, &types)))
		return err;
	if (!session->heap && !session->tracked_model && (err = build_tracked(session, types)))
		return err;
	if (!session->tracked_model)
		return pyr_session_model(session, ret);
	*ret = session->tracked_model;
	return NULL;
}

pyr_error *pyr_session_roots(struct pyr_session *session, struct pyr_roots **ret)
{
	struct pyr_model *model;
	pyr_error *err;

	if ((err = pyr_session_model(session, &model)))
		return err;
	if (!session->roots && (err = pyr_roots_find(model, &session->control, &session->roots)))
		return err;
	*ret = session->roots;
	return NULL;
}

pyr_error *pyr_session_unreachable(struct pyr_session *session, const uint8_t **ret)
{
	struct pyr_model *model;
	pyr_error *err;

	if ((err = pyr_session_model(session, &model)))
		return err;
	if (!session->unreachable &&
	    (err = pyr_garbage_mark(model, &session->control, &session->unreachable)))
		return err;
	*ret = session->unreachable;
	return NULL;
}

pyr_error *pyr_session_ledger(struct pyr_session *session, struct pyr_ledger **ret)
{
	struct pyr_roots *roots;
	pyr_error *err;

	if ((err = pyr_session_roots(session, &roots)))
		return err;
	if (!session->ledger &&
	    (err = pyr_ledger_build(session->model, roots, &session->control, &session->ledger)))
		return err;
	*ret = session->ledger;
	return NULL;
}

/* --- results --- */

void pyr_session_result(struct pyr_session *session, pyr_addr addr)
{
	/* without memory $pyrN lacks the rest: nothing else is lost */
	(void)pyr_vec_push(&session->results, addr);
}

size_t pyr_result_count(const pyr_session *session)
{
	return session->results.count;
}

uint64_t pyr_result_address(const pyr_session *session, size_t index)
{
	return index < session->results.count ? session->results.data[index] : 0;
}
