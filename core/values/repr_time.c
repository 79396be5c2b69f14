/* repr of datetime's objects and of Decimal, whose C structures are the same in
 * every version (datetime.h; _decimal.c, mpdecimal.h). Offsets count from the
 * end of the object header. */
#include <stdio.h>
#include <stdlib.h>

#include "values/repr.h"

#define HAS_TZINFO 8 /* after the hash; then the packed digits */
#define DATA 9
#define DELTA_DAYS 8
#define ZONE_OFFSET 0
#define ZONE_NAME 8
#define DECIMAL_WORDS_MAX 300 /* of 19 digits */
#define DECIMAL_WORD_DIGITS 19

static const uint8_t *body(struct repr *r, pyr_addr obj, size_t offset, size_t size)
{
	return pyr_peek(r->reader, obj + pyr_object_body(r->l) + offset, size);
}

static void unreadable(struct repr *r)
{
	pyr_strbuf_add(r->out, "<unreadable>");
}

/* The name as tp_name has it: subclasses by their own. */
static const char *name_of(const struct pyr_type *type)
{
	return type->exact_shape ? type->name : repr_tp_name(type);
}

static unsigned micros(const uint8_t *p)
{
	return (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];
}

void repr_date(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	const uint8_t *p = body(r, obj, DATA, 4);

	if (!p)
		unreadable(r);
	else
		pyr_strbuf_printf(r->out, "%s(%u, %u, %u)", name_of(type), p[0] << 8 | p[1], p[2],
				  p[3]);
}

/* fold and tzinfo follow the packed fields. */
static void add_zone(struct repr *r, pyr_addr obj, size_t packed)
{
	const uint8_t *has = body(r, obj, HAS_TZINFO, 1), *fold = body(r, obj, DATA + packed, 1);
	size_t offset = (DATA + packed + 1 + 7) / 8 * 8;
	pyr_addr zone;

	if (fold && *fold)
		pyr_strbuf_printf(r->out, ", fold=%u", *fold);
	if (has && *has && pyr_try_u64(r->reader, obj + pyr_object_body(r->l) + offset, &zone)) {
		pyr_strbuf_add(r->out, ", tzinfo=");
		repr_value(r, zone);
	}
	pyr_strbuf_add(r->out, ")");
}

void repr_datetime(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	const uint8_t *p = body(r, obj, DATA, 10);
	uint8_t d[10];

	if (!p) {
		unreadable(r);
		return;
	}
	memcpy(d, p, 10);
	pyr_strbuf_printf(r->out, "%s(%u, %u, %u, %u, %u", name_of(type), d[0] << 8 | d[1], d[2],
			  d[3], d[4], d[5]);
	if (d[6] || micros(d + 7))
		pyr_strbuf_printf(r->out, ", %u", d[6]);
	if (micros(d + 7))
		pyr_strbuf_printf(r->out, ", %u", micros(d + 7));
	add_zone(r, obj, 10);
}

void repr_time(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	const uint8_t *p = body(r, obj, DATA, 6);
	uint8_t d[6];

	if (!p) {
		unreadable(r);
		return;
	}
	memcpy(d, p, 6);
	pyr_strbuf_printf(r->out, "%s(%u, %u", name_of(type), d[0], d[1]);
	if (d[2] || micros(d + 3))
		pyr_strbuf_printf(r->out, ", %u", d[2]);
	if (micros(d + 3))
		pyr_strbuf_printf(r->out, ", %u", micros(d + 3));
	add_zone(r, obj, 6);
}

void repr_timedelta(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	static const char *const words[] = {"days", "seconds", "microseconds"};
	const uint8_t *p = body(r, obj, DELTA_DAYS, 12);
	const char *between = "";
	int32_t v[3];
	int i;

	if (!p) {
		unreadable(r);
		return;
	}
	memcpy(v, p, 12);
	pyr_strbuf_printf(r->out, "%s(", name_of(type));
	for (i = 0; i < 3; i++) {
		if (v[i]) {
			pyr_strbuf_printf(r->out, "%s%s=%d", between, words[i], v[i]);
			between = ", ";
		}
	}
	pyr_strbuf_add(r->out, v[0] || v[1] || v[2] ? ")" : "0)");
}

/* The zone of offset 0 and without a name is datetime.timezone.utc. */
void repr_timezone(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr base = obj + pyr_object_body(r->l), offset, name;
	const uint8_t *p;
	int32_t v[3] = {1};

	if (!pyr_try_u64(r->reader, base + ZONE_OFFSET, &offset) ||
	    !pyr_try_u64(r->reader, base + ZONE_NAME, &name)) {
		unreadable(r);
		return;
	}
	p = body(r, offset, DELTA_DAYS, 12);
	if (p)
		memcpy(v, p, 12);
	if (!name && !v[0] && !v[1] && !v[2]) {
		pyr_strbuf_printf(r->out, "%s.utc", name_of(type));
		return;
	}
	pyr_strbuf_printf(r->out, "%s(", name_of(type));
	repr_value(r, offset);
	if (name) {
		pyr_strbuf_add(r->out, ", ");
		repr_value(r, name);
	}
	pyr_strbuf_add(r->out, ")");
}

/* The coefficient: words of 19 digits, least significant first. */
static char *coefficient(const uint64_t *words, uint64_t count)
{
	char *text, *p;
	uint64_t i;

	for (i = 0; i < count; i++)
		if (words[i] >= UINT64_C(10000000000000000000))
			return NULL; /* more than 19 digits: damaged */
	p = text = malloc(count * DECIMAL_WORD_DIGITS + 2);
	if (!text)
		return NULL;
	*p = '\0';
	for (i = count; i-- > 0;)
		p += sprintf(p, i == count - 1 ? "%llu" : "%019llu", (unsigned long long)words[i]);
	return text;
}

/* The General Decimal Arithmetic Specification's to-scientific-string. */
static void add_scientific(struct pyr_strbuf *out, const char *digits, int64_t exp)
{
	int64_t n = (int64_t)strlen(digits), point, i;

	if (__builtin_add_overflow(n, exp, &point) || point == INT64_MIN) {
		pyr_strbuf_add(out, "?");
		return;
	}
	if (exp <= 0 && point > -6) {
		if (point <= 0) {
			pyr_strbuf_add(out, "0.");
			for (i = point; i < 0; i++)
				pyr_strbuf_add(out, "0");
			pyr_strbuf_add(out, digits);
		} else {
			pyr_strbuf_add_bytes(out, digits, (size_t)point);
			if (point < n)
				pyr_strbuf_printf(out, ".%s", digits + point);
		}
		return;
	}
	pyr_strbuf_add_char(out, digits[0]);
	if (n > 1)
		pyr_strbuf_printf(out, ".%s", digits + 1);
	pyr_strbuf_printf(out, "E%+lld", (long long)(point - 1));
}

void repr_decimal(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	/* Behind the hash: flags, exp, digits, len, alloc, data. */
	const uint8_t *p = body(r, obj, 8, 48);
	const uint8_t *words;
	uint64_t mpd[6], len;
	char *digits;
	uint8_t flags;

	(void)type;
	if (!p) {
		unreadable(r);
		return;
	}
	memcpy(mpd, p, sizeof(mpd));
	flags = (uint8_t)mpd[0];
	len = mpd[3];
	pyr_strbuf_printf(r->out, "Decimal('%s", flags & 1 ? "-" : "");
	if (flags & 2)
		pyr_strbuf_add(r->out, "Infinity");
	if (flags & 12)
		pyr_strbuf_add(r->out, flags & 8 ? "sNaN" : "NaN");
	words = len && len <= DECIMAL_WORDS_MAX ? pyr_peek(r->reader, mpd[5], len * 8) : NULL;
	if (words && !(flags & 2) && (!(flags & 12) || mpd[2])) {
		uint64_t copy[DECIMAL_WORDS_MAX];

		memcpy(copy, words, len * 8);
		digits = coefficient(copy, len);
		if (digits && flags & 12)
			pyr_strbuf_add(r->out, digits);
		else if (digits)
			add_scientific(r->out, digits, (int64_t)mpd[1]);
		free(digits);
	} else if (!(flags & 14)) {
		pyr_strbuf_printf(r->out, "<%llu digits>", (unsigned long long)mpd[2]);
	}
	pyr_strbuf_add(r->out, "')");
}
