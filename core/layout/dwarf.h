/* The places of fields.def, read out of the debug info of one ELF file. */
#ifndef PYR_LAYOUT_DWARF_H
#define PYR_LAYOUT_DWARF_H

#include "layout/layout.h"

struct pyr_dwarf;

/* Where debug info says things are. A structure of size 0 was not found, and its
 * fields are then at offset -1. */
struct pyr_dwarf_places {
	struct pyr_field_place fields[PYR_F_COUNT];
	uint32_t struct_size[PYR_S_COUNT];
};

void pyr_dwarf_places_init(struct pyr_dwarf_places *places);

/* Open a file with .debug_info, and the file that its .gnu_debugaltlink names, when
 * that can be found. PYR_E_BAD_FILE when there is no debug info that libdwarf reads. */
pyr_error *pyr_dwarf_open(const struct pyr_dwarf_file *file, struct pyr_dwarf **ret);
void pyr_dwarf_close(struct pyr_dwarf *dwarf); /* NULL is allowed */

/* Find the structures that @places does not have yet; with @wanted only those it marks.
 * Compilation units are read until nothing is left to find. Units that libdwarf
 * cannot read are passed over; their number is *@skipped (may be NULL). */
pyr_error *pyr_dwarf_scan(struct pyr_dwarf *dwarf, const bool *wanted,
			  struct pyr_dwarf_places *places, unsigned *skipped);

#endif
