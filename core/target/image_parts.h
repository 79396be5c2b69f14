/* What the image*.c files share; nobody else includes this. */
#ifndef PYR_TARGET_IMAGE_PARTS_H
#define PYR_TARGET_IMAGE_PARTS_H

#include "target/elf_file.h"
#include "target/image.h"
#include "target/reader.h"
#include "target/symbols.h"

/* What a damaged target can make us do; the largest processes seen have 2000. */
#define PYR_IMAGES_MAX 16384u

/* A file of this machine, mapped. */
struct pyr_mapped_elf {
	char *path;
	const uint8_t *bytes; /* NULL: none */
	size_t size;
	struct pyr_elf elf;
};

struct pyr_image_state {
	/* Program headers: the target's own, or the verified file's. */
	Elf64_Phdr *segments;
	size_t segment_count;
	bool header_present; /* the ELF header was read from the target, at start */
	bool executable;     /* ET_EXEC */
	bool bias_known;
	pyr_addr link_dynamic; /* link_map.l_ld, or 0 */

	struct pyr_mapped_elf debug; /* separate debug file */
	bool debug_sought;
	char *debug_dir;

	bool dynamic_sought, static_sought, spans_sought;
	struct pyr_symbols dynamic, statics;
	struct pyr_symbol_spans spans;
	PYR_VEC(void *) copies; /* of tables that lie in the target only */
};

static inline struct pyr_image_state *pyr_image_state(const struct pyr_image *image)
{
	return image->state;
}

typedef PYR_VEC(struct pyr_image) pyr_image_vec;

/* image_find.c: fill @images (path, start, end, bias, build_id, is_exe, state)
 * from mappings, the dynamic linker's list, and ELF headers in memory. */
pyr_error *pyr_images_discover(struct pyr_target *target, struct pyr_reader *reader,
			       pyr_image_vec *images);

/* What the ways of finding share; image_find.c unless said otherwise. */
struct pyr_image_finder {
	struct pyr_target *target;
	struct pyr_reader *reader;
	pyr_image_vec *images;
	uint64_t phdr, phnum; /* of the executable, 0 when unknown */
};
/* Is there room for one more image? Diagnosed when not. */
bool pyr_image_room(struct pyr_image_finder *f);
/* Read the ELF header at @addr of the target. False: it is not here; *absent
 * tells whether because its bytes are absent or because they are no header. */
bool pyr_image_read_header(struct pyr_image_finder *f, pyr_addr addr, struct pyr_image_state *state,
			   bool *absent);
/* The bias under which file offset 0 is mapped at @start. */
bool pyr_image_bias_from_start(const struct pyr_target *target, const struct pyr_image_state *state,
			       pyr_addr start, uint64_t *ret);
/* Did the loader map it, or somebody as data? @path may be NULL. */
bool pyr_image_is_loaded(const struct pyr_target *target, const struct pyr_image *image,
			 const char *path);
void pyr_image_read_build_id(struct pyr_image_finder *f, struct pyr_image *image);
void pyr_image_drop_last(pyr_image_vec *images);
/* image_linked.c: when mappings have no names. */
pyr_error *pyr_images_from_linker(struct pyr_image_finder *f);

pyr_error *pyr_image_add(pyr_image_vec *images, const char *path, struct pyr_image **ret);
void pyr_image_deinit(struct pyr_image *image);
/* Read the program headers at @count * 56 bytes at @addr of the target. */
bool pyr_image_read_segments(struct pyr_reader *reader, pyr_addr addr, uint64_t count,
			     struct pyr_image_state *state);
/* Lowest and highest run-time address of the PT_LOADs, by pages. */
bool pyr_image_extent(const struct pyr_target *target, const struct pyr_image *image,
		      pyr_addr *start, pyr_addr *end);

/* image_file.c: find and verify the file of each image, and the files' pages. */
pyr_error *pyr_images_match_files(struct pyr_target *target, struct pyr_reader *reader,
				  pyr_image_vec *images, const struct pyr_target_options *options);
pyr_error *pyr_images_fill(struct pyr_target *target, pyr_image_vec *images);
/* An ELF file; on failure @why (a static text or strerror()) says why not. */
bool pyr_mapped_elf_open(const char *path, struct pyr_mapped_elf *ret, const char **why);
void pyr_mapped_elf_close(struct pyr_mapped_elf *file);
/* The image's separate debug file, by build-id; NULL when there is none. */
const struct pyr_mapped_elf *pyr_image_debug_file(const struct pyr_image *image);

static inline uint64_t pyr_page_down(const struct pyr_target *target, uint64_t v)
{
	return v & ~(target->page_size - 1);
}

#endif
