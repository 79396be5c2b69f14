#include "render/svg.h"

#include <string.h>

#include "render/text.h"

/* Text without control characters or bad UTF-8 (text.h). */
static void escaped(struct pyr_out *out, const char *text)
{
	size_t n;

	for (;; text += n + 1) {
		n = strcspn(text, "&<>\"");
		pyr_out_raw(out, text, n);
		if (!text[n])
			return;
		pyr_out_text(out, text[n] == '&'   ? "&amp;"
				  : text[n] == '<' ? "&lt;"
				  : text[n] == '>' ? "&gt;"
						   : "&quot;");
	}
}

static void clean(struct pyr_out *out, const char *text)
{
	struct pyr_strbuf buf = {0};

	pyr_text_clean(&buf, text, strlen(text), false);
	escaped(out, pyr_strbuf_str(&buf));
	pyr_strbuf_deinit(&buf);
}

void pyr_svg_begin(struct pyr_out *out, unsigned width, unsigned height, const char *title,
		   const char *style)
{
	pyr_out_printf(out,
		       "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		       "viewBox=\"0 0 %u %u\">\n<title>",
		       width, height, width, height);
	clean(out, title);
	pyr_out_text(out, "</title>\n<style>\ntext { font: 12px sans-serif; fill: #222 }\n"
			  ".page { fill: #fff }\n.head { font-size: 16px; font-weight: bold }\n"
			  ".mono { font-family: monospace; font-size: 10px; fill: #666 }\n");
	pyr_out_text(out, style);
	pyr_out_printf(out, "</style>\n<rect class=\"page\" width=\"%u\" height=\"%u\"/>\n", width,
		       height);
}

void pyr_svg_rect(struct pyr_out *out, const char *class, unsigned x, unsigned y, unsigned width,
		  unsigned height, const char *hint)
{
	pyr_out_printf(out, "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\"",
		       class, x, y, width, height);
	if (!hint) {
		pyr_out_text(out, "/>\n");
		return;
	}
	pyr_out_text(out, "><title>");
	clean(out, hint);
	pyr_out_text(out, "</title></rect>\n");
}

void pyr_svg_text(struct pyr_out *out, const char *class, unsigned x, unsigned y,
		  const char *format, ...)
{
	struct pyr_strbuf buf = {0};
	va_list args;

	va_start(args, format);
	pyr_strbuf_vprintf(&buf, format, args);
	va_end(args);
	pyr_out_printf(out, "<text class=\"%s\" x=\"%u\" y=\"%u\">", class, x, y);
	clean(out, pyr_strbuf_str(&buf));
	pyr_out_text(out, "</text>\n");
	pyr_strbuf_deinit(&buf);
}

void pyr_svg_end(struct pyr_out *out)
{
	pyr_out_text(out, "</svg>\n");
}
