/* An interpreter on disk: which version and flavour it is, and where its structures are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layout/debug-file.h"
#include "layout/gen/gen.h"

struct facts {
	uint32_t hexversion; /* 0: not told */
	enum pyr_machine machine;
	bool debug, runtime;
};

/* The 8 bytes at the virtual address @address of the file. */
static uint64_t word_at(Elf *elf, uint64_t address)
{
	size_t count = 0;
	uint64_t word = 0;

	elf_getphdrnum(elf, &count);
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		Elf_Data *data;

		if (!gelf_getphdr(elf, i, &header) || header.p_type != PT_LOAD ||
		    address < header.p_vaddr || address + 8 > header.p_vaddr + header.p_filesz)
			continue;
		data = elf_getdata_rawchunk(elf, header.p_offset + (address - header.p_vaddr), 8,
					    ELF_T_BYTE);
		if (data)
			memcpy(&word, data->d_buf, 8);
	}
	return word;
}

static void look_at_symbol(Elf *elf, const char *name, const GElf_Sym *symbol, struct facts *facts)
{
	if (symbol->st_shndx == SHN_UNDEF)
		return;
	if (strcmp(name, "Py_Version") == 0)
		facts->hexversion = (uint32_t)word_at(elf, symbol->st_value);
	else if (strcmp(name, "_Py_NegativeRefcount") == 0)
		facts->debug = true; /* Py_REF_DEBUG */
	else if (strcmp(name, "_PyRuntime") == 0 || strcmp(name, "_PyThreadState_Current") == 0)
		facts->runtime = true;
}

static pyr_error *read_symbols(const char *path, struct facts *facts)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf;
	Elf_Scn *section = NULL;
	GElf_Ehdr ehdr;

	elf_version(EV_CURRENT);
	elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
	if (!elf || !gelf_getehdr(elf, &ehdr))
		return pyr_error_create(PYR_E_BAD_FILE, "not an ELF file");
	facts->machine = ehdr.e_machine == EM_AARCH64 ? PYR_MACHINE_AARCH64 : PYR_MACHINE_X86_64;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		Elf_Data *data;
		GElf_Sym symbol;

		if (!gelf_getshdr(section, &header) ||
		    (header.sh_type != SHT_DYNSYM && header.sh_type != SHT_SYMTAB) ||
		    !(data = elf_getdata(section, NULL)))
			continue;
		for (size_t i = 0; gelf_getsym(data, i, &symbol); i++) {
			const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);

			if (name)
				look_at_symbol(elf, name, &symbol, facts);
		}
	}
	elf_end(elf);
	close(fd);
	return NULL;
}

/* Before 3.11 no symbol tells: include/pythonX.Y/patchlevel.h does, beside the image's
 * directory or in its root. */
static uint32_t version_from_header(const char *path, const struct gen_options *options)
{
	char pattern[4096], line[256], name[64], text[64];
	unsigned part[5] = {0}, minor = 0;
	const char *slash = strrchr(path, '/'), *number = strstr(slash ? slash : path, "python3.");
	glob_t found;
	FILE *file;

	if (!number || sscanf(number, "python3.%u", &minor) != 1)
		return 0;
	snprintf(pattern, sizeof(pattern), "%.*s/../include/python3.%u*/patchlevel.h",
		 slash ? (int)(slash - path) : 1, slash ? path : ".", minor);
	if (glob(pattern, 0, NULL, &found) != 0) {
		snprintf(pattern, sizeof(pattern), "%s/usr/include/python3.%u*/patchlevel.h",
			 options->root ? options->root : "", minor);
		if (glob(pattern, 0, NULL, &found) != 0)
			return 0;
	}
	file = fopen(found.gl_pathv[0], "re");
	globfree(&found);
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		static const char *const names[] = {"PY_MAJOR_VERSION", "PY_MINOR_VERSION",
						    "PY_MICRO_VERSION", "PY_RELEASE_LEVEL",
						    "PY_RELEASE_SERIAL"};

		if (sscanf(line, "#define %63s %63s", name, text) != 2)
			continue;
		for (int i = 0; i < 5; i++)
			if (strcmp(name, names[i]) == 0)
				part[i] = strcmp(text, "PY_RELEASE_LEVEL_FINAL") == 0
						  ? 15
						  : (unsigned)strtoul(text, NULL, 0);
	}
	fclose(file);
	return part[0] << 24 | part[1] << 16 | part[2] << 8 | part[3] << 4 | part[4];
}

static pyr_error *scan_file(const char *path, const struct gen_options *options, char *build_id,
			    struct pyr_dwarf_places *places)
{
	struct pyr_elf_identity identity;
	struct pyr_debug_file debug = {0};
	struct pyr_dwarf *dwarf = NULL;
	char debug_dir[4096];
	unsigned skipped = 0;
	pyr_error *err = pyr_elf_identity_read(path, &identity);

	snprintf(debug_dir, sizeof(debug_dir), "%s%s", options->root ? options->root : "",
		 PYR_DEBUG_DIR);
	struct pyr_debug_query query = {
		.build_id = identity.build_id, .exe_path = path, .debug_dir = debug_dir};

	if (err || (err = pyr_layout_debug_file_find(&query, &debug)))
		return err;
	if (!debug.path)
		return pyr_error_create(PYR_E_BAD_FILE, "no debug info");
	struct pyr_dwarf_file file = {.path = debug.path, .debug_dir = debug_dir};

	if (!(err = pyr_dwarf_open(&file, &dwarf)))
		err = pyr_dwarf_scan(dwarf, NULL, places, &skipped);
	if (!err && skipped)
		err = pyr_error_create(PYR_E_BAD_FILE, "%u units of %s are unreadable", skipped,
				       debug.path);
	pyr_dwarf_close(dwarf);
	free(debug.path);
	if (!err && build_id)
		strcpy(build_id, identity.build_id);
	return err;
}

/* The extension modules of the same flavour, for the structures that only they have. A
 * module without debug info has nothing to say. */
static void scan_extensions(const char *path, const struct gen_options *options,
			    struct gen_entry *entry)
{
	char pattern[4096];
	const char *slash = strrchr(path, '/');
	unsigned minor = gen_minor(&entry->build);
	const char *abi = minor < 8 ? "m" : entry->build.debug ? "d" : "";
	glob_t found;

	/* "cpython-37m-x86_64...", "cpython-38-x86_64...", "cpython-313d-x86_64..." */
	snprintf(pattern, sizeof(pattern),
		 "%.*s/../lib/python3.%u/lib-dynload/*.cpython-3%u%s-*.so",
		 slash ? (int)(slash - path) : 1, slash ? path : ".", minor, minor, abi);
	if (glob(pattern, 0, NULL, &found) != 0) {
		/* /usr/lib/ARCH/libpythonX.Y.so.1.0 has them under /usr/lib. */
		snprintf(pattern, sizeof(pattern),
			 "%s/usr/lib/python3.%u/lib-dynload/*.cpython-3%u%s-*.so",
			 options->root ? options->root : "", minor, minor, abi);
		if (glob(pattern, 0, NULL, &found) != 0)
			return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		pyr_error_destroy(scan_file(found.gl_pathv[i], options, NULL, &entry->places));
	globfree(&found);
}

pyr_error *gen_image_read(const char *path, const struct gen_options *options,
			  struct gen_entry **ret)
{
	struct gen_entry *entry = calloc(1, sizeof(*entry));
	struct facts facts = {0};
	char version[32];
	pyr_error *err;

	if (!entry)
		return pyr_error_no_memory();
	pyr_dwarf_places_init(&entry->places);
	if ((err = read_symbols(path, &facts)) ||
	    (err = scan_file(path, options, entry->build.build_id, &entry->places)))
		goto fail;
	if (!facts.hexversion)
		facts.hexversion = version_from_header(path, options);
	if (!facts.runtime || !facts.hexversion) {
		err = pyr_error_create(PYR_E_NOT_PYTHON,
				       "no interpreter, or its version is not told");
		goto fail;
	}
	entry->build.hexversion = facts.hexversion;
	entry->build.machine = facts.machine;
	entry->build.debug = facts.debug;
	entry->build.free_threaded = entry->places.fields[PYR_FIELD(PyObject, ob_tid)].offset >= 0;
	entry->build.trace_refs =
		entry->places.fields[PYR_FIELD(PyObject, ob_next)].offset >= 0 ||
		entry->places.fields[PYR_FIELD(PyInterpreterState, refchain)].offset >= 0;
	scan_extensions(path, options, entry);
	pyr_layout_version_string(facts.hexversion, version, sizeof(version));
	snprintf(entry->origin, sizeof(entry->origin), "%s%s%s, %s", options->vendor,
		 *options->vendor ? " " : "upstream ", version,
		 strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	*ret = entry;
	return NULL;
fail:
	free(entry);
	return err;
}
