/* Types in debug info: entries, what they refer to, members and sizes. */
#ifndef PYR_LAYOUT_DWARF_TYPE_H
#define PYR_LAYOUT_DWARF_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/libdwarf.h"

/* The file itself, and the one that dwz moved common entries to (NULL: none). */
struct pyr_dwarf {
	int fd, alt_fd;
	Dwarf_Debug dbg, alt;
};

/* One debugging information entry; the owner of `die` frees it. */
struct pyr_die {
	Dwarf_Debug dbg;
	Dwarf_Die die;
	bool is_info; /* .debug_info, not .debug_types */
};

void pyr_die_free(struct pyr_die *die);
/* 0 when it has none. */
Dwarf_Half pyr_die_tag(const struct pyr_die *die);
/* NULL when it has none; valid while the file is open. */
const char *pyr_die_name(const struct pyr_die *die);
bool pyr_die_unsigned(const struct pyr_die *die, Dwarf_Half attribute, uint64_t *ret);
bool pyr_die_flag(const struct pyr_die *die, Dwarf_Half attribute);
bool pyr_die_child(const struct pyr_die *die, struct pyr_die *ret);
bool pyr_die_sibling(const struct pyr_die *die, struct pyr_die *ret);
/* The entry of DW_AT_type, through typedefs and qualifiers when @strip. */
bool pyr_die_type(struct pyr_dwarf *dwarf, const struct pyr_die *die, bool strip,
		  struct pyr_die *ret);
/* Size in bytes of the type @die (not of a member): 0 when unknown. */
uint64_t pyr_die_type_size(struct pyr_dwarf *dwarf, const struct pyr_die *die);

/* Walk @path ("a.b[2].c") into the structure @die; answers where it ends. */
struct pyr_die_place {
	uint64_t offset, size;
	unsigned bit_offset, bit_width;
};
bool pyr_die_walk(struct pyr_dwarf *dwarf, const struct pyr_die *die, const char *path,
		  size_t length, struct pyr_die_place *ret);

#endif
