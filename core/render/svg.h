/* Pictures: one self-contained SVG document, written as it comes. Units are pixels.
 * Shapes have
 * classes, which the style sheet gives colours; text is escaped here. */
#ifndef PYR_RENDER_SVG_H
#define PYR_RENDER_SVG_H

#include "render/out.h"

/* @style: CSS rules of the picture's own. */
void pyr_svg_begin(struct pyr_out *out, unsigned width, unsigned height, const char *title,
		   const char *style);
/* @hint (may be NULL): what a viewer shows where the pointer rests. */
void pyr_svg_rect(struct pyr_out *out, const char *class, unsigned x, unsigned y, unsigned width,
		  unsigned height, const char *hint);
void pyr_svg_text(struct pyr_out *out, const char *class, unsigned x, unsigned y,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));
void pyr_svg_end(struct pyr_out *out);

#endif
