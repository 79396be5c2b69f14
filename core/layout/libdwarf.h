/* libdwarf, loaded when it is needed and bound to itself.
 *
 * Debuggers have libdw in their process, which defines dwarf_child(), dwarf_tag() and others
 * of the same names: were libdwarf a library that this one is linked with, our calls and
 * its own would end in libdw. */
#ifndef PYR_LAYOUT_LIBDWARF_H
#define PYR_LAYOUT_LIBDWARF_H

#include "base/error.h"

#if __has_include(<libdwarf/libdwarf.h>)
#include <libdwarf/dwarf.h>
#include <libdwarf/libdwarf.h>
#elif __has_include(<libdwarf-0/libdwarf.h>)
#include <libdwarf-0/dwarf.h>
#include <libdwarf-0/libdwarf.h>
#else
#include <dwarf.h>
#include <libdwarf.h>
#endif

struct pyr_libdwarf {
#define FUNCTION(name) __typeof__(&dwarf_##name) name;
#include "layout/libdwarf.def"
#undef FUNCTION
};

/* The functions; to be used after pyr_libdwarf_load(). */
extern struct pyr_libdwarf pyr_dw;

/* PYR_E_BAD_FILE when libdwarf is not installed, or has another programming interface than
 * the one that this was compiled for. Not for use by several threads at once. */
pyr_error *pyr_libdwarf_load(void);

/* Two programming interfaces: that of 2021 and before, and that of 0.x and later. */
#ifdef DW_LIBDWARF_VERSION
#define pyr_dw_init(fd, dbg, error) pyr_dw.init_b(fd, DW_GROUPNUMBER_ANY, NULL, NULL, dbg, error)
#define pyr_dw_finish(dbg) pyr_dw.finish(dbg)
#else
#define pyr_dw_init(fd, dbg, error)                                                                \
	pyr_dw.init_b(fd, DW_DLC_READ, DW_GROUPNUMBER_ANY, NULL, NULL, dbg, error)
#define pyr_dw_finish(dbg)                                                                         \
	do {                                                                                       \
		Dwarf_Error finish_error_ = NULL;                                                  \
		pyr_dw.finish(dbg, &finish_error_);                                                \
	} while (0)
#endif

#endif
