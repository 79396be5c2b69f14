/* A live process: copied while it runs, then stopped for as long as it takes to
 * compare, and analysed from the copy. Without room for a copy it is stopped
 * and read in place, for a bounded time. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/headroom.h"
#include "target/image.h"
#include "target/live.h"
#include "target/live_copy.h"
#include "target/procfs.h"
#include "target/residency.h"
#include "target/stopper.h"

#define DEFAULT_MAX_PAUSE 5.0
#define GIB (1024.0 * 1024 * 1024)
#define MIB (1024.0 * 1024)

struct live {
	struct pyr_process process;
	struct pyr_copy *copy;       /* NULL: in place */
	struct pyr_stopper *stopper; /* in place */
	char *root;
	double max_pause;
};

static void live_destroy_state(struct live *live)
{
	pyr_stopper_destroy(live->stopper); /* first of all, it runs again */
	pyr_copy_destroy(live->copy);
	pyr_process_close(&live->process);
	free(live->root);
	free(live);
}

static void live_destroy(struct pyr_target *target)
{
	live_destroy_state(target->state);
}

static pyr_error *read_in_place(struct pyr_target *target, pyr_addr addr, void *buf, size_t len)
{
	struct live *live = target->state;
	pyr_error *err = pyr_process_read_at(&live->process, addr, buf, len);

	if (live->stopper && !pyr_stopper_holds(live->stopper)) {
		pyr_error_destroy(err);
		return pyr_error_create(
			PYR_E_TARGET_GONE,
			"the pause limit of %g s was reached, so process %d runs again "
			"and could not be read to the end; --max-pause allows more, "
			"--tmpdir names a disk with room for a copy",
			live->max_pause, (int)live->process.pid);
	}
	return err;
}

static const struct pyr_target_ops copied_ops = {.destroy = live_destroy};
static const struct pyr_target_ops in_place_ops = {.read = read_in_place, .destroy = live_destroy};

static void format_bytes(char *buf, size_t size, uint64_t bytes)
{
	if ((double)bytes >= GIB)
		snprintf(buf, size, "%.1f GiB", (double)bytes / GIB);
	else
		snprintf(buf, size, "%.1f MiB", (double)bytes / MIB);
}

/* The target must not be killed by our appetite. */
static pyr_error *check_appetite(const struct live *live, const struct pyr_headroom *room,
				 uint64_t resident, enum pyr_copy_place place, bool force)
{
	uint64_t need = pyr_analysis_estimate(resident);
	char left[32], wanted[32];

	if (place == PYR_COPY_IN_MEMORY)
		need += resident;
	if (force || room->shared >= need)
		return NULL;
	format_bytes(left, sizeof(left), room->shared);
	format_bytes(wanted, sizeof(wanted), need);
	return pyr_error_create(
		PYR_E_NO_SPACE,
		"process %d shares the memory limit of control group %s with pyretain: "
		"%s are left and the analysis may take %s, which could get it killed; "
		"run pyretain outside of that group, or use --force",
		(int)live->process.pid, room->group ? room->group : "/", left, wanted);
}

pyr_error *pyr_live_describe(struct pyr_target *target, const struct pyr_process *process)
{
	const uint64_t *words;
	pyr_error *err;
	char *auxv;
	size_t size, i;

	target->pid = process->pid;
	target->machine = process->machine;
	target->page_size = process->page_size;
	target->exe = pyr_process_link(process, "exe");
	if (target->exe && strlen(target->exe) > 10 &&
	    !strcmp(target->exe + strlen(target->exe) - 10, " (deleted)"))
		target->exe[strlen(target->exe) - 10] = '\0';
	target->command_name = strdup(process->name);
	if ((err = pyr_process_file(process, "auxv", &auxv, &size)))
		return err;
	words = (const uint64_t *)auxv;
	for (i = 0; i + 1 < size / 8; i += 2) {
		if (!pyr_vec_push(&target->auxv, words[i]) ||
		    !pyr_vec_push(&target->auxv, words[i + 1])) {
			free(auxv);
			return pyr_error_no_memory();
		}
		if (!words[i])
			break;
	}
	free(auxv);
	return NULL;
}

pyr_error *pyr_live_add_mappings(struct pyr_target *target, const struct pyr_vma_list *vmas)
{
	pyr_error *err;
	size_t i;

	for (i = 0; i < vmas->v.count; i++)
		if ((err = pyr_target_add_mapping(target, &vmas->v.data[i].mapping)))
			return err;
	return NULL;
}

/* Threads of a process that runs: names, and where the sleeping ones sleep. */
static pyr_error *add_running_threads(struct pyr_target *target, const struct pyr_process *process)
{
	size_t count, i;
	pid_t *tids;
	pyr_error *err;

	if ((err = pyr_process_tids(process, &tids, &count)))
		return err;
	for (i = 0; i < count && !err; i++) {
		struct pyr_thread thread = {.tid = (uint64_t)tids[i]};

		pyr_process_thread_blocked_at(process, tids[i], &thread.sp, &thread.pc);
		pyr_process_thread_name(process, tids[i], thread.name);
		if (!pyr_vec_push(&target->threads, thread))
			err = pyr_error_no_memory();
	}
	free(tids);
	return err;
}

static pyr_error *add_stopped_threads(struct pyr_target *target, const struct pyr_stopper *stopper)
{
	const struct pyr_thread *threads;
	size_t count, i;

	threads = pyr_stopper_threads(stopper, &count);
	for (i = 0; i < count; i++)
		if (!pyr_vec_push(&target->threads, threads[i]))
			return pyr_error_no_memory();
	return NULL;
}

static bool still_stopped(void *ctx)
{
	return pyr_stopper_holds(ctx);
}

pyr_error *pyr_live_look(const struct pyr_process *process, const char *root, bool code,
			 struct pyr_live_view *ret)
{
	struct pyr_live_view view = {.vmas.text = NULL};
	pyr_error *err;

	if ((err = pyr_process_maps(process, &view.vmas)))
		return err;
	if ((err = pyr_copy_plan_make(process, &view.vmas, root, code, &view.plan))) {
		pyr_vma_list_deinit(&view.vmas);
		return err;
	}
	*ret = view;
	return NULL;
}

void pyr_live_view_deinit(struct pyr_live_view *view)
{
	pyr_copy_plan_deinit(&view->plan);
	pyr_vma_list_deinit(&view->vmas);
}

/* What is in memory now, before our reading changes it. */
static pyr_error *note_residency(struct pyr_target *target, const struct live *live,
				 const struct pyr_vma_list *vmas)
{
	struct pyr_residency *r = calloc(1, sizeof(*r));
	pyr_error *err = r ? pyr_residency_read(&live->process, vmas, r) : pyr_error_no_memory();

	if (err) {
		free(r);
		return err;
	}
	target->residency = r;
	return NULL;
}

static void tell_refused(struct pyr_target *target, const struct pyr_copy_result *result)
{
	char text[32];

	if (!result->refused)
		return;
	format_bytes(text, sizeof(text), result->refused);
	pyr_target_mark_incomplete(target, "the kernel could not read %s of the process", text);
}

/* The second pass, under the stop. Silent: a progress line that blocks on a
 * terminal must not keep the process stopped. */
static pyr_error *compare_stopped(struct pyr_target *target, struct live *live,
				  struct pyr_live_view *view)
{
	struct pyr_copy_pass pass = {.phase = NULL, .counts = still_stopped};
	struct pyr_copy_result result = {0};
	struct pyr_live_view now;
	struct pyr_stopper *stopper;
	char text[32];
	pyr_error *err;

	if ((err = pyr_stopper_stop(target->control, &live->process, live->max_pause, &stopper)))
		return err;
	pass.ctx = stopper;
	if (!(err = pyr_live_look(&live->process, live->root, true, &now))) {
		pyr_live_view_deinit(view);
		*view = now;
		err = note_residency(target, live, &view->vmas);
		if (!err)
			err = pyr_copy_run(live->copy, &view->plan, &pass, &result);
	}
	target->pause_ns = pyr_stopper_release(stopper);
	if (!err)
		err = add_stopped_threads(target, stopper);
	pyr_stopper_destroy(stopper);
	if (err)
		return err;
	tell_refused(target, &result);
	if (result.unread) {
		format_bytes(text, sizeof(text), result.unread);
		target->inconsistent = true;
		pyr_target_mark_incomplete(
			target,
			"the pause limit of %g s was reached with %s not compared: "
			"those may not fit together with the rest",
			live->max_pause, text);
	}
	return NULL;
}

/* What is read without a stop of ours fits together only if somebody else keeps
 * the process stopped. */
static pyr_error *read_once(struct pyr_target *target, struct live *live,
			    const struct pyr_target_options *options)
{
	if (!options->held) {
		target->inconsistent = true;
		pyr_target_mark_incomplete(target, "read while the process ran (--no-stop): values "
						   "may not fit together");
	}
	return add_running_threads(target, &live->process);
}

static pyr_error *open_copied(struct pyr_target *target, struct live *live,
			      struct pyr_live_view *view, enum pyr_copy_place place,
			      const struct pyr_target_options *options)
{
	struct pyr_copy_pass pass = {.phase = "copying the process"};
	const char *dir = pyr_copy_directory(options->tmpdir);
	struct pyr_copy_result result = {0};
	pyr_error *err;
	int length;

	if (options->no_stop || options->held) /* there is no other instant */
		if ((err = note_residency(target, live, &view->vmas)))
			return err;
	if ((err = pyr_copy_create(target->control, &live->process, place, dir, &live->copy)) ||
	    (err = pyr_copy_run(live->copy, &view->plan, &pass, &result)))
		return err;
	if (options->no_stop || options->held) {
		tell_refused(target, &result);
		err = read_once(target, live, options);
	} else {
		err = compare_stopped(target, live, view);
	}
	if (err || (err = pyr_process_check(&live->process)) ||
	    (err = pyr_copy_add_segments(live->copy, &view->plan, target)))
		return err;
	length = asprintf(&target->description, "process %d (%s), copied%s", (int)live->process.pid,
			  live->process.name, target->inconsistent ? " while it ran" : "");
	if (length < 0) {
		target->description = NULL;
		return pyr_error_no_memory();
	}
	return NULL;
}

static pyr_error *open_in_place(struct pyr_target *target, struct live *live,
				struct pyr_live_view *view,
				const struct pyr_target_options *options)
{
	pyr_error *err;
	char size[32];
	int length;

	format_bytes(size, sizeof(size), view->plan.bytes);
	if (options->no_stop || options->held) {
		err = read_once(target, live, options);
	} else {
		if ((err = pyr_stopper_stop(target->control, &live->process, live->max_pause,
					    &live->stopper)))
			return err;
		target->stopped = true;
		pyr_vma_list_deinit(&view->vmas);
		if (!(err = pyr_process_maps(&live->process, &view->vmas)))
			err = add_stopped_threads(target, live->stopper);
	}
	if (err || (err = note_residency(target, live, &view->vmas)))
		return err;
	length = asprintf(
		&target->description,
		target->inconsistent
			? "process %d (%s), read in place while it runs: no room for a copy "
			  "of %s in memory or in %s"
			: "process %d (%s), stopped and read in place: no room for a copy "
			  "of %s in memory or in %s",
		(int)live->process.pid, live->process.name, size,
		pyr_copy_directory(options->tmpdir));
	if (length < 0) {
		target->description = NULL;
		return pyr_error_no_memory();
	}
	return NULL;
}

static pyr_error *open_at(struct pyr_control *control, struct live *live,
			  struct pyr_live_view *view, const struct pyr_target_options *options,
			  struct pyr_target **ret)
{
	struct pyr_target_options with_root = *options;
	struct pyr_headroom room;
	struct pyr_target *target;
	enum pyr_copy_place place;
	pyr_error *err;

	pyr_headroom_measure(&live->process, &room);
	place = pyr_copy_place(view->plan.bytes, room.memory,
			       pyr_disk_room(pyr_copy_directory(options->tmpdir)));
	err = check_appetite(live, &room, view->plan.bytes, place, options->force);
	pyr_headroom_deinit(&room);
	if (err || (err = pyr_target_create(control, PYR_TARGET_LIVE,
					    place == PYR_COPY_NOWHERE ? &in_place_ops : &copied_ops,
					    live, &target))) {
		live_destroy_state(live);
		return err;
	}
	if ((err = pyr_live_describe(target, &live->process)))
		goto fail;
	if (place == PYR_COPY_NOWHERE)
		err = open_in_place(target, live, view, options);
	else
		err = open_copied(target, live, view, place, options);
	/* Files are found where the process sees them, also from another container. */
	if (!with_root.sysroot)
		with_root.sysroot = live->root;
	if (err || (err = pyr_live_add_mappings(target, &view->vmas)) ||
	    (err = pyr_target_find_images(target, &with_root)))
		goto fail;
	*ret = target;
	return NULL;
fail:
	pyr_target_destroy(target);
	return err;
}

pyr_error *pyr_target_open_pid(struct pyr_control *control, pid_t pid,
			       const struct pyr_target_options *options, struct pyr_target **ret)
{
	struct live *live = calloc(1, sizeof(*live));
	struct pyr_live_view view;
	pyr_error *err;

	if (!live)
		return pyr_error_no_memory();
	live->max_pause = options->max_pause > 0 ? options->max_pause : DEFAULT_MAX_PAUSE;
	if ((err = pyr_process_open(pid, &live->process))) {
		free(live);
		return err;
	}
	live->root = pyr_process_root(&live->process);
	/* Said before the long copy, not after it. */
	if (!options->no_stop && !options->held && live->process.tracer)
		err = pyr_stopper_traced(&live->process, live->process.tracer);
	if (err || (err = pyr_live_look(&live->process, live->root, !options->held, &view))) {
		live_destroy_state(live);
		return err;
	}
	err = open_at(control, live, &view, options, ret);
	pyr_live_view_deinit(&view);
	return err;
}
