#include "roots/zombie_frames.h"

#include "runtime/access.h"

#define SLOTS_MAX 100000

bool pyr_zombie_frames_exist(const struct pyr_python *python)
{
	return pyr_has(&python->layout, PyCodeObject, co_zombieframe);
}

/* A frame that nobody uses: its count is 0. */
static bool is_zombie(struct pyr_python *python, pyr_addr frame)
{
	uint64_t refcount;

	return frame && !(frame & 7) &&
	       pyr_get_u64(&python->layout, &python->reader, frame, PyObject, ob_refcnt,
			   &refcount) &&
	       refcount == 0;
}

static uint64_t frame_bytes(struct pyr_heap *heap, struct pyr_python *python, pyr_addr frame,
			    bool *estimated)
{
	const struct pyr_layout *l = &python->layout;
	struct pyr_block block;
	uint64_t slots = 0;

	if (pyr_obmalloc_block_at(heap->obmalloc, &python->reader, frame, &block) &&
	    block.allocated)
		return block.size;
	*estimated = true;
	pyr_get_u64(l, &python->reader, frame, PyVarObject, ob_size, &slots);
	return pyr_layout_gc_head_size(l) + pyr_sizeof(l, PyFrameObject) +
	       8 * (slots < SLOTS_MAX ? slots : 0);
}

pyr_error *pyr_zombie_frames_add(struct pyr_heap *heap, struct pyr_freelists *freelists)
{
	struct pyr_python *python = pyr_types_python(heap->types);
	struct pyr_freelist list = {.type = "frame of a code object",
				    .source = "code objects",
				    .interpreter = PYR_FREELIST_OF_PROCESS,
				    .agrees = true};
	uint32_t id, index = (uint32_t)freelists->lists.count;
	bool estimated;
	pyr_addr frame;

	if (!pyr_zombie_frames_exist(python))
		return NULL;
	for (id = 0; id < heap->count; id++) {
		if (pyr_types_at(heap->types, heap->type[id])->shape != PYR_SHAPE_CODE)
			continue;
		list.maximum++;
		frame = pyr_get_addr(&python->layout, &python->reader, heap->address[id],
				     PyCodeObject, co_zombieframe);
		if (!is_zombie(python, frame))
			continue;
		estimated = false;
		list.bytes += frame_bytes(heap, python, frame, &estimated);
		list.estimated += estimated;
		list.objects++;
		if (!pyr_vec_push(&freelists->entries, (struct pyr_freelist_entry){frame, index}))
			return pyr_error_no_memory();
	}
	list.recorded = (int64_t)list.objects;
	if (!pyr_vec_push(&freelists->lists, list))
		return pyr_error_no_memory();
	pyr_freelists_sort(freelists);
	return pyr_reader_check(&python->reader);
}
