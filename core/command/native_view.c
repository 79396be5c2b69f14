#include "command/native_view.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/obmalloc.h"

/* Without Python in it a process still has memory. */
static pyr_error *open_heap(struct pyr_context *context, struct pyr_native_view *v)
{
	struct pyr_session *session = context->session;
	pyr_error *err;

	err = pyr_session_heap(session, &v->heap);
	if (!err)
		return pyr_buffers_build(v->heap, &session->control, false, &v->buffers);
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

pyr_error *pyr_native_view_open(struct pyr_context *context, struct pyr_native_view *ret)
{
	struct pyr_native_view v;
	pyr_error *err;

	memset(&v, 0, sizeof(v));
	if ((err = pyr_session_target(context->session, &v.target)))
		return err;
	pyr_reader_init(&v.reader, v.target);
	if ((err = open_heap(context, &v)) ||
	    (err = pyr_glibc_read(v.target, &v.reader, &v.glibc)) || (err = find_mapped(&v))) {
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
