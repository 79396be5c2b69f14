#include "heap/interned.h"

#include "runtime/access.h"

#define ENTRIES_MIN 256u /* fewer than any process has */
#define CHECK_EVERY 65536u

/* Is @addr an interned str? PyASCIIObject.state.interned. */
static bool is_interned(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
			pyr_addr str)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	uint64_t state;

	return pyr_get_addr(l, reader, addr, PyObject, ob_type) == str &&
	       pyr_get_u64(l, reader, addr, PyASCIIObject, state, &state) && state & 3;
}

/* Every key of the table is its own value, and interned. *@entries is how many. */
static bool is_table(struct pyr_types *types, struct pyr_reader *reader, pyr_addr dict,
		     pyr_addr str, uint64_t *entries)
{
	struct pyr_dict_iter iter;
	pyr_addr key, value;
	uint64_t count = 0;
	pyr_error *err;

	if ((err = pyr_dict_iter_init(types, reader, dict, &iter))) {
		pyr_error_destroy(err);
		return false;
	}
	while (pyr_dict_iter_next(&iter, &key, &value)) {
		if (key != value || !is_interned(types, reader, key, str))
			return false;
		count++;
	}
	*entries = count;
	return count >= ENTRIES_MIN;
}

/* A dict that a program made of such strings has no more of them than the table. */
pyr_error *pyr_interned_find(struct pyr_heap *heap, struct pyr_control *control, pyr_addr *ret)
{
	struct pyr_python *python = pyr_types_python(heap->types);
	const struct pyr_type *dict =
		pyr_types_find(heap->types, python->known[PYR_KNOWN_DICT_TYPE]);
	uint64_t entries, most = 0, used;
	pyr_addr found = 0;
	pyr_error *err;
	uint32_t id;

	for (id = 0; dict && id < heap->count; id++) {
		if (id % CHECK_EVERY == 0 && (err = pyr_control_check(control)))
			return err;
		if (heap->type[id] != dict->index ||
		    !pyr_get_u64(&python->layout, &python->reader, heap->address[id], PyDictObject,
				 ma_used, &used) ||
		    used < ENTRIES_MIN || used < most ||
		    !is_table(heap->types, &python->reader, heap->address[id],
			      python->known[PYR_KNOWN_UNICODE_TYPE], &entries))
			continue;
		if (entries > most) {
			most = entries;
			found = heap->address[id];
		}
	}
	*ret = found;
	return pyr_reader_check(&python->reader);
}
