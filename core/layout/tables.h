/* The built-in tables: what tables/ *.def hold, as data. */
#ifndef PYR_LAYOUT_TABLES_H
#define PYR_LAYOUT_TABLES_H

#include "layout/dwarf.h"

/* How a table came to be. */
enum pyr_provenance {
	PYR_PROVENANCE_DWARF,   /* generated from the debug info of that build */
	PYR_PROVENANCE_DERIVED, /* computed from another build's table by a rule */
};

/* One BUILD line: a build of CPython and the table that describes it. */
struct pyr_table_build {
	struct pyr_build build; /* build_id "" when derived */
	enum pyr_provenance provenance;
	const char *origin; /* "pyenv 3.11.7", "Debian 3.13.5-2+deb13u5", "3.12.1 for x86_64" */
	int table;
};

size_t pyr_table_build_count(void);
const struct pyr_table_build *pyr_table_build(size_t index);
const char *pyr_table_name(int table);
/* What the table says, that of its base included. */
void pyr_table_places(int table, struct pyr_dwarf_places *ret);

#endif
