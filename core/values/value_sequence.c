/* Items of tuples and lists, bytes, tables of sets. */
#include "types/types.h"
#include "values/values.h"

#define COUNT_MAX (UINT64_C(1) << 40)

static pyr_error *corrupt(const char *what, pyr_addr addr)
{
	return pyr_error_create_at(PYR_E_CORRUPT, addr, "the %s at 0x%llx contradicts itself", what,
				   (unsigned long long)addr);
}

pyr_error *pyr_sequence_items(struct pyr_types *types, struct pyr_reader *reader, pyr_addr seq,
			      pyr_addr *items, uint64_t *count)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	uint64_t size, first;

	if (!pyr_get_u64(l, reader, seq, PyVarObject, ob_size, &size))
		return pyr_error_create_at(PYR_E_UNREADABLE, seq, "nothing at 0x%llx",
					   (unsigned long long)seq);
	if (pyr_object_has_flags(types, reader, seq, PYR_TPFLAGS_TUPLE_SUBCLASS)) {
		first = seq + (pyr_addr)pyr_offset(l, PyTupleObject, ob_item);
	} else if (pyr_object_has_flags(types, reader, seq, PYR_TPFLAGS_LIST_SUBCLASS)) {
		first = pyr_get_addr(l, reader, seq, PyListObject, ob_item);
	} else {
		return pyr_error_create_at(PYR_E_CORRUPT, seq, "no tuple or list at 0x%llx",
					   (unsigned long long)seq);
	}
	if (size > COUNT_MAX || (size && !first))
		return corrupt("sequence", seq);
	*items = first;
	*count = size;
	return NULL;
}

pyr_error *pyr_bytes_view(struct pyr_types *types, struct pyr_reader *reader, enum pyr_shape shape,
			  pyr_addr bytes, pyr_addr *data, uint64_t *count)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	uint64_t size;

	if (!pyr_get_u64(l, reader, bytes, PyVarObject, ob_size, &size))
		return pyr_error_create_at(PYR_E_UNREADABLE, bytes, "nothing at 0x%llx",
					   (unsigned long long)bytes);
	if (size > COUNT_MAX)
		return corrupt("bytes object", bytes);
	*data = shape == PYR_SHAPE_BYTEARRAY
			? pyr_get_addr(l, reader, bytes, PyByteArrayObject, ob_start)
			: bytes + (pyr_addr)pyr_offset(l, PyBytesObject, ob_sval);
	*count = size;
	return NULL;
}

pyr_error *pyr_set_table(struct pyr_types *types, struct pyr_reader *reader, pyr_addr set,
			 pyr_addr *table, uint64_t *slots, uint64_t *used)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	uint64_t mask, n, first;

	if (!pyr_get_u64(l, reader, set, PySetObject, mask, &mask) ||
	    !pyr_get_u64(l, reader, set, PySetObject, used, &n) ||
	    !pyr_get_u64(l, reader, set, PySetObject, table, &first))
		return pyr_error_create_at(PYR_E_UNREADABLE, set, "nothing at 0x%llx",
					   (unsigned long long)set);
	if (mask >= COUNT_MAX || mask & (mask + 1) || n > mask + 1 || !first)
		return corrupt("set", set);
	*table = first;
	*slots = mask + 1;
	*used = n;
	return NULL;
}
