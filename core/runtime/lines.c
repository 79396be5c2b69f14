/* Line numbers of code objects: PyCode_Addr2Line() of every version. */
#include "runtime/access.h"
#include "runtime/frames.h"
#include "runtime/raw.h"

/* No code object has a table of this size. */
#define TABLE_MAX (64u << 20)

/* co_lnotab, Objects/lnotab_notes.txt of 3.6-3.9: pairs of a byte increment and
 * a signed line increment. */
static int32_t line_of_lnotab(const uint8_t *table, uint64_t length, int32_t first, int32_t lasti)
{
	int32_t line = first, addr = 0;
	uint64_t i;

	for (i = 0; i + 1 < length; i += 2) {
		addr += table[i];
		if (addr > lasti)
			break;
		line += (int8_t)table[i + 1];
	}
	return line;
}

/* co_linetable of 3.10, Objects/lnotab_notes.txt: pairs of a length in bytes and
 * a signed line increment; -128: no line. */
static int32_t line_of_pep626(const uint8_t *table, uint64_t length, int32_t first, int32_t lasti)
{
	int32_t computed = first, line = 0, end = 0;
	int8_t delta;
	uint64_t i;

	for (i = 0; i + 1 < length && end <= lasti; i += 2) {
		end += table[i];
		delta = (int8_t)table[i + 1];
		line = 0;
		if (delta != -128)
			line = computed += delta;
	}
	return end > lasti ? line : 0;
}

/* A signed varint of six bits a byte, Objects/locations.md. */
static int32_t signed_varint(const uint8_t *table, uint64_t length, uint64_t *i)
{
	uint32_t value = 0;
	unsigned shift = 0;
	uint8_t byte = 0x40;

	while (byte & 0x40 && *i < length && shift < 32) {
		byte = table[(*i)++];
		value |= (uint32_t)(byte & 0x3f) << shift;
		shift += 6;
	}
	return value & 1 ? -(int32_t)(value >> 1) : (int32_t)(value >> 1);
}

/* The location table of 3.11+, Objects/locations.md: an entry begins with a byte
 * whose bit 7 is set; bits 3-6 are its form, bits 0-2 its length in code units
 * less one. */
static int32_t line_of_locations(const uint8_t *table, uint64_t length, int32_t first,
				 int32_t lasti)
{
	int32_t computed = first, end = 0;
	uint64_t i = 0;

	while (i < length) {
		uint8_t byte = table[i++];
		unsigned form = byte >> 3 & 15;

		end += 2 * ((byte & 7) + 1);
		if (form == 13 || form == 14)
			computed += signed_varint(table, length, &i);
		else if (form >= 10 && form <= 12)
			computed += (int32_t)form - 10;
		if (end > lasti)
			return form == 15 ? 0 : computed;
		while (i < length && !(table[i] & 0x80))
			i++;
	}
	return 0;
}

pyr_error *pyr_code_line(struct pyr_types *types, struct pyr_reader *reader, pyr_addr code,
			 int32_t lasti, int32_t *ret)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	struct pyr_raw raw = { .layout = l, .reader = reader };
	enum pyr_field field = pyr_is(l, line_table, LNOTAB) ? PYR_FIELD(PyCodeObject, co_lnotab)
							     : PYR_FIELD(PyCodeObject, co_linetable);
	pyr_addr bytes = pyr_field_addr(l, reader, code, field), data;
	const uint8_t *table;
	uint64_t length;
	int64_t first;

	if (!pyr_get_i64(l, reader, code, PyCodeObject, co_firstlineno, &first))
		return pyr_error_create_at(PYR_E_UNREADABLE, code,
					   "the code object at 0x%llx is not in the target",
					   (unsigned long long)code);
	if (lasti < 0) {
		*ret = (int32_t)first;
		return NULL;
	}
	if (!bytes || !pyr_raw_bytes(raw, bytes, &data, &length) || length > TABLE_MAX ||
	    (length && !(table = pyr_peek(reader, data, length))))
		return pyr_error_create_at(PYR_E_UNREADABLE, code,
					   "the line table of the code object at 0x%llx is not in the "
					   "target",
					   (unsigned long long)code);
	if (!length) {
		*ret = pyr_is(l, line_table, LNOTAB) ? (int32_t)first : 0;
		return NULL;
	}
	switch (pyr_trait(l, line_table)) {
	case PYR_TRAIT(line_table, LNOTAB):
		*ret = line_of_lnotab(table, length, (int32_t)first, lasti);
		break;
	case PYR_TRAIT(line_table, PEP626):
		*ret = line_of_pep626(table, length, (int32_t)first, lasti);
		break;
	default:
		*ret = line_of_locations(table, length, (int32_t)first, lasti);
		break;
	}
	return NULL;
}
