/* Errors are values: a code, a message and the address at fault.
 *
 * A function that can fail returns `pyr_error *`: NULL on success, otherwise an
 * error that the caller owns and passes on, wraps, or destroys. Results are
 * written to the last parameter, and only on success. Creating an error never
 * fails: without memory a static PYR_E_NO_MEMORY is returned, which
 * pyr_error_destroy() ignores. */
#ifndef PYR_BASE_ERROR_H
#define PYR_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/* An address in the target. Never dereferenced; never a pointer of ours. */
typedef uint64_t pyr_addr;
#define PYR_ADDR_NONE ((pyr_addr)0)

enum pyr_error_code {
#define ERROR(id, name, text) PYR_E_##id,
#include "base/errors.def"
#undef ERROR
	PYR_E_COUNT
};

typedef struct pyr_error {
	enum pyr_error_code code;
	bool has_address;
	pyr_addr address; /* meaningful when has_address */
	char *message;    /* one line, no trailing newline or period */
} pyr_error;

pyr_error *pyr_error_create(enum pyr_error_code code, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
pyr_error *pyr_error_create_at(enum pyr_error_code code, pyr_addr address, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The static out-of-memory error. */
pyr_error *pyr_error_no_memory(void);
/* Prefix the message of @err with "<formatted>: "; takes and returns ownership. */
pyr_error *pyr_error_wrap(pyr_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void pyr_error_destroy(pyr_error *err); /* NULL is allowed */

/* "unreadable", "corrupt", ...: the code as JSON output names it. */
const char *pyr_error_code_name(enum pyr_error_code code);

#endif
