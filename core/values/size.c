/* sys.getsizeof(): what __sizeof__() answers plus what lies before the object;
 * sysmodule.c, _PySys_GetSizeOf(), and the __sizeof__ of each type. */
#include "values/numpy.h"
#include "types/types.h"
#include "values/values.h"

#define DEQUE_BLOCK_ITEMS 64
#define MRO_MAX 1024
#define STRUCT_CODES_MAX 100000

struct sized {
	struct pyr_types *types;
	struct pyr_reader *reader;
	const struct pyr_layout *l;
	const struct pyr_type *type;
	pyr_addr addr;
	bool exact;
};

/* A field of @base as a number; 0 when it is absent. */
#define GET(s, base, id, field) get((s), (base), PYR_FIELD(id, field))

static uint64_t get(const struct sized *s, pyr_addr base, enum pyr_field field)
{
	uint64_t value = 0;

	return pyr_field_u64(s->l, s->reader, base, field, &value) ? value : 0;
}

static uint64_t basic(const struct sized *s)
{
	return (uint64_t)s->type->basicsize;
}

/* typeobject.c, object___sizeof___impl() */
static uint64_t size_object(struct sized *s)
{
	uint64_t size = basic(s);

	if (s->type->itemsize)
		size += (uint64_t)s->type->itemsize * GET(s, s->addr, PyVarObject, ob_size);
	return size;
}

/* longobject.c, int___sizeof___impl() */
static uint64_t size_int(struct sized *s)
{
	struct pyr_int_view view = {0};

	pyr_error_destroy(pyr_int_view(s->types, s->reader, s->addr, &view));
	if (!view.count && pyr_is(s->l, int_sizeof, ZERO_HAS_DIGIT))
		view.count = 1;
	return (uint64_t)pyr_offset(s->l, PyLongObject, ob_digit) + 4 * view.count;
}

/* unicodeobject.c, unicode_sizeof() */
static uint64_t size_str(struct sized *s)
{
	struct pyr_str_view view = {0};
	uint64_t size, utf8, wstr;
	bool compact_ascii;

	pyr_error_destroy(pyr_str_view(s->types, s->reader, s->addr, &view));
	compact_ascii = view.compact && view.ascii;
	utf8 = compact_ascii ? 0 : GET(s, s->addr, PyCompactUnicodeObject, utf8);
	wstr = GET(s, s->addr, PyASCIIObject, wstr);
	if (compact_ascii)
		size = pyr_sizeof(s->l, PyASCIIObject) + view.length + 1;
	else if (view.compact)
		size = pyr_sizeof(s->l, PyCompactUnicodeObject) + (view.length + 1) * view.kind;
	else
		size = pyr_sizeof(s->l, PyUnicodeObject);
	if (!view.compact && view.data && view.data != wstr)
		size += (view.length + 1) * view.kind;
	else if (!view.compact && wstr && view.data == wstr &&
		 GET(s, s->addr, PyASCIIObject, state_ready))
		size += (view.length + 1) * view.kind; /* shared by both */
	if (wstr && (wstr != view.data || !GET(s, s->addr, PyASCIIObject, state_ready)))
		size += 4 *
			((compact_ascii ? view.length
					: GET(s, s->addr, PyCompactUnicodeObject, wstr_length)) +
			 1);
	if (utf8 && utf8 != view.data)
		size += GET(s, s->addr, PyCompactUnicodeObject, utf8_length) + 1;
	return size;
}

/* dictobject.c, _PyDict_SizeOf(): shared keys are accounted for in the type. */
static uint64_t size_dict(struct sized *s)
{
	pyr_addr keys = GET(s, s->addr, PyDictObject, ma_keys);
	uint64_t size = basic(s), slots;

	if (GET(s, s->addr, PyDictObject, ma_values)) {
		if (pyr_is(s->l, dict_keys, LOG2)) {
			size += 8 * (GET(s, keys, PyDictKeysObject, dk_nentries) +
				     GET(s, keys, PyDictKeysObject, dk_usable));
		} else {
			slots = GET(s, keys, PyDictKeysObject, dk_size);
			size += 8 * ((slots << 1) / 3);
		}
	}
	if (GET(s, keys, PyDictKeysObject, dk_refcnt) == 1)
		size += pyr_dict_keys_size(s->types, s->reader, keys);
	return size;
}

/* odictobject.c, odict_sizeof() */
static uint64_t size_odict(struct sized *s)
{
	uint64_t size = size_dict(s) + 8 * GET(s, s->addr, PyODictObject, od_fast_nodes_size);

	if (GET(s, s->addr, PyODictObject, od_first))
		size += pyr_sizeof(s->l, PyODictNode) * GET(s, s->addr, PyDictObject, ma_used);
	return size;
}

/* setobject.c, set___sizeof___impl() */
static uint64_t size_set(struct sized *s)
{
	pyr_addr small = s->addr + (pyr_addr)pyr_offset(s->l, PySetObject, smalltable);
	uint64_t size = basic(s);

	if (GET(s, s->addr, PySetObject, table) != small)
		size += (GET(s, s->addr, PySetObject, mask) + 1) * pyr_sizeof(s->l, setentry);
	return size;
}

/* bytearrayobject.c, bytearray_sizeof(); since 3.15 the buffer is a bytes object. */
static uint64_t size_bytearray(struct sized *s)
{
	uint64_t alloc = GET(s, s->addr, PyByteArrayObject, ob_alloc);

	if (alloc && pyr_has(s->l, PyByteArrayObject, ob_bytes_object))
		alloc += (uint64_t)pyr_offset(s->l, PyBytesObject, ob_sval) + 1;
	return basic(s) + alloc;
}

/* typeobject.c, type___sizeof___impl() */
static uint64_t size_type(struct sized *s)
{
	pyr_addr keys;

	if (!(GET(s, s->addr, PyTypeObject, tp_flags) & PYR_TPFLAGS_HEAPTYPE))
		return pyr_sizeof(s->l, PyTypeObject);
	keys = GET(s, s->addr, PyHeapTypeObject, ht_cached_keys);
	return pyr_sizeof(s->l, PyHeapTypeObject) +
	       (keys ? pyr_dict_keys_size(s->types, s->reader, keys) : 0);
}

static uint64_t tuple_length(const struct sized *s, pyr_addr tuple)
{
	return tuple ? GET(s, tuple, PyVarObject, ob_size) : 0;
}

/* codeobject.c, code_sizeof(): what is not in the object itself are cell2arg (until 3.10),
 * the opcode cache (3.8 - 3.10) and co_extra. */
static uint64_t size_code(struct sized *s)
{
	uint64_t size = (size_object(s) + 7) & ~UINT64_C(7), extra;
	const uint64_t opcache_entry = 32; /* sizeof(_PyOpcache) */
	pyr_addr cellvars = GET(s, s->addr, PyCodeObject, co_cellvars);

	if (GET(s, s->addr, PyCodeObject, co_cell2arg))
		size += 8 * tuple_length(s, cellvars);
	if (GET(s, s->addr, PyCodeObject, co_opcache))
		size += tuple_length(s, GET(s, s->addr, PyCodeObject, co_code)) / 2 +
			opcache_entry * GET(s, s->addr, PyCodeObject, co_opcache_size);
	extra = GET(s, s->addr, PyCodeObject, co_extra);
	if (extra && pyr_try_u64(s->reader, extra, &extra))
		size += 8 + 8 * extra;
	return size;
}

/* What an interpreter frame takes behind @start; genobject.c, gen_sizeof(), frameobject.c,
 * frame_sizeof(). Stack references have tags in the low bits. */
static uint64_t interpreter_frame_size(struct sized *s, int32_t start, pyr_addr frame)
{
	pyr_addr code = GET(s, frame, _PyInterpreterFrame, f_executable) & ~UINT64_C(7);

	return (uint64_t)start + (uint64_t)pyr_offset(s->l, _PyInterpreterFrame, localsplus) +
	       8 * (GET(s, code, PyCodeObject, co_nlocalsplus) +
		    GET(s, code, PyCodeObject, co_stacksize));
}

static uint64_t size_frame(struct sized *s)
{
	pyr_addr code;

	if (pyr_has(s->l, PyFrameObject, f_frame))
		return interpreter_frame_size(s, pyr_offset(s->l, PyFrameObject, _f_frame_data),
					      GET(s, s->addr, PyFrameObject, f_frame));
	code = GET(s, s->addr, PyFrameObject, f_code);
	return pyr_sizeof(s->l, PyFrameObject) - 8 +
	       8 * (GET(s, code, PyCodeObject, co_stacksize) +
		    GET(s, code, PyCodeObject, co_nlocals) +
		    tuple_length(s, GET(s, code, PyCodeObject, co_cellvars)) +
		    tuple_length(s, GET(s, code, PyCodeObject, co_freevars)));
}

static uint64_t size_generator(struct sized *s)
{
	int32_t start = pyr_offset(s->l, PyGenObject, gi_iframe);

	return start < 0 ? size_object(s)
			 : interpreter_frame_size(s, start, s->addr + (pyr_addr)start);
}

/* _collectionsmodule.c, deque___sizeof___impl() */
static uint64_t size_deque(struct sized *s)
{
	uint64_t items =
		GET(s, s->addr, dequeobject, leftindex) + GET(s, s->addr, PyVarObject, ob_size);

	return basic(s) +
	       (items + DEQUE_BLOCK_ITEMS - 1) / DEQUE_BLOCK_ITEMS * pyr_sizeof(s->l, block);
}

/* arraymodule.c, array_array___sizeof___impl(); struct arraydescr begins with the type code
 * and the int item size. */
static uint64_t size_array(struct sized *s)
{
	pyr_addr descr = GET(s, s->addr, arrayobject, ob_descr);
	uint32_t itemsize;

	if (!pyr_try_u32(s->reader, descr + 4, &itemsize)) {
		s->exact = false; /* it lies in the binary */
		itemsize = 1;
	}
	return basic(s) + itemsize * GET(s, s->addr, arrayobject, allocated);
}

/* bytesio.c, bytesio_sizeof(): the buffer, unless others hold it too. */
static uint64_t size_bytes_io(struct sized *s)
{
	pyr_addr buf = GET(s, s->addr, bytesio, buf);
	struct pyr_object_header header;
	pyr_error *err;

	if (!buf)
		return basic(s);
	err = pyr_object_header(s->types, s->reader, buf, &header);
	pyr_error_destroy(err);
	if (err || header.immortal || header.refcount > 1)
		return basic(s);
	return basic(s) + (uint64_t)pyr_offset(s->l, PyBytesObject, ob_sval) + 1 +
	       tuple_length(s, buf);
}

/* bufferedio.c, _io__Buffered___sizeof___impl() */
static uint64_t size_buffered(struct sized *s)
{
	if (!GET(s, s->addr, buffered, buffer))
		return basic(s);
	return basic(s) + GET(s, s->addr, buffered, buffer_size);
}

/* _elementtree.c, _elementtree_Element___sizeof___impl() */
static uint64_t size_element(struct sized *s)
{
	pyr_addr extra = GET(s, s->addr, ElementObject, extra), inside;

	if (!extra)
		return basic(s);
	inside = extra + (pyr_addr)pyr_offset(s->l, ElementObjectExtra, _children);
	return basic(s) + pyr_sizeof(s->l, ElementObjectExtra) +
	       (GET(s, extra, ElementObjectExtra, children) == inside
			? 0
			: 8 * GET(s, extra, ElementObjectExtra, allocated));
}

/* _struct.c, s_sizeof(): format codes of 32 bytes up to one without a definition. */
static uint64_t size_struct(struct sized *s)
{
	pyr_addr code = GET(s, s->addr, PyStructObject, s_codes), definition;
	uint64_t size = basic(s) + 32;
	int i;

	for (i = 0; i < STRUCT_CODES_MAX && code; i++, code += 32, size += 32)
		if (!pyr_try_u64(s->reader, code, &definition) || !definition)
			break;
	return size;
}

/* itertoolsmodule.c */
static uint64_t size_permutations(struct sized *s)
{
	return basic(s) + 8 * tuple_length(s, GET(s, s->addr, permutationsobject, pool)) +
	       8 * GET(s, s->addr, permutationsobject, r);
}

static uint64_t size_product(struct sized *s)
{
	return basic(s) + 8 * tuple_length(s, GET(s, s->addr, productobject, pools));
}

/* _decimal.c, dec_sizeof(): PyDecObject is a hash and an mpd_t {flags, exp, digits, len,
 * alloc, data}; the words are counted unless they are inside the object. */
static uint64_t size_decimal(struct sized *s)
{
	const uint64_t data_flags = 0x20 | 0x40 | 0x80; /* MPD_DATAFLAGS */
	pyr_addr mpd = s->addr + pyr_object_body(s->l) + 8;
	uint64_t flags, alloc;

	if (!pyr_try_u64(s->reader, mpd, &flags) || !pyr_try_u64(s->reader, mpd + 32, &alloc) ||
	    flags & data_flags)
		return basic(s);
	return basic(s) + 8 * alloc;
}

/* numpy/core/src/multiarray/methods.c, array_sizeof() */
static uint64_t size_ndarray(struct sized *s)
{
	struct pyr_ndarray array;
	pyr_error *err = pyr_ndarray_read(s->types, s->reader, s->addr, &array);

	if (err) {
		pyr_error_destroy(err);
		s->exact = false;
		return basic(s);
	}
	return basic(s) + 16 * array.dimensions + (array.owns_data ? array.bytes : 0);
}

/* numpy/core/src/multiarray/scalartypes.c, gentype_sizeof(): the item is counted once more. */
static uint64_t size_numpy_generic(struct sized *s)
{
	static const struct {
		const char *name;
		uint8_t size;
	} scalars[] = {
#define NUMPY_SCALAR(name, size) {"numpy." #name, size},
#include "values/numpy_scalars.def"
#undef NUMPY_SCALAR
	};
	const struct pyr_type *type = s->type;
	size_t i;

	for (; type && type->base; type = pyr_types_get(s->types, s->reader, type->base)) {
		if (strcmp(type->name, "numpy.bytes_") == 0)
			return size_object(s) + GET(s, s->addr, PyVarObject, ob_size);
		for (i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++)
			if (strcmp(type->name, scalars[i].name) == 0)
				return basic(s) + scalars[i].size;
	}
	s->exact = false; /* void and types of others: the dtype tells */
	return basic(s);
}

/* --- which rule --- */

#define RULE_UNKNOWN PYR_SIZE_RULE_UNKNOWN
#define RULE_OBJECT PYR_SIZE_RULE_OBJECT
#define RULE_FOREIGN PYR_SIZE_RULE_FOREIGN
#define RULE_SHAPE PYR_SIZE_RULE_SHAPE

static bool has_rule(enum pyr_shape shape)
{
	switch (shape) {
#define SIZE_FIELD(shape, id, field, unit) case PYR_SHAPE_##shape:
#define SIZE_CALL(shape, function) case PYR_SHAPE_##shape:
#include "values/sizes.def"
#undef SIZE_FIELD
#undef SIZE_CALL
		return true;
	default:
		return false;
	}
}

static uint64_t apply_rule(struct sized *s, enum pyr_shape shape)
{
	switch (shape) {
#define SIZE_FIELD(shape, id, field, unit)                                                         \
	case PYR_SHAPE_##shape:                                                                    \
		return basic(s) + unit * GET(s, s->addr, id, field);
#define SIZE_CALL(shape, function)                                                                 \
	case PYR_SHAPE_##shape:                                                                    \
		return function(s);
#include "values/sizes.def"
#undef SIZE_FIELD
#undef SIZE_CALL
	default:
		return size_object(s);
	}
}

/* Whose __sizeof__ answers for instances of @type: the first along the mro. */
static uint8_t decide_rule(struct pyr_types *types, struct pyr_reader *reader,
			   const struct pyr_type *type)
{
	const struct pyr_type *owner;

	/* Before PyType_Ready() nothing is inherited, and such types are ours. */
	if (!(type->flags & PYR_TPFLAGS_READY))
		return has_rule(type->shape) ? RULE_SHAPE + (uint8_t)type->shape : RULE_OBJECT;
	if (!pyr_type_lookup(types, reader, type, "__sizeof__", &owner))
		return has_rule(type->shape) ? RULE_SHAPE + (uint8_t)type->shape : RULE_FOREIGN;
	if (!owner->base)
		return RULE_OBJECT;
	if (owner->exact_shape && has_rule(owner->shape))
		return RULE_SHAPE + (uint8_t)owner->shape;
	return RULE_FOREIGN;
}

/* Bytes before the object that sys.getsizeof() counts. Static types have none; since 3.13
 * that is known of instances of `type` itself only. */
static uint64_t before(const struct sized *s)
{
	const struct pyr_type *type = s->type;

	if (type->shape == PYR_SHAPE_TYPE && pyr_is(s->l, static_type_sizeof, NO_HEAD) &&
	    (type->exact_shape || pyr_is(s->l, instance_dict, CLASSIC)) &&
	    !(GET(s, s->addr, PyTypeObject, tp_flags) & PYR_TPFLAGS_HEAPTYPE))
		return 0;
	return type->gc_head + type->pre_header;
}

pyr_error *pyr_object_size(struct pyr_types *types, struct pyr_reader *reader,
			   const struct pyr_type *type, pyr_addr addr, uint64_t *ret, bool *exact)
{
	struct sized s = {types, reader, pyr_types_layout(types), type, addr, true};
	uint8_t rule = atomic_load_explicit(&type->size_rule, memory_order_relaxed);
	uint64_t size;

	_Static_assert(RULE_SHAPE + PYR_SHAPE_COUNT < 256, "size_rule is a byte");
	if (rule == RULE_UNKNOWN) {
		rule = decide_rule(types, reader, type);
		atomic_store_explicit(&((struct pyr_type *)type)->size_rule, rule,
				      memory_order_relaxed);
	}
	if (!pyr_peek(reader, addr, 16))
		return pyr_error_create_at(PYR_E_UNREADABLE, addr, "0x%llx is not in the target",
					   (unsigned long long)addr);
	size = rule >= RULE_SHAPE ? apply_rule(&s, (enum pyr_shape)(rule - RULE_SHAPE))
				  : size_object(&s);
	size += before(&s);
	if (size > (type->shape == PYR_SHAPE_DEQUE ? types->blocks_limit : types->size_limit))
		return pyr_error_create_at(PYR_E_CORRUPT, addr,
					   "the object at 0x%llx (a %s) has an impossible size",
					   (unsigned long long)addr, type->name);
	*ret = size;
	if (exact)
		*exact = s.exact && rule != RULE_FOREIGN;
	return NULL;
}
