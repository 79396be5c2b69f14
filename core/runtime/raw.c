#include "runtime/raw.h"

#include <stdlib.h>

#include "base/strbuf.h"

bool pyr_raw_field(struct pyr_raw raw, pyr_addr base, enum pyr_field field, uint64_t *ret)
{
	const struct pyr_field_place *place = pyr_layout_place(raw.layout, field);
	size_t size = place->size > 8 ? 8 : place->size;
	uint64_t value = 0;
	const void *p;

	if (place->offset < 0 || !size)
		return false;
	p = pyr_peek(raw.reader, base + (uint64_t)place->offset, size);
	if (!p)
		return false;
	memcpy(&value, p, size);
	if (place->bit_width) {
		value >>= place->bit_offset;
		value &=
			place->bit_width >= 64 ? UINT64_MAX : (UINT64_C(1) << place->bit_width) - 1;
	}
	*ret = value;
	return true;
}

uint64_t pyr_raw_get(struct pyr_raw raw, pyr_addr base, enum pyr_field field)
{
	uint64_t value;

	return pyr_raw_field(raw, base, field, &value) ? value : 0;
}

int64_t pyr_raw_get_signed(struct pyr_raw raw, pyr_addr base, enum pyr_field field)
{
	uint64_t value = pyr_raw_get(raw, base, field);

	switch (pyr_layout_place(raw.layout, field)->size) {
	case 1:
		return (int8_t)value;
	case 2:
		return (int16_t)value;
	case 4:
		return (int32_t)value;
	default:
		return (int64_t)value;
	}
}

pyr_addr pyr_raw_type(struct pyr_raw raw, pyr_addr object)
{
	return pyr_raw_get(raw, object, PYR_FIELD(PyObject, ob_type));
}

/* longobject.c: 30-bit digits, sign and count in ob_size or lv_tag. */
bool pyr_raw_int(struct pyr_raw raw, pyr_addr object, int64_t *ret)
{
	int32_t digits = pyr_offset(raw.layout, PyLongObject, ob_digit);
	uint64_t word, count, value = 0;
	bool negative;
	uint32_t digit;
	unsigned i;

	if (digits < 0)
		return false;
	if (pyr_is(raw.layout, int_layout, LV_TAG)) {
		if (!pyr_raw_field(raw, object, PYR_FIELD(PyLongObject, lv_tag), &word))
			return false;
		count = word >> 3;
		negative = (word & 3) == 2;
	} else {
		if (!pyr_raw_field(raw, object, PYR_FIELD(PyVarObject, ob_size), &word))
			return false;
		negative = (int64_t)word < 0;
		count = negative ? -word : word;
	}
	if (count > 3)
		return false;
	for (i = 0; i < count; i++) {
		if (!pyr_try_u32(raw.reader, object + (uint64_t)digits + 4 * i, &digit) ||
		    digit >> 30 || (i == 2 && digit >> 3))
			return false;
		value |= (uint64_t)digit << (30 * i);
	}
	if (value > INT64_MAX)
		return false;
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

/* Where the characters are: unicodeobject.h, PyUnicode_DATA(). */
static bool str_data(struct pyr_raw raw, pyr_addr object, pyr_addr *data, unsigned *kind,
		     uint64_t *length)
{
	const struct pyr_layout *l = raw.layout;
	uint64_t k;

	if (!pyr_raw_field(raw, object, PYR_FIELD(PyASCIIObject, length), length) ||
	    !pyr_raw_field(raw, object, PYR_FIELD(PyASCIIObject, state_kind), &k) ||
	    (k != 1 && k != 2 && k != 4))
		return false;
	*kind = (unsigned)k;
	if (!pyr_raw_get(raw, object, PYR_FIELD(PyASCIIObject, state_compact)))
		*data = pyr_raw_get(raw, object, PYR_FIELD(PyUnicodeObject, data));
	else if (pyr_raw_get(raw, object, PYR_FIELD(PyASCIIObject, state_ascii)))
		*data = object + pyr_sizeof(l, PyASCIIObject);
	else
		*data = object + pyr_sizeof(l, PyCompactUnicodeObject);
	return *data != 0;
}

bool pyr_raw_str_equals(struct pyr_raw raw, pyr_addr object, const char *ascii)
{
	size_t size = strlen(ascii);
	uint64_t length;
	pyr_addr data;
	unsigned kind;
	const void *p;

	if (!str_data(raw, object, &data, &kind, &length) || kind != 1 || length != size)
		return false;
	if (!size)
		return true;
	p = pyr_peek(raw.reader, data, size);
	return p && !memcmp(p, ascii, size);
}

char *pyr_raw_str(struct pyr_raw raw, pyr_addr object, size_t max)
{
	struct pyr_strbuf buf = {0};
	uint64_t length, i;
	uint32_t c;
	pyr_addr data;
	unsigned kind;
	const void *p;

	if (!str_data(raw, object, &data, &kind, &length))
		return NULL;
	if (length > max)
		length = max;
	for (i = 0; i < length; i++) {
		p = pyr_peek(raw.reader, data + i * kind, kind);
		if (!p) {
			pyr_strbuf_deinit(&buf);
			return NULL;
		}
		c = 0;
		memcpy(&c, p, kind);
		pyr_strbuf_add_codepoint(&buf, c);
	}
	pyr_strbuf_add(&buf, ""); /* an empty string is one too */
	return pyr_strbuf_take(&buf);
}

bool pyr_raw_list(struct pyr_raw raw, pyr_addr list, pyr_addr *items, uint64_t *count)
{
	return pyr_raw_field(raw, list, PYR_FIELD(PyVarObject, ob_size), count) &&
	       pyr_raw_field(raw, list, PYR_FIELD(PyListObject, ob_item), items) &&
	       *count <= UINT32_MAX;
}

bool pyr_raw_tuple(struct pyr_raw raw, pyr_addr tuple, pyr_addr *items, uint64_t *count)
{
	int32_t offset = pyr_offset(raw.layout, PyTupleObject, ob_item);

	if (offset < 0 || !pyr_raw_field(raw, tuple, PYR_FIELD(PyVarObject, ob_size), count) ||
	    *count > UINT32_MAX)
		return false;
	*items = tuple + (uint64_t)offset;
	return true;
}

bool pyr_raw_bytes(struct pyr_raw raw, pyr_addr bytes, pyr_addr *data, uint64_t *length)
{
	int32_t offset = pyr_offset(raw.layout, PyBytesObject, ob_sval);

	if (offset < 0 || !pyr_raw_field(raw, bytes, PYR_FIELD(PyVarObject, ob_size), length) ||
	    *length > UINT32_MAX)
		return false;
	*data = bytes + (uint64_t)offset;
	return true;
}

/* The table of indices before the entries: dictobject.c, DK_IXSIZE() and
 * DK_ENTRIES(). 0 when the sizes make no sense. */
static uint64_t index_bytes(struct pyr_raw raw, pyr_addr keys, uint64_t *slots)
{
	uint64_t n, bytes;

	if (pyr_is(raw.layout, dict_keys, LOG2)) {
		n = pyr_raw_get(raw, keys, PYR_FIELD(PyDictKeysObject, dk_log2_size));
		bytes = pyr_raw_get(raw, keys, PYR_FIELD(PyDictKeysObject, dk_log2_index_bytes));
		if (n > 40 || bytes > 43)
			return 0;
		*slots = UINT64_C(1) << n;
		return UINT64_C(1) << bytes;
	}
	n = pyr_raw_get(raw, keys, PYR_FIELD(PyDictKeysObject, dk_size));
	if (!n || n & (n - 1) || n >> 40)
		return 0;
	*slots = n;
	return n * (n <= 0xff ? 1 : n <= 0xffff ? 2 : n <= 0xffffffff ? 4 : 8);
}

bool pyr_raw_dict_init(struct pyr_raw raw, pyr_addr dict, struct pyr_raw_dict *ret)
{
	const struct pyr_layout *l = raw.layout;
	struct pyr_raw_dict iter = {.raw = raw};
	int32_t indices = pyr_offset(l, PyDictKeysObject, dk_indices);
	uint64_t keys, slots, bytes;
	bool unicode = false;

	if (indices < 0 || !pyr_raw_field(raw, dict, PYR_FIELD(PyDictObject, ma_keys), &keys) ||
	    !pyr_raw_field(raw, dict, PYR_FIELD(PyDictObject, ma_values), &iter.values) ||
	    !pyr_raw_field(raw, keys, PYR_FIELD(PyDictKeysObject, dk_nentries), &iter.count) ||
	    !(bytes = index_bytes(raw, keys, &slots)) || iter.count > slots)
		return false;
	if (pyr_is(l, dict_keys, LOG2))
		unicode = pyr_raw_get(raw, keys, PYR_FIELD(PyDictKeysObject, dk_kind)) != 0;
	if (unicode) {
		iter.entry_size = pyr_sizeof(l, PyDictUnicodeEntry);
		iter.key_offset = (uint32_t)pyr_offset(l, PyDictUnicodeEntry, me_key);
		iter.value_offset = (uint32_t)pyr_offset(l, PyDictUnicodeEntry, me_value);
	} else {
		iter.entry_size = pyr_sizeof(l, PyDictKeyEntry);
		iter.key_offset = (uint32_t)pyr_offset(l, PyDictKeyEntry, me_key);
		iter.value_offset = (uint32_t)pyr_offset(l, PyDictKeyEntry, me_value);
	}
	iter.entries = keys + (uint64_t)indices + bytes;
	if (iter.values && pyr_is(l, dict_values, HEADER))
		iter.values += (uint64_t)pyr_offset(l, PyDictValues, values);
	*ret = iter;
	return true;
}

bool pyr_raw_dict_next(struct pyr_raw_dict *iter, pyr_addr *key, pyr_addr *value)
{
	struct pyr_reader *reader = iter->raw.reader;
	pyr_addr entry;
	uint64_t i;

	while (iter->index < iter->count) {
		i = iter->index++;
		entry = iter->entries + i * iter->entry_size;
		if (!pyr_try_u64(reader, entry + iter->key_offset, key))
			continue;
		if (!(iter->values ? pyr_try_u64(reader, iter->values + 8 * i, value)
				   : pyr_try_u64(reader, entry + iter->value_offset, value)))
			continue;
		if (*key && *value)
			return true;
	}
	return false;
}

pyr_addr pyr_raw_dict_get(struct pyr_raw raw, pyr_addr dict, const char *name)
{
	struct pyr_raw_dict iter;
	pyr_addr key, value;

	if (!pyr_raw_dict_init(raw, dict, &iter))
		return 0;
	while (pyr_raw_dict_next(&iter, &key, &value))
		if (pyr_raw_str_equals(raw, key, name))
			return value;
	return 0;
}

pyr_addr pyr_raw_module_dict(struct pyr_raw raw, pyr_addr modules, const char *name)
{
	pyr_addr module = pyr_raw_dict_get(raw, modules, name);

	return module ? pyr_raw_get(raw, module, PYR_FIELD(PyModuleObject, md_dict)) : 0;
}
