#include "objects/classify.h"

#include <stdlib.h>
#include <string.h>

#include "objects/buffers.h"

/* Owned buffers longer than this are damage. */
#define BUFFER_MAX (UINT64_C(1) << 40)

/* A count has as many bits as the target has room for references, and at least those of
 * 3.11's immortals (999999999 and some). */
static uint64_t count_bits(const struct pyr_types *types)
{
	uint64_t most = types->blocks_limit / sizeof(pyr_addr), bits = UINT32_MAX >> 1;

	while (bits < most && bits >> 40 == 0)
		bits = bits << 1 | 1;
	return bits;
}

static void init_header(struct pyr_classifier *c, const struct pyr_layout *l)
{
	c->refcnt_at = (uint32_t)pyr_offset(l, PyObject, ob_refcnt);
	c->type_at = (uint32_t)pyr_offset(l, PyObject, ob_type);
	c->size_at = (uint32_t)pyr_offset(l, PyVarObject, ob_size);
	c->gc_head = pyr_layout_gc_head_size(l);
	c->gc_refs = pyr_is(l, gc_head, THREE_WORDS);
	/* object.h, refcount.h: what the count of a live object may be. */
	switch (pyr_trait(l, immortal_encoding)) {
	case PYR_TRAIT(immortal_encoding, UINT32_MAX_WORD):
		c->refcnt_required = UINT32_MAX;
		c->refcnt_forbidden = ~(uint64_t)UINT32_MAX;
		break;
	case PYR_TRAIT(immortal_encoding, HIGH_BIT_32):
		/* ob_refcnt, ob_overflow (always 0), ob_flags */
		c->refcnt_required = UINT32_MAX;
		c->refcnt_forbidden = UINT64_C(0xff00ffff00000000);
		break;
	default:
		c->refcnt_required = count_bits(c->types);
		c->refcnt_forbidden = ~c->refcnt_required;
	}
}

/* Position of a bit field in the 32-bit word at @word. */
static uint32_t bit_shift(const struct pyr_field_place *place, int32_t word)
{
	return (uint32_t)(place->offset - word) * 8 + place->bit_offset;
}

static void init_values(struct pyr_classifier *c, const struct pyr_layout *l)
{
	int32_t state = pyr_offset(l, PyASCIIObject, state);

	if (state < 0)
		state = pyr_offset(l, PyASCIIObject, state_compact);
	c->list_allocated = (uint32_t)pyr_offset(l, PyListObject, allocated);
	c->str_length = (uint32_t)pyr_offset(l, PyASCIIObject, length);
	c->str_state = (uint32_t)state;
	c->kind_shift = bit_shift(pyr_layout_place(l, PYR_FIELD(PyASCIIObject, state_kind)), state);
	c->compact_shift =
		bit_shift(pyr_layout_place(l, PYR_FIELD(PyASCIIObject, state_compact)), state);
	c->ascii_shift =
		bit_shift(pyr_layout_place(l, PYR_FIELD(PyASCIIObject, state_ascii)), state);
	c->str_ascii = pyr_sizeof(l, PyASCIIObject);
	c->str_compact = pyr_sizeof(l, PyCompactUnicodeObject);
	c->str_utf8 = (uint32_t)pyr_offset(l, PyCompactUnicodeObject, utf8);
	c->str_utf8_length = (uint32_t)pyr_offset(l, PyCompactUnicodeObject, utf8_length);
	c->str_wstr =
		pyr_has(l, PyASCIIObject, wstr) ? (uint32_t)pyr_offset(l, PyASCIIObject, wstr) : 0;
	c->dict_keys = (uint32_t)pyr_offset(l, PyDictObject, ma_keys);
	c->dict_values = (uint32_t)pyr_offset(l, PyDictObject, ma_values);
	c->keys_header = pyr_sizeof(l, PyDictKeysObject);
	c->keys_refcnt = (uint32_t)pyr_offset(l, PyDictKeysObject, dk_refcnt);
	c->keys_are_log2 = pyr_is(l, dict_keys, LOG2);
	if (c->keys_are_log2) {
		c->keys_log2 = (uint32_t)pyr_offset(l, PyDictKeysObject, dk_log2_size);
		c->keys_index_log2 = (uint32_t)pyr_offset(l, PyDictKeysObject, dk_log2_index_bytes);
		c->keys_kind = (uint32_t)pyr_offset(l, PyDictKeysObject, dk_kind);
	} else {
		c->keys_size = (uint32_t)pyr_offset(l, PyDictKeysObject, dk_size);
	}
	c->int_tag = pyr_is(l, int_layout, LV_TAG);
	c->int_zero_digit = pyr_is(l, int_sizeof, ZERO_HAS_DIGIT);
}

pyr_error *pyr_classifier_init(struct pyr_classifier *c, struct pyr_types *types, bool collecting)
{
	struct pyr_python *python = pyr_types_python(types);
	const struct pyr_layout *l = &python->layout;

	memset(c, 0, sizeof(*c));
	c->types = types;
	c->layout = l;
	if (!pyr_has(l, PyObject, ob_refcnt) || !pyr_has(l, PyObject, ob_type) ||
	    !pyr_has(l, PyVarObject, ob_size) || pyr_is(l, gc_head, NONE))
		return pyr_error_create(PYR_E_UNSUPPORTED_BUILD,
					"objects of this build have no header that is known");
	init_header(c, l);
	init_values(c, l);
	c->strict_prev = !collecting;
	if (python->debug_allocator) {
		/* obmalloc.c, _PyMem_DebugRawAlloc(): size, id, 7 bytes; behind the data 8
		 * bytes, and a serial number in old versions. */
		c->debug_head = 16;
		c->debug_total = pyr_is(l, debug_blocks, SERIAL_NUMBERS) ? 32 : 24;
	}
	pyr_reader_init(&c->reader, python->target);
	pyr_reader_init(&c->far, python->target);
	return NULL;
}

void pyr_classifier_deinit(struct pyr_classifier *c)
{
	uint32_t i;

	for (i = 0; i < c->kind_count; i++)
		free(c->kinds[i]);
	free(c->kinds);
	pyr_reader_deinit(&c->reader);
	pyr_reader_deinit(&c->far);
	memset(c, 0, sizeof(*c));
}

static enum pyr_measure measure_of(const struct pyr_type *type)
{
	switch (type->shape) {
	case PYR_SHAPE_INT:
		return type->exact_shape ? PYR_MEASURE_INT : PYR_MEASURE_SLOW;
	case PYR_SHAPE_STR:
		return type->exact_shape ? PYR_MEASURE_STR : PYR_MEASURE_SLOW;
	case PYR_SHAPE_LIST:
		return type->exact_shape ? PYR_MEASURE_LIST : PYR_MEASURE_SLOW;
	case PYR_SHAPE_DICT:
		return type->exact_shape ? PYR_MEASURE_DICT : PYR_MEASURE_SLOW;
	case PYR_SHAPE_BYTES:
	case PYR_SHAPE_TUPLE:
		return PYR_MEASURE_VAR;
	case PYR_SHAPE_GENERIC:
	case PYR_SHAPE_FLOAT:
	case PYR_SHAPE_COMPLEX:
	case PYR_SHAPE_FUNCTION:
	case PYR_SHAPE_METHOD:
	case PYR_SHAPE_CFUNCTION:
	case PYR_SHAPE_CELL:
	case PYR_SHAPE_RANGE:
	case PYR_SHAPE_SLICE:
	case PYR_SHAPE_BASE_EXCEPTION:
	case PYR_SHAPE_NONE:
		return type->itemsize == 0 ? PYR_MEASURE_FIXED : PYR_MEASURE_SLOW;
	default:
		return PYR_MEASURE_SLOW;
	}
}

/* Builtins whose instances are always allocated as exactly tp_basicsize. */
static bool fills_class(const struct pyr_type *type)
{
	if (!type->exact_shape || type->heap || type->itemsize)
		return false;
	switch (type->shape) {
	case PYR_SHAPE_FLOAT:
	case PYR_SHAPE_COMPLEX:
	case PYR_SHAPE_LIST:
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
	case PYR_SHAPE_CELL:
	case PYR_SHAPE_METHOD:
	case PYR_SHAPE_FUNCTION:
	case PYR_SHAPE_SLICE:
	case PYR_SHAPE_RANGE:
		return true;
	default:
		return false;
	}
}

static bool is_leaf(const struct pyr_type *type)
{
	if (!type->exact_shape)
		return false;
	switch (type->shape) {
	case PYR_SHAPE_INT:
	case PYR_SHAPE_BOOL:
	case PYR_SHAPE_FLOAT:
	case PYR_SHAPE_COMPLEX:
	case PYR_SHAPE_STR:
	case PYR_SHAPE_BYTES:
	case PYR_SHAPE_BYTEARRAY:
		return true;
	default:
		return false;
	}
}

/* What is read of every instance without asking again, whatever the type says
 * of its size. */
static uint64_t smallest(const struct pyr_classifier *c, const struct pyr_type *type)
{
	const struct pyr_layout *l = c->layout;

	switch (type->shape) {
	case PYR_SHAPE_LIST:
		return pyr_sizeof(l, PyListObject);
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_ODICT:
	case PYR_SHAPE_DEFAULTDICT:
	case PYR_SHAPE_FROZENDICT:
		return pyr_sizeof(l, PyDictObject);
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
		return pyr_sizeof(l, PySetObject);
	case PYR_SHAPE_DEQUE:
		return pyr_sizeof(l, dequeobject);
	case PYR_SHAPE_INT:
	case PYR_SHAPE_BYTES:
	case PYR_SHAPE_TUPLE:
		return c->size_at + 8;
	default:
		return c->type_at + 8;
	}
}

static bool owns_buffer(enum pyr_shape shape)
{
	switch (shape) {
	case PYR_SHAPE_LIST:
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_ODICT:
	case PYR_SHAPE_DEFAULTDICT:
	case PYR_SHAPE_FROZENDICT:
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
	case PYR_SHAPE_DEQUE:
		return true;
	default:
		return pyr_shape_buffers_references(shape);
	}
}

static void init_kind(const struct pyr_classifier *c, struct pyr_type_facts *kind,
		      const struct pyr_type *type)
{
	uint64_t basicsize = type->basicsize > 0 ? (uint64_t)type->basicsize : 0;

	memset(kind, 0, sizeof(*kind));
	kind->type = type;
	kind->index = type->index;
	kind->gc = type->gc;
	kind->before = (uint32_t)type->gc_head + type->pre_header;
	kind->itemsize = type->itemsize > 0 ? (uint32_t)type->itemsize : 0;
	kind->fixed_size = kind->before + basicsize;
	kind->measure = (uint8_t)measure_of(type);
	kind->is_str = type->shape == PYR_SHAPE_STR && type->exact_shape;
	/* A compact str is smaller than tp_basicsize. */
	kind->need = kind->is_str ? c->str_ascii + 1 : basicsize;
	/* So is a datetime or time without a tzinfo, which is the last member:
	 * _datetimemodule.c, datetime_alloc(), time_alloc(). */
	if ((type->shape == PYR_SHAPE_DATETIME || type->shape == PYR_SHAPE_TIME) &&
	    type->exact_shape && basicsize > 8)
		kind->need = basicsize - 8;
	if (kind->need < smallest(c, type))
		kind->need = smallest(c, type);
	kind->has_count = kind->itemsize &&
			  (type->shape == PYR_SHAPE_TUPLE || type->shape == PYR_SHAPE_BYTES ||
			   (type->shape == PYR_SHAPE_INT && type->exact_shape));
	kind->exact_class = fills_class(type);
	kind->leaf = is_leaf(type);
	kind->owns_buffer = owns_buffer(type->shape);
	kind->more_buffers = type->pre_header || pyr_shape_buffers_references(type->shape);
}

struct pyr_type_facts *pyr_classifier_learn(struct pyr_classifier *c, pyr_addr address,
					    unsigned slot)
{
	const struct pyr_type *type = NULL;
	struct pyr_type_facts *kind = NULL;

	if (address >= 4096 && !(address & 7) && !(address >> 47))
		type = pyr_types_get(c->types, &c->far, address);
	if (type) {
		if (!pyr_array_reach((void **)&c->kinds, &c->kind_count, type->index,
				     sizeof(*c->kinds)))
			goto no_memory;
		kind = c->kinds[type->index];
		if (!kind) {
			if (!(kind = malloc(sizeof(*kind))))
				goto no_memory;
			init_kind(c, kind, type);
			c->kinds[type->index] = kind;
		}
	}
	c->cache[slot].type = address;
	c->cache[slot].kind = kind;
	return kind;
no_memory:
	c->out_of_memory = true;
	return NULL;
}

uint64_t pyr_type_facts_measure_slow(struct pyr_classifier *c, struct pyr_type_facts *kind,
				     pyr_addr addr)
{
	uint64_t size;
	pyr_error *err;
	bool exact;

	err = pyr_object_size(c->types, &c->far, kind->type, addr, &size, &exact);
	if (err) {
		pyr_error_destroy(err);
		c->unmeasured++;
		return kind->fixed_size;
	}
	if (!exact)
		kind->inexact = true;
	return size;
}

/* dictobject.c, _PyDict_SizeOf() */
static bool measure_dict(struct pyr_classifier *c, const struct pyr_type_facts *kind,
			 const uint8_t *object, uint64_t *ret)
{
	uint64_t size, slots, width, entry, values = pyr_load64(object + c->dict_values);
	const uint8_t *keys = pyr_peek(&c->far, pyr_load64(object + c->dict_keys), c->keys_header);

	if (!keys)
		return false;
	size = kind->fixed_size;
	if (c->keys_are_log2) {
		if (values || keys[c->keys_log2] > 40 || keys[c->keys_index_log2] > 44)
			return false;
		slots = UINT64_C(1) << keys[c->keys_log2];
		width = UINT64_C(1) << keys[c->keys_index_log2]; /* of the whole table */
		entry = keys[c->keys_kind] ? 16 : 24;
	} else {
		slots = pyr_load64(keys + c->keys_size);
		if (slots > UINT64_C(1) << 40)
			return false;
		width = slots <= 0xff         ? slots
			: slots <= 0xffff     ? slots * 2
			: slots <= UINT32_MAX ? slots * 4
					      : slots * 8;
		entry = 24;
		if (values)
			size += slots * 2 / 3 * 8;
	}
	if (pyr_load64(keys + c->keys_refcnt) == 1)
		size += c->keys_header + width + slots * 2 / 3 * entry;
	*ret = size;
	return true;
}

/* unicodeobject.c, unicode_sizeof(), for compact strings */
static bool measure_str(const struct pyr_classifier *c, const uint8_t *object, uint64_t *ret)
{
	uint64_t length = pyr_load64(object + c->str_length), size;
	uint32_t state = pyr_load32(object + c->str_state);

	if (!(state >> c->compact_shift & 1) || length >> 40 ||
	    (c->str_wstr && pyr_load64(object + c->str_wstr)))
		return false;
	if (state >> c->ascii_shift & 1) {
		*ret = c->str_ascii + length + 1;
		return true;
	}
	size = c->str_compact + (length + 1) * (state >> c->kind_shift & 7);
	if (pyr_load64(object + c->str_utf8))
		size += pyr_load64(object + c->str_utf8_length) + 1;
	*ret = size;
	return true;
}

static bool measure_fast(struct pyr_classifier *c, const struct pyr_type_facts *kind,
			 const uint8_t *object, uint64_t *ret)
{
	uint64_t n;

	switch ((enum pyr_measure)kind->measure) {
	case PYR_MEASURE_FIXED:
		*ret = kind->fixed_size;
		return true;
	case PYR_MEASURE_VAR:
		n = pyr_load64(object + c->size_at);
		*ret = kind->fixed_size + n * kind->itemsize;
		return !(n >> 40);
	case PYR_MEASURE_INT:
		n = pyr_load64(object + c->size_at);
		n = c->int_tag ? n >> 3 : (int64_t)n < 0 ? -n : n;
		if (n == 0 && c->int_zero_digit)
			n = 1;
		*ret = kind->fixed_size + n * kind->itemsize;
		return !(n >> 40);
	case PYR_MEASURE_STR:
		return measure_str(c, object, ret);
	case PYR_MEASURE_LIST:
		n = pyr_load64(object + c->list_allocated);
		*ret = kind->fixed_size + n * 8;
		return !(n >> 40);
	case PYR_MEASURE_DICT:
		return measure_dict(c, kind, object, ret);
	case PYR_MEASURE_SLOW:
		break;
	}
	return false;
}

uint64_t pyr_type_facts_measure(struct pyr_classifier *c, struct pyr_type_facts *kind,
				pyr_addr addr, const uint8_t *object)
{
	uint64_t size, slow;

	if (!measure_fast(c, kind, object, &size) || size > c->types->size_limit)
		return pyr_type_facts_measure_slow(c, kind, addr);
	if (!kind->probed) {
		/* What is fast must be what is right: ask both ways once. */
		slow = pyr_type_facts_measure_slow(c, kind, addr);
		kind->probed = true;
		if (slow != size) {
			kind->measure = PYR_MEASURE_SLOW;
			return slow;
		}
	}
	return size;
}

static void dict_buffers(struct pyr_classifier *c, const uint8_t *object,
			 void (*fn)(void *ctx, pyr_addr start, uint64_t size), void *ctx)
{
	pyr_addr at = pyr_load64(object + c->dict_keys),
		 values = pyr_load64(object + c->dict_values);
	const uint8_t *keys;
	uint64_t slots, width;

	/* Keys and values in arenas are blocks: not worth a look far away. */
	if (c->pointers && !pyr_pages_has(c->pointers, at) && !pyr_pages_has(c->pointers, values))
		return;
	keys = pyr_peek(&c->far, at, c->keys_header);
	if (!keys)
		return;
	if (c->keys_are_log2) {
		if (keys[c->keys_log2] > 36 || keys[c->keys_index_log2] > 40)
			return;
		slots = UINT64_C(1) << keys[c->keys_log2];
		width = UINT64_C(1) << keys[c->keys_index_log2];
	} else {
		slots = pyr_load64(keys + c->keys_size);
		width = slots <= 0xff ? slots : slots <= 0xffff ? slots * 2 : slots * 4;
	}
	if (slots > BUFFER_MAX / 24)
		return;
	fn(ctx, at + c->keys_header + width,
	   slots * 2 / 3 * (c->keys_are_log2 && keys[c->keys_kind] ? 16 : 24));
	if (values)
		fn(ctx, values, slots * 2 / 3 * 8);
}

static void deque_buffers(struct pyr_classifier *c, const uint8_t *object,
			  void (*fn)(void *ctx, pyr_addr start, uint64_t size), void *ctx)
{
	const struct pyr_layout *l = c->layout;
	uint64_t steps = pyr_load64(object + c->size_at) / 64 + 2;
	uint32_t size = pyr_sizeof(l, block);
	int32_t right = pyr_offset(l, block, rightlink), left = pyr_offset(l, block, leftlink);
	int32_t leftmost = pyr_offset(l, dequeobject, leftblock);
	pyr_addr first, at, previous = 0, link;

	if (left < 0 || right < 0 || leftmost < 0 || steps > BUFFER_MAX / 512)
		return;
	/* Links that lead back make a cycle come round to the first block. */
	first = pyr_load64(object + leftmost);
	for (at = first; at && steps--; previous = at, at = link) {
		if (previous && (at == first || !pyr_try_u64(&c->far, at + (uint64_t)left, &link) ||
				 link != previous))
			break;
		fn(ctx, at, size);
		if (!pyr_try_u64(&c->far, at + (uint64_t)right, &link))
			break;
	}
}

struct unnamed {
	void (*fn)(void *ctx, pyr_addr start, uint64_t size);
	void *ctx;
};

static void tell_unnamed(void *ctx, pyr_addr start, uint64_t size, enum pyr_buffer_name name)
{
	struct unnamed *unnamed = ctx;

	(void)name;
	unnamed->fn(unnamed->ctx, start, size);
}

void pyr_type_facts_buffers(struct pyr_classifier *c, const struct pyr_type_facts *kind,
			    pyr_addr addr, const uint8_t *object,
			    void (*fn)(void *ctx, pyr_addr start, uint64_t size), void *ctx)
{
	const struct pyr_layout *l = c->layout;
	struct unnamed unnamed;
	uint64_t n;

	switch (kind->type->shape) {
	case PYR_SHAPE_LIST:
		n = pyr_load64(object + c->size_at);
		if (n && n < BUFFER_MAX / 8)
			fn(ctx, pyr_load64(object + pyr_offset(l, PyListObject, ob_item)), n * 8);
		break;
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_ODICT:
	case PYR_SHAPE_DEFAULTDICT:
	case PYR_SHAPE_FROZENDICT:
		dict_buffers(c, object, fn, ctx);
		break;
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
		n = pyr_load64(object + pyr_offset(l, PySetObject, mask)) + 1;
		if (n && n < BUFFER_MAX / 16 &&
		    pyr_load64(object + pyr_offset(l, PySetObject, table)) !=
			    addr + (uint64_t)pyr_offset(l, PySetObject, smalltable))
			fn(ctx, pyr_load64(object + pyr_offset(l, PySetObject, table)), n * 16);
		break;
	case PYR_SHAPE_DEQUE:
		deque_buffers(c, object, fn, ctx);
		break;
	default:
		break;
	}
	if (__builtin_expect(kind->more_buffers, 0)) {
		unnamed = (struct unnamed){fn, ctx};
		pyr_reference_buffers(c->types, &c->far, kind->type, addr, tell_unnamed, &unnamed);
	}
}
