/* Names of references that a tp_traverse visited in memory outside of the instance:
 * which entry, item or link holds the target. Searches are bounded: a name is worth
 * a few thousand steps, no more, and begins near the place that the order of the
 * visits suggests. */
#include <stdlib.h>

#include "names/labels_internal.h"

#define WINDOW 192u
#define STEPS_MAX 4096u
#define DEQUE_BLOCK_ITEMS 64u /* _collectionsmodule.c, BLOCKLEN */
#define DEQUE_BLOCKS_MAX 1024u
#define CHILDREN_MAX (UINT64_C(1) << 32)

#define GET(w, base, id, field) pyr_get_addr((w)->l, (w)->reader, (base), id, field)

static void add_entry(struct pyr_label_writer *w, pyr_addr key, bool is_key)
{
	pyr_strbuf_add(w->out, is_key ? "key " : "[");
	pyr_label_value(w, key);
	pyr_strbuf_add(w->out, is_key ? "" : "]");
}

/* Does one of @count entries from @start on hold the target? */
static bool entry_in(struct pyr_label_writer *w, const struct pyr_step *step,
		     struct pyr_dict_iter iter, uint64_t start, uint64_t count)
{
	pyr_addr key, value;

	iter.index = start;
	/* Empty entries are passed over, yet not for ever. */
	if (iter.count > start + 8 * count)
		iter.count = start + 8 * count;
	while (count-- && pyr_dict_iter_next(&iter, &key, &value))
		if (value == step->target || key == step->target) {
			add_entry(w, key, value != step->target);
			return true;
		}
	return false;
}

/* A dict with a traverse function of its own: OrderedDict visits the keys of its
 * nodes first (odict_traverse()), then dict_traverse() values, or values and keys. */
static bool in_dict(struct pyr_label_writer *w, const struct pyr_step *step)
{
	struct pyr_dict_iter iter;
	uint64_t starts[4], at = step->detail;
	pyr_error *err;
	size_t i;

	err = pyr_dict_iter_init(w->types, w->reader, step->owner, &iter);
	if (err) {
		pyr_error_destroy(err);
		return false;
	}
	starts[0] = at;
	starts[1] = at > iter.count ? at - iter.count : 0;
	starts[2] = at / 2;
	starts[3] = starts[1] / 2;
	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (entry_in(w, step, iter, starts[i] > WINDOW / 2 ? starts[i] - WINDOW / 2 : 0,
			     WINDOW))
			return true;
	return entry_in(w, step, iter, 0, STEPS_MAX);
}

/* Visits go from left to right, perhaps after the type. */
static bool in_deque(struct pyr_label_writer *w, const struct pyr_step *step)
{
	pyr_addr block = GET(w, step->owner, dequeobject, leftblock), item;
	uint64_t index = 0, size = 0, i = 0, guess = step->detail;
	int32_t data = pyr_offset(w->l, block, data);
	unsigned blocks = 0;

	if (data < 0 ||
	    !pyr_get_u64(w->l, w->reader, step->owner, dequeobject, leftindex, &index) ||
	    !pyr_get_u64(w->l, w->reader, step->owner, PyVarObject, ob_size, &size))
		return false;
	while (i < size && index < DEQUE_BLOCK_ITEMS && blocks < DEQUE_BLOCKS_MAX) {
		if (i + 2 >= guess &&
		    pyr_try_u64(w->reader, block + (pyr_addr)data + 8 * index, &item) &&
		    item == step->target) {
			pyr_strbuf_printf(w->out, "[%llu]", (unsigned long long)i);
			return true;
		}
		i++;
		if (++index == DEQUE_BLOCK_ITEMS) {
			index = 0;
			block = GET(w, block, block, rightlink);
			blocks++;
		}
	}
	pyr_strbuf_add(w->out, "an item");
	return true;
}

/* functools.lru_cache: a ring of links that begins in the wrapper itself, each with a
 * key and a result (_functoolsmodule.c, lru_cache_tp_traverse()). */
static bool in_lru_cache(struct pyr_label_writer *w, const struct pyr_step *step)
{
	int32_t root = pyr_offset(w->l, lru_cache_object, root_prev);
	pyr_addr link = GET(w, step->owner, lru_cache_object, root_next), end, key;
	unsigned steps;

	/* The root is a link without its header: prev and next where a link has them. */
	end = step->owner + (pyr_addr)(root - pyr_offset(w->l, lru_list_elem, prev));
	for (steps = 0; link && link != end && link != step->owner && steps < STEPS_MAX; steps++) {
		key = GET(w, link, lru_list_elem, key);
		if (GET(w, link, lru_list_elem, result) == step->target) {
			pyr_strbuf_add(w->out, "cached result for key ");
			pyr_label_value(w, key);
			return true;
		}
		if (key == step->target) {
			pyr_strbuf_add(w->out, "key of a cached result");
			return true;
		}
		if (GET(w, link, PyObject, ob_type) == step->target) {
			pyr_strbuf_add(w->out, "class of a cached result's link");
			return true;
		}
		link = GET(w, link, lru_list_elem, next);
	}
	return false;
}

static void add_variable(struct pyr_label_writer *w, pyr_addr key)
{
	pyr_addr name = GET(w, key, PyContextVar, var_name);
	char *text = NULL;

	pyr_error_destroy(name ? pyr_str_utf8(w->types, w->reader, name, 100, &text, NULL) : NULL);
	if (text)
		pyr_strbuf_printf(w->out, "context variable \"%s\"", text);
	else
		pyr_strbuf_add(w->out, "a context variable");
	free(text);
}

/* hamt.c: pairs of key and value; a NULL key means that the value is a node below. */
static bool in_hamt_node(struct pyr_label_writer *w, const struct pyr_step *step)
{
	int32_t array = pyr_offset(w->l, PyHamtNode_Bitmap, b_array);
	uint64_t size = 0, i;
	pyr_addr key, value;

	if (array < 0 || !pyr_get_u64(w->l, w->reader, step->owner, PyVarObject, ob_size, &size) ||
	    size > 64)
		return false;
	for (i = 0; i + 1 < size; i += 2) {
		if (!pyr_try_u64(w->reader, step->owner + (pyr_addr)array + i * 8, &key) ||
		    !pyr_try_u64(w->reader, step->owner + (pyr_addr)array + i * 8 + 8, &value))
			return false;
		if (key && key == step->target) {
			pyr_strbuf_add(w->out, "key ");
			pyr_label_value(w, key);
			return true;
		}
		if (value != step->target)
			continue;
		if (!key) {
			pyr_strbuf_add(w->out, "node");
			return true;
		}
		add_variable(w, key);
		return true;
	}
	return false;
}

/* _elementtree.c, element_gc_traverse(): attributes and children lie apart. */
static bool in_element(struct pyr_label_writer *w, const struct pyr_step *step)
{
	pyr_addr extra = GET(w, step->owner, ElementObject, extra), children, child;
	uint64_t length = 0, i, from;

	if (!extra)
		return false;
	if (GET(w, extra, ElementObjectExtra, attrib) == step->target) {
		pyr_strbuf_add(w->out, ".attrib");
		return true;
	}
	children = GET(w, extra, ElementObjectExtra, children);
	pyr_get_u64(w->l, w->reader, extra, ElementObjectExtra, length, &length);
	from = step->detail > 16 ? step->detail - 16 : 0;
	for (i = from; children && length < CHILDREN_MAX && i < length && i < from + STEPS_MAX; i++)
		if (pyr_try_u64(w->reader, children + i * 8, &child) && child == step->target) {
			pyr_strbuf_printf(w->out, "[%llu]", (unsigned long long)i);
			return true;
		}
	return false;
}

/* A struct sequence has more items than its length tells (structseq_traverse()), and
 * names for them (tp_members). */
static bool in_tuple(struct pyr_label_writer *w, const struct pyr_step *step)
{
	int32_t items = pyr_offset(w->l, PyTupleObject, ob_item);
	uint64_t i, from = step->detail > 2 ? step->detail - 2 : 0;
	pyr_addr item;

	for (i = from; i < from + 5; i++) {
		if (!pyr_try_u64(w->reader, step->owner + (pyr_addr)items + i * 8, &item) ||
		    item != step->target)
			continue;
		pyr_label_item(w, step->type, i);
		return true;
	}
	return false;
}

/* Types by name, looked for along the bases. */
static const struct {
	const char *type;
	bool (*find)(struct pyr_label_writer *w, const struct pyr_step *step);
} finders[] = {
	{"collections.deque", in_deque},
	{"functools._lru_cache_wrapper", in_lru_cache},
	{"builtins.hamt_bitmap_node", in_hamt_node},
	{"builtins.hamt_collision_node", in_hamt_node},
	{"xml.etree.ElementTree.Element", in_element},
};

static bool found(struct pyr_label_writer *w, const struct pyr_step *step)
{
	const struct pyr_type *base;
	const char *name;
	unsigned depth;
	size_t i;

	if (step->type->flags & PYR_TPFLAGS_DICT_SUBCLASS)
		return in_dict(w, step);
	if (step->type->flags & PYR_TPFLAGS_TUPLE_SUBCLASS)
		return in_tuple(w, step);
	for (base = step->type, depth = 0; base && depth < 200; depth++) {
		name = pyr_type_name(w->types, base);
		for (i = 0; i < sizeof(finders) / sizeof(finders[0]); i++)
			if (!strcmp(finders[i].type, name))
				return finders[i].find(w, step);
		base = base->base ? pyr_types_get(w->types, w->reader, base->base) : NULL;
	}
	return false;
}

struct attribute_search {
	pyr_addr target;
	struct pyr_strbuf *out;
	unsigned steps;
	bool found;
};

static bool is_attribute(void *ctx, const char *name, pyr_addr value)
{
	struct attribute_search *s = ctx;

	if (value != s->target)
		return ++s->steps < STEPS_MAX;
	pyr_strbuf_printf(s->out, ".%s", name);
	s->found = true;
	return false;
}

/* PyObject_VisitManagedDict() of a type of C visits before the object, or behind it. */
static bool in_attributes(struct pyr_label_writer *w, const struct pyr_step *step)
{
	struct attribute_search search = {.target = step->target, .out = w->out};

	if (pyr_object_dict(w->types, w->reader, step->type, step->owner) == step->target) {
		pyr_strbuf_add(w->out, ".__dict__");
		return true;
	}
	pyr_error_destroy(
		pyr_object_attributes(w->types, w->reader, step->owner, is_attribute, &search));
	return search.found;
}

void pyr_label_visited(struct pyr_label_writer *w, const struct pyr_step *step)
{
	if (step->target && (found(w, step) || in_attributes(w, step)))
		return;
	if (step->type->shape == PYR_SHAPE_MODULE)
		pyr_strbuf_add(w->out, "C state of the module");
	else
		pyr_strbuf_printf(w->out, "inner reference %llu", (unsigned long long)step->detail);
}
