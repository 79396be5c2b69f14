#define _GNU_SOURCE
#include "views/census_rows.h"

#include <stdlib.h>
#include <string.h>

#include "values/object.h"
#include "values/values.h"

void pyr_census_groups_deinit(struct pyr_census_groups *groups)
{
	size_t i;

	for (i = 0; i < groups->rows.count; i++)
		free(groups->rows.data[i].name);
	pyr_vec_deinit(&groups->rows);
}

/* The module of a type: its __module__ when that is a str of its own dict, else
 * what stands before the last dot of its name (static types: tp_name). */
static char *module_of(struct pyr_context *context, const struct pyr_type *type)
{
	struct pyr_types *types = context->session->types;
	struct pyr_reader *reader = &context->session->python->reader;
	const char *name = pyr_type_name(types, type), *dot;
	const struct pyr_type *owner = NULL;
	pyr_error *err;
	pyr_addr value;
	char *text;

	if (type->heap) {
		value = pyr_type_lookup(types, reader, type, "__module__", &owner);
		if (value && owner == type) {
			err = pyr_str_utf8(types, reader, value, 200, &text, NULL);
			if (!err)
				return text;
			pyr_error_destroy(err);
		}
	}
	dot = name[0] == '<' ? NULL : strrchr(name, '.');
	return dot ? strndup(name, (size_t)(dot - name)) : strdup(name);
}

static int by_name(const void *a, const void *b)
{
	const struct pyr_census_group *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int by_bytes(const void *a, const void *b)
{
	const struct pyr_census_group *x = a, *y = b;

	/* 0 for all unless asked for */
	if (x->retained != y->retained)
		return x->retained < y->retained ? 1 : -1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->name && y->name ? strcmp(x->name, y->name) : 0;
}

/* Rows of the same name become one. */
static void merge(struct pyr_census_groups *groups)
{
	struct pyr_census_group *rows = groups->rows.data;
	size_t i, kept = 0;

	if (!groups->rows.count)
		return;
	qsort(rows, groups->rows.count, sizeof(*rows), by_name);
	for (i = 1; i < groups->rows.count; i++) {
		if (strcmp(rows[kept].name, rows[i].name)) {
			rows[++kept] = rows[i];
			continue;
		}
		rows[kept].count += rows[i].count;
		rows[kept].gc_count += rows[i].gc_count;
		rows[kept].bytes += rows[i].bytes;
		rows[kept].retained += rows[i].retained;
		rows[kept].types += rows[i].types;
		rows[kept].inexact_size |= rows[i].inexact_size;
		if (rows[i].name_certainty > rows[kept].name_certainty)
			rows[kept].name_certainty = rows[i].name_certainty;
		free(rows[i].name);
	}
	groups->rows.count = kept + 1;
	qsort(rows, groups->rows.count, sizeof(*rows), by_bytes);
}

static pyr_error *add_size(struct pyr_census_groups *groups, unsigned power, uint64_t count,
			   uint64_t bytes)
{
	struct pyr_census_group row = {
		.up_to = UINT64_C(1) << (power < 63 ? power : 63), .count = count, .bytes = bytes};

	if (!count)
		return NULL;
	return pyr_vec_push(&groups->rows, row) ? NULL : pyr_error_no_memory();
}

/* The histogram of the objects whose type is marked, one by one. */
static pyr_error *sizes_of_marked(struct pyr_context *context, const bool *marked, uint32_t types,
				  int generation, const uint8_t *only,
				  struct pyr_census_groups *groups)
{
	uint64_t count[PYR_CENSUS_SIZES] = {0}, bytes[PYR_CENSUS_SIZES] = {0}, size;
	struct pyr_reader *reader;
	struct pyr_heap *heap;
	pyr_error *err;
	unsigned power;
	uint32_t id;
	bool exact;

	if ((err = pyr_session_heap(context->session, &heap)))
		return err;
	reader = &context->session->python->reader;
	for (id = 0; id < heap->count; id++) {
		if (id % 65536 == 0 && (err = pyr_control_progress(&context->session->control,
								   "sizes", id, heap->count)))
			return err;
		if ((only && !only[id]) || heap->type[id] >= types || !marked[heap->type[id]] ||
		    (generation >= 0 && heap->generation[id] != (uint8_t)generation))
			continue;
		err = pyr_object_size(heap->types, reader,
				      pyr_types_at(heap->types, heap->type[id]), heap->address[id],
				      &size, &exact);
		if (err) { /* damaged: the census left it out too */
			pyr_error_destroy(err);
			continue;
		}
		power = size <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(size - 1);
		count[power < PYR_CENSUS_SIZES ? power : PYR_CENSUS_SIZES - 1]++;
		bytes[power < PYR_CENSUS_SIZES ? power : PYR_CENSUS_SIZES - 1] += size;
	}
	for (power = 0; power < PYR_CENSUS_SIZES; power++)
		if ((err = add_size(groups, power, count[power], bytes[power])))
			return err;
	return NULL;
}

static pyr_error *group_rows(struct pyr_context *context, const struct pyr_census *census,
			     const struct pyr_value *match, bool *marked, const uint64_t *retained,
			     uint32_t retained_count, struct pyr_census_groups *groups)
{
	struct pyr_types *types = context->session->types;
	const struct pyr_census_row *row;
	struct pyr_census_group group;
	const struct pyr_type *type;
	size_t i;

	for (i = 0; i < census->rows.count; i++) {
		row = &census->rows.data[i];
		type = pyr_types_at(types, row->type);
		if (!pyr_value_matches(match, pyr_type_name(types, type)))
			continue;
		marked[row->type] = true;
		groups->count += row->count;
		groups->gc_count += row->gc_count;
		groups->bytes += row->bytes;
		groups->type_count++;
		if (groups->by == PYR_CENSUS_BY_SIZE)
			continue;
		memset(&group, 0, sizeof(group));
		group.count = row->count;
		group.gc_count = row->gc_count;
		group.bytes = row->bytes;
		group.retained = retained && row->type < retained_count ? retained[row->type] : 0;
		group.types = 1;
		group.address = type->address;
		group.inexact_size = row->inexact_size;
		group.name_certainty = pyr_type_name_certainty(types, type);
		group.name = groups->by == PYR_CENSUS_BY_TYPE ? strdup(pyr_type_name(types, type))
							      : module_of(context, type);
		if (!group.name || !pyr_vec_push(&groups->rows, group)) {
			free(group.name);
			return pyr_error_no_memory();
		}
	}
	return NULL;
}

pyr_error *pyr_census_group(struct pyr_context *context, const struct pyr_census *census,
			    enum pyr_census_by by, const struct pyr_value *match, int generation,
			    const uint8_t *only, const uint64_t *retained, uint32_t retained_count,
			    struct pyr_census_groups *ret)
{
	struct pyr_census_groups groups = {.by = by, .filtered = match->given};
	uint32_t types = pyr_types_count(context->session->types);
	bool *marked = calloc(types + 1, sizeof(*marked));
	pyr_error *err;
	unsigned power;

	if (!marked)
		return pyr_error_no_memory();
	err = group_rows(context, census, match, marked, retained, retained_count, &groups);
	if (!err && by != PYR_CENSUS_BY_SIZE)
		merge(&groups);
	else if (!err && match->given)
		err = sizes_of_marked(context, marked, types, generation, only, &groups);
	else
		for (power = 0; power < PYR_CENSUS_SIZES && !err; power++)
			err = add_size(&groups, power, census->sizes[power].count,
				       census->sizes[power].bytes);
	free(marked);
	if (err) {
		pyr_census_groups_deinit(&groups);
		return err;
	}
	*ret = groups;
	return NULL;
}
