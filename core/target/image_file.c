#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/image_parts.h"

#define DEFAULT_DEBUG_DIR "/usr/lib/debug"
#define CANDIDATES_MAX 8
#define DYNAMIC_MAX 4096u
#define DYNAMIC_ENOUGH 8u

/* --- files --- */

bool pyr_mapped_elf_open(const char *path, struct pyr_mapped_elf *ret, const char **why)
{
	struct pyr_mapped_elf file = {.bytes = NULL};
	struct stat st;
	pyr_error *err;
	void *bytes;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		*why = strerror(errno);
		return false;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0) {
		close(fd);
		*why = "not an ELF file";
		return false;
	}
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED) {
		*why = strerror(errno);
		return false;
	}
	file.bytes = bytes;
	file.size = (size_t)st.st_size;
	file.path = strdup(path);
	err = pyr_elf_open(bytes, file.size, &file.elf);
	if (err || !file.path) {
		*why = err ? "not an ELF file that pyretain reads" : "out of memory";
		pyr_error_destroy(err);
		pyr_mapped_elf_close(&file);
		return false;
	}
	*ret = file;
	return true;
}

void pyr_mapped_elf_close(struct pyr_mapped_elf *file)
{
	if (file->bytes)
		munmap((void *)file->bytes, file->size);
	free(file->path);
	memset(file, 0, sizeof(*file));
}

/* DIR/.build-id/ab/cdef...SUFFIX, or NULL. */
static char *build_id_path(const char *dir, const struct pyr_image *image, const char *suffix)
{
	char hex[2 * PYR_BUILD_ID_MAX + 1], *path;
	unsigned i;

	if (image->build_id_size < 2)
		return NULL;
	for (i = 0; i < image->build_id_size; i++)
		snprintf(hex + 2 * i, 3, "%02x", image->build_id[i]);
	if (asprintf(&path, "%s/.build-id/%.2s/%s%s", dir, hex, hex + 2, suffix) < 0)
		return NULL;
	return path;
}

const struct pyr_mapped_elf *pyr_image_debug_file(const struct pyr_image *image)
{
	struct pyr_image_state *state = pyr_image_state(image);
	uint8_t id[PYR_BUILD_ID_MAX];
	const char *why;
	char *path;

	if (!state->debug_sought) {
		state->debug_sought = true;
		path = build_id_path(state->debug_dir ? state->debug_dir : DEFAULT_DEBUG_DIR, image,
				     ".debug");
		if (path && pyr_mapped_elf_open(path, &state->debug, &why) &&
		    (pyr_elf_build_id(&state->debug.elf, id, sizeof(id)) != image->build_id_size ||
		     memcmp(id, image->build_id, image->build_id_size)))
			pyr_mapped_elf_close(&state->debug);
		free(path);
	}
	return state->debug.bytes ? &state->debug : NULL;
}

/* --- is that file what the target had mapped? --- */

enum sameness {
	SAME,
	DIFFERENT,
	UNKNOWN, /* the target holds nothing to compare with */
};

static unsigned machine_of(const struct pyr_target *target)
{
	return target->machine == PYR_MACHINE_AARCH64 ? EM_AARCH64 : EM_X86_64;
}

/* Bias of @file if its offset 0 is at the image's start. */
static bool file_bias(const struct pyr_target *target, const struct pyr_image *image,
		      const struct pyr_elf *elf, uint64_t *ret)
{
	const struct pyr_image_state *state = pyr_image_state(image);
	Elf64_Phdr p;
	size_t i;

	if (elf->header.e_type == ET_EXEC || state->bias_known) {
		*ret = elf->header.e_type == ET_EXEC ? 0 : image->bias;
		return true;
	}
	for (i = 0; pyr_elf_segment(elf, i, &p); i++) {
		if (p.p_type == PT_LOAD && !pyr_page_down(target, p.p_offset)) {
			*ret = image->start - pyr_page_down(target, p.p_vaddr);
			return true;
		}
	}
	return false;
}

/* The dynamic section is in memory even where the header is not, because the
 * dynamic linker writes to it. Its sizes and offsets tell builds apart. */
static enum sameness compare_dynamic(struct pyr_target *target, struct pyr_reader *reader,
				     const struct pyr_image *image, const struct pyr_elf *elf)
{
	uint64_t bias, ours[2], theirs[2];
	const uint8_t *file;
	const void *bytes;
	Elf64_Phdr p;
	size_t i, k;

	if (!file_bias(target, image, elf, &bias))
		return UNKNOWN;
	for (i = 0; pyr_elf_segment(elf, i, &p) && p.p_type != PT_DYNAMIC; i++)
		;
	if (i == elf->segment_count || p.p_filesz / 16 > DYNAMIC_MAX ||
	    !(file = pyr_elf_at(elf, p.p_offset, p.p_filesz)))
		return UNKNOWN;
	for (k = 0; k < p.p_filesz / 16; k++) {
		bytes = pyr_peek(reader, p.p_vaddr + bias + 16 * k, 16);
		if (!bytes)
			return UNKNOWN;
		memcpy(ours, file + 16 * k, 16);
		memcpy(theirs, bytes, 16);
		if (ours[0] != theirs[0])
			return DIFFERENT;
		if (ours[0] == DT_NULL)
			break;
		if (ours[0] != DT_DEBUG && ours[1] != theirs[1] && ours[1] + bias != theirs[1])
			return DIFFERENT;
	}
	return k >= DYNAMIC_ENOUGH ? SAME : UNKNOWN;
}

/* The program headers: what strip leaves alone. */
static enum sameness compare_header(const struct pyr_image *image, const struct pyr_elf *elf)
{
	const struct pyr_image_state *state = pyr_image_state(image);
	size_t size = state->segment_count * sizeof(Elf64_Phdr), i;
	Elf64_Phdr p;

	if (!state->segment_count)
		return UNKNOWN;
	if (elf->segment_count != state->segment_count)
		return DIFFERENT;
	for (i = 0; i < size / sizeof(p); i++)
		if (!pyr_elf_segment(elf, i, &p) || memcmp(&p, &state->segments[i], sizeof(p)))
			return DIFFERENT;
	return SAME;
}

static enum sameness compare(struct pyr_target *target, struct pyr_reader *reader,
			     const struct pyr_image *image, const struct pyr_mapped_elf *file,
			     const char **why)
{
	uint8_t id[PYR_BUILD_ID_MAX];
	enum sameness same;
	unsigned n;

	*why = "is another file than the target had mapped";
	if (file->elf.header.e_machine != machine_of(target)) {
		*why = "is for another machine";
		return DIFFERENT;
	}
	if (image->build_id_size) {
		n = pyr_elf_build_id(&file->elf, id, sizeof(id));
		*why = n ? "has another build-id" : "has no build-id, the target's has";
		return n == image->build_id_size && !memcmp(id, image->build_id, n) ? SAME
										    : DIFFERENT;
	}
	same = compare_header(image, &file->elf);
	if (same == DIFFERENT)
		return DIFFERENT;
	/* Equal program headers mean equal sizes of everything; the dynamic
	 * section, where it can be read, must agree too. */
	switch (compare_dynamic(target, reader, image, &file->elf)) {
	case DIFFERENT:
		return DIFFERENT;
	case SAME:
		return SAME;
	default:
		*why = "cannot be verified: the target holds neither its build-id nor its headers";
		return same;
	}
}

/* --- where to look --- */

struct candidates {
	char *paths[CANDIDATES_MAX];
	size_t count;
	size_t given; /* index of the file named by -e, or CANDIDATES_MAX */
};

static void add_candidate(struct candidates *c, char *path)
{
	size_t i;

	for (i = 0; path && i < c->count; i++) {
		if (!strcmp(c->paths[i], path)) {
			free(path);
			return;
		}
	}
	if (path && c->count < CANDIDATES_MAX)
		c->paths[c->count++] = path;
	else
		free(path);
}

static __attribute__((format(printf, 1, 2))) char *text(const char *format, ...)
{
	va_list args;
	char *ret;
	int n;

	va_start(args, format);
	n = vasprintf(&ret, format, args);
	va_end(args);
	return n < 0 ? NULL : ret;
}

static void list_candidates(const struct pyr_target *target, const struct pyr_image *image,
			    bool exe_known, const struct pyr_target_options *options,
			    struct candidates *c)
{
	const char *debug_dir = options->debug_dir ? options->debug_dir : DEFAULT_DEBUG_DIR;
	const char *path = image->path;
	const struct pyr_mapping *m;

	c->given = CANDIDATES_MAX;
	/* Without auxv nothing says which image is the executable: the build-id does. */
	if (options->exe && (image->is_exe || (!exe_known && image->build_id_size))) {
		c->given = c->count;
		add_candidate(c, strdup(options->exe));
	}
	if (options->sysroot && *path == '/')
		add_candidate(c, text("%s%s", options->sysroot, path));
	if (target->kind == PYR_TARGET_LIVE && target->pid) {
		/* Seen as the process sees it, also when it is deleted. */
		if (*path == '/')
			add_candidate(c, text("/proc/%d/root%s", (int)target->pid, path));
		if (image->is_exe)
			add_candidate(c, text("/proc/%d/exe", (int)target->pid));
		m = pyr_target_mapping_at(target, image->start);
		if (m)
			add_candidate(c, text("/proc/%d/map_files/%llx-%llx", (int)target->pid,
					      (unsigned long long)m->start,
					      (unsigned long long)m->end));
	}
	if (*path == '/')
		add_candidate(c, strdup(path));
	add_candidate(c, build_id_path(debug_dir, image, ""));
}

static void take_file(struct pyr_image *image, struct pyr_mapped_elf *file,
		      const struct pyr_target *target)
{
	struct pyr_image_state *state = pyr_image_state(image);
	Elf64_Phdr *segments;
	size_t i;

	segments = calloc(file->elf.segment_count + 1, sizeof(*segments));
	if (segments) {
		for (i = 0; pyr_elf_segment(&file->elf, i, &segments[i]); i++)
			;
		free(state->segments);
		state->segments = segments;
		state->segment_count = file->elf.segment_count;
	}
	state->bias_known = file_bias(target, image, &file->elf, &image->bias);
	state->executable = file->elf.header.e_type == ET_EXEC;
	if (!state->header_present)
		pyr_image_extent(target, image, &image->start, &image->end);
	if (!image->build_id_size)
		image->build_id_size =
			pyr_elf_build_id(&file->elf, image->build_id, PYR_BUILD_ID_MAX);
	image->file = file->path;
	image->file_bytes = file->bytes;
	image->file_size = file->size;
	free(image->why_no_file);
	image->why_no_file = NULL;
}

/* How telling a reason is: that a file was there and is another one says more
 * than that none was there. */
static unsigned weight(int code_missing, bool opened)
{
	return opened ? 3 : code_missing ? 1 : 2;
}

static pyr_error *match_file(struct pyr_target *target, struct pyr_reader *reader,
			     struct pyr_image *image, bool exe_known,
			     const struct pyr_target_options *options)
{
	struct candidates c = {.count = 0};
	struct pyr_mapped_elf file;
	unsigned best = 0, w;
	enum sameness same;
	const char *why;
	size_t i;
	bool opened, take;

	list_candidates(target, image, exe_known, options, &c);
	for (i = 0; i < c.count && !image->file; i++) {
		take = false;
		errno = 0;
		opened = pyr_mapped_elf_open(c.paths[i], &file, &why);
		w = weight(errno == ENOENT || errno == ENOTDIR, opened);
		if (opened) {
			same = compare(target, reader, image, &file, &why);
			/* Unverified, it must be the user who vouches for it. */
			take = same == SAME ||
			       (same == UNKNOWN && (i == c.given || options->force));
			if (take && same == UNKNOWN)
				pyr_control_diagnose(target->control,
						     "%s is taken for %s unverified: "
						     "the target holds nothing to "
						     "compare it with",
						     c.paths[i], image->path);
		}
		if (take) {
			take_file(image, &file, target);
		} else {
			if (opened)
				pyr_mapped_elf_close(&file);
			if (w > best && (w > 1 || *image->path == '/') &&
			    (i != c.given || image->is_exe)) {
				best = w;
				free(image->why_no_file);
				image->why_no_file =
					w == 1 ? text("not on this machine")
					: !strcmp(c.paths[i], image->path)
						? text(opened ? "the file here %s" : "%s", why)
						: text(opened ? "%s %s" : "%s: %s", c.paths[i],
						       why);
			}
			if (i == c.given && image->is_exe)
				pyr_control_diagnose(target->control, "%s is not used: it %s",
						     c.paths[i], opened ? why : "cannot be read");
		}
	}
	for (i = 0; i < c.count; i++)
		free(c.paths[i]);
	if (!image->file && !image->why_no_file)
		image->why_no_file =
			text(image->is_exe ? "nothing tells which file it was; name it with -e"
					   : "nothing tells which file it was");
	return image->file || image->why_no_file ? NULL : pyr_error_no_memory();
}

/* -e names an executable at a fixed address, and the core could not tell of any. */
static pyr_error *exe_from_option(struct pyr_target *target, struct pyr_reader *reader,
				  pyr_image_vec *images, const char *path)
{
	struct pyr_mapped_elf file;
	struct pyr_image *image;
	const char *why;
	pyr_error *err;

	if (!pyr_mapped_elf_open(path, &file, &why)) {
		pyr_control_diagnose(target->control, "%s: %s", path, why);
		return NULL;
	}
	if (file.elf.header.e_type != ET_EXEC || file.elf.header.e_machine != machine_of(target)) {
		pyr_mapped_elf_close(&file);
		return NULL;
	}
	if ((err = pyr_image_add(images, path, &image))) {
		pyr_mapped_elf_close(&file);
		return err;
	}
	if (compare_dynamic(target, reader, image, &file.elf) != SAME) {
		pyr_control_diagnose(target->control,
				     "%s is not used: nothing in the target shows "
				     "that it was running",
				     path);
		pyr_mapped_elf_close(&file);
		pyr_image_deinit(&images->data[--images->count]);
		return NULL;
	}
	image->is_exe = true;
	take_file(image, &file, target);
	return NULL;
}

pyr_error *pyr_images_match_files(struct pyr_target *target, struct pyr_reader *reader,
				  pyr_image_vec *images, const struct pyr_target_options *options)
{
	bool exe_known = false, exe_used = false;
	pyr_error *err;
	size_t i;

	for (i = 0; i < images->count; i++)
		exe_known |= images->data[i].is_exe;
	for (i = 0; i < images->count; i++) {
		struct pyr_image *image = &images->data[i];

		if (options->debug_dir)
			pyr_image_state(image)->debug_dir = strdup(options->debug_dir);
		if ((err = match_file(target, reader, image, exe_known, options)) ||
		    (err = pyr_control_check(target->control)))
			return err;
		if (!exe_known && options->exe && image->file && !strcmp(image->file, options->exe))
			image->is_exe = exe_used = true;
	}
	if (!exe_known && !exe_used && options->exe)
		return exe_from_option(target, reader, images, options->exe);
	return NULL;
}

/* --- pages that the target lacks --- */

/* Was private anonymous memory dumped at all (coredump_filter bit 0)? A stack is. */
static bool private_memory_dumped(const struct pyr_target *target)
{
	const struct pyr_mapping *m;
	size_t i;

	for (i = 0; i < target->threads.count; i++) {
		m = pyr_target_mapping_at(target, target->threads.data[i].sp);
		if (m)
			return m->present || m->cut;
	}
	return false;
}

/* Whether the absent bytes of a writable segment are still those of the file.
 * A kernel dumps a private mapping whole as soon as one page of it was written
 * (fs/coredump.c, vma_dump_size(): anon_vma), gcore likewise; so one of which
 * nothing was dumped was never written. */
static bool never_written(const struct pyr_target *target, const struct pyr_mapping *m)
{
	if (target->kind == PYR_TARGET_LIVE)
		/* live.c copies every page that is not the file's, or reads in place */
		return pyr_target_concurrent(target);
	return target->kind != PYR_TARGET_DEBUGGER && m && !m->present && !m->cut &&
	       private_memory_dumped(target);
}

static pyr_error *fill_range(struct pyr_target *target, const struct pyr_image *image,
			     pyr_addr start, uint64_t offset, uint64_t size)
{
	if (offset >= image->file_size)
		return NULL;
	if (size > image->file_size - offset)
		size = image->file_size - offset;
	if (start + size < start)
		return NULL;
	return pyr_target_add_segment(target, start, start + size, image->file_bytes + offset,
				      PYR_SEG_FROM_FILE);
}

static pyr_error *fill_writable(struct pyr_target *target, const struct pyr_image *image,
				pyr_addr start, uint64_t offset, uint64_t size)
{
	pyr_addr at = start, end = start + size, to;
	const struct pyr_mapping *m;
	pyr_error *err;

	if (end < start)
		return NULL;
	while (at < end) {
		m = pyr_target_mapping_at(target, at);
		if (!m) {
			at += target->page_size;
			continue;
		}
		to = m->end < end ? m->end : end;
		if (never_written(target, m) &&
		    (err = fill_range(target, image, at, offset + (at - start), to - at)))
			return err;
		at = to;
	}
	return NULL;
}

pyr_error *pyr_images_fill(struct pyr_target *target, pyr_image_vec *images)
{
	uint64_t offset, extra, size;
	pyr_addr start;
	pyr_error *err;
	size_t i, k;

	for (i = 0; i < images->count; i++) {
		const struct pyr_image *image = &images->data[i];
		const struct pyr_image_state *state = pyr_image_state(image);

		for (k = 0; image->file && k < state->segment_count; k++) {
			const Elf64_Phdr *p = &state->segments[k];

			if (p->p_type != PT_LOAD || !p->p_filesz || p->p_filesz > image->file_size)
				continue;
			start = pyr_page_down(target, p->p_vaddr) + image->bias;
			offset = pyr_page_down(target, p->p_offset);
			extra = p->p_offset - offset;
			/* Read-only segments show the file up to the end of the page,
			 * writable ones zeros, which count as written. */
			size = p->p_filesz + extra;
			if (p->p_flags & PF_W)
				err = fill_writable(target, image, start, offset, size);
			else
				err = fill_range(
					target, image, start, offset,
					pyr_page_down(target, size + target->page_size - 1));
			if (err)
				return err;
		}
	}
	return NULL;
}
