/* A growing string. Appending never fails visibly: when memory runs out the
 * buffer stays as it was and `failed` is set, to be checked once at the end. */
#ifndef PYR_BASE_STRBUF_H
#define PYR_BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct pyr_strbuf {
	char *data; /* NUL-terminated once anything was appended; NULL before */
	size_t length, capacity;
	bool failed;
};

void pyr_strbuf_deinit(struct pyr_strbuf *buf);
void pyr_strbuf_clear(struct pyr_strbuf *buf);
void pyr_strbuf_add(struct pyr_strbuf *buf, const char *text);
void pyr_strbuf_add_bytes(struct pyr_strbuf *buf, const char *bytes, size_t length);
void pyr_strbuf_add_char(struct pyr_strbuf *buf, char c);
/* One Unicode scalar value as UTF-8; lone surrogates as \udXXX. */
void pyr_strbuf_add_codepoint(struct pyr_strbuf *buf, unsigned codepoint);
void pyr_strbuf_printf(struct pyr_strbuf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void pyr_strbuf_vprintf(struct pyr_strbuf *buf, const char *format, va_list args);
/* The string ("" when empty); valid until the next append. */
const char *pyr_strbuf_str(const struct pyr_strbuf *buf);
/* Take the string, to be freed by the caller; NULL when an append failed. */
char *pyr_strbuf_take(struct pyr_strbuf *buf);

/* Is @text UTF-8, without surrogates? For C strings of the target, which may hold anything. */
bool pyr_utf8_is_valid(const char *text);

#endif
