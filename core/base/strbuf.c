#include "base/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct pyr_strbuf *buf, size_t more)
{
	size_t wanted = buf->capacity ? buf->capacity : 64;
	char *grown;

	if (buf->failed || more > SIZE_MAX / 4 || buf->length > SIZE_MAX / 4) {
		buf->failed = true;
		return false;
	}
	while (wanted < buf->length + more + 1)
		wanted *= 2;
	if (wanted == buf->capacity)
		return true;
	grown = realloc(buf->data, wanted);
	if (!grown) {
		buf->failed = true;
		return false;
	}
	buf->data = grown;
	buf->capacity = wanted;
	return true;
}

void pyr_strbuf_deinit(struct pyr_strbuf *buf)
{
	free(buf->data);
	memset(buf, 0, sizeof(*buf));
}

void pyr_strbuf_clear(struct pyr_strbuf *buf)
{
	buf->length = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

void pyr_strbuf_add_bytes(struct pyr_strbuf *buf, const char *bytes, size_t length)
{
	if (!reserve(buf, length))
		return;
	memcpy(buf->data + buf->length, bytes, length);
	buf->length += length;
	buf->data[buf->length] = '\0';
}

void pyr_strbuf_add(struct pyr_strbuf *buf, const char *text)
{
	pyr_strbuf_add_bytes(buf, text, strlen(text));
}

void pyr_strbuf_add_char(struct pyr_strbuf *buf, char c)
{
	pyr_strbuf_add_bytes(buf, &c, 1);
}

void pyr_strbuf_add_codepoint(struct pyr_strbuf *buf, unsigned c)
{
	char bytes[4];
	size_t n = 0;

	if (c < 0x80) {
		bytes[n++] = (char)c;
	} else if (c < 0x800) {
		bytes[n++] = (char)(0xc0 | c >> 6);
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else if ((c >= 0xd800 && c < 0xe000) || c > 0x10ffff) {
		pyr_strbuf_printf(buf, c > 0x10ffff ? "\\U%08x" : "\\u%04x", c);
		return;
	} else if (c < 0x10000) {
		bytes[n++] = (char)(0xe0 | c >> 12);
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		bytes[n++] = (char)(0xf0 | c >> 18);
		bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	}
	pyr_strbuf_add_bytes(buf, bytes, n);
}

void pyr_strbuf_vprintf(struct pyr_strbuf *buf, const char *format, va_list args)
{
	va_list again;
	int length;

	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	if (length < 0)
		buf->failed = true;
	else if (reserve(buf, (size_t)length)) {
		vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
		buf->length += (size_t)length;
	}
	va_end(again);
}

void pyr_strbuf_printf(struct pyr_strbuf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	pyr_strbuf_vprintf(buf, format, args);
	va_end(args);
}

const char *pyr_strbuf_str(const struct pyr_strbuf *buf)
{
	return buf->data ? buf->data : "";
}

char *pyr_strbuf_take(struct pyr_strbuf *buf)
{
	char *text;

	if (buf->failed || (!buf->data && !reserve(buf, 0)))
		return NULL;
	buf->data[buf->length] = '\0';
	text = buf->data;
	memset(buf, 0, sizeof(*buf));
	return text;
}

bool pyr_utf8_is_valid(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned c = 0, least = 0;
	int more = 0;

	for (; *p; p++) {
		if (more) {
			if ((*p & 0xc0) != 0x80)
				return false;
			c = c << 6 | (*p & 0x3f);
			if (--more == 0 && (c < least || c > 0x10ffff || (c >> 11) == 0x1b))
				return false;
		} else if (*p >= 0x80) {
			more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
			if (*p < 0xc0 || *p >= 0xf8)
				return false;
			c = *p & (0x3f >> more);
			least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
		}
	}
	return more == 0;
}
