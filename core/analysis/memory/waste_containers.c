/* Lists, dicts, sets, bytearrays and deques that are larger than a copy of them. */
#include "analysis/memory/waste_internal.h"
#include "runtime/access.h"
#include "values/values.h"

#define SANE (UINT64_C(1) << 40) /* items; more are damage */
#define DEQUE_BLOCK_ITEMS 64

struct probe {
	struct pyr_types *types;
	struct pyr_reader *reader;
	const struct pyr_layout *l;
	pyr_addr addr;
};

static uint64_t get(const struct probe *p, pyr_addr base, enum pyr_field field)
{
	uint64_t value = 0;

	return pyr_field_u64(p->l, p->reader, base, field, &value) ? value : 0;
}
#define GET(p, base, id, field) get((p), (base), PYR_FIELD(id, field))

static bool list_waste(const struct probe *p, struct pyr_waste_item *ret)
{
	ret->kind = PYR_WASTE_LIST;
	ret->used = GET(p, p->addr, PyVarObject, ob_size);
	ret->room = GET(p, p->addr, PyListObject, allocated);
	if (ret->room <= ret->used || ret->room > SANE)
		return false;
	ret->bytes = (ret->room - ret->used) * 8;
	return true;
}

/* Bytes of a table with @slots places (dictobject.c, new_keys_object()). */
static uint64_t table_size(const struct pyr_layout *l, uint64_t slots, uint64_t entry)
{
	uint64_t width = slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= UINT32_MAX ? 4 : 8;

	return pyr_sizeof(l, PyDictKeysObject) + slots * width + slots * 2 / 3 * entry;
}

/* dictobject.c, dict_merge() into an empty dict: the smallest table with room for all,
 * estimate_log2_keysize(); an empty dict has a shared one. */
static uint64_t copy_slots(uint64_t used)
{
	uint64_t slots = 8;

	while (slots < (used * 3 + 1) / 2)
		slots *= 2;
	return slots;
}

static bool dict_waste(const struct probe *p, struct pyr_waste_item *ret)
{
	pyr_addr keys = GET(p, p->addr, PyDictObject, ma_keys);
	uint64_t slots, entry = 24, size, copy;

	ret->kind = PYR_WASTE_DICT;
	ret->used = GET(p, p->addr, PyDictObject, ma_used);
	/* Split and shared tables are not the dict's own. */
	if (!keys || GET(p, p->addr, PyDictObject, ma_values) || ret->used > SANE ||
	    GET(p, keys, PyDictKeysObject, dk_refcnt) != 1)
		return false;
	size = pyr_dict_keys_size(p->types, p->reader, keys);
	if (!size)
		return false;
	if (pyr_is(p->l, dict_keys, LOG2)) {
		slots = GET(p, keys, PyDictKeysObject, dk_log2_size);
		if (slots > 40)
			return false;
		slots = UINT64_C(1) << slots;
		if (GET(p, keys, PyDictKeysObject, dk_kind))
			entry = 16;
	} else {
		slots = GET(p, keys, PyDictKeysObject, dk_size);
		if (slots > SANE)
			return false;
	}
	copy = ret->used ? table_size(p->l, copy_slots(ret->used), entry) : 0;
	ret->room = slots * 2 / 3;
	if (size <= copy)
		return false;
	ret->bytes = size - copy;
	return true;
}

/* setobject.c, set_update_internal() into an empty set: the table within the object while
 * used * 5 < mask * 3, else the first power of two above twice as many. */
static bool set_waste(const struct probe *p, struct pyr_waste_item *ret)
{
	pyr_addr table = GET(p, p->addr, PySetObject, table);
	uint64_t slots = GET(p, p->addr, PySetObject, mask) + 1, copy = 8;

	ret->kind = PYR_WASTE_SET;
	ret->used = GET(p, p->addr, PySetObject, used);
	ret->room = slots;
	if (table == p->addr + (pyr_addr)pyr_offset(p->l, PySetObject, smalltable) ||
	    slots > SANE || ret->used > slots)
		return false;
	if (ret->used * 5 < 7 * 3)
		copy = 0;
	else
		while (copy <= ret->used * 2)
			copy *= 2;
	if (slots <= copy)
		return false;
	ret->bytes = (slots - copy) * pyr_sizeof(p->l, setentry);
	return true;
}

static bool bytearray_waste(const struct probe *p, struct pyr_waste_item *ret)
{
	uint64_t need;

	ret->kind = PYR_WASTE_BYTEARRAY;
	ret->used = GET(p, p->addr, PyVarObject, ob_size);
	ret->room = GET(p, p->addr, PyByteArrayObject, ob_alloc);
	/* Its terminating NUL is counted, but not where the buffer is a bytes object (3.15+). */
	need = ret->used && !pyr_has(p->l, PyByteArrayObject, ob_bytes_object) ? ret->used + 1
									       : ret->used;
	if (ret->room <= need || ret->room > SANE)
		return false;
	ret->bytes = ret->room - need;
	return true;
}

/* _collectionsmodule.c: blocks of 64 items between the two ends, and spare ones (3.11+). */
static bool deque_waste(const struct probe *p, struct pyr_waste_item *ret)
{
	uint64_t spare = GET(p, p->addr, dequeobject, numfreeblocks);

	ret->kind = PYR_WASTE_DEQUE;
	ret->used =
		(GET(p, p->addr, PyVarObject, ob_size) + DEQUE_BLOCK_ITEMS - 1) / DEQUE_BLOCK_ITEMS;
	ret->used = ret->used ? ret->used : 1;
	ret->room = (GET(p, p->addr, dequeobject, leftindex) +
		     GET(p, p->addr, PyVarObject, ob_size) + DEQUE_BLOCK_ITEMS - 1) /
		    DEQUE_BLOCK_ITEMS;
	if (ret->room > SANE || spare > 16)
		return false;
	ret->room = (ret->room > ret->used ? ret->room : ret->used) + spare;
	ret->bytes = (ret->room - ret->used) * pyr_sizeof(p->l, block);
	return ret->bytes > 0;
}

bool pyr_waste_of_container(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id,
			    struct pyr_waste_item *ret)
{
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	const struct probe p = {.types = heap->types,
				.reader = reader,
				.l = &pyr_types_python(heap->types)->layout,
				.addr = heap->address[id]};

	ret->id = id;
	switch (type->shape) {
	case PYR_SHAPE_LIST:
		return list_waste(&p, ret);
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_DEFAULTDICT:
	case PYR_SHAPE_ODICT:
		return dict_waste(&p, ret);
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
		return set_waste(&p, ret);
	case PYR_SHAPE_BYTEARRAY:
		return bytearray_waste(&p, ret);
	case PYR_SHAPE_DEQUE:
		return deque_waste(&p, ret);
	default:
		return false;
	}
}
