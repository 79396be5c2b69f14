/* Numbers as people read them. Values are returned in a small struct so that a
 * call can stand inside a printf argument list: pyr_bytes(n).text. */
#ifndef PYR_RENDER_UNITS_H
#define PYR_RENDER_UNITS_H

#include <stdint.h>

struct pyr_units {
	char text[80];
};

/* "512 B", "1.2 GiB": binary units, three significant digits. */
struct pyr_units pyr_bytes(uint64_t n);
/* "12,345,678" */
struct pyr_units pyr_count(uint64_t n);
/* "1 object", "12,345 objects" */
struct pyr_units pyr_counted(uint64_t n, const char *one, const char *many);
/* "0.87 ms", "12.3 ms", "4.56 s" */
struct pyr_units pyr_duration(uint64_t nanoseconds);
/* "0x7f3c5a1b2e40" */
struct pyr_units pyr_address(uint64_t address);
/* "12.3 %" of @whole; "-" when @whole is 0. */
struct pyr_units pyr_release_count(uint64_t part, uint64_t whole);

#endif
