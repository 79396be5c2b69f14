#include "pymalloc/obmalloc_scan.h"

#include <string.h>

/* Does a pool that is in use, or once was, begin at @address? A free list that
 * agrees with ref.count and a size class that agrees with maxnextoffset do not
 * come about by chance. */
static bool is_pool(const struct pyr_obmalloc *m, struct pyr_reader *reader, pyr_addr address,
		    bool *live)
{
	static const struct pyr_arena none;
	struct pyr_pool pool;
	const uint8_t *bytes;
	uint32_t szidx, max;

	switch (pyr_pool_read(m, reader, &none, address, &pool)) {
	case PYR_POOL_LIVE:
		*live = pool.consistent;
		return pool.consistent;
	case PYR_POOL_EMPTY:
		bytes = pyr_peek(reader, address, PYR_POOL_HEADER);
		if (!bytes)
			return false;
		memcpy(&szidx, bytes + m->szidx, 4);
		memcpy(&max, bytes + m->maxnextoffset, 4);
		*live = false;
		return szidx < m->classes && max == m->pool_size - (szidx + 1) * m->alignment;
	default:
		return false;
	}
}

static pyr_error *add_run(struct pyr_obmalloc *m, pyr_addr start, pyr_addr end)
{
	struct pyr_arena run = {.address = start, .end = end, .first_pool = start, .pool_end = end};

	return pyr_vec_push(&m->arenas, run) ? NULL : pyr_error_no_memory();
}

/* Runs of adjacent pools of which one at least is in use. */
static pyr_error *scan_range(struct pyr_python *python, struct pyr_obmalloc *m, pyr_addr start,
			     pyr_addr end)
{
	pyr_addr at, run = 0;
	bool any = false, live;
	pyr_error *err;

	start = (start + m->pool_size - 1) & ~(pyr_addr)(m->pool_size - 1);
	for (at = start; at < end && end - at >= m->pool_size; at += m->pool_size) {
		if (!(at & 0xffffff) && (err = pyr_control_check(python->target->control)))
			return err;
		if (is_pool(m, &python->reader, at, &live)) {
			if (!run)
				run = at;
			any |= live;
			continue;
		}
		if (run && any && (err = add_run(m, run, at)))
			return err;
		run = 0;
		any = false;
	}
	return run && any ? add_run(m, run, at) : NULL;
}

pyr_error *pyr_obmalloc_scan(struct pyr_python *python, struct pyr_obmalloc *m)
{
	const struct pyr_target *target = python->target;
	const struct pyr_mapping *mapping;
	const struct pyr_segment *s;
	struct pyr_obmalloc_state state;
	pyr_error *err;
	size_t i;

	/* Through a debugger every page would be asked for: only what is here. */
	for (i = 0; i < target->segments.count; i++) {
		s = &target->segments.data[i];
		mapping = pyr_target_mapping_at(target, s->start);
		if (s->flags & PYR_SEG_FROM_FILE ||
		    (mapping && (!mapping->write || (mapping->path && mapping->path[0] == '/'))))
			continue;
		if ((err = scan_range(python, m, s->start, s->end)))
			return err;
	}
	if (!m->arenas.count)
		return NULL;
	memset(&state, 0, sizeof(state));
	state.interpreters = UINT64_MAX;
	if (!pyr_vec_push(&m->states, state))
		return pyr_error_no_memory();
	m->source = PYR_OBMALLOC_SCAN;
	return NULL;
}
