/* Text and numbers as repr() writes them; unicodeobject.c, unicode_repr(),
 * bytesobject.c, PyBytes_Repr(), pystrtod.c, longobject.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/search.h"
#include "values/repr.h"

#define INT_DIGITS_MAX 4300 /* as sys.int_info.default_max_str_digits */
#define DIGIT_BITS 30

static const struct {
	uint32_t first, last;
} unprintable[] = {
#define RANGE(first, last) {first, last},
#include "values/unprintable.def"
#undef RANGE
};

bool pyr_unicode_printable(uint32_t c)
{
	const size_t count = sizeof(unprintable) / sizeof(unprintable[0]);
	size_t i;

	if (c < 0x80)
		return c >= 0x20 && c != 0x7f;
	if (c > 0x10ffff)
		return false;
	i = pyr_search(k, count, unprintable[k].last < c);
	return i == count || c < unprintable[i].first;
}

static void add_char(struct pyr_strbuf *out, uint32_t c, char quote)
{
	if (c == (uint32_t)quote || c == '\\')
		pyr_strbuf_printf(out, "\\%c", (char)c);
	else if (c == '\t' || c == '\n' || c == '\r')
		pyr_strbuf_printf(out, "\\%c", c == '\t' ? 't' : c == '\n' ? 'n' : 'r');
	else if (pyr_unicode_printable(c))
		pyr_strbuf_add_codepoint(out, c);
	else if (c <= 0xff)
		pyr_strbuf_printf(out, "\\x%02x", c);
	else if (c <= 0xffff)
		pyr_strbuf_printf(out, "\\u%04x", c);
	else
		pyr_strbuf_printf(out, "\\U%08x", c);
}

void repr_str(struct repr *r, pyr_addr str)
{
	struct pyr_str_view view;
	bool single = false, twice = false;
	const uint8_t *data;
	uint64_t shown, i;
	pyr_error *err;
	uint32_t c;
	char quote;

	err = pyr_str_view(r->types, r->reader, str, &view);
	pyr_error_destroy(err);
	if (err) {
		pyr_strbuf_add(r->out, "<unreadable>");
		return;
	}
	shown = view.length < r->limit ? view.length : r->limit + 1;
	data = shown ? pyr_peek(r->reader, view.data, shown * view.kind) : (const uint8_t *)"";
	if (!data) {
		pyr_strbuf_printf(r->out, "<str of %llu characters, unreadable>",
				  (unsigned long long)view.length);
		return;
	}
	for (i = 0; i < shown; i++) {
		c = pyr_str_unit(data, view.kind, i);
		single |= c == '\'';
		twice |= c == '"';
	}
	quote = single && !twice ? '"' : '\'';
	pyr_strbuf_add_char(r->out, quote);
	for (i = 0; i < shown && !repr_full(r); i++)
		add_char(r->out, pyr_str_unit(data, view.kind, i), quote);
	pyr_strbuf_add_char(r->out, quote);
}

void repr_bytes_at(struct repr *r, pyr_addr addr, uint64_t count, bool array)
{
	uint64_t shown = count < r->limit ? count : r->limit + 1, i;
	const uint8_t *data = shown ? pyr_peek(r->reader, addr, shown) : (const uint8_t *)"";
	char quote;

	if (!data) {
		pyr_strbuf_printf(r->out, "<%llu bytes, unreadable>", (unsigned long long)count);
		return;
	}
	quote = memchr(data, '\'', shown) && !memchr(data, '"', shown) ? '"' : '\'';
	pyr_strbuf_printf(r->out, "b%c", quote);
	for (i = 0; i < shown && !repr_full(r); i++) {
		if (data[i] == '\'' && array) /* bytearray_repr(): in either kind of quotes */
			pyr_strbuf_add(r->out, "\\'");
		else if (data[i] < 0x80)
			add_char(r->out, data[i], quote);
		else
			pyr_strbuf_printf(r->out, "\\x%02x", data[i]);
	}
	pyr_strbuf_add_char(r->out, quote);
}

/* Base 10^9 from base 2^30; longobject.c, long_to_decimal_string_internal(). */
static void add_decimal(struct repr *r, const uint8_t *digits, size_t count)
{
	uint32_t *out = calloc(count + 2, sizeof(*out));
	size_t n = 0, i, k;
	uint64_t carry;

	if (!out) {
		pyr_strbuf_add(r->out, "<int>");
		return;
	}
	for (i = count; i-- > 0;) {
		carry = pyr_str_unit(digits, 4, i);
		for (k = 0; k < n; k++) {
			carry += (uint64_t)out[k] << DIGIT_BITS;
			out[k] = (uint32_t)(carry % 1000000000);
			carry /= 1000000000;
		}
		for (; carry; carry /= 1000000000)
			out[n++] = (uint32_t)(carry % 1000000000);
	}
	pyr_strbuf_printf(r->out, "%u", n ? out[n - 1] : 0);
	for (i = n ? n - 1 : 0; i-- > 0 && !repr_full(r);)
		pyr_strbuf_printf(r->out, "%09u", out[i]);
	free(out);
}

void repr_int(struct repr *r, pyr_addr integer)
{
	struct pyr_int_view view;
	const uint8_t *digits;
	double decimals;
	pyr_error *err;

	err = pyr_int_view(r->types, r->reader, integer, &view);
	pyr_error_destroy(err);
	if (err) {
		pyr_strbuf_add(r->out, "<unreadable>");
		return;
	}
	decimals = (double)view.count * DIGIT_BITS * 0.30102999566398120;
	if (decimals > INT_DIGITS_MAX + 20) {
		pyr_strbuf_printf(r->out, "<%sint of about %.0f digits>",
				  view.negative ? "negative " : "", decimals);
		return;
	}
	digits = view.count ? pyr_peek(r->reader, view.digits, view.count * 4) : (uint8_t *)"";
	if (!digits) {
		pyr_strbuf_add(r->out, "<unreadable>");
		return;
	}
	if (view.negative)
		pyr_strbuf_add(r->out, "-");
	add_decimal(r, digits, view.count);
}

/* The shortest decimal digits that read back as @value, and the exponent of the
 * first. The separator that printf() writes depends on the locale and is skipped. */
static int shortest(double value, char digits[32], int *exponent)
{
	char text[64];
	const char *p;
	int precision, n = 0;

	for (precision = 0; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, value);
		if (strtod(text, NULL) == value)
			break;
	}
	for (p = text; *p && *p != 'e'; p++)
		if (*p >= '0' && *p <= '9' && n < 31)
			digits[n++] = *p;
	*exponent = *p ? atoi(p + 1) : 0;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = '\0';
	return n;
}

void repr_double(struct repr *r, double value, bool sign, bool point)
{
	struct pyr_strbuf *out = r->out;
	char digits[32];
	int n, e, i;

	if (isnan(value)) {
		pyr_strbuf_add(out, sign ? "+nan" : "nan");
		return;
	}
	if (signbit(value))
		pyr_strbuf_add(out, "-");
	else if (sign)
		pyr_strbuf_add(out, "+");
	if (isinf(value)) {
		pyr_strbuf_add(out, "inf");
		return;
	}
	n = shortest(fabs(value), digits, &e);
	if (e < -4 || e >= 16) { /* format_float_short(), 'r' */
		pyr_strbuf_printf(out, "%c", digits[0]);
		if (n > 1)
			pyr_strbuf_printf(out, ".%s", digits + 1);
		pyr_strbuf_printf(out, "e%c%02d", e < 0 ? '-' : '+', abs(e));
		return;
	}
	if (e < 0) {
		pyr_strbuf_add(out, "0.");
		for (i = e + 1; i < 0; i++)
			pyr_strbuf_add(out, "0");
		pyr_strbuf_add(out, digits);
	} else {
		for (i = 0; i <= e; i++)
			pyr_strbuf_add_char(out, i < n ? digits[i] : '0');
		if (i < n)
			pyr_strbuf_printf(out, ".%s", digits + i);
		else if (point)
			pyr_strbuf_add(out, ".0");
	}
}
