/* Where the debug info of an image lies on disk. */
#ifndef PYR_LAYOUT_DEBUG_FILE_H
#define PYR_LAYOUT_DEBUG_FILE_H

#include "layout/layout.h"

#define PYR_DEBUG_DIR "/usr/lib/debug"

/* The file that dwz moved common entries of @file to (.gnu_debugaltlink), found by its
 * name, relative to @file, or by its build-id. *@ret is NULL when it names none or
 * the file is not there. */
pyr_error *pyr_debug_alt_find(const struct pyr_dwarf_file *file, char **ret);

/* What an ELF file says about itself: the build-id in lower-case hex ("" without one),
 * .gnu_debuglink ("" without one) and whether it has .debug_info. */
struct pyr_elf_identity {
	char build_id[65];
	char debuglink[256];
	uint32_t debuglink_crc;
	bool has_debug_info;
};
pyr_error *pyr_elf_identity_read(const char *path, struct pyr_elf_identity *ret);

#endif
