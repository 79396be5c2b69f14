#include "runtime/python.h"

#include <stdlib.h>

#include "base/strbuf.h"
#include "runtime/find.h"
#include "runtime/identify.h"
#include "runtime/interpreters.h"
#include "runtime/raw.h"

void pyr_python_destroy(struct pyr_python *python)
{
	size_t i;

	if (!python)
		return;
	for (i = 0; i < python->threads.count; i++)
		free(python->threads.data[i].name);
	pyr_vec_deinit(&python->threads);
	pyr_vec_deinit(&python->interpreters);
	pyr_reader_deinit(&python->reader);
	free(python->version_text);
	free(python->malloc_name);
	free(python);
}

pyr_error *pyr_python_field(struct pyr_python *python, struct pyr_reader *reader, pyr_addr base,
			    enum pyr_field field, uint64_t *ret)
{
	struct pyr_raw raw = {&python->layout, reader};
	pyr_error *err;

	if (!pyr_layout_has(&python->layout, field))
		return pyr_error_create_at(PYR_E_UNKNOWN_LAYOUT, base, "CPython %s has no %s",
					   python->version, pyr_layout_field_name(field));
	if (pyr_raw_field(raw, base, field, ret))
		return NULL;
	err = pyr_reader_check(reader);
	return err ? err
		   : pyr_error_create_at(PYR_E_UNREADABLE, base,
					 "%s at 0x%llx is not in the target",
					 pyr_layout_field_name(field), (unsigned long long)base);
}

/* Everything about the CPython that @candidate may be. */
static pyr_error *open_candidate(struct pyr_target *target, const struct pyr_candidate *candidate,
				 const struct pyr_python_options *options, struct pyr_python **ret)
{
	struct pyr_python *python = calloc(1, sizeof(*python));
	pyr_error *err;

	if (!python)
		return pyr_error_no_memory();
	python->target = target;
	python->image = candidate->image;
	python->generations = candidate->generations;
	python->found_by = candidate->found_by;
	pyr_reader_init(&python->reader, target);
	if ((err = pyr_identify(python, candidate, options)))
		goto fail;
	python->runtime = pyr_candidate_runtime(candidate, &python->layout);
	if ((err = pyr_python_fill_interpreters(python, candidate)) ||
	    (err = pyr_python_fill_threads(python)))
		goto fail;
	if (!python->runtime && python->interpreters.count) {
		struct pyr_raw raw = {&python->layout, &python->reader};

		python->runtime = pyr_raw_get(raw, python->interpreters.data[0].address,
					      PYR_FIELD(PyInterpreterState, runtime));
	}
	if (pyr_is(&python->layout, gc_location, STATIC) && !python->generations &&
	    (err = pyr_find_generations(target, &python->reader, &python->layout,
					&python->generations)))
		goto fail;
	if (!python->image && python->generations)
		python->image = pyr_target_image_at(target, python->generations);
	if (python->runtime) {
		struct pyr_raw raw = {&python->layout, &python->reader};

		python->runtime_finalizing =
			pyr_raw_get(raw, python->runtime, PYR_FIELD(_PyRuntimeState, finalizing));
	}
	pyr_python_fill_known(python);
	pyr_python_fill_allocator(python);
	if ((err = pyr_reader_check(&python->reader)))
		goto fail;
	*ret = python;
	return NULL;
fail:
	pyr_python_destroy(python);
	return err;
}

/* How alive an interpreter is: threads that run, then modules. */
static unsigned life(const struct pyr_python *python)
{
	unsigned score = 0;
	size_t i;

	for (i = 0; i < python->threads.count; i++)
		score += python->threads.data[i].os_thread >= 0 ? 16 : 1;
	for (i = 0; i < python->interpreters.count; i++)
		score += python->interpreters.data[i].modules ? 4 : 0;
	return score;
}

static const char *where(const struct pyr_python *python)
{
	return python->image && python->image->path ? python->image->path : "an unknown file";
}

/* Two CPythons in a process (an embedded one and a tool's): the livelier one is
 * told about, the other is mentioned. */
static void keep_better(struct pyr_target *target, struct pyr_python **best,
			struct pyr_python *other)
{
	struct pyr_python *swap;

	if (!*best) {
		*best = other;
		return;
	}
	if (life(other) > life(*best)) {
		swap = *best;
		*best = other;
		other = swap;
	}
	pyr_control_diagnose(target->control,
			     "another CPython %s in %s, with %zu threads, is left out",
			     other->version, where(other), other->threads.count);
	pyr_python_destroy(other);
}

static bool fatal(const pyr_error *err)
{
	return err->code == PYR_E_INTERRUPTED || err->code == PYR_E_TARGET_GONE ||
	       err->code == PYR_E_NO_MEMORY || err->code == PYR_E_NO_PERMISSION;
}

/* How much an error tells: a build that is known and not read says more than
 * nothing that was found. */
static unsigned weight(const pyr_error *err)
{
	return err->code == PYR_E_UNSUPPORTED_BUILD ? 4
	       : err->code == PYR_E_UNKNOWN_LAYOUT  ? 3
	       : err->code == PYR_E_UNREADABLE      ? 2
						    : 1;
}

struct ladder {
	struct pyr_target *target;
	struct pyr_reader reader;
	const struct pyr_python_options *options;
	struct pyr_python *best;
	struct pyr_candidates candidates; /* of the rung */
	pyr_error *why;                   /* the error that tells most so far */
};

static pyr_error *climb(struct ladder *ladder,
			pyr_error *(*find)(struct pyr_target *, struct pyr_reader *,
					   struct pyr_candidates *))
{
	struct pyr_candidates *candidates = &ladder->candidates;
	struct pyr_python *python = NULL;
	pyr_error *err;
	size_t i;

	err = find(ladder->target, &ladder->reader, candidates);
	for (i = 0; !err && i < candidates->list.count; i++) {
		err = open_candidate(ladder->target, &candidates->list.data[i], ladder->options,
				     &python);
		if (!err) {
			keep_better(ladder->target, &ladder->best, python);
			continue;
		}
		if (fatal(err))
			break;
		if (!ladder->why || weight(err) > weight(ladder->why)) {
			pyr_error_destroy(ladder->why);
			ladder->why = err;
		} else {
			pyr_error_destroy(err);
		}
		err = NULL;
	}
	pyr_vec_deinit(&candidates->list);
	return err;
}

static pyr_error *no_python(struct ladder *ladder, pyr_addr type, uint64_t basicsize)
{
	const char *other = pyr_find_other_python(ladder->target);
	struct pyr_strbuf tried = {0};
	pyr_error *err;

	if (other)
		return pyr_error_create(PYR_E_NOT_PYTHON,
					"this is %s, not CPython: pyretain reads the memory of "
					"CPython alone",
					other);
	pyr_strbuf_printf(
		&tried,
		"looked for the symbol _PyRuntime and the section .PyRuntime in %zu mapped "
		"files, for the cookie of _Py_DebugOffsets, for a runtime and for thread "
		"states of every known version in writable memory",
		ladder->target->image_count);
	if (type)
		err = pyr_error_create_at(
			PYR_E_UNKNOWN_LAYOUT, type,
			"CPython's `type` is at 0x%llx (tp_basicsize %llu), but no interpreter was "
			"found: %s",
			(unsigned long long)type, (unsigned long long)basicsize,
			pyr_strbuf_str(&tried));
	else if (ladder->target->incomplete.count)
		err = pyr_error_create(
			PYR_E_UNREADABLE,
			"no CPython was found in what is left of an incomplete target "
			"(%s): %s",
			ladder->target->incomplete.data[0], pyr_strbuf_str(&tried));
	else if (pyr_find_python_name(ladder->target))
		err = pyr_error_create(
			PYR_E_NOT_PYTHON,
			"files named python are mapped, but no CPython was found: %s",
			pyr_strbuf_str(&tried));
	else
		err = pyr_error_create(PYR_E_NOT_PYTHON, "the target holds no CPython: %s",
				       pyr_strbuf_str(&tried));
	pyr_strbuf_deinit(&tried);
	return err;
}

pyr_error *pyr_python_open(struct pyr_target *target, const struct pyr_python_options *options,
			   struct pyr_python **ret)
{
	struct ladder ladder = {.target = target, .options = options};
	uint64_t basicsize = 0;
	pyr_addr type = 0;
	pyr_error *err;

	pyr_reader_init(&ladder.reader, target);
	err = climb(&ladder, pyr_find_by_symbol);
	if (!err && !ladder.best && !(ladder.why && weight(ladder.why) == 4))
		err = climb(&ladder, pyr_find_by_cookie);
	if (!err && !ladder.best && !(ladder.why && weight(ladder.why) > 2))
		err = climb(&ladder, pyr_find_by_runtime_scan);
	if (!err && !ladder.best)
		err = pyr_find_type_of_type(target, &ladder.reader, &type, &basicsize);
	/* All of writable memory is looked at only where there is some CPython. */
	if (!err && !ladder.best && !(ladder.why && weight(ladder.why) > 2) &&
	    (type || pyr_find_python_name(target)))
		err = climb(&ladder, pyr_find_by_thread_scan);
	pyr_reader_deinit(&ladder.reader);
	if (!err && !ladder.best) {
		if (ladder.why) {
			err = ladder.why;
			ladder.why = NULL;
		} else {
			err = no_python(&ladder, type, basicsize);
		}
	}
	pyr_error_destroy(ladder.why);
	if (err) {
		pyr_python_destroy(ladder.best);
		return err;
	}
	*ret = ladder.best;
	return NULL;
}
