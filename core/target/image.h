/* The ELF files mapped into the target: executable, shared libraries. An image
 * is found from the mappings (and the executable's AT_PHDR), and read from the
 * target's own pages where they are present, from the file where that exists
 * and its build-id matches. */
#ifndef PYR_TARGET_IMAGE_H
#define PYR_TARGET_IMAGE_H

#include "target/target.h"

#define PYR_BUILD_ID_MAX 32

struct pyr_image {
	char *path;          /* as the target names it; owned */
	pyr_addr start, end; /* lowest and highest mapped address of the file */
	uint64_t bias;       /* run-time address = link-time address + bias (modulo 2^64) */
	uint8_t build_id[PYR_BUILD_ID_MAX];
	unsigned build_id_size; /* 0: unknown */
	bool is_exe;

	/* The file on this machine; NULL when absent or its build-id differs. */
	char *file; /* path that was opened; owned */
	const uint8_t *file_bytes;
	size_t file_size;
	char *why_no_file; /* one line, to follow "PATH: "; owned; NULL when file is set */
	void *state;       /* image.c */
};

/* Find images, verify and map their files, and add the files' read-only pages
 * that the target lacks as segments marked PYR_SEG_FROM_FILE. Called once by
 * every target implementation after its mappings and segments are known; calls
 * pyr_target_finish() before and after. */
pyr_error *pyr_target_find_images(struct pyr_target *target,
				  const struct pyr_target_options *options);
void pyr_target_drop_images(struct pyr_target *target);

/* The image that contains @addr, or NULL. */
const struct pyr_image *pyr_target_image_at(const struct pyr_target *target, pyr_addr addr);

/* A defined symbol by exact name, from .dynsym (file, else the target's own
 * pages through PT_DYNAMIC), else .symtab of the file. Run-time address; the
 * outputs may be NULL. */
bool pyr_image_symbol(struct pyr_target *target, const struct pyr_image *image, const char *name,
		      pyr_addr *address, uint64_t *size);
/* A static variable or function of one source file ("floatobject.c"), from .symtab. */
bool pyr_image_file_symbol(const struct pyr_image *image, const char *file, const char *name,
			   pyr_addr *address, uint64_t *size);
/* The symbol that contains @addr (functions and data), or false. @name is
 * borrowed from the image. */
bool pyr_image_symbol_at(struct pyr_target *target, const struct pyr_image *image, pyr_addr addr,
			 const char **name, uint64_t *offset);
/* A section by name (needs the file). Run-time address. */
bool pyr_image_section(struct pyr_target *target, const struct pyr_image *image, const char *name,
		       pyr_addr *address, uint64_t *size);
/* .gnu_debuglink: file name and CRC, from the file. @name is borrowed. */
bool pyr_image_debuglink(const struct pyr_image *image, const char **name, uint32_t *crc);
/* Run-time address of the image's dynamic section (PT_DYNAMIC), or 0. */
pyr_addr pyr_image_dynamic(const struct pyr_image *image);
/* Bytes of the image's thread-local variables (PT_TLS), with their alignment; 0: none. */
uint64_t pyr_image_tls_size(const struct pyr_image *image);
/* Writable PT_LOAD ranges (.data, .bss) of the image, run-time addresses, in
 * order; at most @max are written, the number is returned. */
size_t pyr_image_writable(struct pyr_target *target, const struct pyr_image *image,
			  pyr_addr ranges[][2], size_t max);

#endif
