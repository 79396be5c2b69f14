#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/gen/gen.h"

static int usage(void)
{
	fprintf(stderr,
		"usage: pyretain-layouts [-o DIRECTORY | --check] [--vendor NAME] [--root "
		"DIRECTORY]\n"
		"                        [--headers FLAVOUR=PREFIX] IMAGE...\n"
		"An IMAGE is a python executable or libpython with debug info, its own or under\n"
		"ROOT/usr/lib/debug. --vendor and --root hold for the images after them.\n"
		"--check compares the images with the tables and writes nothing.\n");
	return 2;
}

static int fail(pyr_error *err)
{
	fprintf(stderr, "pyretain-layouts: %s\n", err->message);
	pyr_error_destroy(err);
	return 1;
}

const char *gen_flavour(const struct pyr_build *build)
{
	return build->debug && build->trace_refs ? "-debug-trace-refs"
	       : build->debug                    ? "-debug"
	       : build->trace_refs               ? "-trace-refs"
						 : "";
}

unsigned gen_minor(const struct pyr_build *build)
{
	return build->hexversion >> 16 & 255;
}

/* One build: the build-id, or for derived ones all the rest. */
static bool same_build(const struct gen_entry *a, const struct gen_entry *b)
{
	return a->provenance == b->provenance && a->build.hexversion == b->build.hexversion &&
	       a->build.machine == b->build.machine && a->build.debug == b->build.debug &&
	       a->build.trace_refs == b->build.trace_refs &&
	       strcmp(a->build.build_id, b->build.build_id) == 0;
}

pyr_error *gen_add(struct gen_entries *entries, struct gen_entry *entry)
{
	for (size_t i = 0; i < entries->list.count; i++) {
		if (same_build(entries->list.data[i], entry)) {
			free(entries->list.data[i]);
			entries->list.data[i] = entry;
			return NULL;
		}
	}
	if (!pyr_vec_push(&entries->list, entry)) {
		free(entry);
		return pyr_error_no_memory();
	}
	return NULL;
}

static pyr_error *add_builtin(struct gen_entries *entries)
{
	for (size_t i = 0; i < pyr_table_build_count(); i++) {
		const struct pyr_table_build *build = pyr_table_build(i);
		struct gen_entry *entry = calloc(1, sizeof(*entry));
		pyr_error *err;

		if (!entry)
			return pyr_error_no_memory();
		entry->build = build->build;
		entry->provenance = build->provenance;
		snprintf(entry->origin, sizeof(entry->origin), "%s", build->origin);
		pyr_table_places(build->table, &entry->places);
		if ((err = gen_add(entries, entry)))
			return err;
	}
	return NULL;
}

bool gen_places_equal(const struct pyr_dwarf_places *a, const struct pyr_dwarf_places *b, bool tell)
{
	bool equal = true;

	for (int s = 0; s < PYR_S_COUNT; s++) {
		if (a->struct_size[s] == b->struct_size[s])
			continue;
		equal = false;
		if (tell)
			printf("  %s: size %u, table %u\n", pyr_layout_struct_name(s),
			       a->struct_size[s], b->struct_size[s]);
	}
	for (int f = 0; f < PYR_F_COUNT; f++) {
		const struct pyr_field_place *x = &a->fields[f], *y = &b->fields[f];

		if (x->offset == y->offset && x->size == y->size &&
		    x->bit_offset == y->bit_offset && x->bit_width == y->bit_width)
			continue;
		equal = false;
		if (tell)
			printf("  %s: at %d (%u), table %d (%u)\n", pyr_layout_field_name(f),
			       x->offset, x->size, y->offset, y->size);
	}
	return equal;
}

/* Compare what was read with the table of the same build. */
static int check(const struct gen_entry *entry, unsigned *seen)
{
	for (size_t i = 0; i < pyr_table_build_count(); i++) {
		const struct pyr_table_build *build = pyr_table_build(i);
		struct gen_entry its = {.build = build->build, .provenance = build->provenance};

		if (!same_build(entry, &its))
			continue;
		if (seen[i]++)
			return 0;
		pyr_table_places(build->table, &its.places);
		printf("%s %s %s\n", entry->build.build_id, pyr_table_name(build->table),
		       entry->origin);
		return gen_places_equal(&entry->places, &its.places, true) ? 0 : 1;
	}
	printf("no table, run make layouts: %s %s\n", entry->build.build_id, entry->origin);
	return 0;
}

/* The release build that headers of the same version complete. */
static const struct gen_entry *release_of(const struct gen_entries *entries, const char *prefix)
{
	const char *version = strrchr(prefix, '/');
	char name[32];

	for (size_t i = 0; version && i < entries->list.count; i++) {
		const struct gen_entry *entry = entries->list.data[i];

		pyr_layout_version_string(entry->build.hexversion, name, sizeof(name));
		if (strcmp(name, version + 1) == 0 && !entry->build.debug &&
		    !entry->build.trace_refs && entry->build.machine == PYR_MACHINE_X86_64)
			return entry;
	}
	return NULL;
}

/* The extension modules of debug builds are often packaged without debug info; an object's
 * members are where the release build of the version has them. */
static void complete(const struct gen_entries *entries, struct gen_entry *entry)
{
	const struct gen_entry *release = NULL;

	for (size_t i = 0; entry->build.debug && i < entries->list.count; i++) {
		const struct gen_entry *its = entries->list.data[i];

		if (its->provenance == PYR_PROVENANCE_DWARF && !its->build.debug &&
		    its->build.hexversion == entry->build.hexversion &&
		    its->build.machine == entry->build.machine)
			release = its;
	}
	if (!release || entry->places.fields[PYR_FIELD(PyObject, ob_next)].offset >= 0)
		return;
	for (int f = 0; f < PYR_F_COUNT; f++) {
		int s = pyr_layout_field_struct(f);

		if (!entry->places.struct_size[s])
			entry->places.fields[f] = release->places.fields[f];
	}
	for (int s = 0; s < PYR_S_COUNT; s++)
		if (!entry->places.struct_size[s])
			entry->places.struct_size[s] = release->places.struct_size[s];
}

static pyr_error *read_headers(struct gen_entries *entries, const char *argument,
			       struct gen_entry **ret)
{
	const char *equals = strchr(argument, '=');
	const struct gen_entry *release;
	char flavour[32];

	if (!equals || (size_t)(equals - argument) >= sizeof(flavour))
		return pyr_error_create(PYR_E_USAGE, "--headers wants FLAVOUR=PREFIX");
	snprintf(flavour, sizeof(flavour), "%.*s", (int)(equals - argument), argument);
	if (!(release = release_of(entries, equals + 1)))
		return pyr_error_create(
			PYR_E_USAGE, "%s: its release build is not among the images", equals + 1);
	return gen_headers_read(equals + 1, flavour, release, ret);
}

int main(int argc, char **argv)
{
	struct gen_options options = {NULL, ""};
	struct gen_entries entries = {0};
	const char *directory = NULL;
	bool only_check = false;
	int status = 0;
	unsigned *seen = calloc(pyr_table_build_count() + 1, sizeof(*seen));
	pyr_error *err = add_builtin(&entries);

	if (err || !seen)
		return fail(err ? err : pyr_error_no_memory());
	for (int i = 1; i < argc; i++) {
		struct gen_entry *entry = NULL;

		if (strcmp(argv[i], "--check") == 0) {
			only_check = true;
			continue;
		} else if (argv[i][0] == '-' && i + 1 == argc) {
			return usage();
		} else if (strcmp(argv[i], "-o") == 0) {
			directory = argv[++i];
			continue;
		} else if (strcmp(argv[i], "--vendor") == 0) {
			options.vendor = argv[++i];
			continue;
		} else if (strcmp(argv[i], "--root") == 0) {
			options.root = argv[++i];
			continue;
		} else if (strcmp(argv[i], "--headers") == 0) {
			err = read_headers(&entries, argv[++i], &entry);
		} else if (argv[i][0] == '-') {
			return usage();
		} else {
			err = gen_image_read(argv[i], &options, &entry);
			if (!err)
				complete(&entries, entry);
		}
		if (err) {
			fprintf(stderr, "pyretain-layouts: %s: %s\n", argv[i], err->message);
			pyr_error_destroy(err);
			status = 1;
			continue;
		}
		if (only_check)
			status |= check(entry, seen);
		if ((err = gen_add(&entries, entry)))
			return fail(err);
	}
	if (only_check) {
		if ((err = gen_derive(&entries)) || (err = gen_verify_rules(&entries, &status)))
			return fail(err);
		for (size_t i = 0; i < entries.list.count; i++)
			if (entries.list.data[i]->provenance == PYR_PROVENANCE_DERIVED)
				status |= check(entries.list.data[i], seen);
		for (size_t i = 0; i < pyr_table_build_count(); i++)
			if (!seen[i])
				printf("not present: %s %s %s\n",
				       pyr_table_build(i)->build.build_id,
				       pyr_table_name(pyr_table_build(i)->table),
				       pyr_table_build(i)->origin);
		return status;
	}
	if (!directory)
		return usage();
	if ((err = gen_derive(&entries)) || (err = gen_write(directory, &entries)))
		return fail(err);
	return status;
}
