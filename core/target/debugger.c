/* A target seen through a debugger: the offered core file or process when it is
 * proven to show the same bytes, else every read goes through the callback. */
#define _GNU_SOURCE
#include "target/debugger.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/image.h"
#include "target/reader.h"

#define RANDOM_SIZE 16
#define SAMPLE_WORDS 64u /* that must agree before a faster route is believed in */
#define SAMPLE_THREADS 16u

/* --- what the front-end told --- */

static char *copy_string(const char *text)
{
	return text ? strdup(text) : NULL;
}

pyr_error *pyr_debugger_source_create(const struct pyr_debugger *facts,
				      struct pyr_debugger_source **ret)
{
	struct pyr_debugger_source *s = calloc(1, sizeof(*s));

	if (!s)
		return pyr_error_no_memory();
	s->facts = *facts;
	s->description = copy_string(facts->description);
	s->machine = copy_string(facts->machine);
	s->exe = copy_string(facts->exe);
	if (facts->auxv && facts->auxv_size) {
		s->auxv = malloc(facts->auxv_size);
		if (s->auxv)
			memcpy(s->auxv, facts->auxv, facts->auxv_size);
	}
	if ((facts->description && !s->description) || (facts->machine && !s->machine) ||
	    (facts->exe && !s->exe) || (facts->auxv && facts->auxv_size && !s->auxv)) {
		pyr_debugger_source_destroy(s);
		return pyr_error_no_memory();
	}
	s->facts.description = s->description;
	s->facts.machine = s->machine;
	s->facts.exe = s->exe;
	s->facts.auxv = s->auxv;
	*ret = s;
	return NULL;
}

void pyr_debugger_source_destroy(struct pyr_debugger_source *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->mappings.count; i++)
		free((char *)(uintptr_t)s->mappings.data[i].path);
	pyr_vec_deinit(&s->mappings);
	pyr_vec_deinit(&s->threads);
	free(s->description);
	free(s->machine);
	free(s->exe);
	free(s->auxv);
	free(s->offered_core);
	free(s);
}

/* --- the callback --- */

static pyr_error *read_through(const struct pyr_debugger *facts, pyr_addr addr, void *buf,
			       size_t len)
{
	switch (facts->read(facts->ctx, addr, buf, len)) {
	case 0:
		return NULL;
	case 2:
		return pyr_error_create(PYR_E_INTERRUPTED, "interrupted");
	case 3:
		return pyr_error_create(PYR_E_TARGET_GONE, "the debugger's process is gone");
	default:
		return pyr_error_create_at(PYR_E_UNREADABLE, addr,
					   "the debugger cannot read %zu bytes at 0x%llx", len,
					   (unsigned long long)addr);
	}
}

static pyr_error *callback_read(struct pyr_target *target, pyr_addr addr, void *buf, size_t len)
{
	return read_through(target->state, addr, buf, len);
}

static const struct pyr_target_ops callback_ops = {.read = callback_read};

static pyr_error *tell_facts(struct pyr_target *target, const struct pyr_debugger_source *s)
{
	size_t i;
	uint64_t word;
	pyr_error *err;

	target->pid = s->facts.pid;
	for (i = 0; i < s->mappings.count; i++)
		if ((err = pyr_target_add_mapping(target, &s->mappings.data[i])))
			return err;
	for (i = 0; i < s->threads.count; i++)
		if (!pyr_vec_push(&target->threads, s->threads.data[i]))
			return pyr_error_no_memory();
	for (i = 0; i + 8 <= s->facts.auxv_size; i += 8) {
		memcpy(&word, s->facts.auxv + i, 8);
		if (!pyr_vec_push(&target->auxv, word))
			return pyr_error_no_memory();
	}
	if (s->exe && !(target->exe = strdup(s->exe)))
		return pyr_error_no_memory();
	return NULL;
}

static pyr_error *open_callback(struct pyr_control *control, const struct pyr_debugger_source *s,
				const struct pyr_target_options *options, struct pyr_target **ret)
{
	struct pyr_target *target;
	pyr_error *err;

	if (s->machine && strcmp(s->machine, "x86_64") && strcmp(s->machine, "aarch64"))
		return pyr_error_create(
			PYR_E_UNSUPPORTED_BUILD,
			"the debugger shows a program for %s; pyretain reads x86_64 and "
			"aarch64",
			s->machine);
	if ((err = pyr_target_create(control, PYR_TARGET_DEBUGGER, &callback_ops,
				     (void *)(uintptr_t)&s->facts, &target)))
		return err;
	target->machine = s->machine && !strcmp(s->machine, "aarch64") ? PYR_MACHINE_AARCH64
								       : PYR_MACHINE_X86_64;
	target->description = strdup(s->description ? s->description : "a debugger's target");
	if (!target->description)
		err = pyr_error_no_memory();
	if (err || (err = tell_facts(target, s)) ||
	    (err = pyr_target_find_images(target, options))) {
		pyr_target_destroy(target);
		return err;
	}
	*ret = target;
	return NULL;
}

/* --- the faster routes --- */

/* @len bytes at @addr through both routes. Bytes that only one of them can read
 * say nothing: *compared stays. */
static pyr_error *compare(const struct pyr_debugger_source *s, struct pyr_reader *reader,
			  pyr_addr addr, size_t len, size_t *compared, bool *differ)
{
	uint8_t ours[512], theirs[512];
	pyr_error *err;

	if (len > sizeof(ours))
		len = sizeof(ours);
	if ((err = pyr_read(reader, addr, ours, len))) {
		pyr_error_destroy(err);
		return NULL;
	}
	if ((err = read_through(&s->facts, addr, theirs, len))) {
		if (err->code != PYR_E_UNREADABLE)
			return err;
		pyr_error_destroy(err);
		return NULL;
	}
	*compared += len;
	*differ = *differ || memcmp(ours, theirs, len) != 0;
	return NULL;
}

/* Is @target what the debugger shows? The random bytes that the kernel gave the
 * process, then words of its threads' stacks. @why: static, when it is not. */
static pyr_error *prove(const struct pyr_debugger_source *s, struct pyr_target *target,
			bool *proven, const char **why)
{
	const struct pyr_thread *threads =
		s->threads.count ? s->threads.data : target->threads.data;
	size_t count = s->threads.count ? s->threads.count : target->threads.count, compared = 0, i;
	struct pyr_reader reader;
	uint64_t random;
	bool differ = false;
	pyr_error *err = NULL;

	*proven = false;
	pyr_reader_init(&reader, target);
	if (!pyr_target_auxv(target, AT_RANDOM, &random)) {
		*why = "its auxiliary vector is not known";
		goto out;
	}
	if ((err = compare(s, &reader, random, RANDOM_SIZE, &compared, &differ)))
		goto out;
	if (differ || compared < RANDOM_SIZE) {
		*why = "its AT_RANDOM bytes are not those that the debugger reads";
		goto out;
	}
	for (i = 0, compared = 0; i < count && i < SAMPLE_THREADS && !differ; i++)
		if ((err = compare(s, &reader, threads[i].sp, SAMPLE_WORDS * 8, &compared,
				   &differ)))
			goto out;
	*proven = !differ && compared >= SAMPLE_WORDS * 8;
	*why = differ ? "its stacks are not those that the debugger reads"
		      : "its stacks could not be compared";
out:
	pyr_reader_deinit(&reader);
	return err;
}

/* The debugger knows the registers of a process that it stopped. */
static pyr_error *use_threads(struct pyr_target *target, const struct pyr_debugger_source *s)
{
	size_t i;

	if (!s->threads.count)
		return NULL;
	target->threads.count = 0;
	for (i = 0; i < s->threads.count; i++)
		if (!pyr_vec_push(&target->threads, s->threads.data[i]))
			return pyr_error_no_memory();
	return NULL;
}

/* Whether a route that was tried and failed ends the command. */
static bool is_fatal(const pyr_error *err)
{
	return err->code == PYR_E_INTERRUPTED || err->code == PYR_E_NO_MEMORY;
}

#define CODE_MAX (256u << 20) /* of a program whose file is not here */

/* Code for which there is no file, as the debugger shows it: without the
 * breakpoints that it may have left in memory. */
static pyr_error *read_code(struct pyr_target *target, const struct pyr_debugger_source *s)
{
	size_t i, size, done, part;
	pyr_error *err = NULL;
	uint8_t *bytes;

	for (i = 0; i < target->mappings.count && !err; i++) {
		const struct pyr_mapping *m = &target->mappings.data[i];
		const struct pyr_image *image = pyr_target_image_at(target, m->start);

		size = m->end - m->start;
		if (!m->exec || !m->path || *m->path != '/' || (image && image->file) ||
		    size > CODE_MAX)
			continue;
		bytes = malloc(size);
		if (!bytes || !pyr_vec_push(&target->strings, (char *)bytes)) {
			free(bytes);
			return pyr_error_no_memory();
		}
		for (done = 0; done < size && !err; done += part) {
			part = size - done < 65536 ? size - done : 65536;
			err = read_through(&s->facts, m->start + done, bytes + done, part);
			if (err && err->code == PYR_E_UNREADABLE) {
				pyr_error_destroy(err);
				err = NULL;
				continue;
			}
			if (!err)
				err = pyr_target_add_segment(target, m->start + done,
							     m->start + done + part, bytes + done,
							     0);
		}
	}
	return err ? err : pyr_target_finish(target);
}

/* The process, without touching it: the debugger has stopped it. */
static pyr_error *open_stopped(struct pyr_control *control, const struct pyr_debugger_source *s,
			       const struct pyr_target_options *options, struct pyr_target **ret)
{
	struct pyr_target_options held = *options;
	pyr_error *err;

	held.held = true;
	if ((err = pyr_target_open_pid(control, s->offered_pid, &held, ret)))
		return err;
	free((*ret)->description);
	(*ret)->description = strdup(s->description ? s->description : "a debugger's process");
	if (!(*ret)->description)
		return pyr_error_no_memory();
	return use_threads(*ret, s);
}

static pyr_error *open_offered(struct pyr_control *control, const struct pyr_debugger_source *s,
			       const struct pyr_target_options *options, struct pyr_target **ret,
			       char **why)
{
	const char *reason = NULL;
	struct pyr_target *target = NULL;
	bool proven = false;
	pyr_error *err;
	int length;

	err = s->offered_core ? pyr_target_open_core(control, s->offered_core, options, &target)
			      : open_stopped(control, s, options, &target);
	if (!err)
		err = prove(s, target, &proven, &reason);
	if (!err && proven && !s->offered_core)
		err = read_code(target, s);
	if (err && is_fatal(err)) {
		pyr_target_destroy(target);
		return err;
	}
	if (!err && proven)
		length = asprintf(why, "read directly from %s",
				  s->offered_core ? "the core file" : "the process's memory");
	else
		length = asprintf(why, "read through the debugger: %s was not used: %s",
				  s->offered_core ? "the core file" : "the process's memory",
				  err ? err->message : reason);
	if (length < 0)
		*why = NULL;
	if (err || !proven) {
		pyr_error_destroy(err);
		pyr_target_destroy(target);
		return NULL;
	}
	*ret = target;
	return NULL;
}

pyr_error *pyr_target_open_debugger(struct pyr_control *control,
				    const struct pyr_debugger_source *s,
				    const struct pyr_target_options *options,
				    struct pyr_target **ret, char **why)
{
	struct pyr_target_options named = *options;
	struct pyr_target *target = NULL;
	pyr_error *err;

	*why = NULL;
	if (!named.exe)
		named.exe = s->exe;
	if ((s->offered_core || s->offered_pid > 0) &&
	    (err = open_offered(control, s, &named, &target, why)))
		return err;
	if (!target && (err = open_callback(control, s, &named, &target))) {
		free(*why);
		*why = NULL;
		return err;
	}
	if (!*why)
		*why = strdup("read through the debugger");
	target->frames = s->frames;
	*ret = target;
	return NULL;
}
