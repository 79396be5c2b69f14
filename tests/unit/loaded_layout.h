/* The layout that a test looks at, and another to hold against it. */
#ifndef TESTS_UNIT_LOADED_LAYOUT_H
#define TESTS_UNIT_LOADED_LAYOUT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "layout/layout.h"

static struct pyr_layout layout, other;

static void load(uint32_t hexversion, enum pyr_machine machine)
{
	struct pyr_build build = {.hexversion = hexversion, .machine = machine};
	pyr_error *err = pyr_layout_builtin(&build, &layout);

	if (err)
		fail_msg("%s", err->message);
}

#define assert_at(id, field, where) assert_int_equal(pyr_offset(&layout, id, field), where)

#endif
