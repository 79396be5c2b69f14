/* The walkers of the hot types, to be compiled into whoever walks many objects: with a
 * constant pyr_walk.fn nothing is called for a reference. All else is in refs_special.c. */
#ifndef PYR_REFERENCES_REFS_WALK_H
#define PYR_REFERENCES_REFS_WALK_H

#include "references/refs_plan.h"

#define PYR_INLINE static inline __attribute__((always_inline))

/* A field of @place in the struct whose bytes are at @base. */
PYR_INLINE uint64_t pyr_walk_load(const struct pyr_field_place *place, const uint8_t *base)
{
	uint64_t value;

	if (place->size == 8 && !place->bit_width)
		return memcpy(&value, base + place->offset, 8), value;
	if (place->size == 1 && !place->bit_width)
		return base[place->offset];
	return pyr_place_decode(place, base + place->offset, pyr_place_width(place));
}

/* @count words at @array, each a reference with its index as detail. */
PYR_INLINE void pyr_walk_array(struct pyr_walk *w, pyr_addr array, uint64_t count, uint32_t label)
{
	const uint8_t *run;
	uint64_t i = 0, k, n;
	pyr_addr target;

	while (i < count) {
		n = pyr_peek_run(w->reader, array + i * 8, (count - i) * 8, &run) / 8;
		if (!n) {
			/* An entry that straddles two segments, or absent memory. */
			if (!pyr_try_u64(w->reader, array + i * 8, &target)) {
				w->damaged = true;
				return;
			}
			pyr_walk_tell(w, target, label, i++);
			continue;
		}
		for (k = 0; k < n; k++) {
			memcpy(&target, run + k * 8, 8);
			pyr_walk_tell(w, target, label, i + k);
		}
		i += n;
	}
}

PYR_INLINE void pyr_walk_sequence(struct pyr_walk *w, bool list)
{
	const struct pyr_refs *refs = w->refs;
	uint64_t size, room = UINT64_C(1) << 48;
	pyr_addr items = w->addr + (pyr_addr)refs->tuple_items;

	if (!pyr_try_u64(w->reader, w->addr + (pyr_addr)refs->ob_size, &size) ||
	    (list && (!pyr_try_u64(w->reader, w->addr + (pyr_addr)refs->list_items, &items) ||
		      !pyr_try_u64(w->reader, w->addr + (pyr_addr)refs->list_allocated, &room)))) {
		w->damaged = true;
		return;
	}
	if (size > room) {
		w->damaged = true;
		size = room;
	}
	pyr_walk_array(w, items, size, PYR_EDGE_ITEM | PYR_BOTH);
}

/* A table of keys: where its entries are and how they look. PyDictKeysObject,
 * Objects/dictobject.c and pycore_dict.h. */
struct pyr_walk_keys {
	pyr_addr entries;
	uint64_t count;
	uint32_t entry_size, key, value;
	bool general; /* keys of any type: dict_traverse() visits them */
};

PYR_INLINE bool pyr_walk_read_keys(struct pyr_walk *w, pyr_addr keys, struct pyr_walk_keys *ret)
{
	const struct pyr_layout *l = w->refs->layout;
	const struct pyr_field_place *places = l->fields;
	uint32_t indices = (uint32_t)pyr_offset(l, PyDictKeysObject, dk_indices);
	const uint8_t *header = keys ? pyr_peek(w->reader, keys, indices) : NULL;
	uint64_t slots;
	bool unicode = false;

	ret->general = false;
	if (!header)
		return false;
	if (w->refs->lookup_in_keys) {
		slots = pyr_walk_load(&places[PYR_FIELD(PyDictKeysObject, dk_size)], header);
		if (slots > UINT64_C(1) << 44)
			return false;
		slots *= slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= 0xffffffff ? 4 : 8;
		ret->general = w->refs->lookdict &&
			       pyr_walk_load(&places[PYR_FIELD(PyDictKeysObject, dk_lookup)],
					     header) == w->refs->lookdict;
	} else {
		slots = pyr_walk_load(&places[PYR_FIELD(PyDictKeysObject, dk_log2_index_bytes)],
				      header);
		if (slots > 44)
			return false;
		slots = UINT64_C(1) << slots;
		unicode = pyr_walk_load(&places[PYR_FIELD(PyDictKeysObject, dk_kind)], header) != 0;
		ret->general = !unicode;
	}
	ret->count = pyr_walk_load(&places[PYR_FIELD(PyDictKeysObject, dk_nentries)], header);
	/* Every slot is a byte at least, and has one entry at most. */
	if (ret->count > slots)
		return false;
	ret->entries = keys + indices + slots;
	ret->entry_size =
		unicode ? pyr_sizeof(l, PyDictUnicodeEntry) : pyr_sizeof(l, PyDictKeyEntry);
	ret->key = (uint32_t)(unicode ? pyr_offset(l, PyDictUnicodeEntry, me_key)
				      : pyr_offset(l, PyDictKeyEntry, me_key));
	ret->value = (uint32_t)(unicode ? pyr_offset(l, PyDictUnicodeEntry, me_value)
					: pyr_offset(l, PyDictKeyEntry, me_value));
	return true;
}

PYR_INLINE bool pyr_walk_is_interned_table(const struct pyr_walk *w)
{
	size_t i;

	for (i = 0; i < w->refs->interned.count; i++)
		if (w->refs->interned.data[i] == w->addr)
			return true;
	return false;
}

/* dict_traverse(): keys of general tables are visited, str keys need not be. */
PYR_INLINE void pyr_walk_combined(struct pyr_walk *w, const struct pyr_walk_keys *k)
{
	uint32_t owned = pyr_walk_is_interned_table(w) ? 0 : PYR_REF_OWNED;
	const uint8_t *run, *entry;
	uint64_t i = 0, n, at;
	pyr_addr key, value;

	while (i < k->count) {
		n = pyr_peek_run(w->reader, k->entries + i * k->entry_size,
				 (k->count - i) * k->entry_size, &run) /
		    k->entry_size;
		if (!n) {
			run = pyr_peek(w->reader, k->entries + i * k->entry_size, k->entry_size);
			n = 1;
		}
		if (!run) {
			w->damaged = true;
			return;
		}
		for (at = 0; at < n; at++) {
			entry = run + at * k->entry_size;
			memcpy(&key, entry + k->key, 8);
			memcpy(&value, entry + k->value, 8);
			if (!value)
				continue;
			pyr_walk_tell(w, key,
				      PYR_EDGE_KEY | owned | (k->general ? PYR_REF_TRAVERSED : 0),
				      key);
			pyr_walk_tell(w, value, PYR_EDGE_VALUE | PYR_REF_TRAVERSED | owned, key);
		}
		i += n;
	}
}

/* @count values, the i-th belonging to the i-th key. */
PYR_INLINE void pyr_walk_values(struct pyr_walk *w, const struct pyr_walk_keys *k, pyr_addr values,
				uint64_t count, enum pyr_edge_kind kind)
{
	const uint8_t *words = count ? pyr_peek(w->reader, values, count * 8) : NULL;
	pyr_addr value, key;
	uint64_t i;

	if (count && !words) {
		w->damaged = true;
		return;
	}
	for (i = 0; i < count; i++) {
		memcpy(&value, words + i * 8, 8);
		if (!value)
			continue;
		if (!w->details || i >= k->count ||
		    !pyr_try_u64(w->reader, k->entries + i * k->entry_size + k->key, &key))
			key = 0;
		pyr_walk_tell(w, value, kind | PYR_BOTH, key);
	}
}

/* The values array behind @values, and how many it holds. */
PYR_INLINE bool pyr_walk_values_array(struct pyr_walk *w, const struct pyr_walk_keys *k,
				      pyr_addr values, pyr_addr *array, uint64_t *count)
{
	const struct pyr_layout *l = w->refs->layout;
	uint64_t capacity;

	*array = values;
	*count = k->count;
	if (pyr_is(l, dict_values, HEADER)) {
		if (!pyr_get_u64(l, w->reader, values, PyDictValues, capacity, &capacity))
			return false;
		*array = values + (pyr_addr)pyr_offset(l, PyDictValues, values);
		if (*count > capacity)
			*count = capacity;
	}
	return *count < 1 << 16;
}

/* Of a copy, as in pyr_walk_rest(): see there. */
PYR_INLINE bool pyr_walk_is_dict_first(const struct pyr_walk *w, pyr_addr dict)
{
	struct pyr_walk copy = *w;

	return pyr_walk_dict_first(&copy, dict);
}

PYR_INLINE void pyr_walk_dict(struct pyr_walk *w, pyr_addr dict)
{
	struct pyr_walk_keys k;
	pyr_addr keys, values, array;
	uint64_t count, embedded = 0;

	if (!pyr_try_u64(w->reader, dict + (pyr_addr)w->refs->ma_keys, &keys) ||
	    !pyr_try_u64(w->reader, dict + (pyr_addr)w->refs->ma_values, &values) ||
	    !pyr_walk_read_keys(w, keys, &k)) {
		w->damaged = true;
		return;
	}
	if (!values) {
		pyr_walk_combined(w, &k);
		return;
	}
	if (!pyr_walk_values_array(w, &k, values, &array, &count)) {
		w->damaged = true;
		return;
	}
	/* Values inside of the instance are visited by the instance, unless the
	 * dict comes first (gh-130327). */
	if (pyr_has(w->refs->layout, PyDictValues, embedded) &&
	    pyr_get_u64(w->refs->layout, w->reader, values, PyDictValues, embedded, &embedded) &&
	    embedded && !pyr_walk_is_dict_first(w, dict))
		return;
	pyr_walk_values(w, &k, array, count, PYR_EDGE_VALUE);
}

PYR_INLINE void pyr_walk_inline(struct pyr_walk *w, pyr_addr values)
{
	struct pyr_walk_keys k;
	pyr_addr array;
	uint64_t count;

	if (!pyr_walk_read_keys(w, w->plan->cached_keys, &k) ||
	    !pyr_walk_values_array(w, &k, values, &array, &count))
		w->damaged = true;
	else
		pyr_walk_values(w, &k, array, count, PYR_EDGE_ATTRIBUTE);
}

PYR_INLINE void pyr_walk_tell_dict(struct pyr_walk *w, pyr_addr dict, uint32_t flags)
{
	pyr_walk_tell(w, dict, PYR_FIELD_LABEL(flags, "__dict__"), 0);
}

/* PyObject_VisitManagedDict(), dictobject.c, 3.13+. */
PYR_INLINE void pyr_walk_managed_inline(struct pyr_walk *w, pyr_addr dict)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr values = w->addr + w->plan->basicsize;
	uint64_t valid = 0;

	if (w->plan->inline_values)
		pyr_get_u64(l, w->reader, values, PyDictValues, valid, &valid);
	if (valid && (!dict || !pyr_walk_is_dict_first(w, dict))) {
		pyr_walk_inline(w, values);
		/* The dict is owned all the same. */
		pyr_walk_tell_dict(w, dict, PYR_REF_OWNED);
		return;
	}
	pyr_walk_tell_dict(w, dict, PYR_BOTH);
}

PYR_INLINE void pyr_walk_instance_dict(struct pyr_walk *w)
{
	const struct pyr_traverse_plan *plan = w->plan;
	pyr_addr place, word = 0, values = 0;
	int64_t size;

	switch (plan->dict_mode) {
	case PYR_DICT_NOT_VISITED:
		return;
	case PYR_DICT_AT_OFFSET:
		place = w->addr + (pyr_addr)plan->dictoffset;
		break;
	case PYR_DICT_FROM_END:
		/* _PyObject_GetDictPtr(), object.c */
		if (!pyr_get_i64(w->refs->layout, w->reader, w->addr, PyVarObject, ob_size,
				 &size) ||
		    size == INT64_MIN || size > INT64_MAX / 64 || size < -INT64_MAX / 64) {
			w->damaged = true;
			return;
		}
		size = size < 0 ? -size : size;
		size = (w->type->basicsize + size * w->type->itemsize + 7) & ~(int64_t)7;
		place = w->addr + (pyr_addr)(size + plan->dictoffset);
		break;
	default:
		place = w->addr - 24;
		break;
	}
	if (!pyr_try_u64(w->reader, place, &word)) {
		w->damaged = true;
		return;
	}
	switch (plan->dict_mode) {
	case PYR_DICT_MANAGED_POINTERS:
		if (pyr_try_u64(w->reader, w->addr - 32, &values) && values)
			pyr_walk_inline(w, values);
		pyr_walk_tell_dict(w, word, PYR_BOTH);
		return;
	case PYR_DICT_MANAGED_TAGGED:
		if (word & 1)
			pyr_walk_inline(w, word + 1);
		else
			pyr_walk_tell_dict(w, word, PYR_BOTH);
		return;
	case PYR_DICT_MANAGED_INLINE:
		pyr_walk_managed_inline(w, word);
		return;
	default:
		pyr_walk_tell_dict(w, word, PYR_BOTH);
	}
}

/* set_traverse(), setobject.c: entries whose hash is -1 are dummies. */
PYR_INLINE void pyr_walk_set(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	uint32_t size = pyr_sizeof(l, setentry), key_at = (uint32_t)pyr_offset(l, setentry, key),
		 hash_at = (uint32_t)pyr_offset(l, setentry, hash);
	pyr_addr table = pyr_get_addr(l, w->reader, w->addr, PySetObject, table), key;
	const uint8_t *entries;
	uint64_t mask, i, n, at;
	int64_t hash;

	if (!table || !pyr_get_u64(l, w->reader, w->addr, PySetObject, mask, &mask) ||
	    mask > UINT64_C(1) << 40 || mask & (mask + 1)) {
		w->damaged = true;
		return;
	}
	for (i = 0; i <= mask; i += n) {
		n = pyr_peek_run(w->reader, table + i * size, (mask + 1 - i) * size, &entries) /
		    size;
		if (!n && (entries = pyr_peek(w->reader, table + i * size, size)))
			n = 1;
		if (!n) {
			w->damaged = true;
			return;
		}
		for (at = 0; at < n; at++) {
			memcpy(&key, entries + at * size + key_at, 8);
			memcpy(&hash, entries + at * size + hash_at, 8);
			if (key && hash != -1)
				pyr_walk_tell(w, key, PYR_EDGE_KEY | PYR_BOTH, key);
		}
	}
}

/* Bytes of the items of a var-sized object, in whole words. */
PYR_INLINE uint64_t pyr_walk_items_size(struct pyr_walk *w)
{
	uint64_t size = 0;

	if (!pyr_try_u64(w->reader, w->addr + (pyr_addr)w->refs->ob_size, &size) ||
	    size > UINT64_C(1) << 40) {
		w->damaged = true;
		return 0;
	}
	return (size * (uint64_t)w->type->itemsize + 7) & ~UINT64_C(7);
}

PYR_INLINE void pyr_walk_fields(struct pyr_walk *w)
{
	const struct pyr_traverse_plan *plan = w->plan;
	pyr_addr target, place;
	uint32_t i;

	for (i = 0; i < plan->count; i++) {
		place = w->addr + (pyr_addr)plan->fields[i].offset;
		if (plan->fields[i].behind_items)
			place += pyr_walk_items_size(w);
		if (pyr_try_u64(w->reader, place, &target))
			pyr_walk_tell(w, target, plan->fields[i].label, plan->fields[i].detail);
		else
			w->damaged = true;
	}
}

/* What @walker tells beyond the fields. */
PYR_INLINE void pyr_walk_rest(struct pyr_walk *w, enum pyr_walker walker)
{
	struct pyr_walk special;

	switch (walker) {
	case PYR_WALK_UNKNOWN:
	case PYR_WALK_FIELDS:
	case PYR_WALK_MANAGED:
		break;
	case PYR_WALK_LIST:
	case PYR_WALK_TUPLE:
		pyr_walk_sequence(w, walker == PYR_WALK_LIST);
		break;
	case PYR_WALK_DICT:
		pyr_walk_dict(w, w->addr);
		break;
	case PYR_WALK_SET:
		pyr_walk_set(w);
		break;
	default:
		/* A copy: the address of the original goes nowhere, so that it can stay in
		 * registers. */
		special = *w;
		pyr_walk_special(&special, walker);
		w->damaged |= special.damaged;
	}
}

/* The whole of an object. */
PYR_INLINE void pyr_walk_object(struct pyr_walk *w)
{
	const struct pyr_traverse_plan *plan = w->plan;

	pyr_walk_fields(w);
	if (plan->dict_mode != PYR_DICT_NOT_VISITED)
		pyr_walk_instance_dict(w);
	if (plan->visits_type || plan->owns_type)
		pyr_walk_tell(w, w->type->address,
			      PYR_EDGE_TYPE | (plan->visits_type ? PYR_REF_TRAVERSED : 0) |
				      (plan->owns_type ? PYR_REF_OWNED : 0),
			      0);
	pyr_walk_rest(w, plan->walker);
}

#endif
