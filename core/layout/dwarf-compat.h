/* libdwarf with its two programming interfaces under one: that of 2021 and
 * before (Debian 12), and that of 0.x and later (Debian 13). */
#ifndef PYR_LAYOUT_DWARF_COMPAT_H
#define PYR_LAYOUT_DWARF_COMPAT_H

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

#ifdef DW_LIBDWARF_VERSION /* 0.2 and later */
#define pyr_dw_init(fd, dbg, error)                                                                \
	dwarf_init_b(fd, DW_GROUPNUMBER_ANY, NULL, NULL, dbg, error)
#define pyr_dw_finish(dbg) dwarf_finish(dbg)
#else
#define pyr_dw_init(fd, dbg, error)                                                                \
	dwarf_init_b(fd, DW_DLC_READ, DW_GROUPNUMBER_ANY, NULL, NULL, dbg, error)
#define pyr_dw_finish(dbg)                                                                         \
	do {                                                                                       \
		Dwarf_Error finish_error_ = NULL;                                                  \
		dwarf_finish(dbg, &finish_error_);                                                 \
	} while (0)
#endif

#endif
