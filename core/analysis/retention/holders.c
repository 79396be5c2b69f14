#include "analysis/retention/holders.h"

#include "runtime/access.h"

/* --- what is held --- */

struct edge {
	pyr_addr target;
	uint32_t label;
	uint64_t detail;
};

/* Edges of an object on the way of the search, so that walks do not nest: holdings
 * know one walk at a time. */
struct inside {
	PYR_VEC(struct edge) edges;
	bool failed;
};

struct edge_costs {
	struct pyr_traverse *traverse;
	struct pyr_heap *heap;
	struct pyr_types *types;
	struct pyr_reader *reader;
	struct pyr_control *control;
	bool raw, stopped, failed;
	pyr_chain_fn fn;
	void *ctx;
	pyr_addr owner;
	const struct pyr_type *type;
	uint64_t told, looks;
};

static const struct pyr_type *type_of(struct pyr_types *types, struct pyr_reader *reader,
				      pyr_addr object)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	uint64_t type;

	return pyr_get_u64(l, reader, object, PyObject, ob_type, &type)
		       ? pyr_types_find(types, type)
		       : NULL;
}

static void keep(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct inside *inside = ctx;

	if (!pyr_vec_push(&inside->edges, (struct edge){target, label, detail}))
		inside->failed = true;
}

static bool one_thing(struct edge_costs *t, const struct pyr_chain *chain)
{
	return pyr_display_fold_first(t->types, t->reader, chain->steps, chain->count, NULL) ==
	       chain->count;
}

/* Could more references than @chain be one thing with it? */
static bool may_continue(struct edge_costs *t, const struct pyr_chain *chain,
			 const struct pyr_type **type)
{
	const struct pyr_step *last = &chain->steps[chain->count - 1];

	if (t->raw || chain->count == PYR_CHAIN_MAX)
		return false;
	*type = type_of(t->types, t->reader, last->target);
	if (!*type)
		return false;
	switch (PYR_REF_KIND(last->label)) {
	case PYR_EDGE_FIELD:
	case PYR_EDGE_WORD:
	case PYR_EDGE_LOCAL:
		return pyr_display_fold_may_continue(t->types, t->reader, last, *type);
	case PYR_EDGE_ITEM:
		/* of a closure; not the tuples in a tuple */
		return chain->count > 1 && (*type)->shape == PYR_SHAPE_CELL;
	case PYR_EDGE_VISITED:
		/* the nodes of a context */
		return chain->count > 1 && (*type)->shape == PYR_SHAPE_GENERIC &&
		       pyr_display_fold_may_pass(*type);
	default:
		return false;
	}
}

static void tell(struct edge_costs *t, const struct pyr_chain *chain)
{
	if (!t->stopped && !t->fn(t->ctx, chain))
		t->stopped = true;
	if (!(++t->told & 0xffff) && pyr_control_cancelled(t->control))
		t->stopped = true;
}

/* Tell @chain, or instead of it the chains that go on inside of its target. The depth
 * is bounded by PYR_CHAIN_MAX. */
static bool expand(struct edge_costs *t, const struct pyr_chain *chain)
{
	struct inside inside = {.edges = {0}};
	const struct pyr_type *type;
	struct pyr_chain longer = *chain;
	bool any = false;
	size_t i;

	if (!may_continue(t, chain, &type)) {
		if (!one_thing(t, chain))
			return false;
		tell(t, chain);
		return true;
	}
	pyr_traverse_walk(t->traverse, t->reader, type, chain->steps[chain->count - 1].target, keep,
			  &inside);
	longer.count++;
	for (i = 0; i < inside.edges.count && !t->stopped; i++) {
		if (!(++t->looks & 0x3fff) && pyr_control_cancelled(t->control))
			t->stopped = true;
		longer.steps[longer.count - 1] = (struct pyr_step){
			.owner = chain->steps[chain->count - 1].target,
			.target = inside.edges.data[i].target,
			.type = type,
			.label = inside.edges.data[i].label,
			.detail = inside.edges.data[i].detail,
		};
		if (expand(t, &longer))
			any = true;
	}
	t->failed = t->failed || inside.failed;
	pyr_vec_deinit(&inside.edges);
	if (any)
		return true;
	if (!one_thing(t, chain))
		return false;
	tell(t, chain);
	return true;
}

static void direct(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct edge_costs *t = ctx;
	struct pyr_chain chain = {
		.steps = {{t->owner, target, t->type, label, detail}},
		.count = 1,
	};

	if (!t->stopped)
		tell(t, &chain);
}

pyr_error *pyr_held_each(struct pyr_traverse *traverse, struct pyr_heap *heap,
			 struct pyr_control *control, const struct pyr_type *type, pyr_addr owner,
			 bool raw, pyr_chain_fn fn, void *ctx)
{
	struct edge_costs t = {
		.traverse = traverse,
		.heap = heap,
		.types = heap->types,
		.reader = &pyr_types_python(heap->types)->reader,
		.control = control,
		.raw = raw,
		.fn = fn,
		.ctx = ctx,
		.owner = owner,
		.type = type,
	};
	struct inside inside = {.edges = {0}};
	struct pyr_chain chain = {.count = 1};
	size_t i;

	if (raw || type->shape == PYR_SHAPE_LIST || type->shape == PYR_SHAPE_SET ||
	    (type->shape == PYR_SHAPE_DICT && type->exact_shape)) {
		pyr_traverse_walk(traverse, t.reader, type, owner, direct, &t);
	} else {
		pyr_traverse_walk(traverse, t.reader, type, owner, keep, &inside);
		for (i = 0; i < inside.edges.count && !t.stopped; i++) {
			chain.steps[0] = (struct pyr_step){owner, inside.edges.data[i].target, type,
							   inside.edges.data[i].label,
							   inside.edges.data[i].detail};
			expand(&t, &chain);
		}
		t.failed = t.failed || inside.failed;
		pyr_vec_deinit(&inside.edges);
	}
	return t.failed ? pyr_error_no_memory() : pyr_control_check(control);
}

/* --- who holds --- */

/* Ways of holding that are told apart: visited and exact, exact, inferred. */
enum { WAY_TRAVERSED, WAY_OWNED, WAY_INFERRED, WAY_COUNT };

struct walk_cache {
	pyr_addr target;
	struct pyr_step best[WAY_COUNT];
	uint64_t count[WAY_COUNT];
};

static void sort_out(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct walk_cache *w = ctx;
	unsigned way = label & PYR_REF_INFERRED    ? WAY_INFERRED
		       : label & PYR_REF_TRAVERSED ? WAY_TRAVERSED
						   : WAY_OWNED;

	if (target != w->target)
		return;
	if (!w->count[way]++ || pyr_label_rank(label) < pyr_label_rank(w->best[way].label)) {
		w->best[way].label = label;
		w->best[way].detail = detail;
	}
}

pyr_error *pyr_holders_each(struct pyr_model *model, struct pyr_control *control, uint32_t id,
			    bool (*fn)(void *ctx, const struct pyr_holder *holder), void *ctx)
{
	const struct pyr_graph *graph = &model->graph;
	struct pyr_heap *heap = model->heap;
	struct pyr_holder holder;
	struct walk_cache walk_cache;
	pyr_error *err;
	uint64_t p;
	unsigned way;

	for (p = graph->in_start[id]; p < graph->in_start[id + 1]; p++) {
		uint32_t owner = graph->in[p];

		if (p > graph->in_start[id] && graph->in[p - 1] == owner)
			continue;
		if ((err = pyr_control_progress(control, "looking at holders",
						p - graph->in_start[id],
						graph->in_start[id + 1] - graph->in_start[id])))
			return err;
		memset(&walk_cache, 0, sizeof(walk_cache));
		walk_cache.target = heap->address[id];
		pyr_model_walk(model, owner, sort_out, &walk_cache);
		for (way = 0; way < WAY_COUNT; way++) {
			if (!walk_cache.count[way])
				continue;
			holder.id = owner;
			holder.count = walk_cache.count[way];
			holder.step = walk_cache.best[way];
			holder.step.owner = heap->address[owner];
			holder.step.target = heap->address[id];
			holder.step.type = pyr_types_at(heap->types, heap->type[owner]);
			if (!fn(ctx, &holder))
				return pyr_control_check(control);
		}
	}
	return pyr_control_check(control);
}

/* --- chains, backwards --- */

#define LOOKS_MAX 192u /* predecessors that are asked in all */
#define DEGREE_MAX (1u << 16)

struct climb {
	struct pyr_model *model;
	struct pyr_reader *reader;
	struct pyr_step steps[PYR_CHAIN_MAX]; /* backwards: [0] is the last of the chain */
	unsigned looks;
	struct pyr_chain *best;
};

static void compare(struct climb *c, size_t count)
{
	struct pyr_types *types = c->model->heap->types;
	struct pyr_chain chain = {.count = count};
	size_t i;

	for (i = 0; i < count; i++)
		chain.steps[i] = c->steps[count - 1 - i];
	if (count > c->best->count &&
	    pyr_display_fold_first(types, c->reader, chain.steps, count, NULL) == count)
		*c->best = chain;
}

/* Look for what holds the owner of the chain's first step. The depth is bounded by
 * PYR_CHAIN_MAX. */
static void climb(struct climb *c, size_t count)
{
	const struct pyr_graph *graph = &c->model->graph;
	struct pyr_heap *heap = c->model->heap;
	const struct pyr_step *first = &c->steps[count - 1];
	uint32_t id = pyr_heap_id(heap, first->owner), owner;
	const struct pyr_type *type;
	uint64_t p;

	if (count == PYR_CHAIN_MAX || id == PYR_NO_ID || !pyr_display_fold_may_pass(first->type))
		return;
	for (p = graph->in_start[id]; p < graph->in_start[id + 1] && c->looks < LOOKS_MAX; p++) {
		owner = graph->in[p];
		if ((p > graph->in_start[id] && graph->in[p - 1] == owner) ||
		    graph->out_start[owner + 1] - graph->out_start[owner] > DEGREE_MAX)
			continue;
		c->looks++;
		type = pyr_types_at(heap->types, heap->type[owner]);
		if (!pyr_step_find(c->model->traverse, c->reader, type, heap->address[owner],
				   first->owner, &c->steps[count], NULL) ||
		    !pyr_display_fold_may_continue(heap->types, c->reader, &c->steps[count],
						   first->type))
			continue;
		compare(c, count + 1);
		climb(c, count + 1);
		/* One holder is enough to tell what it is. */
		if (c->best->count > count)
			return;
	}
}

void pyr_holder_chain(struct pyr_model *model, const struct pyr_step *step, struct pyr_chain *ret)
{
	struct climb c = {
		.model = model,
		.reader = &pyr_types_python(model->heap->types)->reader,
		.best = ret,
	};

	ret->steps[0] = c.steps[0] = *step;
	ret->count = 1;
	climb(&c, 1);
}
