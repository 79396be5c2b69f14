/* Which object does an address belong to? */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/search.h"
#include "objects/buffers.h"
#include "runtime/access.h"
#include "pymalloc/obmalloc.h"

struct span {
	pyr_addr start;
	uint64_t size;
	const char *name;
};

/* The greatest id whose address is at most @addr, or PYR_NO_ID. */
static uint32_t id_before(const struct pyr_heap *heap, pyr_addr addr)
{
	uint32_t behind = (uint32_t)pyr_search(id, heap->count, heap->address[id] <= addr);

	return behind ? behind - 1 : PYR_NO_ID;
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

uint64_t pyr_heap_own_size(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id)
{
	const struct pyr_layout *l = &pyr_types_python(heap->types)->layout;
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	uint64_t size = type->basicsize > 0 ? (uint64_t)type->basicsize : 16, whole;
	pyr_error *err;
	bool exact;

	switch (type->shape) {
	case PYR_SHAPE_TYPE:
		/* A type that is a C variable is a PyTypeObject and no more. */
		if (pyr_field_u64(l, reader, heap->address[id], PYR_FIELD(PyTypeObject, tp_flags),
				  &whole) &&
		    !(whole & PYR_TPFLAGS_HEAPTYPE) && pyr_sizeof(l, PyTypeObject))
			return pyr_sizeof(l, PyTypeObject);
		return size;
	case PYR_SHAPE_LIST:
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_ODICT:
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
	case PYR_SHAPE_DEQUE:
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

struct inside {
	pyr_addr addr;
	struct span span; /* the buffer that contains it; size 0: none */
};

static void look_inside(void *ctx, pyr_addr start, uint64_t size, enum pyr_buffer_name name)
{
	struct inside *in = ctx;

	if (in->addr - start < size)
		in->span = (struct span){start, size, pyr_buffer_name(name)};
}

/* The buffer of the object that contains @addr, if it has one. */
static bool span_of(const struct pyr_buffer_source *source, struct pyr_heap *heap,
		    struct pyr_reader *reader, uint32_t id, pyr_addr addr, struct span *ret)
{
	struct inside in = {.addr = addr};

	pyr_object_buffers(source, reader, pyr_types_at(heap->types, heap->type[id]),
			   heap->address[id], look_inside, &in);
	*ret = in.span;
	return in.span.size != 0;
}

struct resolve_search {
	struct pyr_heap *heap;
	struct pyr_buffer_source source;
	struct pyr_reader *readers; /* per worker */
	pyr_addr addr;
	atomic_uint id;
};

static pyr_error *search_owners(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct resolve_search *s = ctx;
	struct span span;
	unsigned known;

	for (; begin < end; begin++) {
		if (!span_of(&s->source, s->heap, &s->readers[worker], (uint32_t)begin, s->addr,
			     &span))
			continue;
		known = atomic_load(&s->id);
		while ((uint32_t)begin < known &&
		       !atomic_compare_exchange_weak(&s->id, &known, (uint32_t)begin))
			;
	}
	return pyr_reader_check(&s->readers[worker]);
}

/* The first object one of whose buffers contains @addr. */
static pyr_error *find_owner(struct pyr_heap *heap, struct pyr_control *control, pyr_addr addr,
			     struct pyr_resolved *ret, bool *found)
{
	struct pyr_target *target = pyr_types_python(heap->types)->target;
	unsigned workers = pyr_target_concurrent(target) ? pyr_parallel_workers() : 1, i;
	struct resolve_search s = {.heap = heap, .addr = addr};
	struct span span;
	pyr_error *err;

	atomic_init(&s.id, PYR_NO_ID);
	if ((err = pyr_buffer_source_init(heap->types, &s.source)))
		return err;
	s.readers = calloc(workers, sizeof(*s.readers));
	if (!s.readers) {
		pyr_buffer_source_deinit(&s.source);
		return pyr_error_no_memory();
	}
	for (i = 0; i < workers; i++)
		pyr_reader_init(&s.readers[i], target);
	err = pyr_parallel(control, "looking for the owner", workers, heap->count, 4096,
			   search_owners, &s);
	*found = false;
	if (!err && atomic_load(&s.id) != PYR_NO_ID) {
		memset(ret, 0, sizeof(*ret));
		ret->id = atomic_load(&s.id);
		ret->part = PYR_PART_BUFFER;
		if (span_of(&s.source, heap, &s.readers[0], ret->id, addr, &span)) {
			ret->offset = (int64_t)(addr - span.start);
			ret->buffer = span.name;
			*found = true;
		}
	}
	for (i = 0; i < workers; i++)
		pyr_reader_deinit(&s.readers[i]);
	free(s.readers);
	pyr_buffer_source_deinit(&s.source);
	return err;
}

static bool in_own_memory(struct pyr_heap *heap, struct pyr_reader *reader, pyr_addr addr,
			  uint32_t *ret)
{
	uint32_t id = id_before(heap, addr), next = id == PYR_NO_ID ? 0 : id + 1;

	if (id != PYR_NO_ID && addr - heap->address[id] < pyr_heap_own_size(heap, reader, id)) {
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
