/* The buffers of one object, by the structure of its type. */
#include <stdlib.h>

#include "objects/buffers.h"
#include "objects/pages.h"
#include "values/numpy.h"
#include "types/types.h"
#include "values/values.h"

#define BUFFER_MAX (UINT64_C(1) << 43) /* bytes; more than any machine has */
#define BY_SHAPE 1u
#define MANAGED_VALUES 2u
#define CTYPES 4u
#define BASES_MAX 64u
#define TEXT_MAX 65536u /* of a C string */
#define DEQUE_ITEMS 64u
#define DEQUE_FREE_BLOCKS 16u
#define STRUCT_CODES_MAX 100000u
#define PRE_HEADER_VALUES 32u /* 3.11: PyDictValues * before the object */
#define PRE_HEADER_TAGGED 24u /* 3.12: the same, or a dict */

static const struct {
	const char *name, *text;
} names[] = {
#define BUFFER(id, name, text) {name, text},
#define BUFFER_ARRAY(shape, s, pointer, t, count, more, unit, id)
#include "objects/buffers.def"
#undef BUFFER
#undef BUFFER_ARRAY
};

static const struct row {
	enum pyr_shape shape;
	enum pyr_field pointer, count;
	uint64_t more, unit;
	enum pyr_buffer_name name;
} rows[] = {
#define BUFFER(id, name, text)
#define BUFFER_ARRAY(shape, s, pointer, t, count, more, unit, id)                                  \
	{PYR_SHAPE_##shape, PYR_FIELD(s, pointer), PYR_FIELD(t, count), more, unit,                \
	 PYR_BUFFER_##id},
#include "objects/buffers.def"
#undef BUFFER
#undef BUFFER_ARRAY
};
#define ROWS (sizeof(rows) / sizeof(*rows))

const char *pyr_buffer_name(enum pyr_buffer_name name)
{
	return names[name].name;
}

const char *pyr_buffer_text(enum pyr_buffer_name name)
{
	return names[name].text;
}

struct teller {
	const struct pyr_buffer_source *source;
	struct pyr_types *types;
	const struct pyr_layout *l;
	struct pyr_reader *reader;
	const struct pyr_type *type;
	pyr_addr addr;
	pyr_buffer_fn fn;
	void *ctx;
};

/* Is there something at @start that is wanted, not inside of the object? */
static bool wanted(const struct teller *t, pyr_addr start)
{
	return start && !(t->source->skip && pyr_pages_has(t->source->skip, start)) &&
	       start - t->addr >= (uint64_t)t->type->basicsize;
}

static void tell(const struct teller *t, pyr_addr start, uint64_t size, enum pyr_buffer_name name)
{
	if (size && size <= BUFFER_MAX && start + size > start)
		t->fn(t->ctx, start, size, name);
}

#define GET(t, base, id, field) pyr_get_addr((t)->l, (t)->reader, (base), id, field)

/* A C string that the object owns. */
static void tell_text(const struct teller *t, pyr_addr start, enum pyr_buffer_name name)
{
	const uint8_t *run, *nul;
	size_t length;

	if (!wanted(t, start))
		return;
	length = pyr_peek_run(t->reader, start, TEXT_MAX, &run);
	nul = length ? memchr(run, 0, length) : NULL;
	tell(t, start, nul ? (uint64_t)(nul - run) + 1 : 1, name);
}

/* --- dicts --- */

/* The array of values of a split table; dictobject.c, new_values(). */
static void tell_values(const struct teller *t, pyr_addr keys, pyr_addr values,
			enum pyr_buffer_name name)
{
	const uint8_t *head;
	uint64_t slots, n;

	if (!wanted(t, values))
		return;
	switch (pyr_trait(t->l, dict_values)) {
	case PYR_TRAIT(dict_values, PREFIXED):
		/* Before the values: the size of what is before them, how many are in use. The
		 * prefix is that of the capacity, rounded up to words. */
		head = pyr_peek(t->reader, values - 2, 2);
		if (!head || head[1] < 8)
			return;
		n = head[1] > 9 ? head[1] - 9u : 1;
		n = n > head[0] ? n : head[0];
		tell(t, values - head[1], head[1] + 8 * n, name);
		break;
	case PYR_TRAIT(dict_values, HEADER):
		head = pyr_peek(t->reader, values, 4);
		if (!head || head[pyr_offset(t->l, PyDictValues, embedded)])
			return;
		n = head[pyr_offset(t->l, PyDictValues, capacity)];
		tell(t, values, (uint64_t)pyr_offset(t->l, PyDictValues, values) + 9 * n, name);
		break;
	default:
		slots = GET(t, keys, PyDictKeysObject, dk_size);
		tell(t, values, slots > BUFFER_MAX / 8 ? 0 : 8 * ((slots << 1) / 3), name);
		break;
	}
}

static void tell_keys(const struct teller *t, pyr_addr keys, enum pyr_buffer_name name)
{
	if (wanted(t, keys))
		tell(t, keys, pyr_dict_keys_size(t->types, t->reader, keys), name);
}

static void tell_dict(const struct teller *t)
{
	pyr_addr keys = GET(t, t->addr, PyDictObject, ma_keys);
	pyr_addr values = GET(t, t->addr, PyDictObject, ma_values);

	tell_keys(t, keys, PYR_BUFFER_DICT_KEYS);
	if (values)
		tell_values(t, keys, values, PYR_BUFFER_DICT_VALUES);
}

/* odictobject.c: a node per key, linked; each an allocation of its own. */
static void tell_odict_nodes(const struct teller *t)
{
	uint64_t size = pyr_sizeof(t->l, PyODictNode);
	uint64_t steps = GET(t, t->addr, PyDictObject, ma_used);
	pyr_addr node = GET(t, t->addr, PyODictObject, od_first), previous = 0;

	/* All have one size: where the first is not wanted none is. */
	for (; node && steps && size && wanted(t, node); steps--) {
		/* A link back that does not lead to the one before ends it. */
		if (GET(t, node, PyODictNode, prev) != previous)
			break;
		tell(t, node, size, PYR_BUFFER_ODICT_NODE);
		previous = node;
		node = GET(t, node, PyODictNode, next);
	}
}

/* --- the others --- */

static void tell_str(const struct teller *t)
{
	struct pyr_str_view view;
	pyr_addr wstr, utf8;
	pyr_error *err;

	if ((err = pyr_str_view(t->types, t->reader, t->addr, &view))) {
		pyr_error_destroy(err);
		return;
	}
	wstr = GET(t, t->addr, PyASCIIObject, wstr);
	if (!view.compact && view.data != wstr && wanted(t, view.data))
		tell(t, view.data, (view.length + 1) * view.kind, PYR_BUFFER_STR_DATA);
	if (wanted(t, wstr))
		tell(t, wstr,
		     4 * ((view.compact && view.ascii
				   ? view.length
				   : GET(t, t->addr, PyCompactUnicodeObject, wstr_length)) +
			  1),
		     PYR_BUFFER_STR_WSTR);
	if (view.compact && view.ascii)
		return;
	utf8 = GET(t, t->addr, PyCompactUnicodeObject, utf8);
	if (utf8 != view.data && wanted(t, utf8))
		tell(t, utf8, GET(t, t->addr, PyCompactUnicodeObject, utf8_length) + 1,
		     PYR_BUFFER_STR_UTF8);
}

static void tell_deque(const struct teller *t)
{
	uint64_t size = pyr_sizeof(t->l, block), steps, n;
	pyr_addr at = GET(t, t->addr, dequeobject, leftblock), first = at, previous = 0, spare;
	int32_t free_blocks = pyr_offset(t->l, dequeobject, freeblocks);
	unsigned i;

	if (!pyr_get_u64(t->l, t->reader, t->addr, PyVarObject, ob_size, &steps))
		return;
	for (steps = steps / DEQUE_ITEMS + 2; at && steps && wanted(t, at); steps--) {
		/* Blocks end where a link back does not lead to the one before. */
		if (previous && (at == first || GET(t, at, block, leftlink) != previous))
			break;
		tell(t, at, size, PYR_BUFFER_DEQUE_BLOCK);
		previous = at;
		at = GET(t, at, block, rightlink);
	}
	if (free_blocks < 0 ||
	    !pyr_get_u64(t->l, t->reader, t->addr, dequeobject, numfreeblocks, &n))
		return;
	for (i = 0; i < n && i < DEQUE_FREE_BLOCKS; i++)
		if (pyr_try_u64(t->reader, t->addr + (pyr_addr)free_blocks + 8 * i, &spare) &&
		    wanted(t, spare))
			tell(t, spare, size, PYR_BUFFER_DEQUE_FREE_BLOCK);
}

/* Since 3.15 the bytes are an object. */
static void tell_bytearray(const struct teller *t)
{
	pyr_addr bytes = GET(t, t->addr, PyByteArrayObject, ob_bytes);

	if (!pyr_has(t->l, PyByteArrayObject, ob_bytes_object) && wanted(t, bytes))
		tell(t, bytes, GET(t, t->addr, PyByteArrayObject, ob_alloc), PYR_BUFFER_BYTEARRAY);
}

/* struct arraydescr (arraymodule.c) begins with the type code and the int item size. */
static void tell_array(const struct teller *t)
{
	pyr_addr items = GET(t, t->addr, arrayobject, ob_item);
	uint64_t count = GET(t, t->addr, arrayobject, allocated);
	uint32_t itemsize;

	if (!wanted(t, items))
		return;
	if (!pyr_try_u32(t->reader, GET(t, t->addr, arrayobject, ob_descr) + 4, &itemsize) ||
	    itemsize > 16)
		itemsize = 1;
	tell(t, items, count > BUFFER_MAX / 16 ? 0 : count * itemsize, PYR_BUFFER_ARRAY_ITEMS);
}

static void tell_ndarray(const struct teller *t)
{
	const pyr_addr dimensions_at = 16; /* numpy.c */
	struct pyr_ndarray array;
	pyr_addr dimensions = 0;
	pyr_error *err = pyr_ndarray_read(t->types, t->reader, t->addr, &array);

	if (err) {
		pyr_error_destroy(err);
		return;
	}
	/* An array without elements has room for one. */
	if (array.owns_data && wanted(t, array.data))
		tell(t, array.data,
		     array.bytes      ? array.bytes
		     : array.itemsize ? array.itemsize
				      : 1,
		     PYR_BUFFER_NDARRAY_DATA);
	if (array.dimensions &&
	    pyr_try_u64(t->reader, t->addr + pyr_object_body(t->l) + dimensions_at, &dimensions) &&
	    wanted(t, dimensions))
		tell(t, dimensions, 16 * (uint64_t)array.dimensions, PYR_BUFFER_NDARRAY_SHAPE);
}

static void tell_type(const struct teller *t)
{
	uint64_t flags;

	if (!pyr_get_u64(t->l, t->reader, t->addr, PyTypeObject, tp_flags, &flags) ||
	    !(flags & PYR_TPFLAGS_HEAPTYPE))
		return;
	tell_keys(t, GET(t, t->addr, PyHeapTypeObject, ht_cached_keys), PYR_BUFFER_CACHED_KEYS);
	tell_text(t, GET(t, t->addr, PyHeapTypeObject, ht_tpname), PYR_BUFFER_TYPE_NAME);
	tell_text(t, GET(t, t->addr, PyTypeObject, tp_doc), PYR_BUFFER_TYPE_DOC);
}

static uint64_t length_of(const struct teller *t, pyr_addr object)
{
	uint64_t n;

	return object && pyr_get_u64(t->l, t->reader, object, PyVarObject, ob_size, &n) &&
			       n < BUFFER_MAX / 64
		       ? n
		       : 0;
}

/* codeobject.c */
static void tell_code(const struct teller *t)
{
	const uint64_t opcache_entry = 32; /* sizeof(_PyOpcache) */
	pyr_addr at = GET(t, t->addr, PyCodeObject, co_extra);
	uint64_t n;
	uint32_t capacity;

	if (wanted(t, at) && pyr_try_u64(t->reader, at, &n) && n < TEXT_MAX)
		tell(t, at, 8 + 8 * n, PYR_BUFFER_CODE_EXTRA);
	at = GET(t, t->addr, PyCodeObject, _co_cached);
	if (wanted(t, at))
		tell(t, at, 32, PYR_BUFFER_CODE_CACHED);
	n = length_of(t, t->addr);
	at = GET(t, t->addr, PyCodeObject, _co_linearray);
	if (wanted(t, at))
		tell(t, at, 2 * n, PYR_BUFFER_CODE_LINES);
	at = GET(t, t->addr, PyCodeObject, _co_monitoring);
	if (wanted(t, at))
		tell(t, at, 64, PYR_BUFFER_CODE_MONITORING);
	at = GET(t, t->addr, PyCodeObject, co_executors);
	if (wanted(t, at) && pyr_try_u32(t->reader, at + 4, &capacity) && capacity < TEXT_MAX)
		tell(t, at, 8 + 8 * (uint64_t)capacity, PYR_BUFFER_CODE_EXECUTORS);
	at = GET(t, t->addr, PyCodeObject, co_opcache);
	if (wanted(t, at))
		tell(t, at, opcache_entry * GET(t, t->addr, PyCodeObject, co_opcache_size),
		     PYR_BUFFER_CODE_CACHE);
	at = GET(t, t->addr, PyCodeObject, co_opcache_map);
	if (wanted(t, at))
		tell(t, at, length_of(t, GET(t, t->addr, PyCodeObject, co_code)) / 2,
		     PYR_BUFFER_CODE_CACHE);
	at = GET(t, t->addr, PyCodeObject, co_cell2arg);
	if (wanted(t, at))
		tell(t, at, 8 * length_of(t, GET(t, t->addr, PyCodeObject, co_cellvars)),
		     PYR_BUFFER_CODE_CELLS);
}

/* moduleobject.c: since 3.15 the module itself knows the size of its state. */
static void tell_module(const struct teller *t)
{
	pyr_addr state = GET(t, t->addr, PyModuleObject, md_state), def;
	int64_t size = 0;

	if (!wanted(t, state))
		return;
	if (!pyr_get_i64(t->l, t->reader, t->addr, PyModuleObject, md_state_size, &size)) {
		def = GET(t, t->addr, PyModuleObject, md_def);
		if (!def || !pyr_get_i64(t->l, t->reader, def, PyModuleDef, m_size, &size))
			return;
	}
	if (size > 0)
		tell(t, state, (uint64_t)size, PYR_BUFFER_MODULE_STATE);
}

/* _elementtree.c */
static void tell_element(const struct teller *t)
{
	pyr_addr extra = GET(t, t->addr, ElementObject, extra), children;
	uint64_t size = pyr_sizeof(t->l, ElementObjectExtra), n;

	if (!extra)
		return;
	if (wanted(t, extra))
		tell(t, extra, size, PYR_BUFFER_ELEMENT_EXTRA);
	children = GET(t, extra, ElementObjectExtra, children);
	if (children - extra >= size && wanted(t, children) &&
	    pyr_get_u64(t->l, t->reader, extra, ElementObjectExtra, allocated, &n) &&
	    n < BUFFER_MAX / 8)
		tell(t, children, 8 * n, PYR_BUFFER_ELEMENT_CHILDREN);
}

/* _decimal.c: an mpd_t {flags, exp, digits, len, alloc, data} follows the hash. */
static void tell_decimal(const struct teller *t)
{
	const uint64_t not_owned = 0x20 | 0x40 | 0x80; /* MPD_DATAFLAGS */
	pyr_addr mpd = t->addr + pyr_object_body(t->l) + 8, data;
	uint64_t flags, n;

	if (pyr_try_u64(t->reader, mpd, &flags) && !(flags & not_owned) &&
	    pyr_try_u64(t->reader, mpd + 32, &n) && pyr_try_u64(t->reader, mpd + 40, &data) &&
	    n < BUFFER_MAX / 8 && wanted(t, data))
		tell(t, data, 8 * n, PYR_BUFFER_DECIMAL_WORDS);
}

/* _struct.c: format codes of 32 bytes up to one without a definition. */
static void tell_struct(const struct teller *t)
{
	pyr_addr first = GET(t, t->addr, PyStructObject, s_codes), code = first, definition;
	unsigned i;

	if (!wanted(t, first))
		return;
	for (i = 0; i < STRUCT_CODES_MAX; i++, code += 32)
		if (!pyr_try_u64(t->reader, code, &definition) || !definition)
			break;
	tell(t, first, code + 32 - first, PYR_BUFFER_STRUCT_CODES);
}

static void tell_product(const struct teller *t)
{
	pyr_addr at = GET(t, t->addr, productobject, indices);

	if (wanted(t, at))
		tell(t, at, 8 * length_of(t, GET(t, t->addr, productobject, pools)),
		     PYR_BUFFER_INDICES);
}

/* _ctypes.c, PyCData_MallocBuffer() */
static void tell_ctypes(const struct teller *t)
{
	pyr_addr at = GET(t, t->addr, CDataObject, b_ptr);
	int64_t needs_free, size;

	if (pyr_get_i64(t->l, t->reader, t->addr, CDataObject, b_needsfree, &needs_free) &&
	    pyr_get_i64(t->l, t->reader, t->addr, CDataObject, b_size, &size) &&
	    (int32_t)needs_free == 1 && size > 0 && wanted(t, at))
		tell(t, at, (uint64_t)size, PYR_BUFFER_CTYPES_DATA);
}

/* Attributes of an instance without a dict (3.11, 3.12). */
static void tell_managed(const struct teller *t)
{
	bool tagged = pyr_is(t->l, instance_dict, MANAGED_TAGGED);
	uint64_t word;

	if (!pyr_try_u64(t->reader, t->addr - (tagged ? PRE_HEADER_TAGGED : PRE_HEADER_VALUES),
			 &word))
		return;
	if (!tagged)
		tell_values(t, 0, word, PYR_BUFFER_INSTANCE_VALUES);
	else if (word & 1)
		tell_values(t, 0, word + 1, PYR_BUFFER_INSTANCE_VALUES);
}

/* --- which --- */

static bool shape_has_buffers(enum pyr_shape shape)
{
	size_t i;

	switch (shape) {
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_DEFAULTDICT:
	case PYR_SHAPE_FROZENDICT:
	case PYR_SHAPE_STR:
	case PYR_SHAPE_DEQUE:
	case PYR_SHAPE_BYTEARRAY:
	case PYR_SHAPE_ARRAY:
	case PYR_SHAPE_NDARRAY:
	case PYR_SHAPE_TYPE:
	case PYR_SHAPE_CODE:
	case PYR_SHAPE_MODULE:
	case PYR_SHAPE_ELEMENT:
	case PYR_SHAPE_DECIMAL:
	case PYR_SHAPE_STRUCT:
	case PYR_SHAPE_PRODUCT:
		return true;
	default:
		for (i = 0; i < ROWS; i++)
			if (rows[i].shape == shape)
				return true;
		return false;
	}
}

static void tell_by_shape(const struct teller *t)
{
	enum pyr_shape shape = t->type->shape;
	pyr_addr at;
	uint64_t n;
	size_t i;

	switch (shape) {
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_DEFAULTDICT:
	case PYR_SHAPE_FROZENDICT:
		tell_dict(t);
		return;
	case PYR_SHAPE_ODICT:
		tell_dict(t);
		tell_odict_nodes(t);
		break;
	case PYR_SHAPE_STR:
		tell_str(t);
		return;
	case PYR_SHAPE_DEQUE:
		tell_deque(t);
		return;
	case PYR_SHAPE_BYTEARRAY:
		tell_bytearray(t);
		return;
	case PYR_SHAPE_ARRAY:
		tell_array(t);
		return;
	case PYR_SHAPE_NDARRAY:
		tell_ndarray(t);
		return;
	case PYR_SHAPE_TYPE:
		tell_type(t);
		return;
	case PYR_SHAPE_CODE:
		tell_code(t);
		return;
	case PYR_SHAPE_MODULE:
		tell_module(t);
		return;
	case PYR_SHAPE_ELEMENT:
		tell_element(t);
		return;
	case PYR_SHAPE_DECIMAL:
		tell_decimal(t);
		return;
	case PYR_SHAPE_STRUCT:
		tell_struct(t);
		return;
	case PYR_SHAPE_PRODUCT:
		tell_product(t);
		return;
	default:
		break;
	}
	for (i = 0; i < ROWS; i++) {
		if (rows[i].shape != shape)
			continue;
		at = pyr_field_addr(t->l, t->reader, t->addr, rows[i].pointer);
		if (wanted(t, at) && pyr_field_u64(t->l, t->reader, t->addr, rows[i].count, &n) &&
		    n < BUFFER_MAX / 64)
			tell(t, at, (n + rows[i].more) * rows[i].unit, rows[i].name);
	}
}

static bool is_ctypes(struct pyr_types *types, struct pyr_reader *reader,
		      const struct pyr_type *type)
{
	unsigned depth;

	for (depth = 0; type && depth < BASES_MAX; depth++) {
		if (!strcmp(pyr_type_name(types, type), "_ctypes._CData"))
			return true;
		type = type->base ? pyr_types_get(types, reader, type->base) : NULL;
	}
	return false;
}

/* Are attributes of an instance without a dict an allocation of their own (3.11, 3.12)? */
static bool has_separate_values(const struct pyr_layout *l, const struct pyr_type *type)
{
	return (pyr_is(l, instance_dict, MANAGED_TWO_POINTERS) ||
		pyr_is(l, instance_dict, MANAGED_TAGGED)) &&
	       type->flags & PYR_TPFLAGS_MANAGED_DICT;
}

pyr_error *pyr_buffer_source_init(struct pyr_types *types, struct pyr_buffer_source *ret)
{
	struct pyr_python *python = pyr_types_python(types);
	struct pyr_buffer_source s = {.types = types, .count = pyr_types_count(types)};
	const struct pyr_type *type;
	uint32_t i;

	s.what = calloc((size_t)s.count + 1, 1);
	if (!s.what)
		return pyr_error_no_memory();
	for (i = 0; i < s.count; i++) {
		type = pyr_types_at(types, i);
		if (shape_has_buffers(type->shape))
			s.what[i] |= BY_SHAPE;
		if (has_separate_values(&python->layout, type))
			s.what[i] |= MANAGED_VALUES;
		if (type->shape == PYR_SHAPE_GENERIC && is_ctypes(types, &python->reader, type))
			s.what[i] |= CTYPES;
	}
	*ret = s;
	return NULL;
}

void pyr_buffer_source_deinit(struct pyr_buffer_source *source)
{
	free(source->what);
	source->what = NULL;
}

void pyr_object_buffers(const struct pyr_buffer_source *source, struct pyr_reader *reader,
			const struct pyr_type *type, pyr_addr addr, pyr_buffer_fn fn, void *ctx)
{
	struct teller t = {.source = source,
			   .types = source->types,
			   .l = pyr_types_layout(source->types),
			   .reader = reader,
			   .type = type,
			   .addr = addr,
			   .fn = fn,
			   .ctx = ctx};
	uint8_t what = type->index < source->count ? source->what[type->index] : 0;

	if (what & BY_SHAPE)
		tell_by_shape(&t);
	if (what & MANAGED_VALUES)
		tell_managed(&t);
	if (what & CTYPES)
		tell_ctypes(&t);
}

bool pyr_shape_buffers_references(enum pyr_shape shape)
{
	return shape == PYR_SHAPE_NDARRAY || shape == PYR_SHAPE_MODULE ||
	       shape == PYR_SHAPE_SIMPLE_QUEUE || shape == PYR_SHAPE_ELEMENT;
}

/* Numbers are none, and may be many. */
static bool holds_objects(const struct teller *t)
{
	struct pyr_ndarray array;
	pyr_error *err = pyr_ndarray_read(t->types, t->reader, t->addr, &array);

	if (err) {
		pyr_error_destroy(err);
		return false;
	}
	return array.kind == 'O';
}

void pyr_reference_buffers(struct pyr_types *types, struct pyr_reader *reader,
			   const struct pyr_type *type, pyr_addr addr, pyr_buffer_fn fn, void *ctx)
{
	const struct pyr_buffer_source source = {.types = types};
	const struct teller t = {.source = &source,
				 .types = types,
				 .l = pyr_types_layout(types),
				 .reader = reader,
				 .type = type,
				 .addr = addr,
				 .fn = fn,
				 .ctx = ctx};

	if (pyr_shape_buffers_references(type->shape) &&
	    (type->shape != PYR_SHAPE_NDARRAY || holds_objects(&t)))
		tell_by_shape(&t);
	if (has_separate_values(t.l, type))
		tell_managed(&t);
}
