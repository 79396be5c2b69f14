#include "analysis/retention/dominators.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Nodes are numbered in preorder of a depth-first search; the virtual root that
 * precedes all roots is number 0, the first node visited 1, and so on. All
 * arrays but `number` are indexed by these numbers. */
struct dominator_work {
	const struct pyr_graph *graph;
	uint32_t count;   /* numbers given, the virtual root included */
	uint32_t *number; /* node -> number; 0: not reached */
	uint32_t *node;   /* number -> node */
	uint32_t *parent; /* in the search tree; later the forest's ancestor */
	uint32_t *semi, *label, *idom;
	bool *is_root;    /* by number */
	uint64_t *cursor; /* of the search: next successor by depth */
	uint32_t *stack;
};

static void visit(struct dominator_work *w, uint32_t node, uint32_t parent)
{
	uint32_t number = w->count++;

	w->number[node] = number;
	w->node[number] = node;
	w->parent[number] = parent;
}

/* Number everything that @root reaches. */
static pyr_error *search(struct dominator_work *w, struct pyr_control *control, uint32_t root)
{
	const struct pyr_graph *g = w->graph;
	uint32_t depth = 1, node, next;
	pyr_error *err;

	visit(w, root, 0);
	w->stack[0] = root;
	w->cursor[0] = g->out_start[root];
	while (depth) {
		node = w->stack[depth - 1];
		if (w->cursor[depth - 1] == g->out_start[node + 1]) {
			depth--;
			continue;
		}
		next = g->out[w->cursor[depth - 1]++];
		if (w->number[next])
			continue;
		visit(w, next, w->number[node]);
		w->stack[depth] = next;
		w->cursor[depth++] = g->out_start[next];
		if (!(w->count & 0xfffff) &&
		    (err = pyr_control_progress(control, "dominators", w->count, g->nodes)))
			return err;
	}
	return NULL;
}

/* The smallest semidominator on the path to the root of v's tree in the forest,
 * compressing the path. Trees of numbers greater than @limit are linked. */
static uint32_t evaluate(struct dominator_work *w, uint32_t v, uint32_t limit)
{
	uint32_t *stack = w->stack, depth = 0, u = v, above;

	while (w->parent[u] > limit) {
		stack[depth++] = u;
		u = w->parent[u];
	}
	/* u's parent is unlinked: u is the top of its tree, its label stands. */
	while (depth) {
		u = stack[--depth];
		above = w->parent[u];
		if (w->label[above] < w->label[u])
			w->label[u] = w->label[above];
		w->parent[u] = w->parent[above];
	}
	return w->label[v];
}

static pyr_error *semidominators(struct dominator_work *w, struct pyr_control *control)
{
	const struct pyr_graph *g = w->graph;
	uint32_t v, u, best, candidate;
	uint64_t e;
	pyr_error *err;

	for (v = w->count - 1; v > 0; v--) {
		uint32_t node = w->node[v];

		/* Its parent in the search tree is one of its predecessors. */
		best = w->idom[v] = w->parent[v];
		if (w->is_root[v])
			best = 0;
		for (e = g->in_start[node]; best && e < g->in_start[node + 1]; e++) {
			u = w->number[g->in[e]];
			if (!u)
				continue;
			candidate = u <= v ? u : evaluate(w, u, v);
			if (candidate < best)
				best = candidate;
		}
		w->semi[v] = w->label[v] = best;
		if (!(v & 0xfffff) &&
		    (err = pyr_control_progress(control, "dominators", w->count - v, w->count)))
			return err;
	}
	return NULL;
}

/* idom(v) is the nearest ancestor of v, along immediate dominators, whose number
 * is no greater than semi(v). */
static void immediate_dominators(struct dominator_work *w)
{
	uint32_t v, d;

	for (v = 1; v < w->count; v++) {
		for (d = w->idom[v]; d > w->semi[v]; d = w->idom[d])
			;
		w->idom[v] = d;
	}
}

static bool allocate(struct dominator_work *w)
{
	size_t n = (size_t)w->graph->nodes + 1;

	w->number = calloc(n, sizeof(*w->number));
	w->node = calloc(n, sizeof(*w->node));
	w->parent = calloc(n, sizeof(*w->parent));
	w->is_root = calloc(n, sizeof(*w->is_root));
	w->cursor = malloc(n * sizeof(*w->cursor));
	w->stack = malloc(n * sizeof(*w->stack));
	return w->number && w->node && w->parent && w->is_root && w->cursor && w->stack;
}

static void deallocate(struct dominator_work *w)
{
	free(w->number);
	free(w->node);
	free(w->parent);
	free(w->is_root);
	free(w->cursor);
	free(w->stack);
	free(w->semi);
	free(w->label);
	free(w->idom);
}

static bool allocate_second_phase(struct dominator_work *w)
{
	size_t n = w->count;

	free(w->cursor);
	w->cursor = NULL;
	w->semi = calloc(n, sizeof(*w->semi));
	w->label = calloc(n, sizeof(*w->label));
	w->idom = calloc(n, sizeof(*w->idom));
	return w->semi && w->label && w->idom;
}

static void retain(const struct dominator_work *w, const uint64_t *sizes, struct pyr_dominators *d)
{
	uint32_t v, node;

	for (v = 1; v < w->count; v++)
		d->retained[w->node[v]] = sizes[w->node[v]];
	/* Dominators have smaller numbers: what v retains is complete when its turn comes. */
	for (v = w->count - 1; v > 0; v--) {
		node = w->node[v];
		d->parent[node] = w->idom[v] ? w->node[w->idom[v]] : PYR_DOMINATED_BY_ROOTS;
		if (w->idom[v])
			d->retained[w->node[w->idom[v]]] += d->retained[node];
	}
}

/* Number what the roots reach that are not reached yet, and mark those roots. */
static pyr_error *search_phase(struct dominator_work *w, struct pyr_control *control,
			       const uint32_t *roots, size_t count)
{
	uint32_t before = w->count;
	pyr_error *err;
	size_t i;

	for (i = 0; i < count; i++)
		if (roots[i] < w->graph->nodes && !w->number[roots[i]] &&
		    (err = search(w, control, roots[i])))
			return err;
	for (i = 0; i < count; i++)
		if (roots[i] < w->graph->nodes && w->number[roots[i]] >= before)
			w->is_root[w->number[roots[i]]] = true;
	return NULL;
}

pyr_error *pyr_dominators_compute(struct pyr_control *control, const struct pyr_graph *graph,
				  const uint32_t *roots, size_t root_count, const uint64_t *sizes,
				  struct pyr_dominators *ret)
{
	return pyr_dominators_compute_phased(control, graph, roots, &root_count, 1, sizes, NULL,
					     ret);
}

pyr_error *pyr_dominators_compute_phased(struct pyr_control *control, const struct pyr_graph *graph,
					 const uint32_t *roots, const size_t *phase_ends,
					 size_t phases, const uint64_t *sizes, uint32_t *reached,
					 struct pyr_dominators *ret)
{
	struct dominator_work w = {.graph = graph, .count = 1};
	struct pyr_dominators d = {0};
	pyr_error *err = NULL;
	size_t phase, begin;
	uint32_t before;

	if (!allocate(&w)) {
		err = pyr_error_no_memory();
		goto out;
	}
	for (phase = 0, begin = 0; phase < phases; begin = phase_ends[phase++]) {
		before = w.count;
		if ((err = search_phase(&w, control, roots + begin, phase_ends[phase] - begin)))
			goto out;
		if (reached)
			reached[phase] = w.count - before;
	}
	if (!allocate_second_phase(&w)) {
		err = pyr_error_no_memory();
		goto out;
	}
	if ((err = semidominators(&w, control)))
		goto out;
	immediate_dominators(&w);
	d.parent = malloc(((size_t)graph->nodes + 1) * sizeof(*d.parent));
	d.retained = calloc((size_t)graph->nodes + 1, sizeof(*d.retained));
	if (!d.parent || !d.retained) {
		err = pyr_error_no_memory();
		goto out;
	}
	memset(d.parent, 0xff, ((size_t)graph->nodes + 1) * sizeof(*d.parent));
	retain(&w, sizes, &d);
out:
	deallocate(&w);
	if (err) {
		pyr_dominators_deinit(&d);
		return err;
	}
	*ret = d;
	return NULL;
}

void pyr_dominators_deinit(struct pyr_dominators *d)
{
	free(d->parent);
	free(d->retained);
	memset(d, 0, sizeof(*d));
}
