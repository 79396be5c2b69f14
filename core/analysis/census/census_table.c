#include "analysis/census/census_table.h"

#include <stdlib.h>
#include <string.h>

bool pyr_census_tally_reserve(struct pyr_census_tally *t, uint32_t index)
{
	return pyr_array_reach((void **)&t->types, &t->type_count, index, sizeof(*t->types));
}

bool pyr_census_tally_add(struct pyr_census_tally *t, uint32_t type, uint64_t count, uint64_t bytes)
{
	if (!pyr_census_tally_reserve(t, type))
		return false;
	t->types[type].count += count;
	t->types[type].bytes += bytes;
	return true;
}

bool pyr_census_tally_merge(struct pyr_census_tally *t, const struct pyr_census_tally *other)
{
	uint32_t i;

	if (other->type_count && !pyr_census_tally_reserve(t, other->type_count - 1))
		return false;
	for (i = 0; i < other->type_count; i++) {
		t->types[i].count += other->types[i].count;
		t->types[i].bytes += other->types[i].bytes;
	}
	for (i = 0; i < PYR_CENSUS_SIZES; i++) {
		t->sizes[i].count += other->sizes[i].count;
		t->sizes[i].bytes += other->sizes[i].bytes;
	}
	return true;
}

static void less(struct pyr_tally *t, const struct pyr_tally *other)
{
	t->count -= t->count < other->count ? t->count : other->count;
	t->bytes -= t->bytes < other->bytes ? t->bytes : other->bytes;
}

bool pyr_census_tally_subtract(struct pyr_census_tally *t, const struct pyr_census_tally *other)
{
	uint32_t i;

	if (other->type_count && !pyr_census_tally_reserve(t, other->type_count - 1))
		return false;
	for (i = 0; i < other->type_count; i++)
		less(&t->types[i], &other->types[i]);
	for (i = 0; i < PYR_CENSUS_SIZES; i++)
		less(&t->sizes[i], &other->sizes[i]);
	return true;
}

uint64_t pyr_census_tally_count(const struct pyr_census_tally *t)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < t->type_count; i++)
		sum += t->types[i].count;
	return sum;
}

void pyr_census_tally_deinit(struct pyr_census_tally *t)
{
	free(t->types);
	memset(t, 0, sizeof(*t));
}

static int by_bytes(const void *a, const void *b)
{
	const struct pyr_census_row *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->type < y->type ? -1 : x->type > y->type;
}

pyr_error *pyr_census_fill(struct pyr_types *types, const struct pyr_census_tally *selected,
			   const struct pyr_census_tally *gc, const bool *inexact,
			   uint32_t inexact_count, struct pyr_census *ret)
{
	struct pyr_census_row row;
	uint32_t i, count = pyr_types_count(types);

	for (i = 0; i < selected->type_count && i < count; i++) {
		if (!selected->types[i].count)
			continue;
		memset(&row, 0, sizeof(row));
		row.type = i;
		row.count = selected->types[i].count;
		row.bytes = selected->types[i].bytes;
		row.gc_count = i < gc->type_count ? gc->types[i].count : 0;
		row.inexact_size = i < inexact_count && inexact[i];
		ret->objects += row.count;
		ret->gc_objects += row.gc_count;
		ret->bytes += row.bytes;
		if (!pyr_vec_push(&ret->rows, row))
			return pyr_error_no_memory();
	}
	for (i = 0; i < PYR_CENSUS_SIZES; i++) {
		ret->sizes[i].count = selected->sizes[i].count;
		ret->sizes[i].bytes = selected->sizes[i].bytes;
	}
	if (ret->rows.count)
		qsort(ret->rows.data, ret->rows.count, sizeof(*ret->rows.data), by_bytes);
	return NULL;
}

void pyr_census_deinit(struct pyr_census *census)
{
	pyr_vec_deinit(&census->rows);
	free(census->by_interpreter);
	memset(census, 0, sizeof(*census));
}
