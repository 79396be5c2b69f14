/* Choosing among the built-in tables. */
#include <stdlib.h>
#include <string.h>

#include "layout/layout.h"
#include "layout/tables.h"
#include "layout/traits.h"

static unsigned minor_of(uint32_t hexversion)
{
	return hexversion >> 16 & 255;
}

static unsigned patch_of(uint32_t hexversion)
{
	return hexversion >> 8 & 255;
}

static bool is_final(uint32_t hexversion)
{
	return (hexversion >> 4 & 15) == 15;
}

/* How badly a table fits, most important first; less is better. */
struct misfit {
	unsigned minor, flavour, sizes, machine, patch, vendor;
};

/* Py_TRACE_REFS put two words before every object until 3.12; until 3.7 Py_DEBUG implied it. */
static bool moves_headers(const struct pyr_build *build)
{
	unsigned minor = minor_of(build->hexversion);

	return minor < 13 && (build->trace_refs || (minor < 8 && build->debug));
}

static unsigned differs(uint32_t said, uint32_t table)
{
	return said && said != table;
}

/* From 3.8 on Py_DEBUG alone moves no member of an object, so a release table is the next
 * best one; Py_TRACE_REFS moved all of them until 3.12. */
static void judge(const struct pyr_build *want, const struct pyr_table_build *have,
		  const struct pyr_dwarf_places *places, struct misfit *ret)
{
	const struct pyr_build *its = &have->build;
	unsigned minor = minor_of(want->hexversion), its_minor = minor_of(its->hexversion);
	unsigned patch = patch_of(want->hexversion), its_patch = patch_of(its->hexversion);
	bool header = moves_headers(want);
	bool its_header = moves_headers(its);

	ret->flavour = (header != its_header) * 4 + (want->debug != its->debug) * 2 +
		       (want->trace_refs != its->trace_refs);
	ret->minor = minor > its_minor ? minor - its_minor : its_minor - minor;
	ret->sizes =
		differs(want->gc_size, places->struct_size[PYR_STRUCT(_gc_runtime_state)]) * 4 +
		differs(want->interpreter_size,
			places->struct_size[PYR_STRUCT(PyInterpreterState)]) *
			2 +
		differs(want->thread_size, places->struct_size[PYR_STRUCT(PyThreadState)]);
	/* After the sizes: with musl, aarch64 has the mutexes, and so the layout, of x86-64. */
	ret->machine = want->machine != its->machine;
	/* Without the sizes: 3.14.5 brought the old collector back. */
	if (!want->gc_size && minor == 14 && its_minor == 14 && (patch < 5) != (its_patch < 5))
		ret->sizes += 4;
	/* The nearest earlier patch release, else the nearest later one. */
	ret->patch = patch >= its_patch ? patch - its_patch : 256 + its_patch - patch;
	ret->vendor = strncmp(have->origin, "upstream ", 9) !=
		      0 + (have->provenance != PYR_PROVENANCE_DWARF);
}

static int compare(const struct misfit *a, const struct misfit *b)
{
	const unsigned x[] = {a->minor, a->flavour, a->sizes, a->machine, a->patch, a->vendor};
	const unsigned y[] = {b->minor, b->flavour, b->sizes, b->machine, b->patch, b->vendor};

	for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* The best table for @build; *@exact when it was made from that very build. */
static const struct pyr_table_build *choose(const struct pyr_build *build, struct misfit *misfit,
					    bool *exact)
{
	struct pyr_dwarf_places *places = malloc(sizeof(*places));
	const struct pyr_table_build *best = NULL;
	struct misfit its;

	*exact = false;
	for (size_t i = 0; places && i < pyr_table_build_count(); i++) {
		const struct pyr_table_build *have = pyr_table_build(i);

		if (build->build_id[0] && strcmp(build->build_id, have->build.build_id) == 0) {
			best = have;
			memset(misfit, 0, sizeof(*misfit));
			*exact = true;
			break;
		}
		pyr_table_places(have->table, places);
		judge(build, have, places, &its);
		if (!best || compare(&its, misfit) < 0) {
			best = have;
			*misfit = its;
		}
	}
	free(places);
	return best;
}

static void fill(const struct pyr_build *build, const struct pyr_table_build *table, bool exact,
		 enum pyr_layout_source source, struct pyr_layout *ret)
{
	struct pyr_dwarf_places *places = malloc(sizeof(*places));

	memset(ret, 0, sizeof(*ret));
	for (int f = 0; f < PYR_F_COUNT; f++)
		ret->fields[f].offset = -1;
	ret->hexversion = build->hexversion;
	ret->machine = build->machine;
	ret->debug = build->debug;
	ret->trace_refs = build->trace_refs || moves_headers(build);
	ret->free_threaded = build->free_threaded;
	ret->table_name = pyr_table_name(table->table);
	if (places) {
		pyr_table_places(table->table, places);
		memcpy(ret->fields, places->fields, sizeof(ret->fields));
		memcpy(ret->struct_size, places->struct_size, sizeof(ret->struct_size));
		free(places);
	}
	for (int s = 0; s < PYR_S_COUNT; s++)
		ret->struct_source[s] = ret->struct_size[s] ? source : PYR_SOURCE_NONE;
	/* Distributions build 3.13 with PyGC_Head aligned to 4, which puts the generations
	 * at 20 instead of 24; the version does not tell. generation0 always points there. */
	if (!exact && minor_of(build->hexversion) == 13 &&
	    pyr_has(ret, _gc_runtime_state, generation0))
		ret->fields[PYR_FIELD(_gc_runtime_state, generations)] =
			(struct pyr_field_place){-1, 0, 0, 0};
	pyr_layout_derive_traits(ret);
}

static pyr_error *free_threaded_error(const struct pyr_build *build)
{
	char version[32];

	pyr_layout_version_string(build->hexversion, version, sizeof(version));
	return pyr_error_create(
		PYR_E_UNSUPPORTED_BUILD,
		"a free-threaded build of CPython %s (Py_GIL_DISABLED), whose objects "
		"and collector are of another design",
		version);
}

/* "3.6 to 3.15", from the tables. */
static void supported(unsigned *first, unsigned *last)
{
	*first = 255;
	*last = 0;
	for (size_t i = 0; i < pyr_table_build_count(); i++) {
		unsigned minor = minor_of(pyr_table_build(i)->build.hexversion);

		*first = minor < *first ? minor : *first;
		*last = minor > *last ? minor : *last;
	}
}

static pyr_error *unknown_error(const struct pyr_build *build)
{
	char version[32];
	unsigned first, last;

	pyr_layout_version_string(build->hexversion, version, sizeof(version));
	supported(&first, &last);
	if (build->hexversion >> 24 == 3 && !is_final(build->hexversion))
		return pyr_error_create(PYR_E_UNKNOWN_LAYOUT,
					"CPython %s is a pre-release, whose structures may differ "
					"from those of the "
					"release: give its debug info (--debug-dir), or take the "
					"nearest table with "
					"--force",
					version);
	return pyr_error_create(
		PYR_E_UNKNOWN_LAYOUT,
		"no table for CPython %s%s on %s (there are tables for 3.%u to 3.%u): "
		"give its debug info (--debug-dir), or take the nearest table with "
		"--force",
		version, build->trace_refs ? " with Py_TRACE_REFS" : "",
		pyr_layout_machine_name(build->machine), first, last);
}

pyr_error *pyr_layout_validate(const struct pyr_layout *layout)
{
	for (int f = 0; f < PYR_F_COUNT; f++) {
		const struct pyr_field_place *place = &layout->fields[f];
		uint32_t size = layout->struct_size[pyr_layout_field_struct(f)];

		if (place->offset >= 0 && (uint64_t)place->offset + place->size > size)
			return pyr_error_create(
				PYR_E_CORRUPT,
				"%s, %u bytes at offset %d, lies beyond its structure of %u bytes",
				pyr_layout_field_name(f), place->size, place->offset, size);
	}
	return NULL;
}

pyr_error *pyr_layout_builtin(const struct pyr_build *build, struct pyr_layout *ret)
{
	struct misfit misfit = {0};
	const struct pyr_table_build *table;
	bool exact;

	if (build->free_threaded)
		return free_threaded_error(build);
	table = choose(build, &misfit, &exact);
	if (!table || build->hexversion >> 24 != 3 || misfit.minor || misfit.flavour >= 4 ||
	    misfit.sizes >= 4 || (!exact && !is_final(build->hexversion)))
		return unknown_error(build);
	fill(build, table, exact, PYR_SOURCE_BUILTIN, ret);
	return NULL;
}

pyr_error *pyr_layout_nearest(const struct pyr_build *build, struct pyr_layout *ret)
{
	struct misfit misfit = {0};
	const struct pyr_table_build *table;
	pyr_error *err;
	bool exact;

	if (build->free_threaded)
		return free_threaded_error(build);
	if (!(err = pyr_layout_builtin(build, ret)))
		return NULL;
	table = choose(build, &misfit, &exact);
	if (!table)
		return err;
	pyr_error_destroy(err);
	fill(build, table, exact, PYR_SOURCE_BUILTIN_NEAREST, ret);
	return NULL;
}

size_t pyr_layout_minors_from_type_size(uint64_t type_basicsize, uint32_t header, unsigned *minors,
					size_t max)
{
	struct pyr_dwarf_places *places = malloc(sizeof(*places));
	size_t count = 0;

	for (size_t i = 0; places && i < pyr_table_build_count(); i++) {
		unsigned minor = minor_of(pyr_table_build(i)->build.hexversion);
		bool known = false;

		pyr_table_places(pyr_table_build(i)->table, places);
		if (places->struct_size[PYR_STRUCT(PyHeapTypeObject)] != type_basicsize ||
		    places->struct_size[PYR_STRUCT(PyObject)] != header)
			continue;
		for (size_t k = 0; k < count; k++)
			known |= minors[k] == minor;
		if (!known && count < max)
			minors[count++] = minor;
	}
	free(places);
	return count;
}

size_t pyr_layout_versions(enum pyr_machine machine, uint32_t *hexversions, size_t max)
{
	size_t count = 0;

	/* The tables are sorted by minor version, then by flavour: insertion keeps order. */
	for (size_t i = 0; i < pyr_table_build_count(); i++) {
		const struct pyr_build *build = &pyr_table_build(i)->build;
		size_t at = 0;

		if (build->machine != machine || build->debug || build->trace_refs)
			continue;
		while (at < count && at < max && hexversions[at] > build->hexversion)
			at++;
		if (at < count && at < max && hexversions[at] == build->hexversion)
			continue;
		if (at < max) {
			size_t moved = (count < max ? count : max - 1) - at;

			memmove(hexversions + at + 1, hexversions + at,
				moved * sizeof(*hexversions));
			hexversions[at] = build->hexversion;
		}
		count++;
	}
	return count;
}
