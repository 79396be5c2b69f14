#include "analysis/collection/cycle_pieces.h"

#include <stdlib.h>
#include <string.h>

#include "base/large.h"
#include "base/parallel.h"

#define PIECE 16384u
#define AHEAD 16u /* objects whose references are fetched before their turn */

/* What pyr_cycle_places.of says of places in no cycle. */
#define OPEN UINT32_MAX        /* not yet decided */
#define ALONE (UINT32_MAX - 1) /* no cycle is known to hold it */
#define HELD (UINT32_MAX - 2)  /* one does, besides its members */

#define NODE_HOLDS 4u /* beside PYR_NODE_*: it leads to what was decided before, and alone */

/* Nodes are numbered within it: consecutive places, or those left open. */
struct piece {
	uint32_t first, nodes;
	const uint32_t *open; /* their places; NULL: consecutive */

	struct pyr_cycle_facts *facts; /* by cycle */
	uint64_t *kind;
	uint32_t *left; /* places that it leaves open */
	uint32_t cycles, left_count;
	uint32_t number; /* of its first cycle, when all are known */
};

/* Memory that pieces use one after the other. */
struct piece_worker {
	struct pyr_components components;
	PYR_VEC(uint32_t) labels;  /* by edge */
	PYR_VEC(uint32_t) ids;     /* by node */
	PYR_VEC(uint32_t) next;    /* by cycle: where in members its next one goes */
	PYR_VEC(uint32_t) members; /* nodes by cycle */
	PYR_VEC(uint32_t) flood;   /* places */
};

struct finder {
	struct pyr_control *control;
	const struct pyr_cycle_source *source;
	struct piece_worker workers[PYR_CYCLE_WORKERS_MAX];
	struct piece *pieces;        /* of consecutive places, and one of what they left open */
	size_t piece_count;          /* without that one */
	struct pyr_id_subset opened; /* place -> node of that one */
	uint32_t *of;
};

static uint32_t place_of(const struct piece *p, uint32_t node)
{
	return p->open ? p->open[node] : p->first + node;
}

/* --- the rows --- */

static pyr_error *load_row(struct finder *f, const struct piece *p, struct piece_worker *w,
			   uint32_t node)
{
	const struct pyr_cycle_source *s = f->source;
	struct pyr_components *c = &w->components;
	uint32_t id = s->objects[place_of(p, node)], place, next;
	uint64_t first = s->graph->out_start[id], end = s->graph->out_start[id + 1], e, number;
	uint8_t marks = 0;

	for (e = first; e < end; e++) {
		if (!(s->flags[e] & s->visited))
			continue;
		place = pyr_id_subset_place(s->subset, s->graph->out[e]);
		if (place == PYR_NOT_IN_SUBSET)
			continue;
		next = p->open ? pyr_id_subset_place(&f->opened, place) : place - p->first;
		if (next >= p->nodes) {
			if (!p->open)
				marks |= PYR_NODE_LEAVES;
			else if (f->of[place] == ALONE)
				marks |= NODE_HOLDS;
			continue;
		}
		if (next == node)
			marks |= PYR_NODE_SELF;
		number = e - first < PYR_CYCLE_NUMBER_MAX ? e - first : PYR_CYCLE_NUMBER_MAX;
		if (!pyr_vec_push(&c->out, next) ||
		    !pyr_vec_push(&w->labels, (uint32_t)number << 8 | s->flags[e]))
			return pyr_error_no_memory();
	}
	w->ids.data[node] = id;
	c->marks.data[node] = marks;
	return NULL;
}

static pyr_error *load(struct finder *f, const struct piece *p, struct piece_worker *w)
{
	const struct pyr_cycle_source *s = f->source;
	struct pyr_components *c = &w->components;
	uint32_t node, id;
	pyr_error *err;

	c->nodes = p->nodes;
	c->start.count = c->marks.count = c->out.count = 0;
	w->labels.count = w->ids.count = 0;
	if (!pyr_vec_reserve(&c->start, (size_t)p->nodes + 1) ||
	    !pyr_vec_reserve(&c->marks, (size_t)p->nodes + 1) ||
	    !pyr_vec_reserve(&w->ids, (size_t)p->nodes + 1))
		return pyr_error_no_memory();
	for (node = 0; node < p->nodes; node++) {
		if (node + 2 * AHEAD < p->nodes) {
			id = s->objects[place_of(p, node + 2 * AHEAD)];
			__builtin_prefetch(&s->graph->out_start[id]);
			id = s->objects[place_of(p, node + AHEAD)];
			__builtin_prefetch(&s->graph->out[s->graph->out_start[id]]);
			__builtin_prefetch(&s->flags[s->graph->out_start[id]]);
		}
		c->start.data[node] = c->out.count;
		if ((err = load_row(f, p, w, node)))
			return err;
	}
	c->start.data[node] = c->out.count;
	return NULL;
}

/* --- the cycles --- */

static pyr_error *add_cycles(struct piece_worker *w, struct piece *p)
{
	const struct pyr_components *c = &w->components;
	uint32_t members = 0, i;

	p->cycles = (uint32_t)c->sizes.count;
	p->facts = calloc((size_t)p->cycles + 1, sizeof(*p->facts));
	p->kind = calloc((size_t)p->cycles + 1, sizeof(*p->kind));
	p->left = malloc(((size_t)p->nodes - c->closed + 1) * sizeof(*p->left));
	w->next.count = w->members.count = 0;
	if (!p->facts || !p->kind || !p->left || !pyr_vec_reserve(&w->next, (size_t)p->cycles + 1))
		return pyr_error_no_memory();
	for (i = 0; i < p->cycles; i++) {
		p->facts[i].members = c->sizes.data[i];
		p->facts[i].first = UINT32_MAX;
		w->next.data[i] = members;
		members += c->sizes.data[i];
	}
	if (!pyr_vec_reserve(&w->members, (size_t)members + 1))
		return pyr_error_no_memory();
	w->members.count = members;
	return NULL;
}

/* Whose each place is, and the nodes by cycle: a counting sort. */
static void sort_members(struct finder *f, struct piece_worker *w, struct piece *p)
{
	struct pyr_cycle_facts *facts;
	uint32_t node, place, cycle;

	for (node = 0; node < p->nodes; node++) {
		place = place_of(p, node);
		cycle = w->components.of.data[node];
		if (cycle == PYR_NODE_OPEN) {
			f->of[place] = OPEN;
			p->left[p->left_count++] = place;
		} else if (cycle == PYR_NODE_ALONE) {
			f->of[place] = ALONE;
		} else {
			facts = &p->facts[cycle];
			if (place < facts->first)
				facts->first = place;
			f->of[place] = facts->first;
			w->members.data[w->next.data[cycle]++] = node;
		}
	}
}

static pyr_error *find_kinds(struct finder *f, unsigned worker, struct piece *p)
{
	const struct pyr_cycle_source *s = f->source;
	struct piece_worker *w = &f->workers[worker];
	struct pyr_cycle_view view = {.part = &w->components,
				      .labels = w->labels.data,
				      .ids = w->ids.data,
				      .nodes = w->members.data};
	pyr_error *err;

	if (!s->kind_of)
		return NULL;
	for (view.cycle = 0; view.cycle < p->cycles; view.cycle++) {
		view.count = p->facts[view.cycle].members;
		if ((err = s->kind_of(s->ctx, worker, &view, &p->kind[view.cycle])))
			return err;
		view.nodes += view.count;
	}
	return NULL;
}

/* --- what they hold besides --- */

static void count_place(const struct finder *f, struct pyr_cycle_facts *facts, uint32_t place)
{
	facts->objects++;
	if (f->source->weights)
		facts->bytes += f->source->weights[place];
}

/* All that @place leads to of what was decided in other pieces and that nothing held. */
static pyr_error *flood(struct finder *f, struct piece_worker *w, struct pyr_cycle_facts *facts,
			uint32_t place)
{
	const struct pyr_cycle_source *s = f->source;
	uint32_t id, next;
	uint64_t e;

	w->flood.count = 0;
	for (;;) {
		id = s->objects[place];
		for (e = s->graph->out_start[id]; e < s->graph->out_start[id + 1]; e++) {
			if (!(s->flags[e] & s->visited))
				continue;
			next = pyr_id_subset_place(s->subset, s->graph->out[e]);
			if (next == PYR_NOT_IN_SUBSET || f->of[next] != ALONE)
				continue;
			f->of[next] = HELD;
			count_place(f, facts, next);
			if (!pyr_vec_push(&w->flood, next))
				return pyr_error_no_memory();
		}
		if (!w->flood.count)
			return NULL;
		place = w->flood.data[--w->flood.count];
	}
}

/* The components in the order in which they lead to one another: each node is known to be
 * somebody's before it leads on. */
static pyr_error *find_held(struct finder *f, struct piece_worker *w, struct piece *p)
{
	struct pyr_components *c = &w->components;
	uint32_t *of = c->of.data, alone = 0, i, node, next;
	struct pyr_cycle_facts *facts;
	pyr_error *err;
	uint64_t e;

	if (f->source->besides)
		alone = c->closed - (uint32_t)w->members.count;
	for (i = c->nodes - c->closed; i < c->nodes; i++) {
		node = c->order.data[i];
		if (of[node] == PYR_NODE_ALONE)
			continue;
		facts = &p->facts[of[node]];
		count_place(f, facts, place_of(p, node));
		for (e = c->start.data[node]; alone && e < c->start.data[node + 1]; e++) {
			next = c->out.data[e];
			if (of[next] != PYR_NODE_ALONE)
				continue;
			of[next] = of[node];
			f->of[place_of(p, next)] = HELD;
			alone--;
		}
		if (f->source->besides && c->marks.data[node] & NODE_HOLDS &&
		    (err = flood(f, w, facts, place_of(p, node))))
			return err;
	}
	return NULL;
}

static pyr_error *find_in_piece(struct finder *f, unsigned worker, struct piece *p)
{
	struct piece_worker *w = &f->workers[worker];
	pyr_error *err;

	if ((err = load(f, p, w)) || (err = pyr_components_find(&w->components, f->control)) ||
	    (err = add_cycles(w, p)))
		return err;
	sort_members(f, w, p);
	if ((err = find_kinds(f, worker, p)))
		return err;
	return find_held(f, w, p);
}

static pyr_error *find_in_pieces(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct finder *f = ctx;
	pyr_error *err = NULL;

	for (; begin < end && !err; begin++)
		err = find_in_piece(f, worker, &f->pieces[begin]);
	return err;
}

static void piece_deinit(struct piece *p)
{
	free(p->facts);
	free(p->kind);
	free(p->left);
	p->facts = NULL;
	p->kind = NULL;
	p->left = NULL;
}

static void workers_deinit(struct finder *f)
{
	struct piece_worker *w;

	for (w = f->workers; w < f->workers + PYR_CYCLE_WORKERS_MAX; w++) {
		pyr_components_deinit(&w->components);
		pyr_vec_deinit(&w->labels);
		pyr_vec_deinit(&w->ids);
		pyr_vec_deinit(&w->next);
		pyr_vec_deinit(&w->members);
		pyr_vec_deinit(&w->flood);
	}
}

/* What is left over leads to what is decided, never the other way. */
static pyr_error *find_in_open(struct finder *f, struct piece *last)
{
	uint32_t *open, n = 0;
	pyr_error *err;
	size_t i;

	for (i = 0; i < f->piece_count; i++)
		n += f->pieces[i].left_count;
	if (!n)
		return NULL;
	open = malloc((size_t)n * sizeof(*open));
	if (!open)
		return pyr_error_no_memory();
	for (i = 0, n = 0; i < f->piece_count; i++) {
		memcpy(open + n, f->pieces[i].left, f->pieces[i].left_count * sizeof(*open));
		n += f->pieces[i].left_count;
		free(f->pieces[i].left);
		f->pieces[i].left = NULL;
	}
	if (!(err = pyr_id_subset_create(f->control, open, n, f->source->count, &f->opened))) {
		last->open = open;
		last->nodes = n;
		err = find_in_piece(f, 0, last);
		pyr_id_subset_deinit(&f->opened);
	}
	free(open);
	return err;
}

/* --- all together --- */

struct joining {
	struct finder *finder;
	struct pyr_cycle_places *places;
};

static pyr_error *join_pieces(void *ctx, unsigned worker, size_t begin, size_t end)
{
	const struct joining *j = ctx;
	const struct pyr_cycle_places *r = j->places;
	struct piece *p;

	(void)worker;
	for (; begin < end; begin++) {
		p = &j->finder->pieces[begin];
		if (p->cycles) {
			memcpy(r->facts + p->number, p->facts, p->cycles * sizeof(*r->facts));
			memcpy(r->kind + p->number, p->kind, p->cycles * sizeof(*r->kind));
		}
		piece_deinit(p);
	}
	return NULL;
}

static pyr_error *join(struct finder *f, struct pyr_cycle_places *ret)
{
	struct pyr_cycle_places r = {0};
	struct joining j = {.finder = f, .places = &r};
	pyr_error *err;
	size_t i;

	for (i = 0; i <= f->piece_count; i++) {
		f->pieces[i].number = r.count;
		r.count += f->pieces[i].cycles;
	}
	r.facts = malloc(((size_t)r.count + 1) * sizeof(*r.facts));
	r.kind = malloc(((size_t)r.count + 1) * sizeof(*r.kind));
	if (!r.facts || !r.kind)
		err = pyr_error_no_memory();
	else
		err = pyr_parallel(f->control, NULL, pyr_parallel_workers(), f->piece_count + 1, 1,
				   join_pieces, &j);
	if (err) {
		pyr_cycle_places_deinit(&r);
		return err;
	}
	r.of = f->of;
	f->of = NULL;
	*ret = r;
	return NULL;
}

pyr_error *pyr_cycle_places_find(struct pyr_control *control, const struct pyr_cycle_source *source,
				 struct pyr_cycle_places *ret)
{
	struct finder f = {.control = control, .source = source};
	uint32_t size = source->piece ? source->piece : PIECE, first;
	pyr_error *err = NULL;
	size_t i;

	f.piece_count = ((size_t)source->count + size - 1) / size;
	f.pieces = calloc(f.piece_count + 1, sizeof(*f.pieces));
	f.of = pyr_large_alloc((size_t)source->count + 1, sizeof(*f.of));
	if (!f.pieces || !f.of) {
		err = pyr_error_no_memory();
		goto out;
	}
	for (i = 0; i < f.piece_count; i++) {
		first = (uint32_t)i * size;
		f.pieces[i].first = first;
		f.pieces[i].nodes = source->count - first < size ? source->count - first : size;
	}
	if ((err = pyr_parallel(control, "finding cycles", pyr_parallel_workers(), f.piece_count, 1,
				find_in_pieces, &f)))
		goto out;
	workers_deinit(&f); /* so much is not needed again, or much more */
	if ((err = find_in_open(&f, &f.pieces[f.piece_count])))
		goto out;
	workers_deinit(&f);
	err = join(&f, ret);
out:
	workers_deinit(&f);
	for (i = 0; f.pieces && i <= f.piece_count; i++)
		piece_deinit(&f.pieces[i]);
	free(f.pieces);
	free(f.of);
	return err;
}

void pyr_cycle_places_deinit(struct pyr_cycle_places *places)
{
	free(places->facts);
	free(places->kind);
	free(places->of);
	memset(places, 0, sizeof(*places));
}
