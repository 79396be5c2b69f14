#include "target/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "target/image_parts.h"

static int image_by_start(const void *a, const void *b)
{
	const struct pyr_image *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sort, and drop what overlaps its predecessor (a damaged target's). */
static void sort_images(pyr_image_vec *images)
{
	size_t i, kept = 0;

	if (!images->count)
		return;
	qsort(images->data, images->count, sizeof(*images->data), image_by_start);
	for (i = 0; i < images->count; i++) {
		struct pyr_image image = images->data[i];

		if (kept && image.start < images->data[kept - 1].end) {
			if (image.is_exe && !images->data[kept - 1].is_exe) {
				pyr_image_deinit(&images->data[kept - 1]);
				images->data[kept - 1] = image;
			} else {
				pyr_image_deinit(&image);
			}
		} else {
			images->data[kept++] = image;
		}
	}
	images->count = kept;
}

static pyr_error *find_images(struct pyr_target *target, struct pyr_reader *reader,
			      pyr_image_vec *images, const struct pyr_target_options *options)
{
	pyr_error *err;
	size_t i;

	if ((err = pyr_target_finish(target)) ||
	    (err = pyr_images_discover(target, reader, images)) ||
	    (err = pyr_images_match_files(target, reader, images, options)) ||
	    (err = pyr_reader_check(reader)))
		return err;
	sort_images(images);
	if ((err = pyr_images_fill(target, images)) || (err = pyr_target_finish(target)))
		return err;
	for (i = 0; i < images->count && !target->exe; i++)
		if (images->data[i].is_exe && !(target->exe = strdup(images->data[i].path)))
			return pyr_error_no_memory();
	return NULL;
}

pyr_error *pyr_target_find_images(struct pyr_target *target,
				  const struct pyr_target_options *options)
{
	pyr_image_vec images = {.data = NULL};
	struct pyr_reader reader;
	pyr_error *err;
	size_t i;

	pyr_target_drop_images(target);
	pyr_reader_init(&reader, target);
	err = find_images(target, &reader, &images, options);
	pyr_reader_deinit(&reader);
	if (err) {
		/* Segments may point into the files. */
		target->segments.count = 0;
		for (i = 0; i < images.count; i++)
			pyr_image_deinit(&images.data[i]);
		pyr_vec_deinit(&images);
		return err;
	}
	target->images = images.data;
	target->image_count = images.count;
	return NULL;
}

void pyr_target_drop_images(struct pyr_target *target)
{
	size_t i, kept = 0;

	for (i = 0; i < target->segments.count; i++)
		if (!(target->segments.data[i].flags & PYR_SEG_FROM_FILE))
			target->segments.data[kept++] = target->segments.data[i];
	target->segments.count = kept;
	for (i = 0; i < target->image_count; i++)
		pyr_image_deinit(&target->images[i]);
	free(target->images);
	target->images = NULL;
	target->image_count = 0;
}

const struct pyr_image *pyr_target_image_at(const struct pyr_target *target, pyr_addr addr)
{
	return pyr_search_range(target->images, target->image_count, start, end, addr);
}

/* The file as ELF, or the separate debug file, whose section headers are the
 * same but for the contents. */
static bool section(const struct pyr_image *image, const char *name, bool contents,
		    struct pyr_elf *elf, Elf64_Shdr *ret)
{
	const struct pyr_mapped_elf *debug;
	pyr_error *err;

	if (image->file) {
		err = pyr_elf_open(image->file_bytes, image->file_size, elf);
		if (!err && pyr_elf_section_by_name(elf, name, ret))
			return true;
		pyr_error_destroy(err);
	}
	if (contents || !(debug = pyr_image_debug_file(image)))
		return false;
	*elf = debug->elf;
	return pyr_elf_section_by_name(elf, name, ret);
}

bool pyr_image_section(struct pyr_target *target, const struct pyr_image *image, const char *name,
		       pyr_addr *address, uint64_t *size)
{
	struct pyr_elf elf;
	Elf64_Shdr s;

	(void)target;
	if (!section(image, name, false, &elf, &s) || !(s.sh_flags & SHF_ALLOC))
		return false;
	if (address)
		*address = s.sh_addr + image->bias;
	if (size)
		*size = s.sh_size;
	return true;
}

bool pyr_image_debuglink(const struct pyr_image *image, const char **name, uint32_t *crc)
{
	const uint8_t *bytes;
	struct pyr_elf elf;
	const char *text;
	Elf64_Shdr s;
	size_t at;

	if (!section(image, ".gnu_debuglink", true, &elf, &s) || s.sh_type == SHT_NOBITS)
		return false;
	bytes = pyr_elf_at(&elf, s.sh_offset, s.sh_size);
	text = pyr_elf_string(bytes, bytes ? s.sh_size : 0, 0);
	if (!text || !*text)
		return false;
	at = (strlen(text) + 1 + 3) & ~(size_t)3;
	if (at > s.sh_size || s.sh_size - at < 4)
		return false;
	memcpy(crc, bytes + at, 4);
	*name = text;
	return true;
}

pyr_addr pyr_image_dynamic(const struct pyr_image *image)
{
	const struct pyr_image_state *state = pyr_image_state(image);
	size_t i;

	for (i = 0; i < state->segment_count; i++)
		if (state->segments[i].p_type == PT_DYNAMIC)
			return state->segments[i].p_vaddr + image->bias;
	return 0;
}

uint64_t pyr_image_tls_size(const struct pyr_image *image)
{
	const struct pyr_image_state *state = pyr_image_state(image);
	size_t i;

	for (i = 0; i < state->segment_count; i++)
		if (state->segments[i].p_type == PT_TLS && state->segments[i].p_memsz)
			return state->segments[i].p_memsz + state->segments[i].p_align;
	return 0;
}

size_t pyr_image_writable(struct pyr_target *target, const struct pyr_image *image,
			  pyr_addr ranges[][2], size_t max)
{
	const struct pyr_image_state *state = pyr_image_state(image);
	const struct pyr_mapping *m;
	size_t i, n = 0;
	pyr_addr end;

	for (i = 0; i < state->segment_count && n < max; i++) {
		const Elf64_Phdr *p = &state->segments[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_W) || !p->p_memsz)
			continue;
		end = p->p_vaddr + image->bias + p->p_memsz;
		if (end <= p->p_vaddr + image->bias || end > image->end)
			end = image->end;
		ranges[n][0] = p->p_vaddr + image->bias;
		ranges[n][1] = end;
		n += ranges[n][0] >= image->start && ranges[n][0] < end;
	}
	if (state->segment_count)
		return n;
	/* Neither headers nor file: what the mappings say. */
	for (i = 0; i < target->mappings.count && n < max; i++) {
		m = &target->mappings.data[i];
		if (m->write && m->start >= image->start && m->end <= image->end) {
			ranges[n][0] = m->start;
			ranges[n++][1] = m->end;
		}
	}
	return n;
}
