#include "graph/edge_collector.h"

#include "graph/model.h"
#include "references/refs_walk.h"

PYR_INLINE void look_up(struct pyr_edge_collector *c)
{
	uint32_t i, id, dangling = 0;

	for (i = 0; i < c->pending_count; i++) {
		const struct pyr_pending *p = &c->pending[i];

		id = pyr_index_unit_find(p->unit, p->granule);
		if (id == UINT32_MAX) {
			dangling++;
			continue;
		}
		c->inferred += p->flags / PYR_MODEL_INFERRED;
		pyr_edge_stream_push(&c->stream, id, p->flags);
		c->counts[p->owner]++;
	}
	c->dangling += dangling;
	c->pending_count = 0;
}

#ifdef __x86_64__
/* Every processor of the last fifteen years has it, no distribution's compiler assumes it. */
__attribute__((target("popcnt"))) static void look_up_popcnt(struct pyr_edge_collector *c)
{
	look_up(c);
}
#endif

void pyr_edge_collector_flush(struct pyr_edge_collector *c)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("popcnt")) {
		look_up_popcnt(c);
		return;
	}
#endif
	look_up(c);
}

/* The label's flags are three bits higher than the model's. */
_Static_assert(PYR_REF_TRAVERSED >> 3 == PYR_MODEL_TRAVERSED &&
		       PYR_REF_OWNED >> 3 == PYR_MODEL_OWNED &&
		       PYR_REF_INFERRED >> 3 == PYR_MODEL_INFERRED && PYR_EDGE_COUNT <= 0x20,
	       "flags of an edge");

PYR_INLINE void take(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct pyr_edge_collector *c = ctx;
	uint8_t granule;
	const struct pyr_index_unit *unit = pyr_index_unit_of(c->index, target, &granule);

	(void)detail;
	if (!unit) {
		c->dangling++;
		return;
	}
	__builtin_prefetch(unit);
	if (c->pending_count == PYR_EDGE_COLLECTOR_PENDING)
		pyr_edge_collector_flush(c);
	c->pending[c->pending_count++] = (struct pyr_pending){
		.unit = unit,
		.owner = c->owner,
		.granule = granule,
		.flags = (uint8_t)((label & 0x1f) | (label >> 3 & 0xe0)),
	};
}

void pyr_edge_collector_take(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	take(ctx, target, label, detail);
}

/* All that is called on the way, take() above all, belongs into this function. */
__attribute__((flatten)) bool pyr_edge_collector_walk(struct pyr_edge_collector *c,
						      const struct pyr_type *type,
						      const struct pyr_traverse_plan *plan,
						      uint32_t id, pyr_addr addr)
{
	struct pyr_walk w = {.refs = c->refs,
			     .reader = &c->reader,
			     .type = type,
			     .plan = plan,
			     .addr = addr,
			     .fn = take,
			     .ctx = c};

	if (!c->may_ask && pyr_walk_must_ask(w.refs, w.reader, plan, addr))
		return false;
	c->owner = id;
	pyr_walk_object(&w);
	c->damaged += w.damaged;
	return true;
}

static void ask_for(struct pyr_edge_collector *c, pyr_addr addr, size_t size)
{
	const uint8_t *p = pyr_peek(&c->ahead, addr, size), *end = p + size;

	for (; p && p < end; p += 64)
		__builtin_prefetch(p);
}

void pyr_edge_collector_expect(struct pyr_edge_collector *c, pyr_addr addr)
{
	ask_for(c, addr, 8);
}

void pyr_edge_collector_expect_more(struct pyr_edge_collector *c,
				    const struct pyr_traverse_plan *plan, pyr_addr addr)
{
	pyr_addr to;
	unsigned i;

	/* Of a small table of keys the head, the indices and the first entries. */
	for (i = 0; i < PYR_PLAN_POINTERS && plan->pointers[i]; i++)
		if (pyr_try_u64(&c->ahead, addr + (pyr_addr)(int64_t)plan->pointers[i], &to) && to)
			ask_for(c, to + (to & 1), plan->walker == PYR_WALK_DICT ? 128 : 8);
}

void pyr_edge_collector_deinit(struct pyr_edge_collector *c)
{
	pyr_reader_deinit(&c->ahead);
	pyr_reader_deinit(&c->reader);
	pyr_edge_stream_deinit(&c->stream);
}
