#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/image_parts.h"

/* Real files have a dozen program headers. */
#define SEGMENTS_MAX 128u

pyr_error *pyr_image_add(pyr_image_vec *images, const char *path, struct pyr_image **ret)
{
	struct pyr_image image = {.path = strdup(path)};

	image.state = calloc(1, sizeof(struct pyr_image_state));
	if (!image.path || !image.state || !pyr_vec_push(images, image)) {
		free(image.path);
		free(image.state);
		return pyr_error_no_memory();
	}
	*ret = &images->data[images->count - 1];
	/* The vector's copy owns the state now. */
	/* cppcheck-suppress memleak */
	return NULL;
}

void pyr_image_deinit(struct pyr_image *image)
{
	struct pyr_image_state *state = pyr_image_state(image);
	struct pyr_mapped_elf file = {
		.path = image->file, .bytes = image->file_bytes, .size = image->file_size};
	size_t i;

	pyr_mapped_elf_close(&file);
	free(image->path);
	free(image->why_no_file);
	if (state) {
		pyr_mapped_elf_close(&state->debug);
		pyr_symbols_deinit(&state->dynamic);
		pyr_symbols_deinit(&state->statics);
		pyr_vec_deinit(&state->spans.v);
		for (i = 0; i < state->copies.count; i++)
			free(state->copies.data[i]);
		pyr_vec_deinit(&state->copies);
		free(state->segments);
		free(state->debug_dir);
		free(state);
	}
	memset(image, 0, sizeof(*image));
}

void pyr_image_drop_last(pyr_image_vec *images)
{
	pyr_image_deinit(&images->data[--images->count]);
}

bool pyr_image_read_segments(struct pyr_reader *reader, pyr_addr addr, uint64_t count,
			     struct pyr_image_state *state)
{
	const void *bytes;
	Elf64_Phdr *copy;

	if (!count || count > SEGMENTS_MAX)
		return false;
	bytes = pyr_peek(reader, addr, count * sizeof(*copy));
	copy = bytes ? malloc(count * sizeof(*copy)) : NULL;
	if (!copy)
		return false;
	memcpy(copy, bytes, count * sizeof(*copy));
	free(state->segments);
	state->segments = copy;
	state->segment_count = count;
	return true;
}

/* Read the ELF header at @addr of the target. False: it is not here, *absent
 * tells whether because its bytes are absent or because they are no header. */
bool pyr_image_read_header(struct pyr_image_finder *f, pyr_addr addr, struct pyr_image_state *state,
			   bool *absent)
{
	unsigned machine = f->target->machine == PYR_MACHINE_AARCH64 ? EM_AARCH64 : EM_X86_64;
	const void *bytes = pyr_peek(f->reader, addr, sizeof(Elf64_Ehdr));
	Elf64_Ehdr header;

	*absent = !bytes;
	if (!bytes)
		return false;
	memcpy(&header, bytes, sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_machine != machine || header.e_phentsize != sizeof(Elf64_Phdr) ||
	    (header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
	    __builtin_add_overflow(addr, header.e_phoff, &addr) ||
	    !pyr_image_read_segments(f->reader, addr, header.e_phnum, state))
		return false;
	state->header_present = true;
	state->executable = header.e_type == ET_EXEC;
	return true;
}

/* The bias under which file offset 0 is mapped at @start. */
bool pyr_image_bias_from_start(const struct pyr_target *target, const struct pyr_image_state *state,
			       pyr_addr start, uint64_t *ret)
{
	size_t i;

	for (i = 0; i < state->segment_count; i++) {
		const Elf64_Phdr *p = &state->segments[i];

		if (p->p_type == PT_LOAD && !pyr_page_down(target, p->p_offset)) {
			*ret = start - pyr_page_down(target, p->p_vaddr);
			return true;
		}
	}
	return false;
}

bool pyr_image_extent(const struct pyr_target *target, const struct pyr_image *image,
		      pyr_addr *start, pyr_addr *end)
{
	const struct pyr_image_state *state = pyr_image_state(image);
	uint64_t low = UINT64_MAX, high = 0, last;
	size_t i;

	for (i = 0; i < state->segment_count; i++) {
		const Elf64_Phdr *p = &state->segments[i];

		if (p->p_type != PT_LOAD || __builtin_add_overflow(p->p_vaddr, p->p_memsz, &last) ||
		    last > UINT64_MAX - target->page_size)
			continue;
		if (p->p_vaddr < low)
			low = p->p_vaddr;
		if (last > high)
			high = last;
	}
	if (high <= low)
		return false;
	low = pyr_page_down(target, low) + image->bias;
	high = pyr_page_down(target, high + target->page_size - 1) + image->bias;
	if (high <= low)
		return false;
	*start = low;
	*end = high;
	return true;
}

/* A file that was merely mapped as data (by a debugger, mmap.mmap) looks like
 * a library; but where the loader would have put its segments is something
 * else. */
bool pyr_image_is_loaded(const struct pyr_target *target, const struct pyr_image *image,
			 const char *path)
{
	const struct pyr_image_state *state = pyr_image_state(image);
	const struct pyr_mapping *m, *code = NULL, *data = NULL;
	pyr_addr at;
	size_t i;

	if (state->executable && image->bias)
		return false;
	for (i = 0; i < state->segment_count; i++) {
		const Elf64_Phdr *p = &state->segments[i];

		if (p->p_type != PT_LOAD || !p->p_filesz)
			continue;
		at = pyr_page_down(target, p->p_vaddr) + image->bias;
		m = pyr_target_mapping_at(target, at);
		if (!m && p->p_flags & PF_W)
			return false;
		if (m && path && m->path && !strcmp(m->path, path) &&
		    m->file_offset + (at - m->start) != pyr_page_down(target, p->p_offset))
			return false;
		if ((p->p_flags & (PF_W | PF_X)) == PF_X)
			code = m;
		if ((p->p_flags & (PF_W | PF_X)) == PF_W)
			data = m;
	}
	/* Protections differ, so these were two mappings. */
	return !code || code != data;
}

void pyr_image_read_build_id(struct pyr_image_finder *f, struct pyr_image *image)
{
	const struct pyr_image_state *state = pyr_image_state(image);
	const void *notes;
	size_t i;

	for (i = 0; i < state->segment_count && !image->build_id_size; i++) {
		const Elf64_Phdr *p = &state->segments[i];

		if (p->p_type != PT_NOTE || p->p_filesz > 65536)
			continue;
		notes = pyr_peek(f->reader, p->p_vaddr + image->bias, p->p_filesz);
		image->build_id_size =
			pyr_note_build_id(notes, notes ? p->p_filesz : 0, (unsigned)p->p_align,
					  image->build_id, PYR_BUILD_ID_MAX);
	}
}

/* Is this the executable? Its program headers lie in it. */
static void mark_exe(struct pyr_image_finder *f, struct pyr_image *image)
{
	image->is_exe = f->phdr && f->phdr >= image->start && f->phdr < image->end;
}

/* --- from mappings --- */

/* Does the run of mappings of one path look like loaded code? Data files have
 * no executable part. */
static bool looks_loaded(const struct pyr_image_finder *f, size_t first, size_t end)
{
	const struct pyr_mapping *v = f->target->mappings.data;
	size_t i;

	/* Shared memory without a file has this name (mm/shmem.c). A JIT's code may lie in it, and
	 * no library. */
	if (!strcmp(v[first].path, "/dev/zero"))
		return false;
	for (i = first; i < end; i++)
		if (v[i].path && (v[i].exec || (f->phdr >= v[i].start && f->phdr < v[i].end)))
			return true;
	/* gcore may leave out the code together with its permissions. */
	return end - first > 1 && strstr(v[first].path, ".so");
}

/* One past the last mapping of the run that begins at @first: the same path,
 * with anonymous memory (bss) in between. */
static size_t run_end(const struct pyr_target *target, size_t first)
{
	const struct pyr_mapping *v = target->mappings.data;
	size_t i, end = first + 1;

	for (i = end; i < target->mappings.count; i++) {
		if (!v[i].path)
			continue;
		if (strcmp(v[i].path, v[first].path))
			break;
		end = i + 1;
	}
	return end;
}

/* Where the image must end: at @high, or the next mapping that is named
 * otherwise. */
static pyr_addr image_end(const struct pyr_target *target, size_t index, const char *path,
			  pyr_addr high)
{
	const struct pyr_mapping *v = target->mappings.data;

	for (; index < target->mappings.count && v[index].start < high; index++)
		if (v[index].path && strcmp(v[index].path, path))
			return v[index].start;
	return high;
}

/* Try the mapping @first (file offset 0) as the start of an image; *next is
 * the first mapping behind it. */
static pyr_error *image_from_run(struct pyr_image_finder *f, size_t first, size_t end, size_t *next)
{
	const struct pyr_mapping *v = f->target->mappings.data;
	struct pyr_image_state *state;
	pyr_addr low, high;
	struct pyr_image *image;
	pyr_error *err;
	bool absent, ok;
	size_t i;

	/* Before any byte is read: a core maps thousands of data files, and each
	 * page is a read from disk. */
	if (!looks_loaded(f, first, end)) {
		*next = end;
		return NULL;
	}
	*next = first + 1;
	if ((err = pyr_image_add(f->images, v[first].path, &image)))
		return err;
	state = pyr_image_state(image);
	image->start = v[first].start;
	image->end = v[end - 1].end;
	if (pyr_image_read_header(f, v[first].start, state, &absent)) {
		ok = state->bias_known =
			pyr_image_bias_from_start(f->target, state, v[first].start, &image->bias) &&
			pyr_image_is_loaded(f->target, image, image->path);
	} else {
		/* Absent or damaged. Bias: the common case; the file will tell. */
		image->bias = image->start;
		*next = end;
		ok = true;
	}
	if (!ok) {
		pyr_image_drop_last(f->images);
		return NULL;
	}
	if (state->bias_known && pyr_image_extent(f->target, image, &low, &high)) {
		image->end = image_end(f->target, first, image->path, high);
		if (image->end <= image->start)
			image->end = v[first].end;
		pyr_image_read_build_id(f, image);
	}
	mark_exe(f, image);
	for (i = first + 1; i < f->target->mappings.count && v[i].start < image->end; i++)
		*next = i + 1;
	return NULL;
}

bool pyr_image_room(struct pyr_image_finder *f)
{
	if (f->images->count < PYR_IMAGES_MAX)
		return true;
	pyr_control_diagnose(f->target->control, "images beyond %u are left out", PYR_IMAGES_MAX);
	return false;
}

static pyr_error *from_mappings(struct pyr_image_finder *f)
{
	const struct pyr_mapping *v = f->target->mappings.data;
	size_t i = 0, end = 0;
	pyr_error *err;

	while (i < f->target->mappings.count && pyr_image_room(f)) {
		if (!v[i].path || *v[i].path == '[' || v[i].file_offset) {
			i++;
			continue;
		}
		if (i >= end)
			end = run_end(f->target, i);
		if ((err = image_from_run(f, i, end, &i)) ||
		    (err = pyr_control_check(f->target->control)))
			return err;
	}
	return NULL;
}

pyr_error *pyr_images_discover(struct pyr_target *target, struct pyr_reader *reader,
			       pyr_image_vec *images)
{
	struct pyr_image_finder f = {.target = target, .reader = reader, .images = images};
	size_t i;

	pyr_target_auxv(target, AT_PHDR, &f.phdr);
	pyr_target_auxv(target, AT_PHNUM, &f.phnum);
	for (i = 0; i < target->mappings.count; i++)
		if (target->mappings.data[i].path && *target->mappings.data[i].path != '[')
			return from_mappings(&f);
	return pyr_images_from_linker(&f);
}
