#include "analysis/memory/pins.h"

#include <stdlib.h>
#include <string.h>

#include "roots/zombie_frames.h"

struct pin_search {
	struct pyr_heap *heap;
	struct pyr_reader *reader;
	const struct pyr_arenas *arenas;
	const struct pyr_buffers *buffers;
	const struct pyr_freelists *freelists;
	struct pyr_pins *out;
	uint32_t *slots; /* group + 1 by hash; 0: free */
	size_t capacity;
	uint32_t *seen; /* by group: the arena (+ 1) in which it was met last */
	size_t seen_count;
};

static uint64_t key_of(const struct pyr_pin_group *g)
{
	return (uint64_t)g->type << 16 | (uint64_t)g->buffer << 8 | g->kind |
	       (uint64_t)(uintptr_t)g->list << 24;
}

static bool alike(const struct pyr_pin_group *a, const struct pyr_pin_group *b)
{
	return a->kind == b->kind && a->buffer == b->buffer && a->type == b->type &&
	       (a->list == b->list || (a->list && b->list && !strcmp(a->list, b->list)));
}

static size_t slot_of(const struct pin_search *s, const struct pyr_pin_group *g)
{
	size_t i = (size_t)(key_of(g) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (s->capacity - 1);

	while (s->slots[i] && !alike(&s->out->groups.data[s->slots[i] - 1], g))
		i = (i + 1) & (s->capacity - 1);
	return i;
}

static bool grow(struct pin_search *s)
{
	size_t capacity = s->capacity ? s->capacity * 2 : 256, i;
	uint32_t *seen = realloc(s->seen, capacity * sizeof(*seen));
	uint32_t *slots = calloc(capacity, sizeof(*slots));

	if (seen)
		s->seen = seen;
	if (!seen || !slots) {
		free(slots);
		return false;
	}
	free(s->slots);
	s->slots = slots;
	s->capacity = capacity;
	for (i = 0; i < s->out->groups.count; i++)
		s->slots[slot_of(s, &s->out->groups.data[i])] = (uint32_t)i + 1;
	return true;
}

/* The group of a pin that is alike @g; false without memory. */
static bool find_group(struct pin_search *s, const struct pyr_pin_group *g, uint32_t *ret)
{
	size_t slot;

	if (s->out->groups.count * 2 >= s->capacity && !grow(s))
		return false;
	slot = slot_of(s, g);
	if (!s->slots[slot]) {
		if (!pyr_vec_push(&s->out->groups, *g))
			return false;
		s->slots[slot] = (uint32_t)s->out->groups.count;
		s->seen[s->out->groups.count - 1] = 0;
	}
	*ret = s->slots[slot] - 1;
	return true;
}

static void identify(const struct pin_search *s, struct pyr_pin *pin, struct pyr_pin_group *g)
{
	const struct pyr_freelist *list;
	struct pyr_allocation a;

	memset(g, 0, sizeof(*g));
	g->type = UINT32_MAX;
	g->example = (uint32_t)s->out->pins.count;
	pin->owner = PYR_NO_ID;
	list = pyr_freelists_at(s->freelists, pin->address, pin->address + pin->size);
	pyr_buffers_allocation(s->buffers, s->heap, pin->address, pin->address + pin->size, &a);
	if (list) {
		pin->kind = PYR_PIN_FREELIST;
		g->list = list->type;
	} else if (a.object) {
		pin->kind = PYR_PIN_OBJECT;
		pin->owner = a.owner;
	} else if (a.buffer) {
		pin->kind = PYR_PIN_BUFFER;
		pin->buffer = a.buffer->name;
		pin->owner = a.owner;
	} else {
		pin->kind = PYR_PIN_UNKNOWN;
	}
	g->kind = pin->kind;
	g->buffer = pin->buffer;
	if (pin->owner != PYR_NO_ID)
		g->type = s->heap->type[pin->owner];
}

static pyr_error *add_pin(struct pin_search *s, struct pyr_pinned_arena *arena, pyr_addr address,
			  uint32_t size)
{
	struct pyr_pin pin = {.address = address, .size = size};
	struct pyr_pin_group g;

	identify(s, &pin, &g);
	if (s->out->pins.count >= UINT32_MAX || !find_group(s, &g, &pin.group) ||
	    !pyr_vec_push(&s->out->pins, pin))
		return pyr_error_no_memory();
	s->out->groups.data[pin.group].pins++;
	s->out->groups.data[pin.group].bytes += size;
	if (s->seen[pin.group] != arena->arena + 1) {
		s->seen[pin.group] = arena->arena + 1;
		s->out->groups.data[pin.group].arenas++;
		arena->groups++;
	}
	arena->pins++;
	arena->bytes_in_use += size;
	return NULL;
}

static pyr_error *add_arena(struct pin_search *s, size_t index)
{
	const struct pyr_obmalloc *m = s->arenas->obmalloc;
	const struct pyr_arena *arena = &m->arenas.data[index];
	struct pyr_pinned_arena row = {.arena = (uint32_t)index,
				       .first_pin = (uint32_t)s->out->pins.count,
				       .bytes = arena->end - arena->address};
	struct pyr_pool pool;
	pyr_error *err;
	uint32_t at;
	pyr_addr p;

	for (p = arena->first_pool; p < arena->pool_end; p += m->pool_size) {
		if (pyr_pool_read(m, s->reader, arena, p, &pool) != PYR_POOL_LIVE)
			continue;
		for (at = PYR_POOL_HEADER; at < pool.end; at += pool.block_size)
			if (!pyr_pool_is_free(m, &pool, at) &&
			    (err = add_pin(s, &row, p + at, pool.block_size)))
				return err;
	}
	if (row.groups == 1) {
		s->out->groups.data[s->out->pins.data[row.first_pin].group].alone++;
		s->out->groups.data[s->out->pins.data[row.first_pin].group].alone_bytes +=
			row.bytes;
	}
	s->out->bytes += row.bytes;
	s->out->bytes_in_use += row.bytes_in_use;
	return pyr_vec_push(&s->out->arenas, row) ? NULL : pyr_error_no_memory();
}

static int by_use(const void *a, const void *b)
{
	const struct pyr_pinned_arena *x = a, *y = b;

	if (x->bytes_in_use != y->bytes_in_use)
		return x->bytes_in_use < y->bytes_in_use ? -1 : 1;
	return x->arena < y->arena ? -1 : x->arena > y->arena;
}

static int by_arenas(const void *a, const void *b)
{
	const struct pyr_pin_group *x = a, *y = b;

	if (x->arenas != y->arenas)
		return x->arenas < y->arenas ? 1 : -1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return x->example < y->example ? -1 : x->example > y->example;
}

/* The pins then ask their group's example where it has gone. */
static pyr_error *sort_groups(struct pyr_pins *pins)
{
	uint32_t *place = malloc((pins->groups.count + 1) * sizeof(*place));
	size_t i;

	if (!place)
		return pyr_error_no_memory();
	if (pins->groups.count)
		qsort(pins->groups.data, pins->groups.count, sizeof(*pins->groups.data), by_arenas);
	for (i = 0; i < pins->groups.count; i++)
		place[pins->pins.data[pins->groups.data[i].example].group] = (uint32_t)i;
	for (i = 0; i < pins->pins.count; i++)
		pins->pins.data[i].group = place[pins->pins.data[i].group];
	free(place);
	return NULL;
}

static pyr_error *run(struct pin_search *s, unsigned percent, struct pyr_control *control)
{
	const struct pyr_arenas *a = s->arenas;
	pyr_error *err;
	size_t i;

	for (i = 0; i < a->obmalloc->arenas.count; i++) {
		if ((err = pyr_control_progress(control, "looking at arenas", i,
						a->obmalloc->arenas.count)))
			return err;
		if (!pyr_arena_is_almost_empty(a, i, percent))
			continue;
		if (a->uses[i].pools + a->uses[i].free_pools != a->uses[i].fills)
			s->out->left_out++;
		else if ((err = add_arena(s, i)))
			return err;
	}
	if (s->out->arenas.count)
		qsort(s->out->arenas.data, s->out->arenas.count, sizeof(*s->out->arenas.data),
		      by_use);
	return sort_groups(s->out);
}

pyr_error *pyr_pins_find(struct pyr_heap *heap, const struct pyr_arenas *arenas, unsigned percent,
			 struct pyr_control *control, struct pyr_pins *ret)
{
	struct pyr_freelists freelists = {0};
	struct pyr_buffers buffers = {0};
	struct pyr_pins pins;
	struct pin_search s = {.heap = heap,
			       .reader = &pyr_types_python(heap->types)->reader,
			       .arenas = arenas,
			       .buffers = &buffers,
			       .freelists = &freelists,
			       .out = &pins};
	pyr_error *err;
	bool any = false;
	size_t i;

	memset(&pins, 0, sizeof(pins));
	for (i = 0; i < arenas->obmalloc->arenas.count && !any; i++)
		any = pyr_arena_is_almost_empty(arenas, i, percent);
	if (any && !(err = pyr_freelists_read(heap->types, arenas->obmalloc, &freelists)) &&
	    !(err = pyr_zombie_frames_add(heap, &freelists)) &&
	    !(err = pyr_buffers_build(heap, control, true, &buffers)))
		err = run(&s, percent, control);
	else if (!any)
		err = NULL;
	pyr_buffers_deinit(&buffers);
	pyr_freelists_deinit(&freelists);
	free(s.slots);
	free(s.seen);
	if (err)
		pyr_pins_deinit(&pins);
	else
		*ret = pins;
	return err;
}

void pyr_pins_deinit(struct pyr_pins *pins)
{
	pyr_vec_deinit(&pins->arenas);
	pyr_vec_deinit(&pins->pins);
	pyr_vec_deinit(&pins->groups);
}
