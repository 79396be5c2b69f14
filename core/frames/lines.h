/* The three tables that map instructions to lines. Each function answers the
 * line of the instruction at byte offset @lasti, 0 when it has none. Damaged
 * tables end early and answer what was reached. */
#ifndef PYR_FRAMES_LINES_H
#define PYR_FRAMES_LINES_H

#include <stddef.h>
#include <stdint.h>

/* co_lnotab, until 3.9 (codeobject.c, PyCode_Addr2Line()). */
int32_t pyr_line_lnotab(const uint8_t *table, size_t size, int32_t first_line, int32_t lasti);
/* co_linetable of 3.10 (PEP 626, Objects/lnotab_notes.txt). */
int32_t pyr_line_pep626(const uint8_t *table, size_t size, int32_t first_line, int32_t lasti);
/* co_linetable since 3.11 (Objects/locations.md, later InternalDocs/code_objects.md). */
int32_t pyr_line_locations(const uint8_t *table, size_t size, int32_t first_line, int32_t lasti);

#endif
