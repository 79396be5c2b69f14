/* The numbers of the rows of roots_fields.def, which are part of roots' names. */
#ifndef PYR_ROOTS_ROOTS_ROWS_H
#define PYR_ROOTS_ROOTS_ROWS_H

enum {
#define ROOT_FIELD(of, s, f, text) PYR_ROOT_ROW_##of##_##s##_##f,
#define ROOT_SPECIAL(of, id, text) PYR_ROOT_ROW_##id,
#include "roots/roots_fields.def"
#undef ROOT_FIELD
#undef ROOT_SPECIAL
	PYR_ROOT_ROWS
};

#endif
