#include "heap/graph.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"

#define GRAIN 16384

struct build {
	const struct pyr_graph_source *source;
	struct pyr_graph *graph;
};

static void count_one(void *sink, uint32_t successor)
{
	(void)successor;
	++*(uint64_t *)sink;
}

/* Row lengths, into out_start[node + 1]. */
static pyr_error *count_rows(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct build *b = ctx;
	size_t n;

	for (n = begin; n < end; n++)
		b->source->successors(b->source->ctx, worker, (uint32_t)n, count_one,
				      &b->graph->out_start[n + 1]);
	return NULL;
}

struct row {
	uint32_t *next, *end;
};

/* A source that tells more the second time must not write past its row. */
static void store_one(void *sink, uint32_t successor)
{
	struct row *row = sink;

	if (row->next < row->end)
		*row->next++ = successor;
}

static pyr_error *fill_rows(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct build *b = ctx;
	struct row row;
	size_t n;

	for (n = begin; n < end; n++) {
		row.next = b->graph->out + b->graph->out_start[n];
		row.end = b->graph->out + b->graph->out_start[n + 1];
		b->source->successors(b->source->ctx, worker, (uint32_t)n, store_one, &row);
		/* Fewer the second time: the row repeats its own node, which no analysis minds. */
		while (row.next < row.end)
			*row.next++ = (uint32_t)n;
	}
	return NULL;
}

void pyr_graph_deinit(struct pyr_graph *graph)
{
	free(graph->out_start);
	free(graph->in_start);
	free(graph->out);
	free(graph->in);
	memset(graph, 0, sizeof(*graph));
}

pyr_error *pyr_graph_build(struct pyr_control *control, const struct pyr_graph_source *source,
			   struct pyr_graph *ret)
{
	struct pyr_graph graph = {.nodes = source->nodes};
	struct build b = {.source = source, .graph = &graph};
	pyr_error *err = NULL;
	uint32_t n;

	graph.out_start = calloc((size_t)graph.nodes + 1, sizeof(*graph.out_start));
	if (!graph.out_start)
		return pyr_error_no_memory();
	if ((err = pyr_parallel(control, "counting references", source->workers, graph.nodes, GRAIN,
				count_rows, &b)))
		goto fail;
	for (n = 0; n < graph.nodes; n++)
		graph.out_start[n + 1] += graph.out_start[n];
	graph.edges = graph.out_start[graph.nodes];
	graph.out = malloc((graph.edges ? graph.edges : 1) * sizeof(*graph.out));
	if (!graph.out) {
		err = pyr_error_no_memory();
		goto fail;
	}
	if ((err = pyr_parallel(control, "collecting references", source->workers, graph.nodes,
				GRAIN, fill_rows, &b)))
		goto fail;
	*ret = graph;
	return NULL;
fail:
	pyr_graph_deinit(&graph);
	return err;
}

/* --- the other direction --- */

static pyr_error *count_in(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct pyr_graph *g = ctx;
	size_t e;

	(void)worker;
	for (e = begin; e < end; e++)
		__atomic_fetch_add(&g->in_start[(size_t)g->out[e] + 1], 1, __ATOMIC_RELAXED);
	return NULL;
}

struct reverse {
	struct pyr_graph *graph;
	uint64_t *next;
};

static pyr_error *fill_in(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct reverse *r = ctx;
	struct pyr_graph *g = r->graph;
	uint64_t e;
	size_t n;

	(void)worker;
	for (n = begin; n < end; n++)
		for (e = g->out_start[n]; e < g->out_start[n + 1]; e++)
			g->in[__atomic_fetch_add(&r->next[g->out[e]], 1, __ATOMIC_RELAXED)] =
				(uint32_t)n;
	return NULL;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Threads fill rows in any order; answers must not depend on it. */
static pyr_error *sort_in(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct pyr_graph *g = ctx;
	size_t n;

	(void)worker;
	for (n = begin; n < end; n++)
		if (g->in_start[n + 1] - g->in_start[n] > 1)
			qsort(g->in + g->in_start[n], g->in_start[n + 1] - g->in_start[n],
			      sizeof(*g->in), by_id);
	return NULL;
}

pyr_error *pyr_graph_reverse(struct pyr_control *control, struct pyr_graph *g)
{
	unsigned workers = pyr_parallel_workers();
	struct reverse r = {.graph = g};
	pyr_error *err = NULL;
	uint32_t n;

	g->in_start = calloc((size_t)g->nodes + 2, sizeof(*g->in_start));
	g->in = malloc((g->edges ? g->edges : 1) * sizeof(*g->in));
	r.next = malloc(((size_t)g->nodes + 1) * sizeof(*r.next));
	if (!g->in_start || !g->in || !r.next) {
		err = pyr_error_no_memory();
		goto out;
	}
	if ((err = pyr_parallel(control, "counting referrers", workers, g->edges, 1 << 20, count_in,
				g)))
		goto out;
	for (n = 0; n < g->nodes; n++)
		g->in_start[n + 1] += g->in_start[n];
	memcpy(r.next, g->in_start, ((size_t)g->nodes + 1) * sizeof(*r.next));
	if (!(err = pyr_parallel(control, "collecting referrers", workers, g->nodes, GRAIN, fill_in,
				 &r)) &&
	    workers > 1)
		err = pyr_parallel(control, "sorting referrers", workers, g->nodes, GRAIN, sort_in,
				   g);
out:
	free(r.next);
	if (err) {
		free(g->in_start);
		free(g->in);
		g->in_start = NULL;
		g->in = NULL;
	}
	return err;
}
