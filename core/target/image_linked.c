/* Images of a target whose mappings have no names: through the dynamic linker's
 * list of libraries, and by ELF headers in memory. */
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/image_parts.h"

#define PATH_SIZE_MAX 4096u
#define DYNAMIC_MAX 4096u

/* struct r_debug and struct link_map (link.h), the same in glibc and musl. */
#define R_DEBUG_MAP 8
#define LINK_ADDR 0
#define LINK_NAME 8
#define LINK_LD 16
#define LINK_NEXT 24

static bool dynamic_entry(struct pyr_image_finder *f, const struct pyr_image *image, int64_t tag,
			  uint64_t *ret)
{
	const struct pyr_image_state *state = pyr_image_state(image);
	uint64_t at, entry[2];
	const void *bytes;
	size_t i, k;

	for (i = 0; i < state->segment_count; i++) {
		if (state->segments[i].p_type != PT_DYNAMIC)
			continue;
		at = state->segments[i].p_vaddr + image->bias;
		for (k = 0; k < DYNAMIC_MAX && k < state->segments[i].p_memsz / 16; k++) {
			bytes = pyr_peek(f->reader, at + 16 * k, 16);
			if (!bytes)
				return false;
			memcpy(entry, bytes, 16);
			if (entry[0] == DT_NULL)
				return false;
			if (entry[0] == (uint64_t)tag) {
				*ret = entry[1];
				return true;
			}
		}
	}
	return false;
}

/* The executable itself, from AT_PHDR: PT_PHDR gives the bias, else the ELF
 * header that precedes the program headers in every file there is. */
static pyr_error *exe_from_auxv(struct pyr_image_finder *f)
{
	struct pyr_image_state *state;
	struct pyr_image *image;
	char *path = NULL;
	uint64_t name;
	pyr_error *err;
	size_t i;
	bool absent;

	if (!f->phdr)
		return NULL;
	if (pyr_target_auxv(f->target, AT_EXECFN, &name) &&
	    (err = pyr_read_cstring(f->reader, name, PATH_SIZE_MAX, &path))) {
		pyr_error_destroy(err);
		path = NULL;
	}
	err = pyr_image_add(f->images, path ? path : "[executable]", &image);
	free(path);
	if (err)
		return err;
	state = pyr_image_state(image);
	image->is_exe = true;
	image->start = pyr_page_down(f->target, f->phdr);
	image->end = image->start + f->target->page_size;
	if (!pyr_image_read_segments(f->reader, f->phdr, f->phnum, state))
		return NULL; /* -e may know */
	for (i = 0; i < state->segment_count && !state->bias_known; i++) {
		if (state->segments[i].p_type == PT_PHDR) {
			image->bias = f->phdr - state->segments[i].p_vaddr;
			state->bias_known = true;
		}
	}
	if (!state->bias_known)
		state->bias_known =
			pyr_image_bias_from_start(f->target, state, image->start, &image->bias);
	if (!state->bias_known || !pyr_image_extent(f->target, image, &image->start, &image->end))
		return NULL;
	pyr_image_read_header(f, image->start, state, &absent);
	pyr_image_read_build_id(f, image);
	return NULL;
}

static struct pyr_image *known_at(const struct pyr_image_finder *f, pyr_addr addr)
{
	size_t i;

	for (i = 0; i < f->images->count; i++)
		if (addr >= f->images->data[i].start && addr < f->images->data[i].end)
			return &f->images->data[i];
	return NULL;
}

/* The linker's name of an image is a path; a DT_SONAME is none. */
static void rename_linked(struct pyr_image *image, char **path)
{
	if (*image->path == '/' || **path != '/')
		return;
	free(image->path);
	image->path = *path;
	*path = NULL;
}

static pyr_error *add_linked(struct pyr_image_finder *f, const char *path, uint64_t bias,
			     pyr_addr dynamic)
{
	const struct pyr_mapping *m = pyr_target_mapping_at(f->target, dynamic);
	struct pyr_image_state *state;
	struct pyr_image *image;
	pyr_error *err;
	bool absent;

	if ((err = pyr_image_add(f->images, path, &image)))
		return err;
	state = pyr_image_state(image);
	image->bias = bias;
	state->bias_known = true;
	state->link_dynamic = dynamic;
	/* Libraries are linked at 0, so the header is where the bias points. */
	if (!pyr_image_read_header(f, bias, state, &absent) ||
	    !pyr_image_extent(f->target, image, &image->start, &image->end)) {
		image->start = m ? m->start : pyr_page_down(f->target, dynamic);
		image->end = m ? m->end : image->start + f->target->page_size;
		return NULL;
	}
	pyr_image_read_build_id(f, image);
	return NULL;
}

/* r_debug.r_map, as gdb's solib-svr4.c reads it. @exe: whose DT_DEBUG it is. */
static pyr_error *from_link_map(struct pyr_image_finder *f, size_t exe)
{
	struct pyr_image *known;
	uint64_t debug, vdso = 0, map, bias, name, dynamic, seen;
	pyr_error *err;
	char *path;

	if (!dynamic_entry(f, &f->images->data[exe], DT_DEBUG, &debug) || !debug ||
	    !pyr_try_u64(f->reader, debug + R_DEBUG_MAP, &map))
		return NULL;
	pyr_target_auxv(f->target, AT_SYSINFO_EHDR, &vdso);
	for (seen = 0; map && seen < PYR_IMAGES_MAX; seen++) {
		if (!pyr_try_u64(f->reader, map + LINK_ADDR, &bias) ||
		    !pyr_try_u64(f->reader, map + LINK_NAME, &name) ||
		    !pyr_try_u64(f->reader, map + LINK_LD, &dynamic) ||
		    !pyr_try_u64(f->reader, map + LINK_NEXT, &map)) {
			pyr_target_mark_incomplete(f->target,
						   "the dynamic linker's list of libraries "
						   "breaks off after %llu entries",
						   (unsigned long long)seen);
			return NULL;
		}
		if ((err = pyr_control_check(f->target->control)))
			return err;
		if (vdso && bias == vdso)
			continue;
		if ((err = pyr_read_cstring(f->reader, name, PATH_SIZE_MAX, &path))) {
			pyr_error_destroy(err);
			continue;
		}
		/* Known: also the executable, and a list that runs in a circle. */
		known = known_at(f, dynamic);
		if (known)
			rename_linked(known, &path);
		else if (*path)
			err = add_linked(f, path, bias, dynamic);
		free(path);
		if (err)
			return err;
	}
	return NULL;
}

/* --- ELF headers at the start of mappings, when nothing has names --- */

static pyr_error *name_from_soname(struct pyr_image_finder *f, struct pyr_image *image)
{
	uint64_t strings, soname;
	char *text = NULL;
	pyr_error *err;

	if (!dynamic_entry(f, image, DT_SONAME, &soname) ||
	    !dynamic_entry(f, image, DT_STRTAB, &strings))
		return NULL;
	if (strings < image->start || strings >= image->end)
		strings += image->bias; /* musl leaves it as linked */
	if ((err = pyr_read_cstring(f->reader, strings + soname, PATH_SIZE_MAX, &text))) {
		pyr_error_destroy(err);
		return NULL;
	}
	if (!*text) {
		free(text);
		return NULL;
	}
	free(image->path);
	image->path = text;
	return NULL;
}

static pyr_error *from_headers(struct pyr_image_finder *f)
{
	const struct pyr_mapping *v = f->target->mappings.data;
	pyr_addr end = 0;
	struct pyr_image *image;
	size_t i, known = f->images->count, k;
	char name[48];
	uint64_t magic;
	pyr_error *err;
	bool absent, inside;

	for (i = 0; i < f->target->mappings.count && pyr_image_room(f); i++) {
		/* A writable copy of a file is data. */
		if (v[i].write || !v[i].present || v[i].start < end ||
		    (v[i].path && !strcmp(v[i].path, "[vdso]")))
			continue;
		if (!pyr_try_u64(f->reader, v[i].start, &magic) || memcmp(&magic, ELFMAG, SELFMAG))
			continue;
		for (inside = false, k = 0; k < known && !inside; k++)
			inside = v[i].start >= f->images->data[k].start &&
				 v[i].start < f->images->data[k].end;
		if (inside)
			continue;
		snprintf(name, sizeof(name), "[ELF image at 0x%llx]",
			 (unsigned long long)v[i].start);
		if ((err = pyr_image_add(f->images, name, &image)))
			return err;
		if (!pyr_image_read_header(f, v[i].start, pyr_image_state(image), &absent) ||
		    !pyr_image_bias_from_start(f->target, pyr_image_state(image), v[i].start,
					       &image->bias) ||
		    !pyr_image_is_loaded(f->target, image, NULL) ||
		    !pyr_image_extent(f->target, image, &image->start, &image->end)) {
			pyr_image_drop_last(f->images);
			continue;
		}
		pyr_image_state(image)->bias_known = true;
		end = image->end;
		pyr_image_read_build_id(f, image);
		if ((err = name_from_soname(f, image)))
			return err;
	}
	return NULL;
}

pyr_error *pyr_images_from_linker(struct pyr_image_finder *f)
{
	pyr_error *err;
	uint64_t debug;
	size_t i;

	if ((err = exe_from_auxv(f)))
		return err;
	if (f->images->count)
		return (err = from_link_map(f, 0)) ? err : from_headers(f);
	/* No auxv either: of all images the executable has the linker's address. */
	if ((err = from_headers(f)))
		return err;
	for (i = 0; i < f->images->count; i++) {
		if (dynamic_entry(f, &f->images->data[i], DT_DEBUG, &debug) && debug) {
			f->images->data[i].is_exe = true;
			return from_link_map(f, i);
		}
	}
	return NULL;
}
