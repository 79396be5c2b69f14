/* Text of the target made safe to show, and measured in terminal columns.
 *
 * Names and strings of the target are hostile: a type's name may hold escape
 * sequences or bytes that are no UTF-8. Whatever is shown passes through
 * pyr_text_clean(), which writes those as \xNN. */
#ifndef PYR_RENDER_TEXT_H
#define PYR_RENDER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

/* Decode one code point of the UTF-8 in [@text, @text + @length), @length > 0.
 * Answers the bytes used, or 0 when they are no valid UTF-8. */
size_t pyr_text_decode(const char *text, size_t length, unsigned *codepoint);
/* Append valid UTF-8 without control characters; newlines stay when @lines. */
void pyr_text_clean(struct pyr_strbuf *out, const char *text, size_t length, bool lines);

enum pyr_cut { PYR_CUT_END, PYR_CUT_START };

/* Columns that clean text takes on a terminal. */
size_t pyr_text_columns(const char *text, size_t length);
/* Append clean text cut to at most @columns, with "…" where it was cut. */
void pyr_text_fit(struct pyr_strbuf *out, const char *text, size_t length, size_t columns,
		  enum pyr_cut cut);
/* Append @text broken into lines of at most @columns (0: unlimited), each with
 * @indent spaces before it. Paragraphs are separated by blank lines; a line
 * that starts with a space is kept as it is. */
void pyr_text_wrap(struct pyr_strbuf *out, const char *text, size_t columns, size_t indent);

#endif
