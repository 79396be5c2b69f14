#include "runtime/identify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/raw.h"

#define DEBUG_OFFSETS_MAX 2048
#define VERSIONS_MAX 256
#define CHAIN_MAX 10000

/* What the target tells before any layout is known. */
struct facts {
	struct pyr_target *target;
	struct pyr_reader *reader;
	const struct pyr_candidate *candidate;
	struct pyr_build build;             /* hexversion 0: not told */
	uint8_t offsets[DEBUG_OFFSETS_MAX]; /* beginning of _PyRuntime, if it is _Py_DebugOffsets */
	size_t offsets_size;                /* 0: it is not */
	const char *source;                 /* of build.hexversion */
};

/* A layout that agrees, and what was read with it. */
struct agreement {
	struct pyr_layout layout;
	pyr_addr main;
	uint32_t hexversion;    /* sys.hexversion; 0: sysdict has none (any more) */
	bool debug, trace_refs; /* as sys tells */
	int score;
};

static bool plausible_version(uint64_t hexversion)
{
	return hexversion >> 24 == 3 && (hexversion >> 16 & 0xff) >= 6 &&
	       (hexversion >> 16 & 0xff) < 64;
}

static void image_build_id(const struct pyr_image *image, char text[65])
{
	unsigned i;

	text[0] = '\0';
	for (i = 0; image && i < image->build_id_size && i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", image->build_id[i]);
}

static void gather(struct facts *facts)
{
	const struct pyr_candidate *c = facts->candidate;
	struct pyr_build told = {0};
	const void *bytes = NULL;
	uint64_t version = 0;
	pyr_addr address;

	facts->build.machine = facts->target->machine;
	image_build_id(c->image, facts->build.build_id);
	if (c->runtime) {
		size_t n = DEBUG_OFFSETS_MAX;

		while (n >= 256 && !(bytes = pyr_peek(facts->reader, c->runtime, n)))
			n /= 2; /* the next page is absent */
		if (bytes && !memcmp(bytes, "xdebugpy", 8)) {
			memcpy(facts->offsets, bytes, n);
			pyr_error *err = pyr_layout_read_debug_offsets(facts->offsets, n, &told);

			if (err) {
				pyr_error_destroy(err);
			} else {
				char id[sizeof(told.build_id)];

				memcpy(id, facts->build.build_id, sizeof(id));
				facts->offsets_size = n;
				told.machine = facts->build.machine;
				facts->build = told;
				memcpy(facts->build.build_id, id, sizeof(id));
				facts->source = "_Py_DebugOffsets";
			}
		}
	}
	if (c->image && pyr_image_symbol(facts->target, c->image, "Py_Version", &address, NULL) &&
	    pyr_try_u64(facts->reader, address, &version) && plausible_version(version)) {
		facts->build.hexversion = (uint32_t)version;
		facts->source = "Py_Version";
	}
}

pyr_addr pyr_identify_main(const struct pyr_layout *layout, struct pyr_reader *reader,
			   const struct pyr_candidate *candidate)
{
	struct pyr_raw raw = {layout, reader};
	pyr_addr at = candidate->interpreter, runtime = pyr_candidate_runtime(candidate, layout),
		 next;
	unsigned i;

	if (!at && runtime) {
		at = pyr_raw_get(raw, runtime, PYR_FIELD(_PyRuntimeState, interpreters_main));
		if (at)
			return at;
		at = pyr_raw_get(raw, runtime, PYR_FIELD(_PyRuntimeState, interpreters_head));
	}
	/* New interpreters are put at the head: the main one is the last. */
	for (i = 0; at && i < CHAIN_MAX; i++) {
		next = pyr_raw_get(raw, at, PYR_FIELD(PyInterpreterState, next));
		if (!next)
			return at;
		at = next;
	}
	return 0;
}

/* Do the interpreter's own links hold? Enough where sys is gone (finalization). */
static bool structure_holds(struct pyr_raw raw, const struct pyr_candidate *c, pyr_addr main)
{
	pyr_addr thread = pyr_raw_get(raw, main, PYR_FIELD(PyInterpreterState, threads_head)),
		 runtime = pyr_candidate_runtime(c, raw.layout);
	uint64_t word;

	if (runtime && pyr_has(raw.layout, PyInterpreterState, runtime) &&
	    pyr_raw_get(raw, main, PYR_FIELD(PyInterpreterState, runtime)) != runtime)
		return false;
	return thread && pyr_raw_field(raw, thread, PYR_FIELD(PyThreadState, interp), &word) &&
	       word == main;
}

/* `type` is reached from any object in two or three steps, and is its own type;
 * its basicsize is that of the layout's PyHeapTypeObject. */
static bool type_agrees(struct pyr_raw raw, pyr_addr object)
{
	pyr_addr type = object, next;
	unsigned i;

	for (i = 0; i < 8; i++) {
		next = pyr_raw_type(raw, type);
		if (!next)
			return false;
		if (next == type)
			return pyr_raw_get(raw, type, PYR_FIELD(PyTypeObject, tp_basicsize)) ==
			       pyr_sizeof(raw.layout, PyHeapTypeObject);
		type = next;
	}
	return false;
}

/* How well @a->layout describes the target: 0 not at all, 1 only the outline
 * (links, no sys), more when sys.hexversion and flavour agree. */
static void judge(const struct facts *facts, struct agreement *a)
{
	struct pyr_raw raw = {&a->layout, facts->reader};
	pyr_addr sysdict, value;
	int64_t number;

	a->score = 0;
	a->hexversion = 0;
	a->debug = a->trace_refs = false;
	a->main = pyr_identify_main(&a->layout, facts->reader, facts->candidate);
	if (!a->main || !structure_holds(raw, facts->candidate, a->main))
		return;
	sysdict = pyr_raw_get(raw, a->main, PYR_FIELD(PyInterpreterState, sysdict));
	value = sysdict ? pyr_raw_dict_get(raw, sysdict, "hexversion") : 0;
	if (!value || !pyr_raw_int(raw, value, &number) || number < 0 ||
	    !plausible_version((uint64_t)number) || !type_agrees(raw, sysdict)) {
		/* Without sys the version must have been told by something else. */
		a->score = facts->build.hexversion && !value ? 1 : 0;
		return;
	}
	a->hexversion = (uint32_t)number;
	/* sysmodule.c: gettotalrefcount with Py_REF_DEBUG, getobjects with Py_TRACE_REFS */
	a->debug = pyr_raw_dict_get(raw, sysdict, "gettotalrefcount") != 0;
	a->trace_refs = pyr_raw_dict_get(raw, sysdict, "getobjects") != 0;
	a->score = 2 + (a->hexversion == a->layout.hexversion) + 2 * (a->debug == a->layout.debug) +
		   4 * (a->trace_refs == a->layout.trace_refs);
}

static void overlay_offsets(const struct facts *facts, struct pyr_layout *layout)
{
	if (facts->offsets_size)
		pyr_error_destroy(pyr_layout_overlay_debug_offsets(layout, facts->offsets,
								   facts->offsets_size));
}

static pyr_error *get_layout(const struct facts *facts, const struct pyr_build *build, bool nearest,
			     struct pyr_layout *ret)
{
	pyr_error *err = nearest ? pyr_layout_nearest(build, ret) : pyr_layout_builtin(build, ret);

	if (!err)
		overlay_offsets(facts, ret);
	return err;
}

/* Try the flavours of @hexversion; the best goes into *@best. */
static pyr_error *try_version(const struct facts *facts, uint32_t hexversion, bool nearest,
			      struct agreement *scratch, struct agreement *best)
{
	struct pyr_build build = facts->build;
	pyr_error *first = NULL, *err;
	unsigned flavour;

	build.hexversion = hexversion;
	for (flavour = 0; flavour < 4; flavour++) {
		build.debug = flavour & 1;
		build.trace_refs = flavour & 2;
		err = get_layout(facts, &build, nearest, &scratch->layout);
		if (err) {
			if (first)
				pyr_error_destroy(err);
			else
				first = err;
			continue;
		}
		judge(facts, scratch);
		if (scratch->score > best->score)
			*best = *scratch;
		if (best->score >= 9)
			break;
	}
	if (flavour == 0 || best->score) {
		pyr_error_destroy(first);
		return NULL;
	}
	return first;
}

/* Overlay the debug info of the image's very build, if it is on this machine and
 * if what results still agrees with the target. */
static bool overlay_dwarf(const struct facts *facts, const struct pyr_python_options *options,
			  struct agreement *a)
{
	const struct pyr_image *image = facts->candidate->image;
	struct pyr_debug_query query = {0};
	struct pyr_debug_file found = {0};
	struct pyr_dwarf_file file = {0};
	struct agreement *with;
	const char *link;
	uint32_t crc;
	pyr_error *err;
	bool good;

	if (!image)
		return false;
	query.build_id = facts->build.build_id[0] ? facts->build.build_id : NULL;
	query.debuglink = pyr_image_debuglink(image, &link, &crc) ? link : NULL;
	query.exe_path = image->file;
	query.debug_dir = file.debug_dir = options ? options->debug_dir : NULL;
	query.sysroot = file.sysroot = options ? options->sysroot : NULL;
	query.allow_debuginfod = true;
	if (!query.build_id && !query.exe_path)
		return false;
	err = pyr_layout_debug_file_find(&query, &found);
	if (err || !found.path) {
		pyr_error_destroy(err);
		return false;
	}
	with = malloc(sizeof(*with));
	good = with != NULL;
	if (with) {
		*with = *a;
		file.path = found.path;
		err = pyr_layout_overlay_dwarf(&with->layout, &file, found.source);
		if (!err) {
			judge(facts, with);
			good = with->score >= a->score && with->score;
			if (!good)
				pyr_control_diagnose(
					facts->target->control,
					"the debug info in %s contradicts the target: not used",
					found.path);
		} else {
			pyr_control_diagnose(facts->target->control, "%s: %s", found.path,
					     err->message);
			pyr_error_destroy(err);
			good = false;
		}
		if (good)
			*a = *with;
	}
	free(with);
	free(found.path);
	return good;
}

/* Every table in turn, for builds that tell nothing about themselves. */
static pyr_error *try_all(const struct facts *facts, struct agreement *scratch,
			  struct agreement *best)
{
	uint32_t versions[VERSIONS_MAX], told;
	size_t n = pyr_layout_versions(facts->target->machine, versions, VERSIONS_MAX), i;

	for (i = 0; i < n && i < VERSIONS_MAX && best->score < 9; i++) {
		pyr_error_destroy(try_version(facts, versions[i], false, scratch, best));
		/* Another patch level of that minor, which has a table of its own or
		 * shares this one. */
		told = best->hexversion;
		if (best->score && told && told != best->layout.hexversion)
			pyr_error_destroy(try_version(facts, told, false, scratch, best));
	}
	return NULL;
}

static pyr_error *nothing_agrees(const struct facts *facts, pyr_error *err)
{
	char version[32];

	if (err)
		return err;
	if (facts->candidate->runtime && !pyr_peek(facts->reader, facts->candidate->runtime, 8)) {
		const struct pyr_image *image = facts->candidate->image;

		return pyr_error_create_at(
			PYR_E_UNREADABLE, facts->candidate->runtime,
			"the runtime of the CPython in %s, at 0x%llx, is not in the target%s%s",
			image && image->path ? image->path : "an unknown file",
			(unsigned long long)facts->candidate->runtime,
			facts->target->incomplete.count ? ": " : "",
			facts->target->incomplete.count ? facts->target->incomplete.data[0] : "");
	}
	if (!facts->build.hexversion)
		return pyr_error_create_at(
			PYR_E_NOT_PYTHON, facts->candidate->runtime,
			"what lies at 0x%llx (%s) is not an initialized CPython of a "
			"version that pyretain knows",
			(unsigned long long)(facts->candidate->runtime
						     ? facts->candidate->runtime
						     : facts->candidate->interpreter),
			facts->candidate->found_by);
	pyr_layout_version_string(facts->build.hexversion, version, sizeof(version));
	return pyr_error_create_at(PYR_E_UNKNOWN_LAYOUT, facts->candidate->runtime,
				   "CPython %s (%s) whose memory does not match the layout of that "
				   "version: not initialized yet, damaged, or an unusual build",
				   version, facts->source);
}

/* The runtime of a CPython that is mapped but was never started, or has ended. */
static bool never_started(const struct facts *facts, const struct agreement *a)
{
	struct pyr_raw raw = {&a->layout, facts->reader};
	uint64_t head;

	return facts->candidate->runtime && !facts->candidate->interpreter &&
	       pyr_raw_field(raw, facts->candidate->runtime,
			     PYR_FIELD(_PyRuntimeState, interpreters_head), &head) &&
	       !head;
}

static void conclude(struct pyr_python *python, const struct facts *facts,
		     const struct agreement *a)
{
	struct pyr_raw raw = {&python->layout, facts->reader};
	pyr_addr sysdict, value;
	char *text;

	python->layout = a->layout;
	sysdict = pyr_raw_get(raw, a->main, PYR_FIELD(PyInterpreterState, sysdict));
	if (a->hexversion) {
		python->hexversion = a->hexversion;
		python->patchlevel_source = "sys.hexversion";
	} else {
		python->hexversion = facts->build.hexversion;
		python->patchlevel_source = facts->source;
	}
	pyr_layout_version_string(python->hexversion, python->version, sizeof(python->version));
	if (!sysdict)
		return;
	if ((value = pyr_raw_dict_get(raw, sysdict, "version")))
		python->version_text = pyr_raw_str(raw, value, 500);
	if ((value = pyr_raw_dict_get(raw, sysdict, "abiflags")) &&
	    (text = pyr_raw_str(raw, value, sizeof(python->abiflags) - 1))) {
		snprintf(python->abiflags, sizeof(python->abiflags), "%s", text);
		free(text);
	}
}

/* The free-threaded build has its own objects, lists and reference counts. */
static pyr_error *free_threaded(const struct facts *facts)
{
	char version[32];

	pyr_layout_version_string(facts->build.hexversion, version, sizeof(version));
	return pyr_error_create(
		PYR_E_UNSUPPORTED_BUILD,
		"a free-threaded build of CPython %s (without the GIL): pyretain does "
		"not read these yet",
		version);
}

/* Tables in order of belief: the version that the target tells, every version,
 * the nearest version with the build's own debug info, with --force without. */
static pyr_error *choose(const struct facts *facts, const struct pyr_python_options *options,
			 struct agreement *scratch, struct agreement *best)
{
	pyr_error *err = NULL, *other;
	uint32_t told = facts->build.hexversion;

	if (told)
		err = try_version(facts, told, false, scratch, best);
	else
		err = try_all(facts, scratch, best);
	if (best->score >= 3 || (best->score && told))
		return err;
	if (err && err->code != PYR_E_UNKNOWN_LAYOUT)
		return err;
	if (!best->score && (!told || (!err && never_started(facts, scratch))))
		return err;
	/* No table for this build. Its own debug info says everything, too. */
	if (!told)
		told = best->hexversion;
	best->score = 0;
	other = try_version(facts, told, true, scratch, best);
	if (other) {
		pyr_error_destroy(other);
		return err;
	}
	if (!best->score) {
		/* Perhaps only the debug info makes it fit. */
		struct pyr_build build = facts->build;

		build.hexversion = told;
		if ((other = get_layout(facts, &build, true, &best->layout))) {
			pyr_error_destroy(other);
			return err;
		}
	}
	if (overlay_dwarf(facts, options, best) &&
	    best->layout.struct_source[PYR_STRUCT(PyInterpreterState)] >= PYR_SOURCE_DEBUGINFOD) {
		pyr_error_destroy(err);
		return NULL;
	}
	if (options && options->force && best->score) {
		pyr_control_diagnose(
			facts->target->control,
			"--force: no layout is known for this build; that of %s is used, "
			"answers may be wrong",
			best->layout.table_name ? best->layout.table_name : "?");
		pyr_error_destroy(err);
		return NULL;
	}
	best->score = 0;
	return err;
}

/* While tables were tried overlays were rejected without a word: most were not the target's. */
static void tell_rejected_offsets(const struct facts *facts, const struct agreement *best,
				  struct agreement *scratch)
{
	pyr_error *err;

	scratch->layout = best->layout;
	err = facts->offsets_size ? pyr_layout_overlay_debug_offsets(
					    &scratch->layout, facts->offsets, facts->offsets_size)
				  : NULL;
	if (err && err->code == PYR_E_CORRUPT)
		pyr_control_diagnose(facts->target->control,
				     "the target's _Py_DebugOffsets are not used: %s",
				     err->message);
	pyr_error_destroy(err);
}

pyr_error *pyr_identify(struct pyr_python *python, const struct pyr_candidate *candidate,
			const struct pyr_python_options *options)
{
	struct facts *facts = calloc(1, sizeof(*facts));
	struct agreement *scratch = calloc(1, sizeof(*scratch)), *best = calloc(1, sizeof(*best));
	pyr_error *err = NULL;

	if (!facts || !scratch || !best) {
		err = pyr_error_no_memory();
		goto out;
	}
	facts->target = python->target;
	facts->reader = &python->reader;
	facts->candidate = candidate;
	gather(facts);
	if (facts->build.free_threaded) {
		err = free_threaded(facts);
		goto out;
	}
	if ((err = choose(facts, options, scratch, best)) ||
	    (err = pyr_reader_check(facts->reader)))
		goto out;
	if (!best->score) {
		if (facts->build.hexversion && never_started(facts, scratch)) {
			char version[32];

			pyr_layout_version_string(facts->build.hexversion, version,
						  sizeof(version));
			err = pyr_error_create_at(
				PYR_E_NOT_PYTHON, candidate->runtime,
				"CPython %s is loaded, but no interpreter exists: it "
				"was not started, or has ended",
				version);
		} else {
			err = nothing_agrees(facts, NULL);
		}
		goto out;
	}
	if (best->layout.struct_source[PYR_STRUCT(PyInterpreterState)] < PYR_SOURCE_DEBUGINFOD)
		overlay_dwarf(facts, options, best);
	tell_rejected_offsets(facts, best, scratch);
	conclude(python, facts, best);
out:
	free(facts);
	free(scratch);
	free(best);
	return err;
}
