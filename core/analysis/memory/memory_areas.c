/* The address space in areas, each with one master: allocators first, then what stacks,
 * static data and mappings are for. */
#include <stdlib.h>
#include <string.h>

#include "analysis/memory/memory_internal.h"
#include "base/search.h"
#include "native/mappings.h"
#include "pymalloc/obmalloc.h"

static pyr_error *add(struct memory_area_list *list, const struct memory_area *area)
{
	if (area->start >= area->end)
		return NULL;
	return pyr_vec_push(&list->v, *area) ? NULL : pyr_error_no_memory();
}

/* @list becomes itself with what of @fresh (sorted) it does not cover yet. */
static pyr_error *merge(struct memory_area_list *list, const struct memory_area_list *fresh)
{
	struct memory_area_list merged = {.v = {NULL, 0, 0}};
	size_t i, k = 0;
	pyr_error *err = NULL;
	pyr_addr at = 0;

	for (i = 0; i < fresh->v.count && !err; i++) {
		struct memory_area area = fresh->v.data[i];

		if (area.start < at)
			area.start = at;
		while (!err && k < list->v.count && list->v.data[k].start < area.end) {
			struct memory_area part = area;

			part.end = list->v.data[k].start;
			if (part.start < part.end)
				err = add(&merged, &part);
			if (!err)
				err = add(&merged, &list->v.data[k]);
			if (list->v.data[k].end > area.start)
				area.start = list->v.data[k].end;
			k++;
		}
		if (!err)
			err = add(&merged, &area);
		at = area.end > area.start ? area.end : area.start;
	}
	for (; !err && k < list->v.count; k++)
		err = add(&merged, &list->v.data[k]);
	if (err) {
		pyr_vec_deinit(&merged.v);
		return err;
	}
	pyr_vec_deinit(&list->v);
	*list = merged;
	return NULL;
}

/* Memory of an allocator: the bytes that nobody owns are its own. @index: its number there. */
static pyr_error *add_block(struct memory_area_list *list, pyr_addr start, pyr_addr end,
			    enum memory_master master, enum pyr_memory_category own, size_t index)
{
	const struct memory_area area = {.start = start,
					 .end = end,
					 .master = master,
					 .own = own,
					 .file = own,
					 .index = index};

	return add(list, &area);
}

/* @list goes under what there is already, unless @err; it is emptied and may be filled again. */
static pyr_error *put_under(struct memory_account *a, struct memory_area_list *list, pyr_error *err)
{
	if (!err)
		err = merge(&a->areas, list);
	pyr_vec_deinit(&list->v);
	return err;
}

static pyr_error *add_arenas(struct memory_account *a)
{
	const struct pyr_obmalloc *o = a->input->heap ? a->input->heap->obmalloc : NULL;
	struct memory_area_list list = {.v = {NULL, 0, 0}};
	pyr_error *err = NULL;
	size_t i;

	for (i = 0; o && i < o->arenas.count && !err; i++)
		err = add_block(&list, o->arenas.data[i].address, o->arenas.data[i].end,
				MEMORY_OF_PYMALLOC, PYR_MEMORY_PYMALLOC_OVERHEAD, i);
	return put_under(a, &list, err);
}

static pyr_error *add_malloc(struct memory_account *a)
{
	const struct pyr_glibc *g = a->input->glibc;
	const struct pyr_glibc_mapped_list *m = a->input->mapped;
	struct memory_area_list list = {.v = {NULL, 0, 0}};
	pyr_error *err = NULL;
	size_t i;

	for (i = 0; g && i < g->regions.count && !err; i++)
		err = add_block(&list, g->regions.data[i].begins, g->regions.data[i].stops,
				MEMORY_OF_MALLOC, PYR_MEMORY_MALLOC_OVERHEAD, i);
	err = put_under(a, &list, err);
	for (i = 0; m && i < m->v.count && !err; i++)
		err = add_block(&list, m->v.data[i].start, m->v.data[i].end, MEMORY_OF_CHUNK,
				PYR_MEMORY_NATIVE, i);
	return put_under(a, &list, err);
}

static pyr_error *add_native(struct memory_account *a, const struct pyr_area_list *from)
{
	static const enum pyr_memory_category own[] = {
		[PYR_AREA_STACK] = PYR_MEMORY_STACKS,
		[PYR_AREA_ENDED_STACK] = PYR_MEMORY_ENDED_STACKS,
		[PYR_AREA_TLS] = PYR_MEMORY_TLS,
		[PYR_AREA_STATIC] = PYR_MEMORY_STATIC,
	};
	struct memory_area_list list = {.v = {NULL, 0, 0}};
	pyr_error *err = NULL;
	size_t i;

	for (i = 0; i < from->v.count && !err; i++) {
		const struct pyr_area *n = &from->v.data[i];
		struct memory_area area = {
			.start = n->start,
			.end = n->end,
			.master = MEMORY_OF_PLAIN,
			.own = own[n->kind],
			.file = n->kind == PYR_AREA_STATIC ? PYR_MEMORY_FILE_PAGES : own[n->kind]};

		err = add(&list, &area);
	}
	return put_under(a, &list, err);
}

/* What no allocator has: by mapping, and what lies outside of all of them. */
static pyr_error *add_mappings(struct memory_account *a)
{
	const struct pyr_target *target = a->input->target;
	struct memory_area_list list = {.v = {NULL, 0, 0}};
	enum pyr_memory_category nobody =
		a->input->other_allocator ? PYR_MEMORY_OTHER_ALLOCATOR : PYR_MEMORY_UNCLAIMED;
	struct memory_area area = {.start = 0};
	pyr_error *err = NULL;
	pyr_addr at = 0;
	size_t i;

	for (i = 0; i <= target->mappings.count && !err; i++) {
		const struct pyr_mapping *m = &target->mappings.data[i];

		/* Outside of all mappings nothing should be held. */
		area = (struct memory_area){.start = at, .master = MEMORY_OF_PLAIN};
		area.own = area.file = PYR_MEMORY_UNCLAIMED;
		area.end = i < target->mappings.count ? m->start : UINT64_MAX;
		err = add(&list, &area);
		if (err || i == target->mappings.count)
			break;
		area = (struct memory_area){
			.start = m->start, .end = m->end, .master = MEMORY_OF_PLAIN};
		at = m->end;
		switch (pyr_mapping_kind(target, m)) {
		case PYR_MAPPING_ANONYMOUS:
			area.master = MEMORY_OF_ANONYMOUS;
			area.own = area.file = m->write ? nobody : PYR_MEMORY_UNCLAIMED;
			break;
		case PYR_MAPPING_FILE:
			/* A core does not say which pages of a file were written to. */
			area.own = a->held.basis == PYR_MEMORY_RESIDENT || m->write
					   ? PYR_MEMORY_FILE_OWN
					   : PYR_MEMORY_FILE_PAGES;
			area.file = PYR_MEMORY_FILE_PAGES;
			break;
		case PYR_MAPPING_SHARED:
			area.own = area.file = PYR_MEMORY_SHARED;
			break;
		case PYR_MAPPING_STACK:
			area.own = area.file = PYR_MEMORY_STACKS;
			break;
		case PYR_MAPPING_KERNEL:
			area.own = area.file = PYR_MEMORY_KERNEL;
			break;
		case PYR_MAPPING_DEVICE:
			area.own = area.file = PYR_MEMORY_DEVICE;
			break;
		}
		err = add(&list, &area);
	}
	return put_under(a, &list, err);
}

static pyr_error *add_ended_stacks(struct memory_account *a)
{
	struct pyr_area_list ended = {.v = {NULL, 0, 0}};
	pyr_error *err = NULL;
	size_t i;

	for (i = 0; i < a->areas.v.count && !err; i++)
		if (a->areas.v.data[i].master == MEMORY_OF_ANONYMOUS)
			err = pyr_areas_ended_stacks(a->input->target, &a->readers[0],
						     a->areas.v.data[i].start,
						     a->areas.v.data[i].end, &ended);
	if (!err && ended.v.count) {
		/* They lie in areas that were nobody's: cut those out again. */
		struct memory_area_list rest = a->areas;

		a->areas = (struct memory_area_list){.v = {NULL, 0, 0}};
		err = add_native(a, &ended);
		if (!err)
			err = merge(&a->areas, &rest);
		pyr_vec_deinit(&rest.v);
	}
	pyr_areas_deinit(&ended);
	return err;
}

static bool holds_objects(const struct pyr_heap *h, pyr_addr start, pyr_addr end)
{
	size_t i = pyr_search(k, h ? h->count : 0, h->address[k] < start);

	return h && i < h->count && h->address[i] < end;
}

/* CPython's own mimalloc takes mappings that nobody else knows. It reserves more than it
 * uses: what follows without a gap belongs to it, too. */
static void name_other_objects(struct memory_account *a)
{
	struct memory_area *area = a->areas.v.data, *before = NULL;
	size_t i;

	for (i = 0; i < a->areas.v.count; i++, area++) {
		if (area->master != MEMORY_OF_ANONYMOUS)
			continue;
		if (holds_objects(a->input->heap, area->start, area->end) ||
		    (before && before->end == area->start &&
		     before->own == PYR_MEMORY_OTHER_ALLOCATOR))
			area->own = area->file = PYR_MEMORY_OTHER_ALLOCATOR;
		before = area;
	}
}

pyr_error *pyr_memory_areas(struct memory_account *a)
{
	struct pyr_area_list native;
	pyr_error *err;

	if ((err = add_arenas(a)) || (err = add_malloc(a)) ||
	    (err = pyr_areas_find(a->input->target, &a->readers[0], &native)))
		return err;
	err = add_native(a, &native);
	pyr_areas_deinit(&native);
	if (err || (err = add_mappings(a)) || (err = add_ended_stacks(a)))
		return err;
	if (a->input->other_objects)
		name_other_objects(a);
	a->unclaimed = calloc(a->areas.v.count + 1, sizeof(*a->unclaimed));
	return a->unclaimed ? NULL : pyr_error_no_memory();
}
