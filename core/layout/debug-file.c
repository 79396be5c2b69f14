#define _GNU_SOURCE
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "layout/debug-file.h"
#include "layout/debuginfod.h"

#define MAX_BUILD_ID 32

static void to_hex(const uint8_t *bytes, size_t length, char *ret)
{
	for (size_t i = 0; i < length; i++)
		sprintf(ret + 2 * i, "%02x", bytes[i]);
	ret[2 * length] = '\0';
}

/* GNU property notes share the sections and segments; the build-id is type 3. */
static bool build_id_of_notes(Elf_Data *data, char *ret)
{
	size_t offset = 0, name, desc, next;
	GElf_Nhdr note;

	while (data && (next = gelf_getnote(data, offset, &note, &name, &desc)) > 0) {
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    memcmp((char *)data->d_buf + name, "GNU", 4) == 0 &&
		    note.n_descsz <= MAX_BUILD_ID) {
			to_hex((uint8_t *)data->d_buf + desc, note.n_descsz, ret);
			return true;
		}
		offset = next;
	}
	return false;
}

static void read_debuglink(Elf_Data *data, struct pyr_elf_identity *identity)
{
	const char *name = data ? data->d_buf : NULL;
	size_t length = name ? strnlen(name, data->d_size) : 0, at = (length + 4) & ~(size_t)3;

	if (!name || length == data->d_size || length >= sizeof(identity->debuglink) ||
	    strchr(name, '/') || at + 4 > data->d_size)
		return;
	memcpy(identity->debuglink, name, length + 1);
	memcpy(&identity->debuglink_crc, name + at, 4);
}

/* Open @path as ELF; NULL without a message when it cannot be. */
static Elf *open_elf(const char *path, int *fd)
{
	Elf *elf;

	elf_version(EV_CURRENT);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return NULL;
	elf = elf_begin(*fd, ELF_C_READ_MMAP, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF)
		return elf;
	if (elf)
		elf_end(elf);
	close(*fd);
	return NULL;
}

/* The data of the section @name, or NULL. */
static Elf_Data *find_section(Elf *elf, const char *name)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) != 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *its;

		if (gelf_getshdr(section, &header) &&
		    (its = elf_strptr(elf, names, header.sh_name)) && strcmp(its, name) == 0)
			return elf_rawdata(section, NULL);
	}
	return NULL;
}

pyr_error *pyr_elf_identity_read(const char *path, struct pyr_elf_identity *ret)
{
	struct pyr_elf_identity identity = {0};
	int fd;
	Elf *elf = open_elf(path, &fd);
	Elf_Scn *section = NULL;
	size_t headers = 0;

	if (!elf)
		return pyr_error_create(PYR_E_BAD_FILE, "%s is not a readable ELF file", path);
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		if (gelf_getshdr(section, &header) && header.sh_type == SHT_NOTE &&
		    build_id_of_notes(elf_getdata(section, NULL), identity.build_id))
			break;
	}
	if (!identity.build_id[0] && elf_getphdrnum(elf, &headers) == 0) {
		for (size_t i = 0; i < headers; i++) {
			GElf_Phdr header;

			if (gelf_getphdr(elf, i, &header) && header.p_type == PT_NOTE &&
			    build_id_of_notes(elf_getdata_rawchunk(elf, header.p_offset,
								   header.p_filesz, ELF_T_NHDR),
					      identity.build_id))
				break;
		}
	}
	read_debuglink(find_section(elf, ".gnu_debuglink"), &identity);
	{
		Elf_Data *info = find_section(elf, ".debug_info");

		identity.has_debug_info =
			(info && info->d_buf) || find_section(elf, ".zdebug_info");
	}
	elf_end(elf);
	close(fd);
	*ret = identity;
	return NULL;
}

/* "<sysroot><a><b>" when that file exists, else NULL. */
static char *existing(const char *sysroot, const char *a, const char *b)
{
	char *path = NULL;

	if (asprintf(&path, "%s%s%s", sysroot ? sysroot : "", a, b) < 0)
		return NULL;
	if (access(path, R_OK) == 0)
		return path;
	free(path);
	return NULL;
}

/* DIR/.build-id/ab/cdef....debug */
static char *by_build_id(const char *sysroot, const char *dir, const char *build_id)
{
	char name[100];

	if (!build_id || strlen(build_id) < 4 || strlen(build_id) > 2 * MAX_BUILD_ID)
		return NULL;
	snprintf(name, sizeof(name), "/.build-id/%.2s/%s.debug", build_id, build_id + 2);
	return existing(sysroot, dir, name);
}

/* The directory of @path with its slash. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? strndup(path, slash - path + 1) : strdup("./");
}

pyr_error *pyr_debug_alt_find(const struct pyr_dwarf_file *file, char **ret)
{
	const char *dir = file->debug_dir ? file->debug_dir : PYR_DEBUG_DIR;
	char build_id[2 * MAX_BUILD_ID + 1] = "", *path = NULL, *beside;
	const char *name;
	size_t length;
	int fd;
	Elf *elf = open_elf(file->path, &fd);
	Elf_Data *data;

	*ret = NULL;
	if (!elf)
		return NULL;
	data = find_section(elf, ".gnu_debugaltlink");
	name = data ? data->d_buf : NULL;
	length = name ? strnlen(name, data->d_size) : 0;
	if (name && length < data->d_size && data->d_size - length - 1 <= MAX_BUILD_ID) {
		to_hex((const uint8_t *)name + length + 1, data->d_size - length - 1, build_id);
		if (name[0] == '/') {
			path = existing(file->sysroot, name, "");
		} else if ((beside = directory_of(file->path))) {
			path = existing(NULL, beside, name);
			free(beside);
		}
		if (!path)
			path = by_build_id(file->sysroot, dir, build_id);
		if (!path && file->sysroot)
			path = by_build_id(NULL, dir, build_id);
	}
	elf_end(elf);
	close(fd);
	*ret = path;
	return NULL;
}

/* The checksum that .gnu_debuglink carries (the CRC of zlib). */
static bool crc_matches(const char *path, uint32_t crc)
{
	uint8_t buffer[65536];
	uint32_t sum = crc32(0, NULL, 0);
	FILE *file = fopen(path, "re");
	size_t n;

	if (!file)
		return false;
	while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
		sum = crc32(sum, buffer, n);
	fclose(file);
	return sum == crc;
}

/* A debuglink is looked for beside the file, in .debug/ there, and under the debug
 * directory; without a build-id to compare, its checksum has to agree. */
static char *by_debuglink(const struct pyr_debug_query *query, const char *dir,
			  const struct pyr_elf_identity *exe, const char *link)
{
	char *beside = directory_of(query->exe_path), *path = NULL, *tries[3] = {NULL};

	if (!beside)
		return NULL;
	if (asprintf(&tries[0], "%s%s", beside, link) < 0)
		tries[0] = NULL;
	if (asprintf(&tries[1], "%s.debug/%s", beside, link) < 0)
		tries[1] = NULL;
	if (asprintf(&tries[2], "%s%s%s", dir, beside, link) < 0)
		tries[2] = NULL;
	for (int i = 0; i < 3 && !path; i++) {
		struct pyr_elf_identity its;

		if (!tries[i] || !(path = existing(query->sysroot, tries[i], "")))
			continue;
		pyr_error *err = pyr_elf_identity_read(path, &its);

		if (err || !its.has_debug_info ||
		    (query->build_id && its.build_id[0]
			     ? strcmp(its.build_id, query->build_id) != 0
			     : !exe || !crc_matches(path, exe->debuglink_crc))) {
			free(path);
			path = NULL;
		}
		pyr_error_destroy(err);
	}
	for (int i = 0; i < 3; i++)
		free(tries[i]);
	free(beside);
	return path;
}

pyr_error *pyr_layout_debug_file_find(const struct pyr_debug_query *query,
				      struct pyr_debug_file *ret)
{
	const char *dir = query->debug_dir ? query->debug_dir : PYR_DEBUG_DIR;
	struct pyr_elf_identity exe = {0};
	bool have_exe = false;
	char *exe_path = NULL, *path;

	*ret = (struct pyr_debug_file){NULL, PYR_SOURCE_DWARF};
	path = by_build_id(query->sysroot, dir, query->build_id);
	if (!path && query->sysroot)
		path = by_build_id(NULL, dir, query->build_id);
	if (!path && query->exe_path &&
	    (exe_path = existing(query->sysroot, query->exe_path, ""))) {
		pyr_error *err = pyr_elf_identity_read(exe_path, &exe);

		/* Another file may lie there by now: only the same build counts. */
		have_exe = !err && (!query->build_id || !query->build_id[0] ||
				    strcmp(exe.build_id, query->build_id) == 0);
		pyr_error_destroy(err);
		if (have_exe && exe.has_debug_info)
			path = strdup(exe_path);
	}
	if (!path && query->exe_path) {
		const char *link = query->debuglink ? query->debuglink
				   : have_exe       ? exe.debuglink
						    : "";

		if (link[0])
			path = by_debuglink(query, dir, have_exe ? &exe : NULL, link);
	}
	free(exe_path);
	if (!path && query->allow_debuginfod && query->build_id && query->build_id[0]) {
		path = pyr_debuginfod_find(query->build_id);
		ret->source = PYR_SOURCE_DEBUGINFOD;
	}
	ret->path = path;
	return NULL;
}
