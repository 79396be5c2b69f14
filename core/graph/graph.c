#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"
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

struct graph_row {
	uint32_t *next, *end;
};

/* A source that tells more the second time must not write past its row. */
static void store_one(void *sink, uint32_t successor)
{
	struct graph_row *row = sink;

	if (row->next < row->end)
		*row->next++ = successor;
}

static pyr_error *fill_rows(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct build *b = ctx;
	struct graph_row row;
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

/* Each worker fills the rows of the targets of its own range and looks at all edges
 * in their order: nothing is shared, and rows come out sorted. */
#define BATCH 128u
#define SLICES 1024u /* of the ids, to part them into ranges of like many edges */
#define SAMPLES 65536u

struct range {
	uint32_t begin, end; /* ids of targets */
	uint64_t edges;      /* that lead there; of the range before, summed up later */
};

struct reverse {
	struct pyr_control *control;
	struct pyr_graph *graph;
	struct range *ranges;
	size_t range_count;
};

static uint32_t slice_start(const struct pyr_graph *g, uint64_t slice)
{
	return (uint32_t)(((uint64_t)g->nodes * slice + SLICES - 1) / SLICES);
}

static void part(struct reverse *r, unsigned workers)
{
	const struct pyr_graph *g = r->graph;
	uint64_t step = g->edges / SAMPLES + 1, e, seen = 0, all = 0;
	uint32_t votes[SLICES] = {0};
	unsigned slice, w = 0;

	for (e = 0; e < g->edges; e += step, all++)
		votes[(uint64_t)g->out[e] * SLICES / g->nodes]++;
	for (slice = 0; slice < SLICES && w + 1 < workers; slice++) {
		seen += votes[slice];
		if (seen * workers >= all * (w + 1)) {
			r->ranges[w++].end = slice_start(g, slice + 1);
			r->ranges[w].begin = r->ranges[w - 1].end;
		}
	}
	r->ranges[w].end = g->nodes;
	r->range_count = w + 1;
}

/* How many lead to each node n of the range, into in_start[n + 1]. */
static pyr_error *count_in(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct reverse *r = ctx;
	const struct pyr_graph *g = r->graph;
	struct range *range = &r->ranges[begin];
	uint32_t first = range->begin, width = range->end - first, batch[BATCH], n = 0, i;
	uint64_t e = 0, stop, check = 0, *counts = g->in_start + first + 1;

	(void)worker;
	(void)end;
	memset(counts, 0, (size_t)width * sizeof(*counts));
	while (e < g->edges) {
		if (e >= check) {
			check = e + (1 << 16);
			if (pyr_control_cancelled(r->control))
				return NULL;
		}
		/* As many as fit, however many of them are ours. */
		stop = e + (BATCH - n) < g->edges ? e + (BATCH - n) : g->edges;
		for (; e < stop; e++) {
			batch[n] = g->out[e] - first;
			n += batch[n] < width;
		}
		if (n < BATCH && e < g->edges)
			continue;
		for (i = 0; i < n; i++)
			__builtin_prefetch(&counts[batch[i]], 1);
		for (i = 0; i < n; i++)
			counts[batch[i]]++;
		range->edges += n;
		n = 0;
	}
	return NULL;
}

struct batch {
	uint32_t target[BATCH], source[BATCH];
	uint64_t place[BATCH];
};

static void put_batch(const struct pyr_graph *g, uint64_t *next, struct batch *b, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		__builtin_prefetch(&next[b->target[i]], 1);
	for (i = 0; i < n; i++) {
		b->place[i] = next[b->target[i]]++;
		__builtin_prefetch(&g->in[b->place[i]], 1);
	}
	for (i = 0; i < n; i++)
		g->in[b->place[i]] = b->source[i];
}

/* in_start[n + 1] turns from row n's length to its start, and with every edge that is
 * put there, to its end: the start of row n + 1. */
static pyr_error *fill_in(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct reverse *r = ctx;
	const struct pyr_graph *g = r->graph;
	const struct range *range = &r->ranges[begin];
	uint32_t first = range->begin, width = range->end - first, node, n = 0, i;
	uint64_t e, stop, row_end, length, at = range->edges, *next = g->in_start + first + 1;
	struct batch b;

	(void)worker;
	(void)end;
	for (i = 0; i < width; i++) {
		length = next[i];
		next[i] = at;
		at += length;
	}
	for (node = 0; node < g->nodes; node++) {
		row_end = g->out_start[node + 1];
		for (e = g->out_start[node]; e < row_end;) {
			stop = e + (BATCH - n) < row_end ? e + (BATCH - n) : row_end;
			for (; e < stop; e++) {
				b.target[n] = g->out[e] - first;
				b.source[n] = node;
				n += b.target[n] < width;
			}
			if (n == BATCH) {
				put_batch(g, next, &b, n);
				n = 0;
			}
		}
		if (!(node & 0xffff) && pyr_control_cancelled(r->control))
			return NULL;
	}
	put_batch(g, next, &b, n);
	return NULL;
}

pyr_error *pyr_graph_reverse(struct pyr_control *control, struct pyr_graph *g)
{
	unsigned workers = pyr_parallel_workers();
	struct reverse r = {.control = control, .graph = g};
	uint64_t before = 0, edges;
	pyr_error *err = NULL;
	size_t i;

	g->in_start = pyr_large_alloc((size_t)g->nodes + 1, sizeof(*g->in_start));
	g->in = pyr_large_alloc(g->edges, sizeof(*g->in));
	r.ranges = calloc(workers, sizeof(*r.ranges));
	if (!g->in_start || !g->in || !r.ranges) {
		err = pyr_error_no_memory();
		goto out;
	}
	g->in_start[0] = 0;
	part(&r, workers);
	if ((err = pyr_parallel(control, "counting referrers", workers, r.range_count, 1, count_in,
				&r)))
		goto out;
	for (i = 0; i < r.range_count; i++) {
		edges = r.ranges[i].edges;
		r.ranges[i].edges = before;
		before += edges;
	}
	err = pyr_parallel(control, "collecting referrers", workers, r.range_count, 1, fill_in, &r);
out:
	free(r.ranges);
	if (err) {
		free(g->in_start);
		free(g->in);
		g->in_start = NULL;
		g->in = NULL;
	}
	return err;
}
