/* ELF core files made in memory: odd ones by hand, real ones from a stopped
 * process as fs/coredump.c would write them. */
#ifndef TESTS_UNIT_CORE_BUILDER_H
#define TESTS_UNIT_CORE_BUILDER_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/vec.h"

struct core_builder_segment {
	Elf64_Phdr header; /* p_offset is filled in by core_builder_finish() */
	const void *bytes; /* p_filesz of them; NULL: zeros */
	void *owned;
};

struct core_builder {
	unsigned machine; /* EM_X86_64 by default */
	bool extended;    /* PN_XNUM, even for few segments */
	PYR_VEC(uint8_t) notes;
	PYR_VEC(struct core_builder_segment) segments;
	PYR_VEC(uint8_t) file; /* after core_builder_finish() */
	size_t first_data;     /* offset of the first segment's bytes */
};

void core_builder_init(struct core_builder *b);
void core_builder_deinit(struct core_builder *b);
void core_builder_segment(struct core_builder *b, uint64_t start, uint64_t memsz, unsigned flags,
			  const void *bytes, uint64_t filesz);
void core_builder_note(struct core_builder *b, const char *name, unsigned type, const void *bytes,
		       size_t size);
/* NT_PRSTATUS with register i holding base + i. */
void core_builder_thread(struct core_builder *b, unsigned tid, uint64_t base);
void core_builder_auxv(struct core_builder *b, const uint64_t *pairs, size_t count);
struct core_builder_file {
	uint64_t start, end, page; /* file offset in pages of 4096 */
	const char *path;
};
void core_builder_files(struct core_builder *b, const struct core_builder_file *files,
			size_t count);
/* Lay the file out. */
void core_builder_finish(struct core_builder *b);
/* Write the first @size bytes of the file (SIZE_MAX: all). */
void core_builder_write(const struct core_builder *b, const char *path, size_t size);

/* Notes and memory of @pid, which must be stopped or sleeping, with the
 * default coredump_filter: private memory that was written, and the first page
 * of every ELF file. */
void core_builder_from_process(struct core_builder *b, pid_t pid);

#endif
