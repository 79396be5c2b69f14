#include "analysis/components.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"
#include "base/vec.h"

struct work {
	const struct pyr_graph *graph;
	const uint8_t *member;
	uint32_t *index; /* 0: not visited, else 1 + order of visit */
	uint32_t *low;
	uint32_t *path;  /* nodes whose component is not decided yet */
	uint32_t *stack; /* of the search */
	uint64_t *cursor;
	uint32_t visited, pending;
	struct pyr_components result;
	PYR_VEC(uint32_t) sizes;
};

static bool takes_part(const struct work *w, uint32_t node)
{
	return !w->member || w->member[node];
}

static bool close_component(struct work *w, uint32_t root)
{
	uint32_t size = 0, node;

	do {
		node = w->path[--w->pending];
		w->result.of[node] = w->result.count;
		size++;
	} while (node != root);
	w->result.count++;
	return pyr_vec_push(&w->sizes, size);
}

static void enter(struct work *w, uint32_t node, uint32_t depth)
{
	w->index[node] = w->low[node] = ++w->visited;
	w->path[w->pending++] = node;
	w->stack[depth] = node;
	w->cursor[depth] = w->graph->out_start[node];
}

static pyr_error *search(struct work *w, struct pyr_control *control, uint32_t start)
{
	const struct pyr_graph *g = w->graph;
	uint32_t depth = 0, node, next;
	pyr_error *err;

	enter(w, start, 0);
	for (;;) {
		node = w->stack[depth];
		if (w->cursor[depth] < g->out_start[node + 1]) {
			next = g->out[w->cursor[depth]++];
			if (!takes_part(w, next) || w->result.of[next] != PYR_NO_COMPONENT)
				continue;
			if (!w->index[next]) {
				enter(w, next, ++depth);
				if (!(w->visited & 0xfffff) &&
				    (err = pyr_control_progress(control, "cycles", w->visited,
								g->nodes)))
					return err;
			} else if (w->index[next] < w->low[node]) {
				w->low[node] = w->index[next];
			}
			continue;
		}
		if (w->low[node] == w->index[node] && !close_component(w, node))
			return pyr_error_no_memory();
		if (!depth)
			return NULL;
		next = w->stack[--depth];
		if (w->low[node] < w->low[next])
			w->low[next] = w->low[node];
	}
}

pyr_error *pyr_components_compute(struct pyr_control *control, const struct pyr_graph *graph,
				  const uint8_t *member, struct pyr_components *ret)
{
	size_t n = (size_t)graph->nodes + 1;
	struct work w = {.graph = graph, .member = member};
	pyr_error *err = NULL;
	uint32_t node;

	w.index = pyr_large_alloc(n, sizeof(*w.index));
	w.low = pyr_large_alloc(n, sizeof(*w.low));
	w.path = malloc(n * sizeof(*w.path));
	w.stack = malloc(n * sizeof(*w.stack));
	w.cursor = malloc(n * sizeof(*w.cursor));
	w.result.of = pyr_large_alloc(n, sizeof(*w.result.of));
	if (!w.index || !w.low || !w.path || !w.stack || !w.cursor || !w.result.of) {
		err = pyr_error_no_memory();
		goto out;
	}
	memset(w.index, 0, n * sizeof(*w.index));
	memset(w.result.of, 0xff, n * sizeof(*w.result.of));
	for (node = 0; node < graph->nodes && !err; node++)
		if (takes_part(&w, node) && !w.index[node])
			err = search(&w, control, node);
out:
	free(w.index);
	free(w.low);
	free(w.path);
	free(w.stack);
	free(w.cursor);
	if (err) {
		free(w.result.of);
		pyr_vec_deinit(&w.sizes);
		return err;
	}
	w.result.size = w.sizes.data;
	*ret = w.result;
	return NULL;
}

void pyr_components_deinit(struct pyr_components *components)
{
	free(components->of);
	free(components->size);
	memset(components, 0, sizeof(*components));
}
