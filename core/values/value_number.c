/* ints in both layouts; longobject.c, pycore_long.h. */
#include "types/types.h"
#include "values/values.h"

#define DIGITS_MAX (UINT64_C(1) << 32)
#define DIGIT_BITS 30

pyr_error *pyr_int_view(struct pyr_types *types, struct pyr_reader *reader, pyr_addr integer,
			struct pyr_int_view *ret)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_int_view view;
	uint64_t tag;
	int64_t size;
	bool there;

	if (!pyr_object_has_flags(types, reader, integer, PYR_TPFLAGS_LONG_SUBCLASS))
		return pyr_error_create_at(PYR_E_CORRUPT, integer, "no int at 0x%llx",
					   (unsigned long long)integer);
	if (pyr_is(l, int_layout, LV_TAG)) {
		/* Bits 0-1: 0 positive, 1 zero, 2 negative; the count is from bit 3 on. */
		there = pyr_get_u64(l, reader, integer, PyLongObject, lv_tag, &tag);
		view.count = there && (tag & 3) != 1 ? tag >> 3 : 0;
		view.negative = there && (tag & 3) == 2;
	} else {
		there = pyr_get_i64(l, reader, integer, PyVarObject, ob_size, &size);
		view.count = !there ? 0 : size < 0 ? -(uint64_t)size : (uint64_t)size;
		view.negative = there && size < 0;
	}
	if (!there)
		return pyr_error_create_at(PYR_E_UNREADABLE, integer, "the int at 0x%llx is absent",
					   (unsigned long long)integer);
	if (view.count > DIGITS_MAX)
		return pyr_error_create_at(PYR_E_CORRUPT, integer,
					   "the int at 0x%llx contradicts itself",
					   (unsigned long long)integer);
	view.digits = integer + (pyr_addr)pyr_offset(l, PyLongObject, ob_digit);
	*ret = view;
	return NULL;
}

pyr_error *pyr_int_value(struct pyr_types *types, struct pyr_reader *reader, pyr_addr integer,
			 int64_t *ret)
{
	unsigned __int128 magnitude = 0;
	struct pyr_int_view view;
	uint32_t digit;
	pyr_error *err;
	uint64_t i;

	if ((err = pyr_int_view(types, reader, integer, &view)))
		return err;
	for (i = 0; i < view.count && i < 3; i++) {
		if ((err = pyr_read_u32(reader, view.digits + 4 * i, &digit)))
			return err;
		magnitude |= (unsigned __int128)digit << (DIGIT_BITS * i);
	}
	if (view.count > 3 || magnitude > (unsigned __int128)INT64_MAX + view.negative)
		return pyr_error_create_at(PYR_E_CORRUPT, integer,
					   "the int at 0x%llx does not fit 64 bits",
					   (unsigned long long)integer);
	*ret = view.negative ? (int64_t) - (uint64_t)magnitude : (int64_t)magnitude;
	return NULL;
}
