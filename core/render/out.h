/* Where a command's output goes: the front-end's sink, or the file of -o.
 * Buffered. Nothing of the core writes anywhere else. */
#ifndef PYR_RENDER_OUT_H
#define PYR_RENDER_OUT_H

#include "base/error.h"
#include "base/strbuf.h"
#include "pyretain.h"

enum pyr_style {
	PYR_STYLE_PLAIN,
	PYR_STYLE_STRONG,  /* the answer */
	PYR_STYLE_HEADING, /* column titles */
	PYR_STYLE_FAINT,
	PYR_STYLE_WARNING,
	PYR_STYLE_ERROR,
};

struct pyr_out {
	const struct pyr_sink *sink; /* borrowed */
	int stream;                  /* 1 or 2 */
	int width;                   /* columns; 0: unlimited */
	bool color;
	int fd; /* of the file, or -1 */
	char *path;
	bool created, written; /* the file: made by us; truncated and begun */
	int failure;           /* errno of the first write that failed */
	struct pyr_strbuf buffer, scratch;
};

void pyr_out_init(struct pyr_out *out, const struct pyr_sink *sink, int stream);
/* From now on into the file at @path. It is opened at once, so that a wrong
 * path is told before the work, and emptied when the first text comes. */
pyr_error *pyr_out_to_file(struct pyr_out *out, const char *path);
/* Flush; the error of any write so far. */
pyr_error *pyr_out_finish(struct pyr_out *out);
/* Flush and free. A file that was created and never written is removed. */
void pyr_out_deinit(struct pyr_out *out);

/* Text, cleaned (text.h); newlines stay. */
void pyr_out_text(struct pyr_out *out, const char *text);
void pyr_out_printf(struct pyr_out *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Bytes as they are. */
void pyr_out_raw(struct pyr_out *out, const char *bytes, size_t length);
/* A style holds until the next call. Nothing happens without colours. */
void pyr_out_style(struct pyr_out *out, enum pyr_style style);
/* pyr_out_printf() in @style. */
void pyr_out_styled(struct pyr_out *out, enum pyr_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* pyr_out_text() in @style, broken into lines: as wide as the terminal, or 100 columns. */
void pyr_out_paragraph(struct pyr_out *out, enum pyr_style style, const char *text);

#endif
