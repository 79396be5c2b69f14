#include "types/types_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define INDEX_SLOTS_MIN 4096

static struct pyr_type_index *index_create(size_t slots)
{
	struct pyr_type_index *index = calloc(1, sizeof(*index) + slots * sizeof(index->slots[0]));

	if (index)
		index->mask = slots - 1;
	return index;
}

static void index_add(struct pyr_type_index *index, struct pyr_type *type)
{
	size_t i = pyr_type_hash(type->address) & index->mask;

	while (atomic_load_explicit(&index->slots[i].address, memory_order_relaxed))
		i = (i + 1) & index->mask;
	atomic_store_explicit(&index->slots[i].type, type, memory_order_relaxed);
	atomic_store_explicit(&index->slots[i].address, type->address, memory_order_release);
}

/* Types whose address the runtime knows, and the shape each defines. */
static const struct {
	enum pyr_known known;
	enum pyr_shape shape;
	bool instance; /* the known object is an instance of the type */
} known_shapes[] = {
	{PYR_KNOWN_TYPE_TYPE, PYR_SHAPE_TYPE, false},
	{PYR_KNOWN_LONG_TYPE, PYR_SHAPE_INT, false},
	{PYR_KNOWN_BOOL_TYPE, PYR_SHAPE_BOOL, false},
	{PYR_KNOWN_FLOAT_TYPE, PYR_SHAPE_FLOAT, false},
	{PYR_KNOWN_COMPLEX_TYPE, PYR_SHAPE_COMPLEX, false},
	{PYR_KNOWN_UNICODE_TYPE, PYR_SHAPE_STR, false},
	{PYR_KNOWN_BYTES_TYPE, PYR_SHAPE_BYTES, false},
	{PYR_KNOWN_BYTEARRAY_TYPE, PYR_SHAPE_BYTEARRAY, false},
	{PYR_KNOWN_TUPLE_TYPE, PYR_SHAPE_TUPLE, false},
	{PYR_KNOWN_LIST_TYPE, PYR_SHAPE_LIST, false},
	{PYR_KNOWN_DICT_TYPE, PYR_SHAPE_DICT, false},
	{PYR_KNOWN_SET_TYPE, PYR_SHAPE_SET, false},
	{PYR_KNOWN_FROZENSET_TYPE, PYR_SHAPE_FROZENSET, false},
	{PYR_KNOWN_FUNCTION_TYPE, PYR_SHAPE_FUNCTION, false},
	{PYR_KNOWN_METHOD_TYPE, PYR_SHAPE_METHOD, false},
	{PYR_KNOWN_CFUNCTION_TYPE, PYR_SHAPE_CFUNCTION, false},
	{PYR_KNOWN_MODULE_TYPE, PYR_SHAPE_MODULE, false},
	{PYR_KNOWN_CODE_TYPE, PYR_SHAPE_CODE, false},
	{PYR_KNOWN_FRAME_TYPE, PYR_SHAPE_FRAME, false},
	{PYR_KNOWN_GENERATOR_TYPE, PYR_SHAPE_GENERATOR, false},
	{PYR_KNOWN_COROUTINE_TYPE, PYR_SHAPE_COROUTINE, false},
	{PYR_KNOWN_ASYNC_GENERATOR_TYPE, PYR_SHAPE_ASYNC_GENERATOR, false},
	{PYR_KNOWN_CELL_TYPE, PYR_SHAPE_CELL, false},
	{PYR_KNOWN_RANGE_TYPE, PYR_SHAPE_RANGE, false},
	{PYR_KNOWN_SLICE_TYPE, PYR_SHAPE_SLICE, false},
	{PYR_KNOWN_MEMORYVIEW_TYPE, PYR_SHAPE_MEMORYVIEW, false},
	{PYR_KNOWN_BASE_EXCEPTION_TYPE, PYR_SHAPE_BASE_EXCEPTION, false},
	{PYR_KNOWN_NONE, PYR_SHAPE_NONE, true},
	{PYR_KNOWN_NOT_IMPLEMENTED, PYR_SHAPE_NOT_IMPLEMENTED, true},
	{PYR_KNOWN_ELLIPSIS, PYR_SHAPE_ELLIPSIS, true},
};

static void find_known_shapes(struct pyr_types *types)
{
	struct pyr_python *python = types->python;
	size_t i;

	for (i = 0; i < sizeof(known_shapes) / sizeof(known_shapes[0]); i++) {
		pyr_addr addr = python->known[known_shapes[i].known];

		if (addr && known_shapes[i].instance)
			addr = pyr_get_addr(&python->layout, &python->reader, addr, PyObject,
					    ob_type);
		types->state->by_shape[known_shapes[i].shape] = addr;
	}
}

#define SIZE_MAX_SANE (UINT64_C(1) << 47)

/* A part of an object lies in one stretch of mappings; few objects have more than two
 * parts (a dict its table and its own block, a str its other forms). */
static void find_size_limits(struct pyr_types *types)
{
	const struct pyr_target *target = types->python->target;
	uint64_t largest = 0, all = 0, stretch = 0, size;
	size_t i;

	for (i = 0; i < target->mappings.count; i++) {
		const struct pyr_mapping *m = &target->mappings.data[i];

		if (!i || m->start != m[-1].end)
			stretch = 0;
		/* A core says how large a mapping is in one place, and has its bytes in another. */
		size = target->kind == PYR_TARGET_CORE && !m->cut ? m->present : m->end - m->start;
		stretch += size;
		all += size;
		if (stretch > largest)
			largest = stretch;
	}
	types->size_limit = largest && largest < SIZE_MAX_SANE / 2 ? 2 * largest : SIZE_MAX_SANE;
	types->blocks_limit = all && all < SIZE_MAX_SANE ? all : SIZE_MAX_SANE;
	if (types->blocks_limit < types->size_limit)
		types->blocks_limit = types->size_limit;
}

pyr_error *pyr_types_create(struct pyr_python *python, struct pyr_types **ret)
{
	struct pyr_types *types = calloc(1, sizeof(*types));
	struct pyr_types_state *state = calloc(1, sizeof(*state));
	struct pyr_type_index *index = index_create(INDEX_SLOTS_MIN);

	if (!types || !state || !index) {
		free(types);
		free(state);
		free(index);
		return pyr_error_no_memory();
	}
	pthread_mutex_init(&state->lock, NULL);
	types->python = python;
	types->state = state;
	find_size_limits(types);
	atomic_init(&types->index, index);
	find_known_shapes(types);
	*ret = types;
	return NULL;
}

void pyr_types_destroy(struct pyr_types *types)
{
	struct pyr_types_state *state;
	uint32_t i, count;

	if (!types)
		return;
	state = types->state;
	count = pyr_types_count(types);
	for (i = 0; i < count; i++)
		free(state->chunks[i / PYR_TYPE_CHUNK][i % PYR_TYPE_CHUNK].name);
	for (i = 0; i < PYR_TYPE_CHUNKS; i++)
		free(state->chunks[i]);
	for (i = 0; i < state->retired.count; i++)
		free(state->retired.data[i]);
	for (i = 0; i < state->inferred.count; i++)
		free(state->inferred.data[i].name);
	pyr_vec_deinit(&state->retired);
	pyr_vec_deinit(&state->inferred);
	pthread_mutex_destroy(&state->lock);
	free(atomic_load(&types->index));
	free(state);
	free(types);
}

struct pyr_python *pyr_types_python(const struct pyr_types *types)
{
	return types->python;
}

uint32_t pyr_types_count(const struct pyr_types *types)
{
	return atomic_load_explicit(&types->state->count, memory_order_acquire);
}

const struct pyr_type *pyr_types_at(const struct pyr_types *types, uint32_t index)
{
	if (index >= pyr_types_count(types))
		return NULL;
	return &types->state->chunks[index / PYR_TYPE_CHUNK][index % PYR_TYPE_CHUNK];
}

/* Shapes by the names of the types that define them; alternatives end in '|'. */
static enum pyr_shape shape_by_name(const char *name)
{
	static const char *const names[] = {
#define SHAPE(id, names) names,
#include "types/shapes.def"
#undef SHAPE
	};
	size_t length = strlen(name);
	int i;

	for (i = 0; i < PYR_SHAPE_COUNT; i++) {
		const char *p = names[i];

		while (p && *p) {
			size_t n = strcspn(p, "|");

			if (n == length && memcmp(p, name, n) == 0)
				return (enum pyr_shape)i;
			p += n + (p[n] == '|');
		}
	}
	return PYR_SHAPE_GENERIC;
}

/* sizeof the structure of a shape that is recognised by name; a class in Python
 * that bears the name has another size. 0: the build has no such structure. */
static int64_t shape_struct_size(const struct pyr_layout *l, enum pyr_shape shape)
{
	switch (shape) {
	case PYR_SHAPE_ODICT:
		return pyr_sizeof(l, PyODictObject);
	case PYR_SHAPE_DEQUE:
		return pyr_sizeof(l, dequeobject);
	case PYR_SHAPE_DEFAULTDICT:
		return pyr_sizeof(l, defdictobject);
	case PYR_SHAPE_PARTIAL:
		return pyr_sizeof(l, partialobject);
	case PYR_SHAPE_ELEMENT:
		return pyr_sizeof(l, ElementObject);
	case PYR_SHAPE_ARRAY:
		return pyr_sizeof(l, arrayobject);
	default:
		return 0;
	}
}

static enum pyr_shape shape_by_flags(uint64_t flags)
{
	static const struct {
		uint64_t bit;
		enum pyr_shape shape;
	} bits[] = {
		{PYR_TPFLAGS_LONG_SUBCLASS, PYR_SHAPE_INT},
		{PYR_TPFLAGS_LIST_SUBCLASS, PYR_SHAPE_LIST},
		{PYR_TPFLAGS_TUPLE_SUBCLASS, PYR_SHAPE_TUPLE},
		{PYR_TPFLAGS_BYTES_SUBCLASS, PYR_SHAPE_BYTES},
		{PYR_TPFLAGS_UNICODE_SUBCLASS, PYR_SHAPE_STR},
		{PYR_TPFLAGS_DICT_SUBCLASS, PYR_SHAPE_DICT},
		{PYR_TPFLAGS_BASE_EXC_SUBCLASS, PYR_SHAPE_BASE_EXCEPTION},
		{PYR_TPFLAGS_TYPE_SUBCLASS, PYR_SHAPE_TYPE},
	};
	size_t i;

	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (flags & bits[i].bit)
			return bits[i].shape;
	return PYR_SHAPE_GENERIC;
}

static void set_shape(const struct pyr_types *types, struct pyr_type *type,
		      const struct pyr_type *base)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	enum pyr_shape shape;
	int64_t size;
	int i;

	for (i = 1; i < PYR_SHAPE_COUNT; i++) {
		if (types->state->by_shape[i] == type->address) {
			type->shape = (enum pyr_shape)i;
			type->exact_shape = true;
			return;
		}
	}
	shape = shape_by_name(type->name);
	size = shape_struct_size(l, shape);
	if (shape != PYR_SHAPE_GENERIC && types->state->by_shape[shape] == 0 &&
	    (size == 0 || size == type->basicsize)) {
		type->shape = shape;
		type->exact_shape = true;
		return;
	}
	type->shape = base ? base->shape : PYR_SHAPE_GENERIC;
	if (type->shape == PYR_SHAPE_GENERIC)
		type->shape = shape_by_flags(type->flags);
}

/* Called under the lock. NULL without memory or room. */
static struct pyr_type *append(struct pyr_types *types, struct pyr_reader *reader,
			       const struct pyr_type_raw *raw, const struct pyr_type *base)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_types_state *state = types->state;
	uint32_t index = atomic_load_explicit(&state->count, memory_order_relaxed);
	struct pyr_type_index *slots = atomic_load(&types->index), *grown;
	struct pyr_type **chunk, *type;
	uint32_t i;

	if (index >= PYR_TYPE_CHUNK * PYR_TYPE_CHUNKS)
		return NULL;
	chunk = &state->chunks[index / PYR_TYPE_CHUNK];
	if (!*chunk && !(*chunk = calloc(PYR_TYPE_CHUNK, sizeof(**chunk))))
		return NULL;
	if (index * 2 > slots->mask) {
		grown = index_create((slots->mask + 1) * 2);
		if (!grown || !pyr_vec_push(&state->retired, slots)) {
			free(grown);
			return NULL;
		}
		for (i = 0; i < index; i++)
			index_add(grown, &state->chunks[i / PYR_TYPE_CHUNK][i % PYR_TYPE_CHUNK]);
		atomic_store_explicit(&types->index, grown, memory_order_release);
		slots = grown;
	}
	type = &(*chunk)[index % PYR_TYPE_CHUNK];
	type->name = pyr_type_make_name(types, reader, raw, &type->name_certainty);
	if (!type->name)
		return NULL;
	type->address = raw->address;
	type->index = index;
	type->flags = raw->flags;
	type->basicsize = raw->basicsize;
	type->itemsize = raw->itemsize;
	type->dictoffset = raw->dictoffset;
	type->weaklistoffset = raw->weaklistoffset;
	type->base = raw->base;
	type->traverse = raw->traverse;
	type->gc = raw->flags & PYR_TPFLAGS_HAVE_GC;
	type->heap = raw->flags & PYR_TPFLAGS_HEAPTYPE;
	type->gc_head = type->gc ? (uint8_t)pyr_layout_gc_head_size(l) : 0;
	if (raw->flags & l->type_flags & (PYR_TPFLAGS_MANAGED_DICT | PYR_TPFLAGS_MANAGED_WEAKREF))
		type->pre_header = 16;
	set_shape(types, type, base);
	atomic_store_explicit(&state->count, index + 1, memory_order_release);
	index_add(slots, type);
	return type;
}

/* Add the type and those of its bases that are not there yet, the most basic
 * first, so that shapes are inherited. Called under the lock. */
static const struct pyr_type *add_chain(struct pyr_types *types, struct pyr_reader *reader,
					const struct pyr_type_raw *first)
{
	PYR_VEC(struct pyr_type_raw) chain = {0};
	struct pyr_type_raw raw = *first;
	const struct pyr_type *type = NULL;
	bool complete = true;

	for (;;) {
		if (chain.count >= PYR_TYPE_BASES_MAX || !pyr_vec_push(&chain, raw)) {
			complete = false;
			break;
		}
		if (!raw.base || (type = pyr_types_find(types, raw.base)))
			break;
		/* A base that cannot be read: the flags still tell the shape. */
		if (!pyr_type_read(types, reader, raw.base, &raw))
			break;
	}
	while (complete && chain.count) {
		type = append(types, reader, &chain.data[--chain.count], type);
		complete = type != NULL;
	}
	pyr_vec_deinit(&chain);
	return complete ? type : NULL;
}

const struct pyr_type *pyr_types_add(struct pyr_types *types, struct pyr_reader *reader,
				     pyr_addr addr)
{
	struct pyr_types_state *state = types->state;
	_Atomic(pyr_addr) *miss = &state->misses[(addr >> 3 ^ addr >> 15) % PYR_TYPE_MISSES];
	const struct pyr_type *type;
	struct pyr_type_raw raw;

	if (!addr || atomic_load_explicit(miss, memory_order_relaxed) == addr)
		return NULL;
	if (!pyr_type_read(types, reader, addr, &raw)) {
		atomic_store_explicit(miss, addr, memory_order_relaxed);
		return NULL;
	}
	pthread_mutex_lock(&state->lock);
	type = pyr_types_find(types, addr);
	if (!type)
		type = add_chain(types, reader, &raw);
	pthread_mutex_unlock(&state->lock);
	return type;
}

const char *pyr_type_name(struct pyr_types *types, const struct pyr_type *type)
{
	(void)types;
	return type->name;
}

enum pyr_certainty pyr_type_name_certainty(struct pyr_types *types, const struct pyr_type *type)
{
	(void)types;
	return type->name_certainty;
}
