#include "pymalloc/obmalloc_find.h"

#include <string.h>

#include "pymalloc/obmalloc_scan.h"

#define WRITABLE_MAX 16

/* Places in struct arena_object. */
struct arena_fields {
	uint32_t size;
	int32_t address, pool_address, nfreepools, ntotalpools;
};

static struct arena_fields arena_fields(const struct pyr_layout *l)
{
	return (struct arena_fields){
		.size = pyr_sizeof(l, arena_object),
		.address = pyr_offset(l, arena_object, address),
		.pool_address = pyr_offset(l, arena_object, pool_address),
		.nfreepools = pyr_offset(l, arena_object, nfreepools),
		.ntotalpools = pyr_offset(l, arena_object, ntotalpools),
	};
}

enum entry { ENTRY_ARENA, ENTRY_UNUSED, ENTRY_BAD };

static enum entry read_entry(const struct pyr_obmalloc *m, const struct arena_fields *f,
			     const uint8_t *bytes, struct pyr_arena *ret)
{
	uint64_t address, pool_address;

	memcpy(&address, bytes + f->address, 8);
	if (!address)
		return ENTRY_UNUSED;
	memcpy(&pool_address, bytes + f->pool_address, 8);
	memcpy(&ret->nfreepools, bytes + f->nfreepools, 4);
	memcpy(&ret->ntotalpools, bytes + f->ntotalpools, 4);
	ret->address = address;
	ret->end = address + m->arena_size;
	ret->first_pool = (address + m->pool_size - 1) & ~(pyr_addr)(m->pool_size - 1);
	ret->pool_end = pool_address;
	if (address >> 47 || ret->end >> 47 || (address & 15) || ret->first_pool > pool_address ||
	    pool_address > ret->end || pool_address & (m->pool_size - 1) ||
	    ret->ntotalpools > m->arena_size / m->pool_size || ret->nfreepools > ret->ntotalpools)
		return ENTRY_BAD;
	/* The last pool may be cut off by an arena that is not aligned to pools. */
	if (ret->ntotalpools &&
	    ret->pool_end > ret->first_pool + (uint64_t)ret->ntotalpools * m->pool_size)
		return ENTRY_BAD;
	return ENTRY_ARENA;
}

/* Read arenas[0 .. state->maxarenas - 1]; where the number is not known
 * (@guess) the array ends at the first entry that makes no sense. */
static pyr_error *read_arenas(struct pyr_python *python, struct pyr_obmalloc *m,
			      struct pyr_obmalloc_state *state, uint32_t state_index, bool guess)
{
	struct arena_fields f = arena_fields(&python->layout);
	struct pyr_arena arena;
	const uint8_t *bytes;
	uint32_t i;

	if (f.address < 0 || f.pool_address < 0 || f.nfreepools < 0 || f.ntotalpools < 0)
		return pyr_error_create(PYR_E_UNKNOWN_LAYOUT, "no layout of struct arena_object");
	for (i = 0; i < state->maxarenas; i++) {
		bytes = pyr_peek(&python->reader, state->arenas + (uint64_t)i * f.size, f.size);
		if (!bytes) {
			if (!guess)
				m->dropped_arenas += state->maxarenas - i;
			break;
		}
		memset(&arena, 0, sizeof(arena));
		switch (read_entry(m, &f, bytes, &arena)) {
		case ENTRY_ARENA:
			arena.object = state->arenas + (uint64_t)i * f.size;
			arena.index = i;
			arena.state = state_index;
			if (!pyr_vec_push(&m->arenas, arena))
				return pyr_error_no_memory();
			break;
		case ENTRY_UNUSED:
			break;
		case ENTRY_BAD:
			if (guess) {
				state->maxarenas = i;
				return NULL;
			}
			m->dropped_arenas++;
			break;
		}
	}
	if (guess)
		state->maxarenas = i;
	return NULL;
}

static pyr_error *add_state(struct pyr_python *python, struct pyr_obmalloc *m,
			    struct pyr_obmalloc_state *state, bool guess)
{
	if (!pyr_vec_push(&m->states, *state))
		return pyr_error_no_memory();
	return read_arenas(python, m, &m->states.data[m->states.count - 1],
			   (uint32_t)(m->states.count - 1), guess);
}

/* 3.12+: struct _obmalloc_state, in or behind each interpreter. Interpreters
 * that use the main one's have none, or the same pointer. */
static pyr_error *find_by_state(struct pyr_python *python, struct pyr_obmalloc *m)
{
	const struct pyr_layout *l = &python->layout;
	int32_t at = pyr_offset(l, PyInterpreterState, obmalloc);
	int32_t arenas = pyr_offset(l, _obmalloc_state, arenas);
	int32_t max = pyr_offset(l, _obmalloc_state, maxarenas);
	int32_t raw = pyr_offset(l, _obmalloc_state, raw_allocated_blocks);
	struct pyr_obmalloc_state s;
	pyr_addr address;
	pyr_error *err;
	size_t i, k;

	if (at < 0 || arenas < 0 || max < 0)
		return NULL;
	for (i = 0; i < python->interpreters.count; i++) {
		address = python->interpreters.data[i].address + (uint64_t)at;
		if (pyr_is(l, obmalloc_location, POINTER) &&
		    !pyr_try_u64(&python->reader, address, &address))
			continue;
		if (!address)
			continue;
		for (k = 0; k < m->states.count; k++)
			if (m->states.data[k].address == address)
				break;
		if (k < m->states.count) {
			m->states.data[k].interpreters |= i < 64 ? UINT64_C(1) << i : 0;
			continue;
		}
		memset(&s, 0, sizeof(s));
		s.address = address;
		s.interpreters = i < 64 ? UINT64_C(1) << i : 0;
		if (!pyr_try_u64(&python->reader, address + (uint64_t)arenas, &s.arenas) ||
		    !pyr_try_u32(&python->reader, address + (uint64_t)max, &s.maxarenas))
			continue;
		if (raw >= 0 &&
		    pyr_try_u64(&python->reader, address + (uint64_t)raw, &s.raw_allocated_blocks))
			s.has_raw_allocated_blocks = true;
		if (!s.arenas)
			s.maxarenas = 0;
		/* 3.12: an interpreter that uses the main one's keeps its own unused. */
		if (pyr_is(l, obmalloc_location, EMBEDDED) && i > 0 && !s.arenas &&
		    m->states.count) {
			m->states.data[0].interpreters |= s.interpreters;
			continue;
		}
		if ((err = add_state(python, m, &s, false)))
			return err;
	}
	if (m->states.count)
		m->source = PYR_OBMALLOC_STATE;
	return NULL;
}

/* Until 3.11: static variables, shared by all interpreters. */
static pyr_error *find_by_symbol(struct pyr_python *python, struct pyr_obmalloc *m)
{
	struct pyr_obmalloc_state s;
	pyr_addr arenas, max, raw;
	pyr_error *err;

	if (!python->image ||
	    !pyr_image_symbol(python->target, python->image, "arenas", &arenas, NULL) ||
	    !pyr_image_symbol(python->target, python->image, "maxarenas", &max, NULL))
		return NULL;
	memset(&s, 0, sizeof(s));
	s.interpreters = UINT64_MAX;
	if (!pyr_try_u64(&python->reader, arenas, &s.arenas) ||
	    !pyr_try_u32(&python->reader, max, &s.maxarenas))
		return NULL;
	if (!s.arenas)
		s.maxarenas = 0;
	if (pyr_image_symbol(python->target, python->image, "raw_allocated_blocks", &raw, NULL) &&
	    pyr_try_u64(&python->reader, raw, &s.raw_allocated_blocks))
		s.has_raw_allocated_blocks = true;
	if (pyr_image_symbol(python->target, python->image, "_Py_AllocatedBlocks", &raw, NULL) &&
	    pyr_try_u64(&python->reader, raw, &s.allocated_blocks))
		s.has_allocated_blocks = true;
	if ((err = add_state(python, m, &s, false)))
		return err;
	m->source = PYR_OBMALLOC_SYMBOL;
	return NULL;
}

/* Is usedpools[] at @at? Each class is a circular list of pools with a header
 * that is faked 16 bytes before its pair of pointers (obmalloc.c, PTA()). With
 * one class in use at least; *pool is one of its pools. */
static bool is_usedpools(const struct pyr_obmalloc *m, struct pyr_reader *reader, pyr_addr at,
			 pyr_addr *pool)
{
	pyr_addr next, prev, found = 0;
	uint32_t i, szidx;

	for (i = 0; i < m->classes; i++, at += 16) {
		if (!pyr_try_u64(reader, at, &next) || !pyr_try_u64(reader, at + 8, &prev))
			return false;
		if (next == at - 16 && prev == at - 16)
			continue;
		if (!next || next & (m->pool_size - 1) || prev & (m->pool_size - 1) ||
		    !pyr_try_u32(reader, next + (uint64_t)m->szidx, &szidx) || szidx != i)
			return false;
		found = next;
	}
	*pool = found;
	return found != 0;
}

/* Is @arenas the array in which the arena of @pool has index @index? */
static bool is_arenas(const struct pyr_python *python, const struct pyr_obmalloc *m,
		      struct pyr_reader *reader, pyr_addr arenas, uint32_t index, pyr_addr pool)
{
	struct arena_fields f = arena_fields(&python->layout);
	struct pyr_arena arena;
	const uint8_t *bytes;

	if (!arenas || arenas & 15)
		return false;
	bytes = pyr_peek(reader, arenas + (uint64_t)index * f.size, f.size);
	return bytes && read_entry(m, &f, bytes, &arena) == ENTRY_ARENA &&
	       pool >= arena.first_pool && pool < arena.pool_end;
}

/* Until 3.11 without symbols: usedpools[] by its shape, then the pointer whose
 * array describes the arena of a pool that is in use. */
static pyr_error *find_by_pattern(struct pyr_python *python, struct pyr_obmalloc *m)
{
	pyr_addr ranges[WRITABLE_MAX][2], at, pool = 0, value;
	struct pyr_obmalloc_state s;
	uint32_t index;
	size_t count, i;
	pyr_error *err;

	if (!python->image)
		return NULL;
	count = pyr_image_writable(python->target, python->image, ranges, WRITABLE_MAX);
	count = count < WRITABLE_MAX ? count : WRITABLE_MAX;
	for (i = 0; i < count && !pool; i++)
		for (at = (ranges[i][0] + 7) & ~(pyr_addr)7; at + 8 <= ranges[i][1] && !pool;
		     at += 8)
			if (pyr_try_u64(&python->reader, at, &value) && value &&
			    (value == at - 16 || !(value & (m->pool_size - 1))))
				is_usedpools(m, &python->reader, at, &pool);
	if (!pool || !pyr_try_u32(&python->reader, pool + (uint64_t)m->arenaindex, &index))
		return NULL;
	memset(&s, 0, sizeof(s));
	s.interpreters = UINT64_MAX;
	s.maxarenas = UINT32_MAX;
	for (i = 0; i < count && !s.arenas; i++)
		for (at = (ranges[i][0] + 7) & ~(pyr_addr)7; at + 8 <= ranges[i][1]; at += 8)
			if (pyr_try_u64(&python->reader, at, &value) &&
			    is_arenas(python, m, &python->reader, value, index, pool)) {
				s.arenas = value;
				break;
			}
	if (!s.arenas)
		return NULL;
	if ((err = add_state(python, m, &s, true)))
		return err;
	m->source = PYR_OBMALLOC_PATTERN;
	return NULL;
}

pyr_error *pyr_obmalloc_find(struct pyr_python *python, struct pyr_obmalloc *m)
{
	pyr_error *err;

	if (pyr_is(&python->layout, obmalloc_location, STATIC)) {
		err = find_by_symbol(python, m);
		if (!err && m->source == PYR_OBMALLOC_NONE)
			err = find_by_pattern(python, m);
	} else {
		err = find_by_state(python, m);
	}
	if (err || m->source != PYR_OBMALLOC_NONE)
		return err;
	/* The state is lost or was never used. */
	return pyr_obmalloc_scan(python, m);
}
