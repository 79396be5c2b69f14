/* repr of the builtin containers and those of collections. */
#include "values/repr.h"

#define DEQUE_BLOCK_ITEMS 64
#define SET_SLOTS_SCAN (UINT64_C(1) << 20) /* for the first few elements of a sparse set */
#define ODICT_SEARCH_MAX 100000

static void damaged(struct repr *r, pyr_error *err)
{
	pyr_error_destroy(err);
	pyr_strbuf_add(r->out, "<unreadable>");
}

void repr_sequence_items(struct repr *r, pyr_addr seq)
{
	uint64_t count, i;
	pyr_addr items, item;
	pyr_error *err;

	if ((err = pyr_sequence_items(r->types, r->reader, seq, &items, &count))) {
		damaged(r, err);
		return;
	}
	for (i = 0; i < count && repr_next(r, i, count); i++) {
		if (!pyr_try_u64(r->reader, items + 8 * i, &item)) {
			pyr_strbuf_add(r->out, "<unreadable>");
			return;
		}
		repr_value(r, item);
	}
}

void repr_list(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	pyr_strbuf_add(r->out, "[");
	repr_sequence_items(r, obj);
	pyr_strbuf_add(r->out, "]");
}

void repr_tuple(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	pyr_strbuf_add(r->out, "(");
	repr_sequence_items(r, obj);
	if (REPR_GET(r, obj, PyVarObject, ob_size) == 1)
		pyr_strbuf_add(r->out, ",");
	pyr_strbuf_add(r->out, ")");
}

enum part { PART_KEYS, PART_VALUES, PART_PAIRS, PART_ENTRIES };

static void add_entries(struct repr *r, pyr_addr dict, enum part part)
{
	struct pyr_dict_iter iter;
	pyr_addr key, value;
	uint64_t i = 0;
	pyr_error *err;

	if ((err = pyr_dict_iter_init(r->types, r->reader, dict, &iter))) {
		damaged(r, err);
		return;
	}
	while (pyr_dict_iter_next(&iter, &key, &value)) {
		if (!repr_next(r, i++, iter.used))
			return;
		if (part == PART_PAIRS)
			pyr_strbuf_add(r->out, "(");
		if (part != PART_VALUES)
			repr_value(r, key);
		if (part >= PART_PAIRS)
			pyr_strbuf_add(r->out, part == PART_PAIRS ? ", " : ": ");
		if (part != PART_KEYS)
			repr_value(r, value);
		if (part == PART_PAIRS)
			pyr_strbuf_add(r->out, ")");
	}
}

void repr_dict_entries(struct repr *r, pyr_addr dict)
{
	pyr_strbuf_add(r->out, "{");
	add_entries(r, dict, PART_ENTRIES);
	pyr_strbuf_add(r->out, "}");
}

void repr_dict(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	repr_dict_entries(r, obj);
}

void repr_frozendict(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
	if (REPR_GET(r, obj, PyDictObject, ma_used))
		repr_dict_entries(r, obj);
	pyr_strbuf_add(r->out, ")");
}

void repr_mappingproxy(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	pyr_strbuf_add(r->out, "mappingproxy(");
	repr_value(r, REPR_GET(r, obj, mappingproxyobject, mapping));
	pyr_strbuf_add(r->out, ")");
}

static void repr_view(struct repr *r, const struct pyr_type *type, pyr_addr obj, enum part part)
{
	pyr_addr dict = REPR_GET(r, obj, PyDictViewObject, dv_dict);

	pyr_strbuf_printf(r->out, "%s([", repr_tp_name(type));
	if (dict)
		add_entries(r, dict, part);
	pyr_strbuf_add(r->out, "])");
}

void repr_dict_keys(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	repr_view(r, type, obj, PART_KEYS);
}

void repr_dict_values(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	repr_view(r, type, obj, PART_VALUES);
}

void repr_dict_items(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	repr_view(r, type, obj, PART_PAIRS);
}

/* The value under the very object @key. */
static pyr_addr value_of_key(struct repr *r, pyr_addr dict, pyr_addr wanted)
{
	struct pyr_dict_iter iter;
	pyr_addr key, value;
	pyr_error *err;
	int n = 0;

	err = pyr_dict_iter_init(r->types, r->reader, dict, &iter);
	pyr_error_destroy(err);
	while (!err && n++ < ODICT_SEARCH_MAX && pyr_dict_iter_next(&iter, &key, &value))
		if (key == wanted)
			return value;
	return 0;
}

/* odictobject.c: the order is that of the linked nodes, not of the entries. */
void repr_odict(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr node = REPR_GET(r, obj, PyODictObject, od_first), key, value;
	uint64_t used = REPR_GET(r, obj, PyDictObject, ma_used), i;

	pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
	if (used) {
		pyr_strbuf_add(r->out, "{");
		for (i = 0; i < used && node && repr_next(r, i, used); i++) {
			key = REPR_GET(r, node, PyODictNode, key);
			value = value_of_key(r, obj, key);
			repr_value(r, key);
			pyr_strbuf_add(r->out, ": ");
			repr_value(r, value);
			node = REPR_GET(r, node, PyODictNode, next);
		}
		pyr_strbuf_add(r->out, "}");
	}
	pyr_strbuf_add(r->out, ")");
}

void repr_defaultdict(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr factory = REPR_GET(r, obj, defdictobject, default_factory);

	pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
	if (factory)
		repr_value(r, factory);
	else
		pyr_strbuf_add(r->out, "None");
	pyr_strbuf_add(r->out, ", ");
	repr_dict_entries(r, obj);
	pyr_strbuf_add(r->out, ")");
}

/* Elements in the order of the table, as iteration gives them. */
static void add_elements(struct repr *r, pyr_addr set)
{
	uint64_t slots, used, i, n = 0;
	pyr_addr table, key, hash;
	pyr_error *err;

	if ((err = pyr_set_table(r->types, r->reader, set, &table, &slots, &used))) {
		damaged(r, err);
		return;
	}
	if (slots > SET_SLOTS_SCAN)
		slots = SET_SLOTS_SCAN;
	for (i = 0; i < slots && n < used; i++) {
		if (!pyr_try_u64(r->reader, table + 16 * i, &key)) {
			pyr_strbuf_add(r->out, "<unreadable>");
			return;
		}
		/* A deleted element's place: the dummy, whose hash is -1. */
		if (!key ||
		    (pyr_try_u64(r->reader, table + 16 * i + 8, &hash) && hash == UINT64_MAX))
			continue;
		if (!repr_next(r, n++, used))
			return;
		repr_value(r, key);
	}
	if (n < used)
		pyr_strbuf_printf(r->out, "%s... %llu more", n ? ", " : "",
				  (unsigned long long)(used - n));
}

void repr_set(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	bool exact = type->exact_shape && type->shape == PYR_SHAPE_SET;

	if (!REPR_GET(r, obj, PySetObject, used)) {
		pyr_strbuf_printf(r->out, "%s()", repr_tp_name(type));
		return;
	}
	if (!exact)
		pyr_strbuf_printf(r->out, "%s(", repr_tp_name(type));
	pyr_strbuf_add(r->out, "{");
	add_elements(r, obj);
	pyr_strbuf_add(r->out, exact ? "}" : "})");
}

void repr_frozenset(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	repr_set(r, type, obj);
}

/* _collectionsmodule.c: blocks of 64 items, from leftindex of the left one. */
void repr_deque(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	uint64_t count = REPR_GET(r, obj, PyVarObject, ob_size), i;
	pyr_addr block = REPR_GET(r, obj, dequeobject, leftblock), item;
	uint64_t index = REPR_GET(r, obj, dequeobject, leftindex);
	int64_t maxlen = (int64_t)REPR_GET(r, obj, dequeobject, maxlen);

	pyr_strbuf_printf(r->out, "%s([", repr_short_name(type));
	for (i = 0; i < count && repr_next(r, i, count); i++) {
		if (index >= DEQUE_BLOCK_ITEMS ||
		    !pyr_try_u64(r->reader,
				 block + (pyr_addr)pyr_offset(r->l, block, data) + 8 * index,
				 &item)) {
			pyr_strbuf_add(r->out, "<unreadable>");
			break;
		}
		repr_value(r, item);
		if (++index == DEQUE_BLOCK_ITEMS) {
			index = 0;
			block = REPR_GET(r, block, block, rightlink);
		}
	}
	pyr_strbuf_add(r->out, "]");
	if (maxlen >= 0)
		pyr_strbuf_printf(r->out, ", maxlen=%lld", (long long)maxlen);
	pyr_strbuf_add(r->out, ")");
}
