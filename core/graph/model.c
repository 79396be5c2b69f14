#include "graph/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"
#include "base/parallel.h"
#include "graph/bound_guesses.h"
#include "graph/edge_collector.h"
#include "graph/interned.h"
#include "references/refs_plan.h"

#define CHUNK 8192u /* objects that are walked as one piece */
#define FAR 24u     /* objects between asking for one's first words and walking it */
#define NEAR 12u    /* ... for what these lead to */
#define GRAIN 65536u

/* How objects of a type are walked. */
enum route {
	ROUTE_NOT_SEEN,
	ROUTE_NOTHING, /* they hold nothing */
	ROUTE_APART,   /* by any thread */
	ROUTE_LATE,    /* by the calling thread, after the others */
};

/* CHUNK objects, walked by one worker. */
struct model_chunk {
	unsigned worker;
	size_t late, late_count; /* in the worker's list; later in the pass's */
	uint64_t from, told;     /* in the worker's stream */
	uint64_t base;           /* of its rows in the graph */
};

/* An object that was not walked with its chunk. */
struct late {
	uint64_t from, count; /* edges in the late stream of worker `by` */
	uint32_t id;
	uint16_t by;
	bool done;
};

struct model_worker {
	struct pyr_edge_collector soon, late;
	PYR_VEC(uint32_t) left; /* to the late passes */
	uint64_t recalled;
	bool out_of_memory;
};

struct seen_type {
	const struct pyr_type *type;
	const struct pyr_traverse_plan *plan;
};

struct pass {
	struct pyr_model *model;
	struct pyr_control *control;
	const struct pyr_heap *heap;
	struct pyr_refs *refs;
	struct seen_type *types; /* by index */
	uint8_t *routes;         /* enum route, by index */
	uint32_t type_count;
	unsigned workers;
	bool at_hand; /* all of the target's memory */
	struct model_worker *w;
	struct model_chunk *chunks;
	size_t chunk_count;
	struct late *late; /* by id */
	size_t late_count;
};

/* --- what any thread can walk --- */

static void defer(struct model_worker *w, uint32_t id)
{
	if (!pyr_vec_push(&w->left, id))
		w->out_of_memory = true;
}

static void look_ahead(struct pass *p, struct pyr_edge_collector *c, size_t id, size_t end)
{
	uint32_t type;

	if (id + FAR < end && p->routes[p->heap->type[id + FAR]] == ROUTE_APART)
		pyr_edge_collector_expect(c, p->heap->address[id + FAR]);
	if (id + NEAR >= end)
		return;
	type = p->heap->type[id + NEAR];
	if (p->routes[type] == ROUTE_APART)
		pyr_edge_collector_expect_more(c, p->types[type].plan, p->heap->address[id + NEAR]);
}

static pyr_error *walk_chunk(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct pass *p = ctx;
	struct model_worker *w = &p->w[worker];
	struct pyr_edge_collector *c = &w->soon;
	struct model_chunk *chunk = &p->chunks[begin / CHUNK];
	const struct seen_type *seen;
	size_t id;

	chunk->worker = worker;
	chunk->late = w->left.count;
	chunk->from = pyr_edge_stream_count(&c->stream);
	memset(&c->counts[begin], 0, (end - begin) * sizeof(*c->counts));
	for (id = begin; id < end; id++) {
		if (p->at_hand)
			look_ahead(p, c, id, end);
		switch ((enum route)p->routes[p->heap->type[id]]) {
		case ROUTE_NOT_SEEN:
		case ROUTE_NOTHING:
			break;
		case ROUTE_APART:
			seen = &p->types[p->heap->type[id]];
			if (!pyr_edge_collector_walk(c, seen->type, seen->plan, (uint32_t)id,
						     p->heap->address[id]))
				defer(w, (uint32_t)id);
			break;
		case ROUTE_LATE:
			defer(w, (uint32_t)id);
			break;
		}
	}
	pyr_edge_collector_flush(c);
	chunk->late_count = w->left.count - chunk->late;
	chunk->told = pyr_edge_stream_count(&c->stream) - chunk->from;
	if (w->out_of_memory || pyr_edge_stream_failed(&c->stream))
		return pyr_error_no_memory();
	return pyr_reader_check(&c->reader);
}

/* --- the others --- */

/* Of each type so many are walked first, by the calling thread, which learns from them;
 * then one of CHECK_EVERY, to check what was learned. The rest are walked by all threads as
 * far as that goes, and what remains by the calling thread. */
#define TEACH 64u
#define CHECK_EVERY 256u

/* One list of all, in the order of ids. */
static pyr_error *gather(struct pass *p)
{
	const struct model_worker *from;
	size_t i, k, count = 0;

	for (i = 0; i < p->chunk_count; i++)
		count += p->chunks[i].late_count;
	p->late = calloc(count + 1, sizeof(*p->late));
	if (!p->late)
		return pyr_error_no_memory();
	for (i = 0; i < p->chunk_count; i++) {
		struct model_chunk *chunk = &p->chunks[i];

		from = &p->w[chunk->worker];
		for (k = 0; k < chunk->late_count; k++)
			p->late[p->late_count + k].id = from->left.data[chunk->late + k];
		chunk->late = p->late_count;
		p->late_count += chunk->late_count;
	}
	for (i = 0; i < p->workers; i++)
		pyr_vec_deinit(&p->w[i].left);
	return NULL;
}

static void begin_late(struct pyr_edge_collector *c, struct late *late)
{
	c->owner = late->id;
	late->from = pyr_edge_stream_count(&c->stream);
}

static pyr_error *end_late(struct pyr_edge_collector *c, struct late *late, size_t by)
{
	pyr_edge_collector_flush(c);
	late->count = c->counts[late->id];
	late->by = (uint16_t)by;
	late->done = true;
	return pyr_edge_stream_failed(&c->stream) ? pyr_error_no_memory()
						  : pyr_reader_check(&c->reader);
}

static pyr_error *walk_late(struct pass *p, struct late *late, bool check)
{
	struct pyr_edge_collector *c = &p->w[0].late;
	const struct pyr_type *type = p->types[p->heap->type[late->id]].type;
	pyr_addr addr = p->heap->address[late->id];

	begin_late(c, late);
	if (check)
		pyr_traverse_check(p->model->traverse, &c->reader, type, addr,
				   pyr_edge_collector_take, c);
	else
		pyr_traverse_walk(p->model->traverse, &c->reader, type, addr,
				  pyr_edge_collector_take, c);
	return end_late(c, late, 0);
}

static pyr_error *teach(struct pass *p)
{
	uint32_t *seen = calloc(p->type_count + 1, sizeof(*seen)), n;
	pyr_error *err = NULL;
	size_t i;

	if (!seen)
		return pyr_error_no_memory();
	for (i = 0; i < p->late_count && !err; i++) {
		n = seen[p->heap->type[p->late[i].id]]++;
		if (n < TEACH || n % CHECK_EVERY == 0)
			err = walk_late(p, &p->late[i], n >= TEACH);
		if (!err && !(i & 0x3ff))
			err = pyr_control_progress(p->control, "learning types", i, p->late_count);
	}
	free(seen);
	return err;
}

static pyr_error *recall(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct pass *p = ctx;
	struct pyr_edge_collector *c = &p->w[worker].late;
	bool damaged;
	pyr_error *err;

	for (; begin < end; begin++) {
		struct late *late = &p->late[begin];
		const struct seen_type *seen = &p->types[p->heap->type[late->id]];
		pyr_addr addr = p->heap->address[late->id];

		if (late->done)
			continue;
		begin_late(c, late);
		/* Settled by now. */
		if (seen->plan &&
		    pyr_traverse_plan_coverage(seen->type, seen->plan) == PYR_REFS_NATIVE) {
			if (!pyr_edge_collector_walk(c, seen->type, seen->plan, late->id, addr))
				continue;
		} else if (pyr_traverse_learned(p->model->traverse, &c->reader, seen->type, addr,
						pyr_edge_collector_take, c, &damaged)) {
			p->w[worker].recalled++;
			c->damaged += damaged;
		} else {
			continue;
		}
		if ((err = end_late(c, late, worker)))
			return err;
	}
	return NULL;
}

static pyr_error *walk_rest(struct pass *p)
{
	pyr_error *err;
	size_t i;

	for (i = 0; i < p->late_count; i++)
		if ((!p->late[i].done && (err = walk_late(p, &p->late[i], false))) ||
		    (!(i & 0x3ff) &&
		     (err = pyr_control_progress(p->control, "asking types", i, p->late_count))))
			return err;
	return NULL;
}

static pyr_error *walk_all_late(struct pass *p)
{
	pyr_error *err;
	unsigned i;

	if ((err = gather(p)) || (err = teach(p)) ||
	    (err = pyr_parallel(p->control, "recalling types", p->workers, p->late_count, 1024,
				recall, p)))
		return err;
	for (i = 0; i < p->workers; i++)
		pyr_traverse_count_learned(p->model->traverse, p->w[i].recalled);
	return walk_rest(p);
}

/* --- the rows --- */

/* Copy the chunk's edges to their place, and turn the lengths of its rows, in
 * out_start[id + 1], into their ends. */
static void place_chunk(struct pass *p, struct model_chunk *chunk, size_t begin, size_t end)
{
	struct pyr_graph *g = &p->model->graph;
	struct pyr_edge_stream *stream = &p->w[chunk->worker].soon.stream;
	uint64_t at = chunk->from, to = chunk->base, run = 0;
	const struct late *late = p->late + chunk->late, *late_end = late + chunk->late_count;
	size_t id;

	for (id = begin; id < end; id++) {
		if (late < late_end && late->id == id) {
			pyr_edge_stream_copy(stream, at, run, g->out + to, p->model->flags + to);
			at += run;
			to += run;
			run = 0;
			pyr_edge_stream_copy(&p->w[late->by].late.stream, late->from, late->count,
					     g->out + to, p->model->flags + to);
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
	size_t i, k;

	for (i = 0; i < p->chunk_count; i++) {
		const struct model_chunk *chunk = &p->chunks[i];

		p->chunks[i].base = m->graph.edges;
		m->graph.edges += chunk->told;
		for (k = 0; k < chunk->late_count; k++)
			m->graph.edges += p->late[chunk->late + k].count;
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
	static const enum route routes[] = {
		[PYR_WALKED_OTHERWISE] = ROUTE_LATE,
		[PYR_WALKED_NEVER] = ROUTE_NOTHING,
		[PYR_WALKED_NATIVELY] = ROUTE_APART,
	};
	struct seen_type *seen;
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
		seen = &p->types[i];
		seen->type = pyr_types_at(types, i);
		if (p->routes[i] && seen->type)
			p->routes[i] = (uint8_t)
				routes[pyr_refs_walked(p->refs, reader, seen->type, &seen->plan)];
	}
	return pyr_reader_check(reader);
}

/* The table of interned strings, where nothing told it yet: its references do not count.
 * Nothing that it holds is tracked. */
static pyr_error *find_interned(struct pass *p)
{
	pyr_addr dict;
	pyr_error *err;
	size_t count;

	pyr_refs_interned(p->refs, &count);
	if (count || p->heap->tracked_only)
		return NULL;
	if ((err = pyr_interned_find(p->model->heap, p->control, &dict)))
		return err;
	return !dict || pyr_refs_add_interned(p->refs, dict) ? NULL : pyr_error_no_memory();
}

static void start_gatherer(struct pass *p, struct pyr_edge_collector *c, bool may_ask)
{
	pyr_reader_init(&c->reader, pyr_types_python(p->heap->types)->target);
	pyr_reader_init(&c->ahead, pyr_types_python(p->heap->types)->target);
	c->index = p->heap->index;
	c->refs = p->refs;
	c->counts = p->model->graph.out_start + 1;
	c->may_ask = may_ask; /* the calling thread is one of the workers */
}

static pyr_error *prepare(struct pass *p)
{
	struct pyr_target *target = pyr_types_python(p->heap->types)->target;
	unsigned i;

	p->at_hand = pyr_target_concurrent(target);
	p->workers = p->at_hand ? pyr_parallel_workers() : 1;
	p->chunk_count = ((size_t)p->heap->count + CHUNK - 1) / CHUNK;
	p->chunks = calloc(p->chunk_count + 1, sizeof(*p->chunks));
	p->w = calloc(p->workers, sizeof(*p->w));
	p->model->graph.nodes = p->heap->count;
	p->model->graph.out_start =
		pyr_large_alloc((size_t)p->heap->count + 1, sizeof(*p->model->graph.out_start));
	if (!p->chunks || !p->w || !p->model->graph.out_start)
		return pyr_error_no_memory();
	for (i = 0; i < p->workers; i++) {
		start_gatherer(p, &p->w[i].soon, i == 0);
		start_gatherer(p, &p->w[i].late, i == 0);
	}
	return NULL;
}

static void stop_gatherer(struct pass *p, struct pyr_edge_collector *c)
{
	p->model->dangling += c->dangling;
	p->model->inferred += c->inferred;
	p->model->damaged += c->damaged;
	pyr_edge_collector_deinit(c);
}

static void finish(struct pass *p)
{
	unsigned i;

	for (i = 0; p->w && i < p->workers; i++) {
		stop_gatherer(p, &p->w[i].soon);
		stop_gatherer(p, &p->w[i].late);
		pyr_vec_deinit(&p->w[i].left);
	}
	p->model->damaged += pyr_traverse_damaged(p->model->traverse);
	free(p->w);
	free(p->chunks);
	free(p->late);
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
	if ((err = pyr_traverse_create(heap->types, &model->traverse))) {
		free(model);
		return err;
	}
	p.refs = pyr_traverse_refs(model->traverse);
	if (!(err = find_interned(&p)) && !(err = prepare(&p)) && !(err = choose_routes(&p)) &&
	    !(err = pyr_parallel(control, "collecting references", p.workers, heap->count, CHUNK,
				 walk_chunk, &p)) &&
	    !(err = walk_all_late(&p)))
		err = place_rows(&p);
	finish(&p);
	if (!err && model->inferred)
		err = pyr_model_bound_guesses(model, control);
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
	pyr_traverse_destroy(model->traverse);
	pyr_graph_deinit(&model->graph);
	free(model->flags);
	free(model->accounted);
	free(model);
}

enum pyr_traverse_method pyr_model_walk(struct pyr_model *model, uint32_t id, pyr_ref_fn fn,
					void *ctx)
{
	struct pyr_types *types = model->heap->types;

	return pyr_traverse_walk(model->traverse, &pyr_types_python(types)->reader,
				 pyr_types_at(types, model->heap->type[id]),
				 model->heap->address[id], fn, ctx);
}
