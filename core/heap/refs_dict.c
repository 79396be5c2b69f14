/* References of dicts, of instance dicts in all their forms, and of sets. */
#include "heap/refs_internal.h"

/* A table of keys: where its entries are and how they look. PyDictKeysObject,
 * Objects/dictobject.c and pycore_dict.h. */
struct keys {
	pyr_addr entries;
	uint64_t count;
	uint32_t entry_size, key, value;
	bool general; /* keys of any type: dict_traverse() visits them */
};

static bool read_keys(struct pyr_walk *w, pyr_addr keys, struct keys *ret)
{
	const struct pyr_layout *l = w->refs->layout;
	uint64_t entries, slots, log2_bytes, kind = 0;
	bool unicode = false;

	ret->general = false;
	if (!keys || !pyr_get_u64(l, w->reader, keys, PyDictKeysObject, dk_nentries, &entries))
		return false;
	if (pyr_is(l, dict_keys, LOOKUP_FN)) {
		if (!pyr_get_u64(l, w->reader, keys, PyDictKeysObject, dk_size, &slots))
			return false;
		slots *= slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= 0xffffffff ? 4 : 8;
		ret->general = w->refs->lookdict &&
			       pyr_get_addr(l, w->reader, keys, PyDictKeysObject, dk_lookup) ==
				       w->refs->lookdict;
	} else {
		if (!pyr_get_u64(l, w->reader, keys, PyDictKeysObject, dk_log2_index_bytes,
				 &log2_bytes) ||
		    !pyr_get_u64(l, w->reader, keys, PyDictKeysObject, dk_kind, &kind) ||
		    log2_bytes > 40)
			return false;
		slots = UINT64_C(1) << log2_bytes;
		unicode = kind != 0;
		ret->general = !unicode;
	}
	/* Every slot is a byte at least, and has one entry at most. */
	if (slots > UINT64_C(1) << 44 || entries > slots)
		return false;
	ret->entries = keys + (pyr_addr)pyr_offset(l, PyDictKeysObject, dk_indices) + slots;
	ret->count = entries;
	ret->entry_size =
		unicode ? pyr_sizeof(l, PyDictUnicodeEntry) : pyr_sizeof(l, PyDictKeyEntry);
	ret->key = (uint32_t)(unicode ? pyr_offset(l, PyDictUnicodeEntry, me_key)
				      : pyr_offset(l, PyDictKeyEntry, me_key));
	ret->value = (uint32_t)(unicode ? pyr_offset(l, PyDictUnicodeEntry, me_value)
					: pyr_offset(l, PyDictKeyEntry, me_value));
	return true;
}

static bool is_interned_table(const struct pyr_walk *w)
{
	size_t i;

	for (i = 0; i < w->refs->interned.count; i++)
		if (w->refs->interned.data[i] == w->addr)
			return true;
	return false;
}

/* dict_traverse(): keys of general tables are visited, str keys need not be. */
static void walk_combined(struct pyr_walk *w, const struct keys *k)
{
	uint32_t owned = is_interned_table(w) ? 0 : PYR_REF_OWNED;
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
static void walk_values(struct pyr_walk *w, const struct keys *k, pyr_addr values, uint64_t count,
			enum pyr_edge_kind kind)
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
		if (i >= k->count ||
		    !pyr_try_u64(w->reader, k->entries + i * k->entry_size + k->key, &key))
			key = 0;
		pyr_walk_tell(w, value, kind | PYR_BOTH, key);
	}
}

/* The values array behind @values, and how many it holds. */
static bool values_array(struct pyr_walk *w, const struct keys *k, pyr_addr values, pyr_addr *array,
			 uint64_t *count)
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

void pyr_walk_dict(struct pyr_walk *w, pyr_addr dict)
{
	struct keys k;
	pyr_addr keys, values, array;
	uint64_t count, embedded = 0;

	if (!pyr_try_u64(w->reader, dict + (pyr_addr)w->refs->ma_keys, &keys) ||
	    !pyr_try_u64(w->reader, dict + (pyr_addr)w->refs->ma_values, &values) ||
	    !read_keys(w, keys, &k)) {
		w->damaged = true;
		return;
	}
	if (!values) {
		walk_combined(w, &k);
		return;
	}
	if (!values_array(w, &k, values, &array, &count)) {
		w->damaged = true;
		return;
	}
	/* Values inside of the instance are visited by the instance, unless the
	 * dict comes first (gh-130327). */
	if (pyr_has(w->refs->layout, PyDictValues, embedded) &&
	    pyr_get_u64(w->refs->layout, w->reader, values, PyDictValues, embedded, &embedded) &&
	    embedded && !pyr_walk_dict_first(w, dict))
		return;
	walk_values(w, &k, array, count, PYR_EDGE_VALUE);
}

static void walk_inline(struct pyr_walk *w, pyr_addr values)
{
	struct keys k;
	pyr_addr array;
	uint64_t count;

	if (!read_keys(w, w->plan->cached_keys, &k) || !values_array(w, &k, values, &array, &count))
		w->damaged = true;
	else
		walk_values(w, &k, array, count, PYR_EDGE_ATTRIBUTE);
}

/* A dict whose values are embedded in an instance, and not all NULL: is it visited
 * itself? Its traverse function knows. Without code to ask, the newer rule. */
bool pyr_walk_dict_first(struct pyr_walk *w, pyr_addr dict)
{
	const struct pyr_layout *l = w->refs->layout;
	const struct pyr_type *type;
	int rule = atomic_load_explicit(&w->refs->rule, memory_order_relaxed);
	uint64_t used = 0, type_addr;
	pyr_addr values;
	size_t visited;

	if (rule != PYR_RULE_UNDECIDED)
		return rule == PYR_RULE_DICT_FIRST;
	if (!w->refs->ask ||
	    !pyr_try_u64(w->reader, dict + (pyr_addr)w->refs->ob_type, &type_addr) ||
	    !(type = pyr_types_get(w->refs->types, w->reader, type_addr)) ||
	    !pyr_get_u64(l, w->reader, dict, PyDictObject, ma_used, &used) || !used ||
	    !(values = pyr_get_addr(l, w->reader, dict, PyDictObject, ma_values)) ||
	    !w->refs->ask(w->refs->ask_ctx, type, dict, &visited))
		return true;
	rule = visited ? PYR_RULE_DICT_FIRST : PYR_RULE_VALUES_FIRST;
	/* Values that are the dict's own say nothing about embedded ones. */
	if (!pyr_get_u64(l, w->reader, values, PyDictValues, embedded, &used) || !used)
		return rule == PYR_RULE_DICT_FIRST;
	atomic_store_explicit(&w->refs->rule, rule, memory_order_relaxed);
	return rule == PYR_RULE_DICT_FIRST;
}

bool pyr_walk_must_ask(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr dict = w->addr, values;
	uint64_t embedded = 0;

	if (atomic_load_explicit(&w->refs->rule, memory_order_relaxed) != PYR_RULE_UNDECIDED ||
	    !w->refs->ask || !pyr_has(l, PyDictValues, embedded))
		return false;
	if (w->plan->dict_mode == PYR_DICT_MANAGED_INLINE && w->plan->inline_values)
		return pyr_try_u64(w->reader, w->addr - 24, &dict) && dict;
	return w->plan->walker == PYR_WALK_DICT &&
	       (values = pyr_get_addr(l, w->reader, dict, PyDictObject, ma_values)) &&
	       pyr_get_u64(l, w->reader, values, PyDictValues, embedded, &embedded) && embedded;
}

static void tell_dict(struct pyr_walk *w, pyr_addr dict, uint32_t flags)
{
	pyr_walk_tell(w, dict, PYR_FIELD_LABEL(flags, "__dict__"), 0);
}

/* PyObject_VisitManagedDict(), dictobject.c, 3.13+. */
static void walk_managed_inline(struct pyr_walk *w, pyr_addr dict)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr values = w->addr + w->plan->basicsize;
	uint64_t valid = 0;

	if (w->plan->inline_values)
		pyr_get_u64(l, w->reader, values, PyDictValues, valid, &valid);
	if (valid && (!dict || !pyr_walk_dict_first(w, dict))) {
		walk_inline(w, values);
		/* The dict is owned all the same. */
		tell_dict(w, dict, PYR_REF_OWNED);
		return;
	}
	tell_dict(w, dict, PYR_BOTH);
}

void pyr_walk_instance_dict(struct pyr_walk *w)
{
	const struct pyr_plan *plan = w->plan;
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
			walk_inline(w, values);
		tell_dict(w, word, PYR_BOTH);
		return;
	case PYR_DICT_MANAGED_TAGGED:
		if (word & 1)
			walk_inline(w, word + 1);
		else
			tell_dict(w, word, PYR_BOTH);
		return;
	case PYR_DICT_MANAGED_INLINE:
		walk_managed_inline(w, word);
		return;
	default:
		tell_dict(w, word, PYR_BOTH);
	}
}

/* set_traverse(), setobject.c: entries whose hash is -1 are dummies. */
void pyr_walk_set(struct pyr_walk *w)
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
