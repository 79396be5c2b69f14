#include "pymalloc/obmalloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "pymalloc/obmalloc_find.h"

static uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static void set_alignment(struct pyr_obmalloc *m, uint32_t alignment)
{
	unsigned i;

	m->alignment = alignment;
	m->shift = alignment == 8 ? 3 : 4;
	m->classes = 512 / alignment;
	for (i = 0; i < m->classes; i++)
		m->reciprocal[i] = (uint32_t)(((UINT64_C(1) << 32) + (i + 1) * alignment - 1) /
					      ((i + 1) * alignment));
}

static pyr_error *init_geometry(const struct pyr_layout *l, struct pyr_obmalloc *m)
{
	m->arena_size = pyr_layout_arena_size(l);
	m->pool_size = pyr_layout_pool_size(l);
	set_alignment(m, pyr_layout_block_alignment(l));
	m->ref_count = pyr_offset(l, pool_header, ref_count);
	m->freeblock = pyr_offset(l, pool_header, freeblock);
	m->arenaindex = pyr_offset(l, pool_header, arenaindex);
	m->szidx = pyr_offset(l, pool_header, szidx);
	m->nextoffset = pyr_offset(l, pool_header, nextoffset);
	m->maxnextoffset = pyr_offset(l, pool_header, maxnextoffset);
	if (m->ref_count < 0 || m->freeblock < 0 || m->arenaindex < 0 || m->szidx < 0 ||
	    m->nextoffset < 0 || m->maxnextoffset < 0 ||
	    pyr_sizeof(l, pool_header) != PYR_POOL_HEADER || pyr_sizeof(l, arena_object) == 0 ||
	    m->pool_size >> m->shift > 64 * 16)
		return pyr_error_create(PYR_E_UNKNOWN_LAYOUT,
					"no layout of struct pool_header and struct arena_object");
	return NULL;
}

/* Old versions were built with either alignment (3.6, 3.7, with and without
 * bpo-27987): believe the pools. */
static void check_alignment(struct pyr_obmalloc *m, struct pyr_reader *reader)
{
	uint32_t expected = m->alignment, good[2] = {0, 0}, try;
	struct pyr_pool pool;
	pyr_addr at;
	size_t i;

	if (m->pool_size >> 3 > 64 * 16)
		return; /* 8 was never built with such pools */
	for (try = 0; try < 2; try++) {
		set_alignment(m, try ? 16 : 8);
		for (i = 0; i < m->arenas.count && i < 4; i++)
			for (at = m->arenas.data[i].first_pool; at < m->arenas.data[i].pool_end;
			     at += m->pool_size)
				good[try] += pyr_pool_read(m, reader, &m->arenas.data[i], at,
							   &pool) == PYR_POOL_LIVE &&
					     pool.consistent;
	}
	set_alignment(m, good[0] > good[1] ? 8 : good[1] > good[0] ? 16 : expected);
}

static int by_address(const void *a, const void *b)
{
	const struct pyr_arena *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* Blocks must not be counted twice, whatever arenas[] claims. */
static void sort_arenas(struct pyr_obmalloc *m)
{
	size_t i, kept = 0;

	if (m->arenas.count)
		qsort(m->arenas.data, m->arenas.count, sizeof(*m->arenas.data), by_address);
	for (i = 0; i < m->arenas.count; i++) {
		if (kept && m->arenas.data[i].address < m->arenas.data[kept - 1].end)
			m->dropped_arenas++;
		else
			m->arenas.data[kept++] = m->arenas.data[i];
	}
	m->arenas.count = kept;
}

/* Builds with --with-pymalloc-hugepages (3.15+) have arenas of 2 MiB, which nothing but
 * the arenas tells: more pools in each than 1 MiB has room for. */
static pyr_error *try_large_arenas(struct pyr_python *python, struct pyr_obmalloc *m)
{
	struct pyr_obmalloc large;
	pyr_error *err;

	if (m->pool_size < 16384 || m->arenas.count || !m->dropped_arenas)
		return NULL;
	memset(&large, 0, sizeof(large));
	if (!(err = init_geometry(&python->layout, &large))) {
		large.arena_size *= 2;
		err = pyr_obmalloc_find(python, &large);
	}
	if (!err && large.arenas.count && large.source != PYR_OBMALLOC_SCAN) {
		pyr_obmalloc_deinit(m);
		*m = large;
		return NULL;
	}
	pyr_obmalloc_deinit(&large);
	return err;
}

pyr_error *pyr_obmalloc_open(struct pyr_python *python, struct pyr_obmalloc *ret)
{
	struct pyr_obmalloc m;
	pyr_error *err;

	memset(&m, 0, sizeof(m));
	if (!(err = init_geometry(&python->layout, &m)) && !(err = pyr_obmalloc_find(python, &m)))
		err = try_large_arenas(python, &m);
	if (err) {
		pyr_obmalloc_deinit(&m);
		return err;
	}
	sort_arenas(&m);
	check_alignment(&m, &python->reader);
	*ret = m;
	return NULL;
}

void pyr_obmalloc_deinit(struct pyr_obmalloc *m)
{
	pyr_vec_deinit(&m->states);
	pyr_vec_deinit(&m->arenas);
}

const char *pyr_obmalloc_source_name(enum pyr_obmalloc_source source)
{
	switch (source) {
	case PYR_OBMALLOC_STATE:
		return "state";
	case PYR_OBMALLOC_SYMBOL:
		return "symbol";
	case PYR_OBMALLOC_PATTERN:
		return "pattern";
	case PYR_OBMALLOC_SCAN:
		return "scan";
	case PYR_OBMALLOC_NONE:
		break;
	}
	return "none";
}

const struct pyr_arena *pyr_obmalloc_arena_at(const struct pyr_obmalloc *m, pyr_addr addr)
{
	return pyr_search_range(m->arenas.data, m->arenas.count, address, end, addr);
}

/* Mark the blocks on the free list. A link must lie in the pool at the start of
 * a carved block, and no block may come twice: that bounds the walk. */
static bool mark_free(const struct pyr_obmalloc *m, struct pyr_pool *pool, uint32_t szidx)
{
	pyr_addr link = load_u64(pool->bytes + m->freeblock);
	uint32_t offset, bit, count = 0;

	while (link) {
		offset = (uint32_t)(link - pool->address);
		if (link - pool->address >= pool->end || offset < PYR_POOL_HEADER)
			break;
		if ((((uint64_t)(offset - PYR_POOL_HEADER) * m->reciprocal[szidx]) >> 32) *
			    pool->block_size !=
		    offset - PYR_POOL_HEADER)
			break;
		bit = offset >> m->shift;
		if (pool->free[bit >> 6] >> (bit & 63) & 1)
			break;
		pool->free[bit >> 6] |= UINT64_C(1) << (bit & 63);
		count++;
		link = load_u64(pool->bytes + offset);
	}
	pool->free_count = count;
	return link == 0;
}

enum pyr_pool_status pyr_pool_header(const struct pyr_obmalloc *m, struct pyr_reader *reader,
				     pyr_addr address, struct pyr_pool *ret)
{
	const uint8_t *bytes = pyr_peek(reader, address, m->pool_size);
	uint32_t szidx, size, next, max;

	if (!bytes)
		return PYR_POOL_UNREADABLE;
	ret->used = load_u32(bytes + m->ref_count);
	if (ret->used == 0)
		return PYR_POOL_EMPTY;
	szidx = load_u32(bytes + m->szidx);
	next = load_u32(bytes + m->nextoffset);
	max = load_u32(bytes + m->maxnextoffset);
	if (szidx >= m->classes)
		return PYR_POOL_CORRUPT;
	size = (szidx + 1) * m->alignment;
	/* obmalloc.c, allocate_from_new_pool() and pymalloc_pool_extend() */
	if (max != m->pool_size - size || next < PYR_POOL_HEADER + size || next > max + size)
		return PYR_POOL_CORRUPT;
	ret->address = address;
	ret->bytes = bytes;
	ret->block_size = size;
	ret->end = PYR_POOL_HEADER + (next - PYR_POOL_HEADER) / size * size;
	return PYR_POOL_LIVE;
}

enum pyr_pool_status pyr_pool_read(const struct pyr_obmalloc *m, struct pyr_reader *reader,
				   const struct pyr_arena *arena, pyr_addr address,
				   struct pyr_pool *ret)
{
	enum pyr_pool_status status = pyr_pool_header(m, reader, address, ret);
	uint32_t szidx;
	bool closes;

	if (status != PYR_POOL_LIVE)
		return status;
	szidx = ret->block_size / m->alignment - 1;
	memset(ret->free, 0, sizeof(ret->free));
	closes = mark_free(m, ret, szidx);
	ret->consistent =
		closes &&
		ret->used + ret->free_count == (ret->end - PYR_POOL_HEADER) / ret->block_size &&
		ret->end == load_u32(ret->bytes + m->nextoffset) &&
		(!arena->object || load_u32(ret->bytes + m->arenaindex) == arena->index);
	return PYR_POOL_LIVE;
}

bool pyr_obmalloc_block_at(const struct pyr_obmalloc *m, struct pyr_reader *reader, pyr_addr addr,
			   struct pyr_block *ret)
{
	const struct pyr_arena *arena = pyr_obmalloc_arena_at(m, addr);
	pyr_addr address = addr & ~(pyr_addr)(m->pool_size - 1);
	struct pyr_pool pool;
	uint32_t offset;

	if (!arena || address < arena->first_pool || address >= arena->pool_end ||
	    pyr_pool_read(m, reader, arena, address, &pool) != PYR_POOL_LIVE)
		return false;
	offset = (uint32_t)(addr - address);
	if (offset < PYR_POOL_HEADER || offset >= pool.end)
		return false;
	offset -= (offset - PYR_POOL_HEADER) % pool.block_size;
	ret->address = address + offset;
	ret->size = pool.block_size;
	ret->allocated = !pyr_pool_is_free(m, &pool, offset);
	return true;
}
