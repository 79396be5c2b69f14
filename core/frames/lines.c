#include "frames/lines.h"

#include "frames/frames.h"
#include "runtime/raw.h"

/* Larger than any table that a compiler makes; bounds what is read. */
#define TABLE_MAX (UINT64_C(64) << 20)

int32_t pyr_line_lnotab(const uint8_t *table, size_t size, int32_t first_line, int32_t lasti)
{
	int64_t address = 0, line = first_line;
	size_t i;

	for (i = 0; i + 1 < size; i += 2) {
		address += table[i];
		if (address > lasti)
			break;
		line += (int8_t)table[i + 1];
	}
	return (int32_t)line;
}

int32_t pyr_line_pep626(const uint8_t *table, size_t size, int32_t first_line, int32_t lasti)
{
	int64_t end = 0, line = first_line;
	int8_t delta;
	size_t i;

	if (lasti < 0)
		return first_line;
	for (i = 0; i + 1 < size; i += 2) {
		delta = (int8_t)table[i + 1];
		end += table[i];
		if (delta != -128) /* -128: instructions without a line */
			line += delta;
		if (lasti < end)
			return delta == -128 ? 0 : (int32_t)line;
	}
	return 0;
}

/* A signed varint: six bits a byte, least significant first, bit 6 tells that
 * more follow; the lowest bit of the number is the sign. */
static int64_t signed_varint(const uint8_t *p, const uint8_t *end)
{
	uint64_t value = 0;
	unsigned shift = 0;

	for (; p < end; p++) {
		if (shift < 60)
			value |= (uint64_t)(*p & 0x3f) << shift;
		shift += 6;
		if (!(*p & 0x40))
			break;
	}
	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

int32_t pyr_line_locations(const uint8_t *table, size_t size, int32_t first_line, int32_t lasti)
{
	const uint8_t *p = table, *end = table + size;
	int64_t address = 0, line = first_line;
	unsigned code;

	if (lasti < 0)
		return first_line;
	while (p < end) {
		if (!(*p & 0x80))
			return 0; /* not the beginning of an entry */
		code = *p >> 3 & 15;
		address += ((*p & 7) + 1) * 2;
		if (code == 13 || code == 14)
			line += signed_varint(p + 1, end);
		else if (code >= 10 && code <= 12)
			line += code - 10;
		if (lasti < address)
			return code == 15 ? 0 : (int32_t)line;
		do
			p++;
		while (p < end && !(*p & 0x80));
	}
	return 0;
}

pyr_error *pyr_code_line(struct pyr_types *types, struct pyr_reader *reader, pyr_addr code,
			 int32_t lasti, int32_t *ret)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	struct pyr_raw raw = {l, reader};
	bool lnotab = pyr_is(l, line_table, LNOTAB);
	const uint8_t *table = NULL;
	uint64_t bytes, first, size;
	pyr_addr data;

	if (!pyr_raw_field(raw, code,
			   lnotab ? PYR_FIELD(PyCodeObject, co_lnotab)
				  : PYR_FIELD(PyCodeObject, co_linetable),
			   &bytes) ||
	    !pyr_raw_field(raw, code, PYR_FIELD(PyCodeObject, co_firstlineno), &first))
		return pyr_error_create_at(PYR_E_UNREADABLE, code,
					   "the code object at 0x%llx is not in the target",
					   (unsigned long long)code);
	if (!pyr_raw_bytes(raw, bytes, &data, &size) || size > TABLE_MAX ||
	    (size && !(table = pyr_peek(reader, data, size))))
		return pyr_error_create_at(PYR_E_UNREADABLE, bytes,
					   "the line table at 0x%llx is not in the target",
					   (unsigned long long)bytes);
	if (lnotab)
		*ret = pyr_line_lnotab(table, size, (int32_t)first, lasti);
	else if (pyr_is(l, line_table, PEP626))
		*ret = pyr_line_pep626(table, size, (int32_t)first, lasti);
	else
		*ret = pyr_line_locations(table, size, (int32_t)first, lasti);
	return NULL;
}
