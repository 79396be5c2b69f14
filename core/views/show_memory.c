/* Where an address lies: a block of pymalloc, a binary's static data, malloc. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "views/show.h"
#include "pymalloc/obmalloc.h"
#include "target/image.h"

static void static_place(struct pyr_target *target, const struct pyr_image *image, pyr_addr addr,
			 struct pyr_memory_place *ret)
{
	const char *symbol;
	uint64_t offset;

	ret->kind = "static";
	ret->image = strdup(image->path ? image->path : "?");
	ret->offset = addr - image->start;
	if (pyr_image_symbol_at(target, image, addr, &symbol, &offset)) {
		ret->symbol = strdup(symbol);
		ret->offset = offset;
	}
}

static const char *mapping_kind(const struct pyr_mapping *mapping)
{
	if (!mapping->path)
		return "malloc"; /* an arena of malloc's or a mapping of its own */
	if (!strcmp(mapping->path, "[heap]"))
		return "malloc";
	if (!strncmp(mapping->path, "[stack", 6))
		return "stack";
	return mapping->path[0] == '[' ? "malloc" : "mapping";
}

void pyr_memory_place(struct pyr_context *context, pyr_addr addr, struct pyr_memory_place *ret)
{
	struct pyr_python *python = context->session->python;
	struct pyr_target *target = context->session->target;
	struct pyr_heap *heap = context->session->heap;
	const struct pyr_arena *arena;
	const struct pyr_mapping *mapping;
	const struct pyr_image *image;
	struct pyr_block block;

	memset(ret, 0, sizeof(*ret));
	ret->kind = "unknown";
	if (heap && heap->obmalloc &&
	    pyr_obmalloc_block_at(heap->obmalloc, &python->reader, addr, &block)) {
		arena = pyr_obmalloc_arena_at(heap->obmalloc, addr);
		ret->kind = "pymalloc";
		ret->arena = arena ? arena->address : 0;
		ret->pool = addr & ~(pyr_addr)(heap->obmalloc->pool_size - 1);
		ret->block = block.address;
		ret->block_size = block.size;
		ret->allocated = block.allocated;
		return;
	}
	mapping = pyr_target_mapping_at(target, addr);
	image = pyr_target_image_at(target, addr);
	if (image) {
		static_place(target, image, addr, ret);
	} else if (mapping) {
		ret->kind = mapping_kind(mapping);
		ret->mapping = mapping->path ? strdup(mapping->path) : NULL;
	}
}

void pyr_memory_place_deinit(struct pyr_memory_place *place)
{
	free(place->image);
	free(place->symbol);
	free(place->mapping);
}
