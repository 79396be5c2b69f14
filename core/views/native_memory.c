#include "views/native_memory.h"

#include <stdlib.h>
#include <string.h>

#include "pymalloc/obmalloc.h"

/* Without Python in it a process still has memory. */
static pyr_error *open_heap(struct pyr_context *context, struct pyr_native_view *v)
{
	struct pyr_session *session = context->session;
	pyr_error *err;

	err = pyr_session_heap(session, &v->heap);
	if (!err)
		return NULL;
	v->heap = NULL;
	if (err->code == PYR_E_INTERRUPTED || err->code == PYR_E_NO_MEMORY ||
	    err->code == PYR_E_TARGET_GONE || err->code == PYR_E_NO_PERMISSION ||
	    err->code == PYR_E_NO_SPACE)
		return err;
	pyr_context_incomplete(context, "what Python owns is not told apart: %s", err->message);
	pyr_error_destroy(err);
	return NULL;
}

static pyr_error *find_mapped(struct pyr_native_view *v)
{
	const struct pyr_obmalloc *o = v->heap ? v->heap->obmalloc : NULL;
	struct pyr_glibc_mapped *taken = NULL;
	pyr_error *err;
	size_t i;

	if (o && o->arenas.count) {
		taken = malloc(o->arenas.count * sizeof(*taken));
		if (!taken)
			return pyr_error_no_memory();
		for (i = 0; i < o->arenas.count; i++) {
			taken[i].start = o->arenas.data[i].address;
			taken[i].end = o->arenas.data[i].end;
		}
	}
	err = pyr_glibc_find_mapped(&v->glibc, v->target, &v->reader, taken,
				    taken ? o->arenas.count : 0, &v->mapped);
	free(taken);
	return err;
}

/* Objects/obmalloc.c, arena_map_get() (3.10+): nodes of a radix tree, of 2^15 pointers in
 * the middle and of 2^14 pairs of numbers at the bottom. They are too large for anything
 * but chunks of their own, and the node in the middle has the one at the bottom where an
 * arena's address says. */
#define MAP_BITS 15
#define MAP_BOTTOM_BITS 14
#define MAP_ARENA_BITS 20

static const struct pyr_glibc_mapped *mapped_with(const struct pyr_native_view *v, pyr_addr memory,
						  uint64_t size)
{
	size_t i;

	for (i = 0; i < v->mapped.v.count; i++) {
		const struct pyr_glibc_mapped *m = &v->mapped.v.data[i];

		if (m->start + 16 == memory && m->end - m->start > size &&
		    m->end - m->start <= size + 2 * v->glibc.page_size)
			return m;
	}
	return NULL;
}

static int by_start(const void *x, const void *y)
{
	const struct pyr_buffer *a = x, *b = y;

	return a->start < b->start ? -1 : a->start > b->start;
}

static pyr_error *add_buffers(struct pyr_buffers *buffers, const struct pyr_buffer *more, size_t n)
{
	struct pyr_buffer *data = realloc(buffers->data, (buffers->count + n) * sizeof(*data));

	if (!data)
		return pyr_error_no_memory();
	memcpy(data + buffers->count, more, n * sizeof(*more));
	buffers->data = data;
	buffers->count += n;
	qsort(data, buffers->count, sizeof(*data), by_start);
	return NULL;
}

static pyr_error *find_arena_map(struct pyr_native_view *v)
{
	const struct pyr_obmalloc *o = v->heap->obmalloc;
	const uint64_t middle_size = UINT64_C(8) << MAP_BITS, bottom_size = UINT64_C(8)
									    << MAP_BOTTOM_BITS;
	struct pyr_buffer found[2];
	uint64_t index, bottom;
	pyr_addr middle;
	size_t i;

	if (!o || !o->arenas.count || o->arena_size != UINT64_C(1) << MAP_ARENA_BITS)
		return NULL;
	index = o->arenas.data[0].address >> (MAP_ARENA_BITS + MAP_BOTTOM_BITS) &
		((1u << MAP_BITS) - 1);
	for (i = 0; i < v->mapped.v.count; i++) {
		middle = v->mapped.v.data[i].start + 16;
		if (!mapped_with(v, middle, middle_size) ||
		    !pyr_try_u64(&v->reader, middle + 8 * index, &bottom) ||
		    !mapped_with(v, bottom, bottom_size))
			continue;
		found[0] = (struct pyr_buffer){middle, middle + middle_size, PYR_NO_ID,
					       PYR_BUFFER_ARENA_MAP};
		found[1] = (struct pyr_buffer){bottom, bottom + bottom_size, PYR_NO_ID,
					       PYR_BUFFER_ARENA_MAP};
		return add_buffers(&v->buffers, found, 2);
	}
	return NULL;
}

pyr_error *pyr_native_view_buffers(struct pyr_native_view *v, struct pyr_control *control,
				   bool inside)
{
	pyr_error *err;

	pyr_buffers_deinit(&v->buffers);
	memset(&v->buffers, 0, sizeof(v->buffers));
	err = pyr_buffers_build(v->heap, control, inside, &v->buffers);
	return err ? err : find_arena_map(v);
}

pyr_error *pyr_native_view_open(struct pyr_context *context, struct pyr_native_view *ret)
{
	struct pyr_native_view v;
	pyr_error *err;

	memset(&v, 0, sizeof(v));
	if ((err = pyr_session_target(context->session, &v.target)))
		return err;
	pyr_reader_init(&v.reader, v.target);
	if ((err = open_heap(context, &v)) ||
	    (err = pyr_glibc_read(v.target, &v.reader, &v.glibc)) || (err = find_mapped(&v)) ||
	    (v.heap && (err = pyr_native_view_buffers(&v, &context->session->control, false)))) {
		pyr_native_view_close(&v);
		return err;
	}
	pyr_malloc_recognise(v.target, &v.glibc, &v.allocator);
	if (v.glibc.arenas.count && v.glibc.has_parameters && !v.mapped.exact)
		pyr_context_incomplete(context,
				       "malloc keeps %llu mapped chunks of %llu bytes, %zu of %llu "
				       "bytes were found",
				       (unsigned long long)v.glibc.mmapped_chunks,
				       (unsigned long long)v.glibc.mmapped_bytes, v.mapped.v.count,
				       (unsigned long long)v.mapped.bytes);
	if (v.glibc.damaged)
		pyr_context_incomplete(context, "%llu of malloc's lists contradict themselves",
				       (unsigned long long)v.glibc.damaged);
	*ret = v;
	return NULL;
}

void pyr_native_view_close(struct pyr_native_view *v)
{
	pyr_buffers_deinit(&v->buffers);
	pyr_glibc_mapped_deinit(&v->mapped);
	pyr_glibc_deinit(&v->glibc);
	pyr_reader_deinit(&v->reader);
}
