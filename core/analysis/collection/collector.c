#include "analysis/collection/collector.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/vec.h"
#include "graph/model.h"

#define GRAIN 16384u
#define ROOTS 4096u /* objects that a marker looks through for roots at a time */
#define SHARE 1024u /* objects handed to another marker at a time */
#define HOARD 4096u /* a stack of this many is worth sharing */
#define TARGETS 32u /* of references under way, a power of two */
/* Kinds of a frame's own references: variables, the stack, its function and code. */
#define FRAME_KINDS (1u << PYR_EDGE_LOCAL | 1u << PYR_EDGE_STACK | 1u << PYR_EDGE_FIELD)
#define NODES 8u /* whose rows are under way, a power of two */

struct collector {
	const struct pyr_collector_input *input;
	const struct pyr_graph *graph;
	const uint8_t *flags;
	int32_t *refs;
	struct pyr_control *control;
	atomic_ullong negative;
	_Atomic uint32_t first_negative;
};

static inline bool in_set(int32_t refs)
{
	return refs <= PYR_COUNT_MAX;
}

static inline int32_t load(const int32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* visit_decref() takes one off for whatever tp_traverse visits, be it the object's own
 * reference or not (functools.lru_cache visits through its links). The one exception is
 * _PyGC_VisitStackRef() (3.14+), which passes over references of frames that are not
 * counted. */
static inline bool subtracts(const struct collector *c, uint8_t flags)
{
	if (flags & PYR_MODEL_TRAVERSED)
		return flags & PYR_MODEL_OWNED ||
		       !(FRAME_KINDS & UINT32_C(1) << PYR_MODEL_KIND(flags));
	return c->input->believe_inferred && flags & PYR_MODEL_INFERRED;
}

/* References to the same few objects (types, what all share) would have the threads fight for
 * their counts: what one thread takes off is collected, and taken off together when another
 * object needs the place. Until then its count is on the way from memory. */
#define PLACES 1024u /* a power of two */
#define TOGETHER (1u << 20)
struct subtractor {
	struct collector *c;
	struct {
		uint32_t target, times;
	} places[PLACES];
};

static void take_off(const struct collector *c, uint32_t target, uint32_t times)
{
	int32_t count = load(&c->refs[target]);

	/* The collector does not touch what is not in its set; a count so far below zero needs
	 * no more. */
	if (!times || !in_set(count) || count < -PYR_COUNT_MAX)
		return;
	if (c->input->workers > 1)
		__atomic_fetch_sub(&c->refs[target], (int32_t)times, __ATOMIC_RELAXED);
	else
		c->refs[target] = count - (int32_t)times;
}

static inline void visit(struct subtractor *s, uint32_t target)
{
	unsigned at = target * UINT32_C(0x9e3779b1) >> 22;

	_Static_assert(PLACES == 1u << (32 - 22), "the bits that are left");
	if (s->places[at].target != target || s->places[at].times == TOGETHER) {
		take_off(s->c, s->places[at].target, s->places[at].times);
		s->places[at].target = target;
		s->places[at].times = 0;
		__builtin_prefetch(&s->c->refs[target], 1);
	}
	s->places[at].times++;
}

/* subtract_refs() for the rows [begin, end). */
static pyr_error *subtract(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct collector *c = ctx;
	const struct pyr_graph *g = c->graph;
	struct subtractor s;
	uint64_t e, last;
	unsigned i;
	size_t n;

	(void)worker;
	s.c = c;
	memset(s.places, 0, sizeof(s.places));
	for (n = begin; n < end; n++) {
		if (!in_set(load(&c->refs[n])))
			continue;
		last = g->out_start[n + 1];
		for (e = g->out_start[n]; e < last; e++)
			if (subtracts(c, c->flags[e]))
				visit(&s, g->out[e]);
	}
	for (i = 0; i < PLACES; i++)
		take_off(c, s.places[i].target, s.places[i].times);
	return NULL;
}

/* --- what is left over, and all it leads to --- */

struct marking {
	struct collector *c;
	atomic_size_t next_root;
	atomic_bool hungry; /* a marker waits */
	pthread_mutex_t lock;
	pthread_cond_t change;
	PYR_VEC(uint32_t) shared; /* for whoever has nothing to do */
	unsigned entered, idle;
	bool done;
};

struct marker {
	struct marking *m;
	PYR_VEC(uint32_t) stack; /* reached; their references are not followed yet */
	uint32_t nodes[NODES], targets[TARGETS];
	unsigned node_in, node_out, target_in, target_out;
	bool failed;
};

/* Visited more often than it is counted: told once, whoever reaches it first. */
static void reach_negative(struct collector *c, uint32_t target)
{
	uint32_t first = atomic_load(&c->first_negative);

	if (__atomic_exchange_n(&c->refs[target], PYR_COUNT_NONE, __ATOMIC_RELAXED) ==
	    PYR_COUNT_NONE)
		return;
	atomic_fetch_add(&c->negative, 1);
	while (target < first && !atomic_compare_exchange_weak(&c->first_negative, &first, target))
		;
}

static void reach(struct marker *w, uint32_t target)
{
	struct collector *c = w->m->c;
	int32_t refs = load(&c->refs[target]);

	if (!in_set(refs))
		return;
	/* Two markers may both come here: then both follow its references, to no harm. */
	if (refs < 0)
		reach_negative(c, target);
	else
		__atomic_store_n(&c->refs[target], PYR_COUNT_NONE, __ATOMIC_RELAXED);
	__builtin_prefetch(&c->graph->out_start[target]);
	if (!pyr_vec_push(&w->stack, target))
		w->failed = true;
}

static void follow(struct marker *w, uint32_t node)
{
	struct collector *c = w->m->c;
	const struct pyr_graph *g = c->graph;
	uint64_t e, last = g->out_start[node + 1];

	for (e = g->out_start[node]; e < last; e++) {
		if (!(c->flags[e] & (PYR_MODEL_TRAVERSED | PYR_MODEL_INFERRED)))
			continue;
		__builtin_prefetch(&c->refs[g->out[e]], 1);
		if (w->target_in - w->target_out == TARGETS)
			reach(w, w->targets[w->target_out++ % TARGETS]);
		w->targets[w->target_in++ % TARGETS] = g->out[e];
	}
}

static void share(struct marker *w)
{
	struct marking *m = w->m;
	size_t half = w->stack.count / 2;

	if (half > SHARE * 16)
		half = SHARE * 16;
	pthread_mutex_lock(&m->lock);
	if (pyr_vec_reserve(&m->shared, half)) {
		/* The oldest ones lead farthest. */
		memcpy(m->shared.data + m->shared.count, w->stack.data,
		       half * sizeof(*w->stack.data));
		memmove(w->stack.data, w->stack.data + half,
			(w->stack.count - half) * sizeof(*w->stack.data));
		m->shared.count += half;
		w->stack.count -= half;
		atomic_store_explicit(&m->hungry, false, memory_order_relaxed);
		pthread_cond_broadcast(&m->change);
	}
	pthread_mutex_unlock(&m->lock);
}

/* Until nothing is left to follow. Rows and counts are asked for well before they are
 * looked at (Cher, Hosking, Vitek: Software prefetching for mark-sweep garbage
 * collection, 2004). */
static void drain(struct marker *w)
{
	const struct pyr_graph *g = w->m->c->graph;
	unsigned steps = 0;
	uint32_t node;

	for (;;) {
		while (w->stack.count && w->node_in - w->node_out < NODES) {
			node = w->stack.data[--w->stack.count];
			__builtin_prefetch(&g->out[g->out_start[node]]);
			__builtin_prefetch(&w->m->c->flags[g->out_start[node]]);
			w->nodes[w->node_in++ % NODES] = node;
		}
		if (w->node_in != w->node_out)
			follow(w, w->nodes[w->node_out++ % NODES]);
		else if (w->target_in != w->target_out)
			reach(w, w->targets[w->target_out++ % TARGETS]);
		else
			return;
		if (++steps % 1024 == 0) {
			if (pyr_control_cancelled(w->m->c->control))
				return;
			if (w->stack.count > HOARD &&
			    atomic_load_explicit(&w->m->hungry, memory_order_relaxed))
				share(w);
		}
	}
}

static bool next_roots(struct marker *w)
{
	struct marking *m = w->m;
	struct collector *c = m->c;
	uint32_t n = c->graph->nodes, id, end;
	size_t begin = atomic_fetch_add(&m->next_root, ROOTS);
	int32_t refs;

	if (begin >= n)
		return false;
	end = n - begin < ROOTS ? n : (uint32_t)begin + ROOTS;
	for (id = (uint32_t)begin; id < end; id++) {
		refs = load(&c->refs[id]);
		if (refs != 0 && in_set(refs))
			reach(w, id);
	}
	return true;
}

/* Something from the others, or false when all have nothing left to do. */
static bool take_shared(struct marker *w)
{
	struct marking *m = w->m;
	bool found = false;
	size_t n;

	pthread_mutex_lock(&m->lock);
	m->idle++;
	while (!m->done) {
		if (m->shared.count) {
			n = m->shared.count < SHARE ? m->shared.count : SHARE;
			if (!pyr_vec_reserve(&w->stack, n)) {
				w->failed = true;
				m->done = true;
				break;
			}
			m->shared.count -= n;
			memcpy(w->stack.data, m->shared.data + m->shared.count,
			       n * sizeof(*w->stack.data));
			w->stack.count = n;
			m->idle--;
			found = true;
			break;
		}
		if (m->idle == m->entered || pyr_control_cancelled(m->c->control)) {
			m->done = true;
			break;
		}
		atomic_store_explicit(&m->hungry, true, memory_order_relaxed);
		pthread_cond_wait(&m->change, &m->lock);
	}
	if (m->done)
		pthread_cond_broadcast(&m->change);
	pthread_mutex_unlock(&m->lock);
	return found;
}

/* One marker. Whoever comes when all is done finds nothing to do. */
static pyr_error *mark(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct marking *m = ctx;
	struct marker w = {.m = m};

	(void)worker;
	(void)begin;
	(void)end;
	pthread_mutex_lock(&m->lock);
	m->entered++;
	pthread_mutex_unlock(&m->lock);
	do {
		drain(&w);
	} while (!w.failed && !pyr_control_cancelled(m->c->control) &&
		 (next_roots(&w) || take_shared(&w)));
	if (w.failed || pyr_control_cancelled(m->c->control)) {
		pthread_mutex_lock(&m->lock);
		m->done = true;
		pthread_cond_broadcast(&m->change);
		pthread_mutex_unlock(&m->lock);
	}
	pyr_vec_deinit(&w.stack);
	return w.failed ? pyr_error_no_memory() : NULL;
}

static pyr_error *mark_all(struct collector *c)
{
	struct marking m = {.c = c};
	pyr_error *err;

	pthread_mutex_init(&m.lock, NULL);
	pthread_cond_init(&m.change, NULL);
	err = pyr_parallel(c->control, NULL, c->input->workers, c->input->workers, 1, mark, &m);
	pthread_cond_destroy(&m.change);
	pthread_mutex_destroy(&m.lock);
	pyr_vec_deinit(&m.shared);
	return err ? err : pyr_control_check(c->control);
}

/* --- what remains --- */

struct remains {
	const int32_t *refs;
	uint32_t *first; /* by GRAIN objects: how many are unreachable; then the first's place */
	uint32_t *objects;
};

static pyr_error *count_remains(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct remains *r = ctx;
	uint32_t count = 0;
	size_t id;

	(void)worker;
	for (id = begin; id < end; id++)
		count += r->refs[id] == 0;
	r->first[begin / GRAIN] = count;
	return NULL;
}

static pyr_error *list_remains(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct remains *r = ctx;
	uint32_t *next = r->objects + r->first[begin / GRAIN];
	size_t id;

	(void)worker;
	for (id = begin; id < end; id++)
		if (r->refs[id] == 0)
			*next++ = (uint32_t)id;
	return NULL;
}

static pyr_error *find_remains(struct collector *c, struct pyr_collector_result *result)
{
	uint32_t n = c->graph->nodes, count;
	size_t grains = (size_t)n / GRAIN + 1, i;
	struct remains r = {.refs = c->refs, .first = calloc(grains, sizeof(*r.first))};
	unsigned workers = c->input->workers;
	pyr_error *err;

	if (!r.first)
		return pyr_error_no_memory();
	err = pyr_parallel(c->control, NULL, workers, n, GRAIN, count_remains, &r);
	for (i = 0; i < grains; i++) {
		count = r.first[i];
		r.first[i] = result->count;
		result->count += count;
	}
	result->objects = malloc(((size_t)result->count + 1) * sizeof(*result->objects));
	r.objects = result->objects;
	if (!err && !r.objects)
		err = pyr_error_no_memory();
	if (!err)
		err = pyr_parallel(c->control, NULL, workers, n, GRAIN, list_remains, &r);
	free(r.first);
	if (err)
		pyr_collector_result_deinit(result);
	return err;
}

pyr_error *pyr_collector_run(struct pyr_control *control, const struct pyr_collector_input *input,
			     int32_t *refs, struct pyr_collector_result *ret)
{
	struct collector c = {
		.input = input,
		.graph = input->graph,
		.flags = input->flags,
		.refs = refs,
		.control = control,
		.first_negative = UINT32_MAX,
	};
	struct pyr_collector_result result = {0};
	pyr_error *err;

	if ((err = pyr_parallel(control, "subtracting references", input->workers,
				input->graph->nodes, GRAIN, subtract, &c)) ||
	    (err = mark_all(&c)) || (err = find_remains(&c, &result)))
		return err;
	result.negative = atomic_load(&c.negative);
	result.first_negative = atomic_load(&c.first_negative);
	*ret = result;
	return NULL;
}

void pyr_collector_result_deinit(struct pyr_collector_result *result)
{
	free(result->objects);
	memset(result, 0, sizeof(*result));
}
