/* Debug and trace-refs builds whose binaries are not at hand: the headers that were
 * installed with the release build, compiled with the macros of the flavour, give the
 * structures they declare; the rest is that of the release build. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layout/gen/gen.h"

static const char program[] = "#define Py_BUILD_CORE 1\n"
			      "#include \"Python.h\"\n"
			      "#include \"frameobject.h\"\n"
			      "#include \"structmember.h\"\n"
			      "#define IF_HAVE(x) x\n"
			      "#if __has_include(\"internal/pycore_runtime.h\")\n"
			      "#include \"internal/pycore_runtime.h\"\n"
			      "#endif\n"
			      "#if __has_include(\"internal/pycore_interp.h\")\n"
			      "#include \"internal/pycore_interp.h\"\n"
			      "#endif\n"
			      "#if __has_include(\"internal/pystate.h\")\n"
			      "#include \"internal/pystate.h\"\n"
			      "#endif\n"
			      "#if __has_include(\"internal/pycore_pystate.h\")\n"
			      "#include \"internal/pycore_pystate.h\"\n"
			      "#endif\n"
			      "#if __has_include(\"internal/pycore_frame.h\")\n"
			      "#include \"internal/pycore_frame.h\"\n"
			      "#endif\n"
			      "#if __has_include(\"internal/pycore_dict.h\")\n"
			      "#include \"internal/pycore_dict.h\"\n"
			      "#endif\n"
			      "#if __has_include(\"internal/pycore_object.h\")\n"
			      "#include \"internal/pycore_object.h\"\n"
			      "#endif\n"
			      /* What is declared has to be used to be described. */
			      "#pragma GCC diagnostic ignored \"-Wunused\"\n";

static pyr_error *compile(const char *prefix, const char *flavour, const char *object)
{
	char command[4096], source[] = "/tmp/pyretain-layouts-XXXXXX.c";
	const char *macros = strcmp(flavour, "debug") == 0        ? "-DPy_DEBUG"
			     : strcmp(flavour, "trace-refs") == 0 ? "-DPy_TRACE_REFS"
			     : strcmp(flavour, "debug-trace-refs") == 0
				     ? "-DPy_DEBUG -DPy_TRACE_REFS"
				     : NULL;
	int fd = macros ? mkstemps(source, 2) : -1;
	bool ok = fd >= 0 && write(fd, program, sizeof(program) - 1) == sizeof(program) - 1;

	if (fd >= 0)
		close(fd);
	snprintf(command, sizeof(command),
		 "cc -g -O0 -w -fno-eliminate-unused-debug-types -c %s $(for d in "
		 "%s/include/python3*; "
		 "do echo -I$d -I$d/internal; done) -o %s %s 2>&1",
		 macros ? macros : "", prefix, object, source);
	ok = ok && system(command) == 0;
	if (fd >= 0)
		unlink(source);
	return ok ? NULL : pyr_error_create(PYR_E_BAD_FILE, "the headers do not compile");
}

/* Does the structure begin with an object header? Those that are not in the headers
 * and have nothing in the first 16 bytes do. */
static bool is_object(const struct pyr_dwarf_places *p, int s)
{
	int32_t lowest = INT32_MAX;

	for (int f = 0; f < PYR_F_COUNT; f++)
		if ((int)pyr_layout_field_struct(f) == s && p->fields[f].offset >= 0 &&
		    p->fields[f].offset < lowest)
			lowest = p->fields[f].offset;
	return lowest >= 16 && lowest != INT32_MAX;
}

pyr_error *gen_headers_read(const char *prefix, const char *flavour,
			    const struct gen_entry *release, struct gen_entry **ret)
{
	char object[] = "/tmp/pyretain-layouts-XXXXXX.o", version[32];
	int fd = mkstemps(object, 2);
	struct gen_entry *entry = malloc(sizeof(*entry));
	struct pyr_dwarf *dwarf = NULL;
	struct pyr_dwarf_file file = {.path = object};
	pyr_error *err;

	if (fd < 0 || !entry)
		return pyr_error_no_memory();
	close(fd);
	*entry = *release;
	pyr_dwarf_places_init(&entry->places);
	if (!(err = compile(prefix, flavour, object)) && !(err = pyr_dwarf_open(&file, &dwarf)))
		err = pyr_dwarf_scan(dwarf, NULL, &entry->places, NULL);
	pyr_dwarf_close(dwarf);
	unlink(object);
	if (err) {
		free(entry);
		return err;
	}
	entry->build.debug = strstr(flavour, "debug") != NULL;
	entry->build.trace_refs = strstr(flavour, "trace-refs") != NULL;
	entry->build.build_id[0] = '\0';
	entry->provenance = PYR_PROVENANCE_DERIVED;
	for (int s = 0; s < PYR_S_COUNT; s++) {
		int header =
			entry->build.trace_refs && is_object(&release->places, s) &&
					entry->places.fields[PYR_FIELD(PyObject, ob_next)].offset >=
						0
				? 16
				: 0;

		if (entry->places.struct_size[s] || !release->places.struct_size[s])
			continue;
		entry->places.struct_size[s] = release->places.struct_size[s] + header;
		for (int f = 0; f < PYR_F_COUNT; f++) {
			if ((int)pyr_layout_field_struct(f) != s ||
			    release->places.fields[f].offset < 0)
				continue;
			entry->places.fields[f] = release->places.fields[f];
			entry->places.fields[f].offset += header;
		}
	}
	pyr_layout_version_string(release->build.hexversion, version, sizeof(version));
	snprintf(entry->origin, sizeof(entry->origin), "%s, its headers compiled for %s", version,
		 flavour);
	*ret = entry;
	return NULL;
}
