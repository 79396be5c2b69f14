#define _GNU_SOURCE
#include "render/text.h"

#include <stdint.h>
#include <string.h>

#include "base/search.h"

size_t pyr_text_decode(const char *text, size_t length, unsigned *codepoint)
{
	const uint8_t *p = (const uint8_t *)text;
	unsigned c = p[0], least;
	size_t n, i;

	if (c < 0x80) {
		*codepoint = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf)
		n = 2, least = 0x80, c &= 0x1f;
	else if (c >= 0xe0 && c <= 0xef)
		n = 3, least = 0x800, c &= 0x0f;
	else if (c >= 0xf0 && c <= 0xf4)
		n = 4, least = 0x10000, c &= 0x07;
	else
		return 0;
	if (length < n)
		return 0;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*codepoint = c;
	return n;
}

/* Controls, line and paragraph separators, and the characters that reorder or
 * hide what stands beside them. */
static bool unsafe(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

void pyr_text_clean(struct pyr_strbuf *out, const char *text, size_t length, bool lines)
{
	size_t i = 0, n, plain;
	unsigned c;

	while (i < length) {
		for (plain = i; plain < length && text[plain] >= 0x20 && text[plain] < 0x7f;)
			plain++;
		if (plain > i) {
			pyr_strbuf_add_bytes(out, text + i, plain - i);
			i = plain;
			continue;
		}
		n = pyr_text_decode(text + i, length - i, &c);
		if (n == 0) {
			pyr_strbuf_printf(out, "\\x%02x", (uint8_t)text[i]);
			i++;
			continue;
		}
		if (c == '\n' && lines)
			pyr_strbuf_add_char(out, '\n');
		else if (c == '\n')
			pyr_strbuf_add(out, "\\n");
		else if (c == '\t')
			pyr_strbuf_add(out, "\\t");
		else if (unsafe(c))
			pyr_strbuf_printf(out, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
		else
			pyr_strbuf_add_bytes(out, text + i, n);
		i += n;
	}
}

static bool within(unsigned c, const uint32_t (*ranges)[2], size_t count)
{
	size_t i = pyr_search(k, count, ranges[k][1] < c);

	return i < count && ranges[i][0] <= c;
}

/* Columns of a code point: 0 for combining marks, 2 for East Asian wide
 * characters and pictographs (Unicode TR 11), else 1. The common ranges. */
static size_t columns_of(unsigned c)
{
	static const uint32_t zero[][2] = {
		{0x0300, 0x036f}, {0x0483, 0x0489},   {0x0591, 0x05bd}, {0x0610, 0x061a},
		{0x064b, 0x065f}, {0x0900, 0x0902},   {0x093c, 0x093c}, {0x0941, 0x0948},
		{0x094d, 0x094d}, {0x0e31, 0x0e31},   {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e},
		{0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},   {0x20d0, 0x20ff}, {0xfe00, 0xfe0f},
		{0xfe20, 0xfe2f}, {0xe0100, 0xe01ef},
	};
	static const uint32_t two[][2] = {
		{0x1100, 0x115f},   {0x231a, 0x231b},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
		{0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xac00, 0xd7a3},
		{0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
		{0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd},
	};

	if (c < 0x300)
		return 1;
	if (within(c, zero, sizeof(zero) / sizeof(zero[0])))
		return 0;
	return within(c, two, sizeof(two) / sizeof(two[0])) ? 2 : 1;
}

size_t pyr_text_columns(const char *text, size_t length)
{
	size_t i = 0, n, columns = 0;
	unsigned c;

	while (i < length) {
		n = pyr_text_decode(text + i, length - i, &c);
		columns += n ? columns_of(c) : 1;
		i += n ? n : 1;
	}
	return columns;
}

void pyr_text_fit(struct pyr_strbuf *out, const char *text, size_t length, size_t columns,
		  enum pyr_cut cut)
{
	size_t all = pyr_text_columns(text, length), used = 0, i = 0, n, w, skip;
	unsigned c;

	if (all <= columns) {
		pyr_strbuf_add_bytes(out, text, length);
		return;
	}
	if (columns == 0)
		return;
	if (cut == PYR_CUT_START) {
		skip = all - (columns - 1);
		while (i < length && used < skip) {
			n = pyr_text_decode(text + i, length - i, &c);
			used += n ? columns_of(c) : 1;
			i += n ? n : 1;
		}
		pyr_strbuf_add(out, "…");
		pyr_strbuf_add_bytes(out, text + i, length - i);
		return;
	}
	while (i < length) {
		n = pyr_text_decode(text + i, length - i, &c);
		w = n ? columns_of(c) : 1;
		if (used + w > columns - 1)
			break;
		used += w;
		i += n ? n : 1;
	}
	pyr_strbuf_add_bytes(out, text, i);
	pyr_strbuf_add(out, "…");
}

static void indent_by(struct pyr_strbuf *out, size_t indent)
{
	while (indent--)
		pyr_strbuf_add_char(out, ' ');
}

void pyr_text_wrap(struct pyr_strbuf *out, const char *text, size_t columns, size_t indent)
{
	size_t at = 0, length, w;
	const char *end;

	while (*text) {
		if (*text == '\n') { /* end of paragraph, or a blank line */
			if (at)
				pyr_strbuf_add_char(out, '\n');
			at = 0;
			if (text[1] == '\n') {
				pyr_strbuf_add_char(out, '\n');
				text++;
			}
			text++;
			continue;
		}
		if (at == 0 && *text == ' ') { /* preformatted */
			end = strchrnul(text, '\n');
			indent_by(out, indent);
			pyr_strbuf_add_bytes(out, text, (size_t)(end - text));
			at = 1;
			text = end;
			continue;
		}
		while (*text == ' ')
			text++;
		length = strcspn(text, " \n");
		if (!length)
			continue;
		w = pyr_text_columns(text, length);
		if (at && columns && at + 1 + w > columns) {
			pyr_strbuf_add_char(out, '\n');
			at = 0;
		}
		if (at) {
			pyr_strbuf_add_char(out, ' ');
			at++;
		} else {
			indent_by(out, indent);
			at = indent;
		}
		pyr_strbuf_add_bytes(out, text, length);
		at += w;
		text += length;
	}
	if (at)
		pyr_strbuf_add_char(out, '\n');
}
