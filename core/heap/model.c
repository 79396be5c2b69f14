#include "heap/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"
#include "base/parallel.h"
#include "heap/edge_stream.h"
#include "heap/index.h"
#include "heap/interned.h"

#define CHUNK 8192u   /* objects that are walked as one piece */
#define PENDING 1024u /* references whose targets are looked up together */
#define GRAIN 65536u

/* How objects of a type are walked. */
enum route {
	ROUTE_NOT_SEEN,
	ROUTE_NOTHING, /* they hold nothing */
	ROUTE_APART,   /* by any thread */
	ROUTE_LATE,    /* by the calling thread, after the others */
};

/* CHUNK objects, walked by one worker. */
struct chunk {
	unsigned worker;
	size_t late, late_count; /* in the worker's list; later in the pass's */
	uint64_t from, told;     /* in the worker's stream */
	uint64_t late_told;      /* that its late objects have in the late stream */
	uint64_t base;           /* of its rows in the graph */
};

/* An object that the calling thread walked. */
struct late {
	uint32_t id;
	uint32_t count_before; /* edges in its worker's stream, to be dropped */
	uint64_t from, count;  /* in the late stream */
};

struct pending {
	pyr_addr target;
	uint32_t owner;
	uint8_t flags;
};

/* Takes what a thread's objects tell. */
struct collector {
	struct pyr_reader reader;
	const struct pyr_index *index;
	struct pyr_edge_stream stream;
	uint64_t *counts; /* by id: edges that the stream got */
	uint32_t owner;   /* whose references are told now */
	uint32_t pending_count;
	struct pending pending[PENDING];
	PYR_VEC(uint32_t) late;
	uint64_t dangling, inferred, damaged;
	bool out_of_memory;
};

struct pass {
	struct pyr_model *model;
	struct pyr_control *control;
	const struct pyr_heap *heap;
	struct pyr_refs *refs;
	const struct pyr_type **types; /* by index */
	uint8_t *routes;               /* enum route, by index */
	uint32_t type_count;
	unsigned workers;
	struct collector *collectors; /* one per worker, then one for late objects */
	struct chunk *chunks;
	size_t chunk_count;
	PYR_VEC(struct late) late;
};

/* --- collecting --- */

static void flush(struct collector *c)
{
	uint32_t i, id;

	for (i = 0; i < c->pending_count; i++) {
		const struct pending *p = &c->pending[i];

		id = pyr_index_find(c->index, p->target);
		if (id == PYR_NO_ID) {
			c->dangling++;
			continue;
		}
		c->inferred += p->flags >> 7;
		pyr_edge_stream_push(&c->stream, id, p->flags);
		c->counts[p->owner]++;
	}
	c->pending_count = 0;
}

/* The label's flags are three bits higher than the model's. */
_Static_assert(PYR_REF_TRAVERSED >> 3 == PYR_MODEL_TRAVERSED &&
		       PYR_REF_OWNED >> 3 == PYR_MODEL_OWNED &&
		       PYR_REF_INFERRED >> 3 == PYR_MODEL_INFERRED && PYR_EDGE_COUNT <= 0x20,
	       "flags of an edge");

static void collect(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct collector *c = ctx;

	(void)detail;
	if (c->pending_count == PENDING)
		flush(c);
	c->pending[c->pending_count++] = (struct pending){
		.target = target,
		.owner = c->owner,
		.flags = (uint8_t)((label & 0x1f) | (label >> 3 & 0xe0)),
	};
}

static void walk_apart(struct pass *p, struct collector *c, uint32_t id)
{
	const struct pyr_type *type = p->types[p->heap->type[id]];
	enum pyr_coverage coverage;

	c->owner = id;
	/* The calling thread is one of the workers, and may ask. */
	if (c == p->collectors)
		coverage =
			pyr_refs_walk(p->refs, &c->reader, type, p->heap->address[id], collect, c);
	else
		coverage = pyr_refs_walk_apart(p->refs, &c->reader, type, p->heap->address[id],
					       collect, c);
	if (coverage == PYR_REFS_UNKNOWN && !pyr_vec_push(&c->late, id))
		c->out_of_memory = true;
	c->damaged += coverage == PYR_REFS_DAMAGED;
}

static pyr_error *walk_chunk(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct pass *p = ctx;
	struct collector *c = &p->collectors[worker];
	struct chunk *chunk = &p->chunks[begin / CHUNK];
	size_t id;

	chunk->worker = worker;
	chunk->late = c->late.count;
	chunk->from = pyr_edge_stream_count(&c->stream);
	memset(&c->counts[begin], 0, (end - begin) * sizeof(*c->counts));
	for (id = begin; id < end; id++) {
		switch ((enum route)p->routes[p->heap->type[id]]) {
		case ROUTE_NOT_SEEN:
		case ROUTE_NOTHING:
			break;
		case ROUTE_APART:
			walk_apart(p, c, (uint32_t)id);
			break;
		case ROUTE_LATE:
			if (!pyr_vec_push(&c->late, (uint32_t)id))
				c->out_of_memory = true;
			break;
		}
	}
	flush(c);
	chunk->late_count = c->late.count - chunk->late;
	chunk->told = pyr_edge_stream_count(&c->stream) - chunk->from;
	if (c->out_of_memory || c->stream.failed)
		return pyr_error_no_memory();
	return pyr_reader_check(&c->reader);
}

/* --- what one thread alone can walk --- */

static pyr_error *walk_late(struct pass *p, struct collector *c, struct late *late)
{
	const struct pyr_type *type = p->types[p->heap->type[late->id]];

	c->owner = late->id;
	late->from = pyr_edge_stream_count(&c->stream);
	/* counts[] becomes that of the late stream. */
	late->count_before = (uint32_t)c->counts[late->id];
	c->counts[late->id] = 0;
	pyr_holdings_walk(p->model->holdings, &c->reader, type, p->heap->address[late->id], collect,
			  c);
	flush(c);
	late->count = c->counts[late->id];
	if (c->stream.failed)
		return pyr_error_no_memory();
	return pyr_reader_check(&c->reader);
}

static pyr_error *walk_all_late(struct pass *p)
{
	struct collector *c = &p->collectors[p->workers];
	pyr_error *err;
	size_t i, k;

	for (i = 0; i < p->chunk_count; i++) {
		struct chunk *chunk = &p->chunks[i];
		const struct collector *from = &p->collectors[chunk->worker];
		size_t first = p->late.count;

		for (k = 0; k < chunk->late_count; k++) {
			struct late late = {.id = from->late.data[chunk->late + k]};

			if ((err = walk_late(p, c, &late)) ||
			    (!(p->late.count & 0x3ff) &&
			     (err = pyr_control_progress(p->control, "asking types", i,
							 p->chunk_count))))
				return err;
			if (!pyr_vec_push(&p->late, late))
				return pyr_error_no_memory();
			chunk->late_told += late.count;
			chunk->told -= late.count_before;
		}
		chunk->late = first;
	}
	return NULL;
}

/* --- the rows --- */

/* Copy the chunk's edges to their place, and turn the lengths of its rows, in
 * out_start[id + 1], into their ends. */
static void place_chunk(struct pass *p, struct chunk *chunk, size_t begin, size_t end)
{
	struct pyr_graph *g = &p->model->graph;
	struct pyr_edge_stream *stream = &p->collectors[chunk->worker].stream;
	uint64_t at = chunk->from, to = chunk->base, run = 0;
	const struct late *late = p->late.data + chunk->late, *late_end = late + chunk->late_count;
	size_t id;

	for (id = begin; id < end; id++) {
		if (late < late_end && late->id == id) {
			pyr_edge_stream_copy(stream, at, run, g->out + to, p->model->flags + to);
			at += run + late->count_before;
			to += run;
			run = 0;
			pyr_edge_stream_copy(&p->collectors[p->workers].stream, late->from,
					     late->count, g->out + to, p->model->flags + to);
			to += late->count;
			g->out_start[id + 1] = to;
			late++;
			continue;
		}
		run += g->out_start[id + 1];
		g->out_start[id + 1] = to + run;
	}
	pyr_edge_stream_copy(stream, at, run, g->out + to, p->model->flags + to);
	pyr_edge_stream_release(stream, at + run);
}

/* Each stream is copied in its order, so that it can be given back on the way. */
static pyr_error *place_stream(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct pass *p = ctx;
	size_t i, first, last;

	(void)worker;
	(void)end;
	for (i = 0; i < p->chunk_count; i++) {
		if (p->chunks[i].worker != begin)
			continue;
		first = i * CHUNK;
		last = first + CHUNK < p->heap->count ? first + CHUNK : p->heap->count;
		place_chunk(p, &p->chunks[i], first, last);
		if (pyr_control_cancelled(p->control))
			return NULL;
	}
	return NULL;
}

static pyr_error *place_rows(struct pass *p)
{
	struct pyr_model *m = p->model;
	size_t i;

	for (i = 0; i < p->chunk_count; i++) {
		p->chunks[i].base = m->graph.edges;
		m->graph.edges += p->chunks[i].told + p->chunks[i].late_told;
	}
	m->graph.out_start[0] = 0;
	m->graph.out = pyr_large_alloc(m->graph.edges, sizeof(*m->graph.out));
	m->flags = pyr_large_alloc(m->graph.edges, sizeof(*m->flags));
	if (!m->graph.out || !m->flags)
		return pyr_error_no_memory();
	return pyr_parallel(p->control, "placing references", p->workers, p->workers, 1,
			    place_stream, p);
}

/* --- the pass --- */

/* Which types there are. Another thread may mark the same one: with the same value. */
static pyr_error *mark_types(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct pass *p = ctx;
	size_t id;

	(void)worker;
	for (id = begin; id < end; id++)
		if (!__atomic_load_n(&p->routes[p->heap->type[id]], __ATOMIC_RELAXED))
			__atomic_store_n(&p->routes[p->heap->type[id]], ROUTE_LATE,
					 __ATOMIC_RELAXED);
	return NULL;
}

static pyr_error *choose_routes(struct pass *p)
{
	struct pyr_types *types = p->heap->types;
	struct pyr_reader *reader = &pyr_types_python(types)->reader;
	enum pyr_coverage coverage;
	pyr_error *err;
	uint32_t i;

	p->type_count = pyr_types_count(types);
	p->types = calloc(p->type_count + 1, sizeof(*p->types));
	p->routes = calloc(p->type_count + 1, 1);
	if (!p->types || !p->routes)
		return pyr_error_no_memory();
	if ((err = pyr_parallel(p->control, NULL, p->workers, p->heap->count, GRAIN, mark_types,
				p)))
		return err;
	for (i = 0; i < p->type_count; i++) {
		p->types[i] = pyr_types_at(types, i);
		if (!p->routes[i] || !p->types[i])
			continue;
		coverage = pyr_refs_coverage(p->refs, reader, p->types[i]);
		if (coverage == PYR_REFS_NATIVE || coverage == PYR_REFS_NONE)
			p->routes[i] = pyr_refs_nothing(p->refs, reader, p->types[i])
					       ? ROUTE_NOTHING
					       : ROUTE_APART;
	}
	return pyr_reader_check(reader);
}

/* The table of interned strings, where nothing told it yet: its references do not count. */
static pyr_error *find_interned(struct pass *p)
{
	pyr_addr dict;
	pyr_error *err;
	size_t count;

	pyr_refs_interned(p->refs, &count);
	if (count)
		return NULL;
	if ((err = pyr_interned_find(p->model->heap, p->control, &dict)))
		return err;
	return !dict || pyr_refs_add_interned(p->refs, dict) ? NULL : pyr_error_no_memory();
}

static pyr_error *prepare(struct pass *p)
{
	struct pyr_target *target = pyr_types_python(p->heap->types)->target;
	unsigned i;

	p->workers = pyr_target_concurrent(target) ? pyr_parallel_workers() : 1;
	p->chunk_count = ((size_t)p->heap->count + CHUNK - 1) / CHUNK;
	p->chunks = calloc(p->chunk_count + 1, sizeof(*p->chunks));
	p->collectors = calloc(p->workers + 1, sizeof(*p->collectors));
	p->model->graph.nodes = p->heap->count;
	p->model->graph.out_start =
		pyr_large_alloc((size_t)p->heap->count + 1, sizeof(*p->model->graph.out_start));
	if (!p->chunks || !p->collectors || !p->model->graph.out_start)
		return pyr_error_no_memory();
	for (i = 0; i <= p->workers; i++) {
		pyr_reader_init(&p->collectors[i].reader, target);
		p->collectors[i].index = p->heap->index;
		p->collectors[i].counts = p->model->graph.out_start + 1;
	}
	return NULL;
}

static void finish(struct pass *p)
{
	unsigned i;

	for (i = 0; p->collectors && i <= p->workers; i++) {
		p->model->dangling += p->collectors[i].dangling;
		p->model->inferred += p->collectors[i].inferred;
		p->model->damaged += p->collectors[i].damaged;
		pyr_reader_deinit(&p->collectors[i].reader);
		pyr_edge_stream_deinit(&p->collectors[i].stream);
		pyr_vec_deinit(&p->collectors[i].late);
	}
	p->model->damaged += pyr_holdings_damaged(p->model->holdings);
	free(p->collectors);
	free(p->chunks);
	pyr_vec_deinit(&p->late);
	free(p->types);
	free(p->routes);
}

pyr_error *pyr_model_build(struct pyr_heap *heap, struct pyr_control *control,
			   struct pyr_model **ret)
{
	struct pyr_model *model = calloc(1, sizeof(*model));
	struct pass p = {.model = model, .control = control, .heap = heap};
	pyr_error *err;

	if (!model)
		return pyr_error_no_memory();
	model->heap = heap;
	if ((err = pyr_holdings_create(heap->types, &model->holdings))) {
		free(model);
		return err;
	}
	p.refs = pyr_holdings_refs(model->holdings);
	if (!(err = find_interned(&p)) && !(err = prepare(&p)) && !(err = choose_routes(&p)) &&
	    !(err = pyr_parallel(control, "collecting references", p.workers, heap->count, CHUNK,
				 walk_chunk, &p)) &&
	    !(err = walk_all_late(&p)))
		err = place_rows(&p);
	finish(&p);
	if (err)
		pyr_model_destroy(model);
	else
		*ret = model;
	return err;
}

pyr_error *pyr_model_reverse(struct pyr_model *model, struct pyr_control *control)
{
	return model->graph.in_start ? NULL : pyr_graph_reverse(control, &model->graph);
}

void pyr_model_destroy(struct pyr_model *model)
{
	if (!model)
		return;
	pyr_holdings_destroy(model->holdings);
	pyr_graph_deinit(&model->graph);
	free(model->flags);
	free(model);
}

enum pyr_way pyr_model_walk(struct pyr_model *model, uint32_t id, pyr_ref_fn fn, void *ctx)
{
	struct pyr_types *types = model->heap->types;

	return pyr_holdings_walk(model->holdings, &pyr_types_python(types)->reader,
				 pyr_types_at(types, model->heap->type[id]),
				 model->heap->address[id], fn, ctx);
}
