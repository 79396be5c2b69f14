/* Reading debug info at arm's length: libdwarf is known to crash on damaged files, and
 * a debugger must not go down with it. */
#ifndef PYR_LAYOUT_DWARF_CHILD_H
#define PYR_LAYOUT_DWARF_CHILD_H

#include "layout/dwarf.h"

/* pyr_dwarf_open() and pyr_dwarf_scan() in a child process of this one, which is limited
 * in time and memory. PYR_E_BAD_FILE also when the child crashed or took too long. */
pyr_error *pyr_dwarf_read_apart(const struct pyr_dwarf_file *file, struct pyr_dwarf_places *ret);

#endif
