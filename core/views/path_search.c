#include "views/path_search.h"

#include <string.h>

#include "base/search.h"

void pyr_path_search_init(struct pyr_path_search *f, struct pyr_context *context,
			  struct pyr_retention_cache *retention, uint32_t target,
			  const struct pyr_value *exclude)
{
	memset(f, 0, sizeof(*f));
	f->context = context;
	f->retention = retention;
	f->target = target;
	f->exclude = exclude && exclude->given ? exclude : NULL;
}

void pyr_path_search_deinit(struct pyr_path_search *f)
{
	pyr_vec_deinit(&f->nodes);
	pyr_vec_deinit(&f->edges);
	pyr_vec_deinit(&f->roots);
}

static bool is_excluded_root(struct pyr_path_search *f, size_t index)
{
	struct pyr_strbuf name = {0};
	bool excluded;
	size_t i;

	for (i = 0; i < f->roots.count; i++)
		if (f->roots.data[i] == index)
			return true;
	if (!f->exclude)
		return false;
	pyr_root_name(f->retention->roots, &f->retention->roots->roots.data[index], &name);
	excluded = pyr_value_matches(f->exclude, pyr_strbuf_str(&name));
	pyr_strbuf_deinit(&name);
	return excluded;
}

/* The cheapest root of @node that counts; false: there is none. */
static bool best_root(struct pyr_path_search *f, uint32_t node, unsigned *cost, size_t *best)
{
	const struct pyr_roots *roots = f->retention->roots;
	const struct pyr_root *root;
	bool found = false;
	size_t i, end;
	unsigned c;

	pyr_roots_of(roots, node, &i, &end);
	for (; i < end; i++) {
		root = &roots->roots.data[i];
		c = pyr_edge_costs_root_cost((enum pyr_root_kind)root->kind);
		if (pyr_edge_costs_phase(root) > f->phase || (found && c >= *cost) ||
		    !pyr_edge_costs_root_counts(f->retention->edge_costs, root) ||
		    is_excluded_root(f, i))
			continue;
		found = true;
		*cost = c;
		*best = i;
	}
	return found;
}

static bool is_source(void *ctx, uint32_t node, unsigned *cost)
{
	size_t best;

	return best_root(ctx, node, cost, &best);
}

static bool is_excluded_step(struct pyr_path_search *f, uint32_t from, uint32_t to)
{
	const struct pyr_heap *heap = f->retention->model->heap;
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[from]);
	struct pyr_reader *reader = &f->context->session->python->reader;
	struct pyr_strbuf name = {0};
	struct pyr_step step;
	bool excluded = false;

	if (pyr_value_matches(f->exclude, pyr_type_name(heap->types, type)))
		return true;
	if (pyr_step_find(f->retention->model->traverse, reader, type, heap->address[from],
			  heap->address[to], &step, NULL)) {
		pyr_step_write(heap->types, reader, &step, &name);
		excluded = pyr_value_matches(f->exclude, pyr_strbuf_str(&name));
	}
	pyr_strbuf_deinit(&name);
	return excluded;
}

static bool is_allowed(void *ctx, uint32_t from, uint32_t to)
{
	struct pyr_path_search *f = ctx;
	size_t i;

	for (i = 0; i < f->nodes.count; i++)
		if (f->nodes.data[i] == from)
			return false;
	for (i = 0; i < f->edges.count; i++)
		if (f->edges.data[i].from == from && f->edges.data[i].to == to)
			return false;
	return !f->exclude || !is_excluded_step(f, from, to);
}

pyr_error *pyr_path_search_next(struct pyr_path_search *f, unsigned last_phase,
				struct pyr_path *ret, const struct pyr_root **root)
{
	struct pyr_path_costs costs = {.cost = pyr_edge_costs_of, .ctx = f->retention->edge_costs};
	struct pyr_path_query query = {.target = f->target, .source = is_source, .ctx = f};
	struct pyr_path path = {0};
	pyr_error *err;
	unsigned cost;
	size_t best;

	if (f->failed)
		return pyr_error_no_memory();
	if (f->nodes.count || f->edges.count || f->exclude)
		query.allow = is_allowed;
	for (f->phase = 0; f->phase <= last_phase && !path.count; f->phase++) {
		pyr_path_deinit(&path);
		if ((err = pyr_path_find(&f->context->session->control, &f->retention->model->graph,
					 &costs, &query, &path)))
			return err;
		f->looked = path.looked;
		if (path.count && best_root(f, path.nodes[0], &cost, &best))
			*root = &f->retention->roots->roots.data[best];
	}
	*ret = path;
	return NULL;
}

static bool is_hub(const struct pyr_path_search *f, uint32_t node)
{
	const struct pyr_heap *heap = f->retention->model->heap;
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[node]);

	return pyr_edge_costs_is_namespace(f->retention->edge_costs, node) ||
	       pyr_edge_costs_is_modules(f->retention->edge_costs, node) ||
	       (type && type->shape == PYR_SHAPE_MODULE);
}

/* Until 3.10 the variables of a running frame lie in its frame object, which holds them
 * too: the same holder, told twice. PYR_NO_ID: there is no such object. */
static uint32_t frame_around(const struct pyr_heap *heap, const struct pyr_root *root)
{
	const struct pyr_type *type;
	uint32_t behind;

	if (!root || !root->slot ||
	    (root->kind != PYR_ROOT_FRAME_LOCAL && root->kind != PYR_ROOT_FRAME_STACK))
		return PYR_NO_ID;
	behind = (uint32_t)pyr_search(id, heap->count, heap->address[id] <= root->slot);
	if (!behind)
		return PYR_NO_ID;
	type = pyr_types_at(heap->types, heap->type[behind - 1]);
	return type && type->shape == PYR_SHAPE_FRAME &&
			       root->slot - heap->address[behind - 1] < 1 << 16
		       ? behind - 1
		       : PYR_NO_ID;
}

static void block_root(struct pyr_path_search *f, const struct pyr_root *root)
{
	uint32_t frame = frame_around(f->retention->model->heap, root);

	if (!pyr_vec_push(&f->roots, (size_t)(root - f->retention->roots->roots.data)) ||
	    (frame != PYR_NO_ID && !pyr_vec_push(&f->nodes, frame)))
		f->failed = true;
}

void pyr_path_search_block(struct pyr_path_search *f, const struct pyr_path *path,
			   const struct pyr_root *root)
{
	bool inside = false;
	size_t i;

	for (i = 0; i + 1 < path->count; i++) {
		if (is_hub(f, path->nodes[i]))
			continue;
		inside = true;
		if (!pyr_vec_push(&f->nodes, path->nodes[i]))
			f->failed = true;
	}
	if (inside)
		return;
	if (path->count < 2) {
		block_root(f, root);
	} else if (!pyr_vec_push(&f->edges,
				 (struct pyr_path_search_edge){path->nodes[path->count - 2],
							       path->nodes[path->count - 1]})) {
		f->failed = true;
	}
}

pyr_error *pyr_path_search_is_needed(struct pyr_context *context,
				     struct pyr_retention_cache *retention, uint32_t target,
				     uint32_t from, uint32_t to, const struct pyr_root *root,
				     bool *ret)
{
	const struct pyr_root *other;
	struct pyr_path_search f;
	struct pyr_path path = {0};
	pyr_error *err = NULL;

	pyr_path_search_init(&f, context, retention, target, NULL);
	if (root) {
		block_root(&f, root);
	} else if (!pyr_vec_push(&f.edges, (struct pyr_path_search_edge){from, to})) {
		err = pyr_error_no_memory();
	}
	if (!err)
		err = pyr_path_search_next(&f, PYR_PHASE_LASTING, &path, &other);
	if (!err)
		*ret = !path.count;
	pyr_path_deinit(&path);
	pyr_path_search_deinit(&f);
	return err;
}
