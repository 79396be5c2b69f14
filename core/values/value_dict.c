/* Dicts in every form; dictobject.c, pycore_dict.h. The entries are read in
 * order, so the table of indices is only measured, never followed. */
#include "types/types.h"
#include "values/values.h"

#define LOG2_SIZE_MAX 40

struct keys {
	uint64_t index_bytes; /* of the table of indices */
	uint64_t slots, entries_max, nentries, usable;
	pyr_addr entries;
	uint32_t entry_size, key_offset, value_offset;
};

/* DK_IXSIZE() until 3.10. */
static uint64_t index_width(uint64_t slots)
{
	return slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= 0xffffffff ? 4 : 8;
}

static bool read_table(const struct pyr_layout *l, struct pyr_reader *reader, pyr_addr keys,
		       struct keys *ret)
{
	uint64_t log2_size, log2_bytes;

	if (pyr_is(l, dict_keys, LOG2)) {
		if (!pyr_get_u64(l, reader, keys, PyDictKeysObject, dk_log2_size, &log2_size) ||
		    !pyr_get_u64(l, reader, keys, PyDictKeysObject, dk_log2_index_bytes,
				 &log2_bytes) ||
		    log2_size > LOG2_SIZE_MAX || log2_bytes > log2_size + 3)
			return false;
		ret->slots = UINT64_C(1) << log2_size;
		ret->index_bytes = UINT64_C(1) << log2_bytes;
		return true;
	}
	if (!pyr_get_u64(l, reader, keys, PyDictKeysObject, dk_size, &ret->slots) ||
	    ret->slots > UINT64_C(1) << LOG2_SIZE_MAX || ret->slots & (ret->slots - 1))
		return false;
	ret->index_bytes = ret->slots * index_width(ret->slots);
	return true;
}

static bool read_keys(const struct pyr_layout *l, struct pyr_reader *reader, pyr_addr keys,
		      struct keys *ret)
{
	uint64_t kind = 0;
	int32_t key, value;

	if (!keys || !read_table(l, reader, keys, ret) ||
	    !pyr_get_u64(l, reader, keys, PyDictKeysObject, dk_nentries, &ret->nentries) ||
	    !pyr_get_u64(l, reader, keys, PyDictKeysObject, dk_usable, &ret->usable) ||
	    (pyr_is(l, dict_keys, LOG2) &&
	     !pyr_get_u64(l, reader, keys, PyDictKeysObject, dk_kind, &kind)))
		return false;
	if (kind == 0) {
		ret->entry_size = pyr_sizeof(l, PyDictKeyEntry);
		key = pyr_offset(l, PyDictKeyEntry, me_key);
		value = pyr_offset(l, PyDictKeyEntry, me_value);
	} else {
		ret->entry_size = pyr_sizeof(l, PyDictUnicodeEntry);
		key = pyr_offset(l, PyDictUnicodeEntry, me_key);
		value = pyr_offset(l, PyDictUnicodeEntry, me_value);
	}
	ret->key_offset = (uint32_t)key;
	ret->value_offset = (uint32_t)value;
	ret->entries_max = (ret->slots << 1) / 3; /* USABLE_FRACTION() */
	ret->entries =
		keys + (pyr_addr)pyr_offset(l, PyDictKeysObject, dk_indices) + ret->index_bytes;
	return kind <= 2 && ret->nentries <= ret->slots;
}

static pyr_error *corrupt(pyr_addr addr)
{
	return pyr_error_create_at(PYR_E_CORRUPT, addr, "the dict at 0x%llx contradicts itself",
				   (unsigned long long)addr);
}

uint64_t pyr_dict_keys_size(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct keys keys;

	if (!read_keys(l, reader, addr, &keys))
		return 0;
	return (uint64_t)pyr_offset(l, PyDictKeysObject, dk_indices) + keys.index_bytes +
	       keys.entries_max * keys.entry_size;
}

/* Where the array of values is, and the order of insertion if it is kept. */
static void set_values(const struct pyr_layout *l, struct pyr_reader *reader, pyr_addr values,
		       struct pyr_dict_iter *iter)
{
	const uint8_t *size;
	uint64_t capacity, n;

	iter->values = values;
	switch (pyr_trait(l, dict_values)) {
	case PYR_TRAIT(dict_values, PREFIXED):
		/* The bytes before: prefix size, number of values, indices backwards. */
		size = pyr_peek(reader, values - 2, 2);
		if (size && size[0] <= iter->count) {
			iter->order = values - 3;
			iter->order_step = -1;
			iter->count = size[0];
		}
		break;
	case PYR_TRAIT(dict_values, HEADER):
		iter->values += (pyr_addr)pyr_offset(l, PyDictValues, values);
		if (pyr_get_u64(l, reader, values, PyDictValues, capacity, &capacity) &&
		    pyr_get_u64(l, reader, values, PyDictValues, size, &n) && n <= capacity) {
			iter->order = iter->values + capacity * 8;
			iter->order_step = 1;
			iter->count = n;
			iter->keys_count =
				iter->keys_count < capacity ? iter->keys_count : capacity;
		}
		break;
	default:
		break;
	}
}

static pyr_error *init(struct pyr_types *types, struct pyr_reader *reader, pyr_addr dict,
		       pyr_addr keys_addr, pyr_addr values, struct pyr_dict_iter *ret)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_dict_iter iter = {.types = types, .reader = reader};
	struct keys keys;

	if (!read_keys(l, reader, keys_addr, &keys))
		return corrupt(dict);
	iter.count = iter.keys_count = keys.nentries;
	iter.entries = keys.entries;
	iter.entry_size = keys.entry_size;
	iter.key_offset = keys.key_offset;
	iter.value_offset = keys.value_offset;
	if (values)
		set_values(l, reader, values, &iter);
	*ret = iter;
	return NULL;
}

pyr_error *pyr_dict_iter_init(struct pyr_types *types, struct pyr_reader *reader, pyr_addr dict,
			      struct pyr_dict_iter *ret)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	uint64_t used, keys, values;
	pyr_error *err;

	if (!pyr_get_u64(l, reader, dict, PyDictObject, ma_used, &used) ||
	    !pyr_get_u64(l, reader, dict, PyDictObject, ma_keys, &keys) ||
	    !pyr_get_u64(l, reader, dict, PyDictObject, ma_values, &values))
		return pyr_error_create_at(PYR_E_UNREADABLE, dict, "the dict at 0x%llx is absent",
					   (unsigned long long)dict);
	if ((err = init(types, reader, dict, keys, values, ret)))
		return err;
	ret->used = used;
	return NULL;
}

pyr_error *pyr_dict_iter_init_split(struct pyr_types *types, struct pyr_reader *reader,
				    pyr_addr keys, pyr_addr values, struct pyr_dict_iter *ret)
{
	pyr_error *err = init(types, reader, values, keys, values, ret);

	if (!err)
		ret->used = ret->count;
	return err;
}

bool pyr_dict_iter_next(struct pyr_dict_iter *iter, pyr_addr *key, pyr_addr *value)
{
	const uint8_t *order;
	pyr_addr entry, k, v;
	uint64_t i;

	while (iter->index < iter->count) {
		i = iter->index++;
		if (iter->order) {
			order = pyr_peek(iter->reader,
					 iter->order + (pyr_addr)((int64_t)i * iter->order_step),
					 1);
			if (!order || *order >= iter->keys_count)
				continue;
			i = *order;
		}
		entry = iter->entries + i * iter->entry_size;
		if (!pyr_try_u64(iter->reader, entry + iter->key_offset, &k) || !k ||
		    !pyr_try_u64(iter->reader,
				 iter->values ? iter->values + 8 * i : entry + iter->value_offset,
				 &v) ||
		    !v)
			continue;
		*key = k;
		*value = v;
		return true;
	}
	return false;
}

pyr_addr pyr_dict_get(struct pyr_types *types, struct pyr_reader *reader, pyr_addr dict,
		      const char *name)
{
	struct pyr_dict_iter iter;
	pyr_addr key, value;
	pyr_error *err;

	err = pyr_dict_iter_init(types, reader, dict, &iter);
	if (err) {
		pyr_error_destroy(err);
		return 0;
	}
	while (pyr_dict_iter_next(&iter, &key, &value))
		if (pyr_str_equals(types, reader, key, name))
			return value;
	return 0;
}
