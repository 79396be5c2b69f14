/* Functions of the C library that a traverse function may call and that only look: done
 * here in place of the library's own code, which is chosen for the processor and full of
 * instructions that are not emulated. */
#ifndef PYR_REFERENCES_EMULATOR_PURE_H
#define PYR_REFERENCES_EMULATOR_PURE_H

#include "base/error.h"
#include "target/target.h"

enum pyr_pure {
	PYR_PURE_NONE,
	PYR_PURE_STRCMP,
	PYR_PURE_STRNCMP,
	PYR_PURE_STRLEN,
	PYR_PURE_STRNLEN,
	PYR_PURE_STRCHR,
	PYR_PURE_STRRCHR,
	PYR_PURE_MEMCMP,
	PYR_PURE_MEMCHR,
};

/* By the name that it is bound under; PYR_PURE_NONE: it is none of them. */
enum pyr_pure pyr_pure_named(const char *name);

/* Reads @len bytes of the machine's memory. */
typedef bool (*pyr_pure_read)(void *ctx, pyr_addr addr, void *buf, size_t len);

/* What the function answers; false when memory that it looks at is absent, or when it
 * looks at more than a traverse function has reason to. */
bool pyr_pure_call(enum pyr_pure function, const uint64_t arguments[3], pyr_pure_read read,
		   void *ctx, uint64_t *ret);

#endif
