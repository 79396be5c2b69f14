/* The census over a heap model: every object asked, one after another. */
#include <stdlib.h>
#include <string.h>

#include "analysis/census/census_table.h"
#include "objects/heap.h"

static pyr_error *count_all(struct pyr_heap *heap, struct pyr_control *control,
			    const struct pyr_census_options *options,
			    struct pyr_census_tally *selected, struct pyr_census_tally *gc,
			    bool *inexact, struct pyr_census *ret)
{
	struct pyr_python *python = pyr_types_python(heap->types);
	enum pyr_generation g;
	const struct pyr_type *type;
	uint64_t size;
	unsigned class;
	pyr_error *err;
	uint32_t id;
	bool exact;

	for (id = 0; id < heap->count; id++) {
		if (!(id & 0xffff) &&
		    (err = pyr_control_progress(control, "counting objects", id, heap->count)))
			return err;
		if (options->only && !options->only[id])
			continue;
		g = (enum pyr_generation)heap->generation[id];
		ret->by_generation[g]++;
		if (heap->interpreter[id] < ret->interpreters)
			ret->by_interpreter[heap->interpreter[id] * PYR_GEN_COUNT + g]++;
		ret->only_block += heap->found[id] == PYR_FOUND_BLOCK;
		ret->only_gc_list += heap->found[id] == PYR_FOUND_GC_LIST;
		ret->only_reached += heap->found[id] == PYR_FOUND_REACHED;
		if (options->generation >= 0 && g != (enum pyr_generation)options->generation)
			continue;
		type = pyr_types_at(heap->types, heap->type[id]);
		err = pyr_object_size(heap->types, &python->reader, type, heap->address[id], &size,
				      &exact);
		if (err) {
			pyr_error_destroy(err);
			size = (uint64_t)type->gc_head + type->pre_header +
			       (type->basicsize > 0 ? (uint64_t)type->basicsize : 0);
		}
		if (!err && !exact)
			inexact[type->index] = true;
		if (!pyr_census_tally_add(selected, type->index, 1, size) ||
		    (g <= PYR_GEN_2 && !pyr_census_tally_add(gc, type->index, 1, size)))
			return pyr_error_no_memory();
		if (options->size_histogram) {
			class = pyr_census_size_class(size);
			selected->sizes[class].count++;
			selected->sizes[class].bytes += size;
		}
	}
	return NULL;
}

pyr_error *pyr_census_of_heap(struct pyr_heap *heap, struct pyr_control *control,
			      const struct pyr_census_options *options, struct pyr_census *ret)
{
	struct pyr_census_tally selected = {0}, gc = {0};
	uint32_t types = pyr_types_count(heap->types);
	bool *inexact = calloc(types + 1, sizeof(*inexact));
	struct pyr_census census;
	pyr_error *err;

	memset(&census, 0, sizeof(census));
	census.interpreters = pyr_types_python(heap->types)->interpreters.count;
	census.by_interpreter = calloc(census.interpreters * PYR_GEN_COUNT + 1, sizeof(uint64_t));
	census.proven = heap->proven;
	if (!inexact || !census.by_interpreter)
		err = pyr_error_no_memory();
	else
		err = count_all(heap, control, options, &selected, &gc, inexact, &census);
	if (!err)
		err = pyr_census_fill(heap->types, &selected, &gc, inexact, types, &census);
	free(inexact);
	pyr_census_tally_deinit(&selected);
	pyr_census_tally_deinit(&gc);
	if (err)
		pyr_census_deinit(&census);
	else
		*ret = census;
	return err;
}
