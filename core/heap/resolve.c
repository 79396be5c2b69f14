/* Which object does an address belong to? */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "heap/heap.h"
#include "heap/scan.h"
#include "runtime/obmalloc.h"
#include "runtime/values.h"

struct span {
	pyr_addr start;
	uint64_t size;
	const char *name;
};

/* The greatest id whose address is at most @addr, or PYR_NO_ID. */
static uint32_t id_before(const struct pyr_heap *heap, pyr_addr addr)
{
	uint32_t low = 0, high = heap->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (heap->address[middle] <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : PYR_NO_ID;
}

static uint32_t before_object(const struct pyr_type *type)
{
	return (uint32_t)type->gc_head + type->pre_header;
}

static void answer(const struct pyr_heap *heap, uint32_t id, pyr_addr addr,
		   struct pyr_resolved *ret)
{
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	int64_t offset = (int64_t)(addr - heap->address[id]);

	memset(ret, 0, sizeof(*ret));
	ret->id = id;
	ret->offset = offset;
	ret->part = offset >= 0                               ? PYR_PART_BODY
		    : -offset <= (int64_t)type->gc_head       ? PYR_PART_GC_HEAD
		    : -offset <= (int64_t)before_object(type) ? PYR_PART_PRE_HEADER
							      : PYR_PART_DEBUG_HEAD;
}

/* Bytes of the object's own memory, from the object on. */
static uint64_t own_size(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id)
{
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	uint64_t size = type->basicsize > 0 ? (uint64_t)type->basicsize : 16, whole;
	pyr_error *err;
	bool exact;

	switch (type->shape) {
	case PYR_SHAPE_LIST:
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_ODICT:
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
	case PYR_SHAPE_DEQUE:
	case PYR_SHAPE_TYPE:
	case PYR_SHAPE_BYTEARRAY:
	case PYR_SHAPE_ARRAY:
	case PYR_SHAPE_NDARRAY:
	case PYR_SHAPE_BYTES_IO:
	case PYR_SHAPE_STRING_IO:
		return size;
	default:
		break;
	}
	err = pyr_object_size(heap->types, reader, type, heap->address[id], &whole, &exact);
	if (err) {
		pyr_error_destroy(err);
		return size;
	}
	whole -= whole < before_object(type) ? whole : before_object(type);
	return whole > size || type->shape == PYR_SHAPE_STR ? whole : size;
}

/* --- buffers --- */

static bool field(struct pyr_reader *reader, const struct pyr_layout *l, pyr_addr object,
		  enum pyr_field f, uint64_t *ret)
{
	return pyr_layout_has(l, f) &&
	       pyr_try_u64(reader, object + (uint64_t)pyr_layout_offset(l, f), ret);
}

/* header, index table and entries of a keys object */
static uint64_t keys_size(struct pyr_reader *reader, const struct pyr_layout *l, pyr_addr keys)
{
	uint64_t slots, width, kind = 0;
	const uint8_t *p = pyr_peek(reader, keys, pyr_sizeof(l, PyDictKeysObject));

	if (!p)
		return 0;
	if (pyr_is(l, dict_keys, LOG2)) {
		if (p[pyr_offset(l, PyDictKeysObject, dk_log2_size)] > 36 ||
		    p[pyr_offset(l, PyDictKeysObject, dk_log2_index_bytes)] > 40)
			return 0;
		slots = UINT64_C(1) << p[pyr_offset(l, PyDictKeysObject, dk_log2_size)];
		width = UINT64_C(1) << p[pyr_offset(l, PyDictKeysObject, dk_log2_index_bytes)];
		kind = p[pyr_offset(l, PyDictKeysObject, dk_kind)];
	} else {
		slots = pyr_load64(p + pyr_offset(l, PyDictKeysObject, dk_size));
		if (slots > UINT64_C(1) << 36)
			return 0;
		width = slots <= 0xff ? slots : slots <= 0xffff ? slots * 2 : slots * 4;
	}
	return pyr_sizeof(l, PyDictKeysObject) + width + slots * 2 / 3 * (kind ? 16 : 24);
}

static unsigned dict_spans(struct pyr_reader *reader, const struct pyr_layout *l, pyr_addr object,
			   struct span *out)
{
	uint64_t keys, values;

	if (!field(reader, l, object, PYR_FIELD(PyDictObject, ma_keys), &keys) ||
	    !field(reader, l, object, PYR_FIELD(PyDictObject, ma_values), &values))
		return 0;
	/* The keys of a split table are the type's. */
	if (values)
		out[0] = (struct span){values, keys_size(reader, l, keys) / 16 * 8, "ma_values"};
	else
		out[0] = (struct span){keys, keys_size(reader, l, keys), "ma_keys"};
	return 1;
}

/* A compact str has its characters behind its header; one that is ASCII besides
 * has no pointer at all (unicodeobject.h). */
static unsigned str_spans(struct pyr_types *types, struct pyr_reader *reader, pyr_addr object,
			  struct span *out)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	struct pyr_str_view view;
	uint64_t at, length;
	pyr_error *err;
	unsigned n = 0;

	if ((err = pyr_str_view(types, reader, object, &view))) {
		pyr_error_destroy(err);
		return 0;
	}
	if (!(view.compact && view.ascii) &&
	    field(reader, l, object, PYR_FIELD(PyCompactUnicodeObject, utf8), &at) && at &&
	    field(reader, l, object, PYR_FIELD(PyCompactUnicodeObject, utf8_length), &length) &&
	    length < UINT64_C(1) << 40)
		out[n++] = (struct span){at, length + 1, "utf8"};
	if (!view.compact && view.data && view.length < UINT64_C(1) << 40)
		out[n++] = (struct span){view.data, (view.length + 1) * view.kind, "data"};
	return n;
}

/* The span of a pointer and a count of elements of @width bytes. */
static unsigned array_span(struct pyr_reader *reader, const struct pyr_layout *l, pyr_addr object,
			   enum pyr_field pointer, enum pyr_field count, uint64_t extra,
			   uint64_t width, const char *name, struct span *out)
{
	uint64_t at, n;

	if (!field(reader, l, object, pointer, &at) || !at ||
	    !field(reader, l, object, count, &n) || n + extra > (UINT64_C(1) << 43) / width)
		return 0;
	*out = (struct span){at, (n + extra) * width, name};
	return 1;
}

/* The block of a deque that contains @addr. */
static unsigned deque_span(struct pyr_reader *reader, const struct pyr_layout *l, pyr_addr object,
			   pyr_addr addr, struct span *out)
{
	uint64_t at, size = pyr_sizeof(l, block), steps, first, previous = 0, link;
	int32_t right = pyr_offset(l, block, rightlink), left = pyr_offset(l, block, leftlink);

	if (left < 0 || right < 0 ||
	    !field(reader, l, object, PYR_FIELD(dequeobject, leftblock), &at) ||
	    !field(reader, l, object, PYR_FIELD(PyVarObject, ob_size), &steps))
		return 0;
	first = at;
	for (steps = steps / 64 + 2; at && steps; steps--, previous = at, at = link) {
		if (previous && (at == first || !pyr_try_u64(reader, at + (uint64_t)left, &link) ||
				 link != previous))
			break;
		if (addr - at < size) {
			*out = (struct span){at, size, "block"};
			return 1;
		}
		if (!pyr_try_u64(reader, at + (uint64_t)right, &link))
			break;
	}
	return 0;
}

/* The buffers of one object that may contain @addr. */
static unsigned spans_of(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id,
			 pyr_addr addr, struct span out[2])
{
	const struct pyr_layout *l = &pyr_types_python(heap->types)->layout;
	pyr_addr o = heap->address[id];
	uint64_t at;

	switch (pyr_types_at(heap->types, heap->type[id])->shape) {
	case PYR_SHAPE_LIST:
		return array_span(reader, l, o, PYR_FIELD(PyListObject, ob_item),
				  PYR_FIELD(PyListObject, allocated), 0, 8, "ob_item", out);
	case PYR_SHAPE_DICT:
		return dict_spans(reader, l, o, out);
	case PYR_SHAPE_ODICT:
		return dict_spans(reader, l, o, out) +
		       array_span(reader, l, o, PYR_FIELD(PyODictObject, od_fast_nodes),
				  PYR_FIELD(PyODictObject, od_fast_nodes_size), 0, 8,
				  "od_fast_nodes", out + 1);
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
		return array_span(reader, l, o, PYR_FIELD(PySetObject, table),
				  PYR_FIELD(PySetObject, mask), 1, 16, "table", out);
	case PYR_SHAPE_DEQUE:
		return deque_span(reader, l, o, addr, out);
	case PYR_SHAPE_BYTEARRAY:
		return array_span(reader, l, o, PYR_FIELD(PyByteArrayObject, ob_bytes),
				  PYR_FIELD(PyByteArrayObject, ob_alloc), 0, 1, "ob_bytes", out);
	case PYR_SHAPE_ARRAY:
		return array_span(reader, l, o, PYR_FIELD(arrayobject, ob_item),
				  PYR_FIELD(arrayobject, allocated), 0, 1, "ob_item", out);
	case PYR_SHAPE_STR:
		return str_spans(heap->types, reader, o, out);
	case PYR_SHAPE_TYPE:
		if (!field(reader, l, o, PYR_FIELD(PyTypeObject, tp_flags), &at) ||
		    !(at & PYR_TPFLAGS_HEAPTYPE) ||
		    !field(reader, l, o, PYR_FIELD(PyHeapTypeObject, ht_cached_keys), &at) || !at)
			return 0;
		out[0] = (struct span){at, keys_size(reader, l, at), "ht_cached_keys"};
		return 1;
	default:
		return 0;
	}
}

struct search {
	struct pyr_heap *heap;
	struct pyr_reader *readers; /* per worker */
	pyr_addr addr;
	atomic_uint id;
};

static pyr_error *search_owners(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct search *s = ctx;
	struct span spans[2];
	unsigned i, n, known;

	for (; begin < end; begin++) {
		n = spans_of(s->heap, &s->readers[worker], (uint32_t)begin, s->addr, spans);
		for (i = 0; i < n; i++) {
			if (s->addr - spans[i].start >= spans[i].size)
				continue;
			known = atomic_load(&s->id);
			while ((uint32_t)begin < known &&
			       !atomic_compare_exchange_weak(&s->id, &known, (uint32_t)begin))
				;
		}
	}
	return pyr_reader_check(&s->readers[worker]);
}

/* The first object one of whose buffers contains @addr. */
static pyr_error *find_owner(struct pyr_heap *heap, struct pyr_control *control, pyr_addr addr,
			     struct pyr_resolved *ret, bool *found)
{
	struct pyr_target *target = pyr_types_python(heap->types)->target;
	unsigned workers = pyr_target_concurrent(target) ? pyr_parallel_workers() : 1, i, n;
	struct search s = {.heap = heap, .addr = addr};
	struct span spans[2];
	pyr_error *err;

	atomic_init(&s.id, PYR_NO_ID);
	s.readers = calloc(workers, sizeof(*s.readers));
	if (!s.readers)
		return pyr_error_no_memory();
	for (i = 0; i < workers; i++)
		pyr_reader_init(&s.readers[i], target);
	err = pyr_parallel(control, "looking for the owner", workers, heap->count, 4096,
			   search_owners, &s);
	*found = false;
	if (!err && atomic_load(&s.id) != PYR_NO_ID) {
		memset(ret, 0, sizeof(*ret));
		ret->id = atomic_load(&s.id);
		ret->part = PYR_PART_BUFFER;
		n = spans_of(heap, &s.readers[0], ret->id, addr, spans);
		for (i = 0; i < n; i++) {
			if (addr - spans[i].start < spans[i].size) {
				ret->offset = (int64_t)(addr - spans[i].start);
				ret->buffer = spans[i].name;
				*found = true;
				break;
			}
		}
	}
	for (i = 0; i < workers; i++)
		pyr_reader_deinit(&s.readers[i]);
	free(s.readers);
	return err;
}

static bool in_own_memory(struct pyr_heap *heap, struct pyr_reader *reader, pyr_addr addr,
			  uint32_t *ret)
{
	uint32_t id = id_before(heap, addr), next = id == PYR_NO_ID ? 0 : id + 1;

	if (id != PYR_NO_ID && addr - heap->address[id] < own_size(heap, reader, id)) {
		*ret = id;
		return true;
	}
	if (next < heap->count &&
	    heap->address[next] - addr <=
		    before_object(pyr_types_at(heap->types, heap->type[next]))) {
		*ret = next;
		return true;
	}
	return false;
}

pyr_error *pyr_heap_resolve(struct pyr_heap *heap, struct pyr_control *control, pyr_addr addr,
			    struct pyr_resolved *ret)
{
	struct pyr_python *python = pyr_types_python(heap->types);
	struct pyr_block block;
	uint32_t id = pyr_heap_id(heap, addr);
	bool found, in_block;
	pyr_error *err;

	if (id != PYR_NO_ID) {
		answer(heap, id, addr, ret);
		return NULL;
	}
	in_block = pyr_obmalloc_block_at(heap->obmalloc, &python->reader, addr, &block);
	if (in_block && !block.allocated)
		return pyr_error_create_at(PYR_E_FREED, addr, "the %u bytes at 0x%llx are free",
					   block.size, (unsigned long long)block.address);
	if (in_block) {
		id = id_before(heap, block.address + block.size - 1);
		found = id != PYR_NO_ID && heap->address[id] >= block.address;
	} else {
		found = in_own_memory(heap, &python->reader, addr, &id);
	}
	if (found) {
		answer(heap, id, addr, ret);
		return NULL;
	}
	if ((err = find_owner(heap, control, addr, ret, &found)) || found)
		return err;
	if (!pyr_peek(&python->reader, addr, 1))
		return pyr_error_create_at(PYR_E_UNREADABLE, addr, "0x%llx is not in the target",
					   (unsigned long long)addr);
	return pyr_error_create_at(PYR_E_NOT_AN_OBJECT, addr, "no Python object lies at 0x%llx",
				   (unsigned long long)addr);
}
