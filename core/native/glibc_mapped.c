/* Chunks that are mappings of their own: sysmalloc_mmap(), malloc.c. The kernel joins
 * neighbouring mappings, so they are looked for page by page. */
#include "native/glibc_internal.h"

/* Anonymous memory of the process's own that it reads and writes. */
static bool may_hold(const struct pyr_mapping *m)
{
	return !m->path && m->read && m->write && !m->shared && !m->exec;
}

/* Before 2.43 the header of a mapped chunk says the size of the mapping, since then
 * what lies behind the header (mmap_set_chunk()). memalign() leaves the header of the
 * mapping's beginning as it was. */
static uint64_t mapped_at(const struct pyr_glibc *g, struct pyr_reader *r, pyr_addr at,
			  pyr_addr limit)
{
	uint64_t before, size;

	if (!pyr_try_u64(r, at, &before) || !glibc_chunk_size(r, at, &size) ||
	    (size & 7) != GLIBC_IS_MMAPPED || before > 1)
		return 0;
	size &= GLIBC_SIZE_MASK;
	if (g->layout == PYR_GLIBC_2_43 && size % g->page_size)
		size += 16;
	else if (before)
		return 0;
	return size && size % g->page_size == 0 && size <= limit - at ? size : 0;
}

/* The end of the run of mappings that begins with number @i. */
static pyr_addr run_end(const struct pyr_target *target, size_t i)
{
	const struct pyr_mapping *m = target->mappings.data;

	while (i + 1 < target->mappings.count && m[i + 1].start == m[i].end && may_hold(&m[i + 1]))
		i++;
	return m[i].end;
}

static pyr_addr past(pyr_addr at, const struct pyr_glibc_mapped *taken, size_t count, size_t *k)
{
	while (*k < count && taken[*k].end <= at)
		(*k)++;
	return *k < count && taken[*k].start <= at ? taken[*k].end : at;
}

static pyr_addr past_regions(const struct pyr_glibc *g, pyr_addr at, size_t *k)
{
	while (*k < g->regions.count && g->regions.data[*k].stops <= at)
		(*k)++;
	return *k < g->regions.count && g->regions.data[*k].begins <= at ? g->regions.data[*k].stops
									 : at;
}

/* Behind the next thing in (@at, @limit) that is known, or @limit. */
static pyr_addr next_known(const struct pyr_glibc *g, const struct pyr_glibc_mapped *taken,
			   size_t count, pyr_addr at, pyr_addr limit)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (taken[i].start > at && taken[i].start < limit)
			limit = taken[i].start;
	for (i = 0; i < g->regions.count; i++)
		if (g->regions.data[i].begins > at && g->regions.data[i].begins < limit)
			limit = g->regions.data[i].begins;
	return limit;
}

pyr_error *pyr_glibc_find_mapped(const struct pyr_glibc *g, struct pyr_target *target,
				 struct pyr_reader *reader, const struct pyr_glibc_mapped *taken,
				 size_t taken_count, struct pyr_glibc_mapped_list *ret)
{
	struct pyr_glibc_mapped_list list = {.bytes = 0};
	uint64_t page = g->page_size, size;
	size_t i, t = 0, k = 0;
	pyr_addr at = 0, end, next;
	pyr_error *err;

	for (i = 0; i < target->mappings.count && g->arenas.count; i++) {
		const struct pyr_mapping *m = &target->mappings.data[i];

		if (!may_hold(m) || m->end <= at)
			continue;
		if (at < m->start)
			at = m->start;
		at = (at + page - 1) & ~(page - 1);
		end = run_end(target, i);
		while (at < m->end) {
			next = past(at, taken, taken_count, &t);
			if (next == at)
				next = past_regions(g, at, &k);
			if (next > at) {
				at = (next + page - 1) & ~(page - 1);
				continue;
			}
			size = mapped_at(g, reader, at, end);
			if (size) {
				struct pyr_glibc_mapped chunk = {.start = at, .end = at + size};

				if (!pyr_vec_push(&list.v, chunk)) {
					pyr_glibc_mapped_deinit(&list);
					return pyr_error_no_memory();
				}
				list.bytes += size;
				at += size;
			} else if (!pyr_target_concurrent(target)) {
				/* Through a debugger every page costs: chunks follow each other
				 * or what is known. */
				at = next_known(g, taken, taken_count, at, m->end);
			} else if (pyr_peek(reader, at, 16)) {
				at += page;
			} else {
				next = pyr_peek_next(reader, at, m->end);
				at = next > at ? (next + page - 1) & ~(page - 1) : m->end;
			}
		}
	}
	if ((err = pyr_reader_check(reader))) {
		pyr_glibc_mapped_deinit(&list);
		return err;
	}
	list.exact = g->has_parameters && list.v.count == g->mmapped_chunks &&
		     list.bytes == g->mmapped_bytes;
	*ret = list;
	return NULL;
}

void pyr_glibc_mapped_deinit(struct pyr_glibc_mapped_list *list)
{
	pyr_vec_deinit(&list->v);
	list->bytes = 0;
}
