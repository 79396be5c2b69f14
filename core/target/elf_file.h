/* A 64-bit little-endian ELF file (core, executable, debug file) as bytes in
 * our memory. Every offset and count in it is the file's word only and is
 * checked against the number of bytes that are there; what lies outside reads
 * as absent. Nothing is allocated. */
#ifndef PYR_TARGET_ELF_FILE_H
#define PYR_TARGET_ELF_FILE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct pyr_elf {
	const uint8_t *bytes;
	size_t size;
	Elf64_Ehdr header;
	size_t segment_count;    /* program headers that the bytes hold */
	uint64_t segments_named; /* program headers that the header names (PN_XNUM resolved) */
	size_t section_count;    /* section headers that the bytes hold */
};

/* bad_file (not ELF, or damaged) or unsupported_build (32-bit, big-endian,
 * another machine), in words that follow "FILE: ". */
pyr_error *pyr_elf_open(const void *bytes, size_t size, struct pyr_elf *ret);

/* @size bytes at file offset @offset, or NULL. */
const void *pyr_elf_at(const struct pyr_elf *elf, uint64_t offset, uint64_t size);
bool pyr_elf_segment(const struct pyr_elf *elf, size_t index, Elf64_Phdr *ret);
bool pyr_elf_section(const struct pyr_elf *elf, size_t index, Elf64_Shdr *ret);
/* The first section with that name. */
bool pyr_elf_section_by_name(const struct pyr_elf *elf, const char *name, Elf64_Shdr *ret);
/* The bytes of the file at a link-time address, by PT_LOAD; NULL when not all in one. */
const void *pyr_elf_at_address(const struct pyr_elf *elf, uint64_t address, uint64_t size);
/* The NUL-terminated string at @offset in a table of @size bytes, or NULL. */
const char *pyr_elf_string(const void *table, size_t size, uint64_t offset);

/* GNU build-id from PT_NOTE or SHT_NOTE. Size in bytes (at most @max), 0: none. */
unsigned pyr_elf_build_id(const struct pyr_elf *elf, uint8_t *id, unsigned max);

/* Walk the notes in @size bytes; alignment of names and contents is 4 or 8.
 * Zero the cursor's offset before the first call. False at the end or at the
 * first note that does not fit. */
struct pyr_note {
	size_t offset; /* of the next note */
	uint32_t type;
	const char *name; /* not terminated */
	uint32_t name_size, size;
	const uint8_t *bytes;
};
bool pyr_note_next(const void *notes, size_t size, unsigned align, struct pyr_note *cursor);
unsigned pyr_note_build_id(const void *notes, size_t size, unsigned align, uint8_t *id,
			   unsigned max);

#endif
