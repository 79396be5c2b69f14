/* Reads of single fields of target structures, by the layout's place for them.
 * For the code of this room and of walkers: an unreadable or absent field is
 * `false` or 0, because most callers go on without it. */
#ifndef PYR_RUNTIME_ACCESS_H
#define PYR_RUNTIME_ACCESS_H

#include <string.h>

#include "layout/layout.h"
#include "target/reader.h"

/* The unsigned number in @bytes (@width of them), of which the field takes all
 * or some bits. Fields wider than a word (arrays) give their first word. */
static inline uint64_t pyr_place_decode(const struct pyr_field_place *place, const uint8_t *bytes,
					size_t width)
{
	uint64_t value = 0;

	memcpy(&value, bytes, width);
	if (place->bit_width && place->bit_width < 64)
		value = value >> place->bit_offset & ((UINT64_C(1) << place->bit_width) - 1);
	return value;
}

static inline size_t pyr_place_width(const struct pyr_field_place *place)
{
	size_t width = place->size;

	if (place->bit_width)
		width = (place->bit_offset + place->bit_width + 7u) / 8;
	return width == 0 || width > 8 ? 8 : width;
}

static inline bool pyr_field_u64(const struct pyr_layout *layout, struct pyr_reader *reader,
				 pyr_addr base, enum pyr_field field, uint64_t *ret)
{
	const struct pyr_field_place *place = &layout->fields[field];
	size_t width = pyr_place_width(place);
	const uint8_t *bytes;

	if (place->offset < 0)
		return false;
	bytes = pyr_peek(reader, base + (pyr_addr)place->offset, width);
	if (!bytes)
		return false;
	*ret = pyr_place_decode(place, bytes, width);
	return true;
}

/* Sign-extended from the field's own width. */
static inline bool pyr_field_i64(const struct pyr_layout *layout, struct pyr_reader *reader,
				 pyr_addr base, enum pyr_field field, int64_t *ret)
{
	unsigned bits = layout->fields[field].bit_width;
	uint64_t value;

	if (!pyr_field_u64(layout, reader, base, field, &value))
		return false;
	if (!bits)
		bits = (unsigned)pyr_place_width(&layout->fields[field]) * 8;
	if (bits < 64)
		value <<= 64 - bits;
	*ret = bits < 64 ? (int64_t)value >> (64 - bits) : (int64_t)value;
	return true;
}

/* A pointer field; 0 when NULL, absent or unreadable. */
static inline pyr_addr pyr_field_addr(const struct pyr_layout *layout, struct pyr_reader *reader,
				      pyr_addr base, enum pyr_field field)
{
	uint64_t value = 0;

	return pyr_field_u64(layout, reader, base, field, &value) ? value : 0;
}

#define pyr_get_u64(l, r, base, id, field, ret)                                                    \
	pyr_field_u64((l), (r), (base), PYR_FIELD(id, field), (ret))
#define pyr_get_i64(l, r, base, id, field, ret)                                                    \
	pyr_field_i64((l), (r), (base), PYR_FIELD(id, field), (ret))
#define pyr_get_addr(l, r, base, id, field) pyr_field_addr((l), (r), (base), PYR_FIELD(id, field))

#endif
