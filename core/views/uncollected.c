#include "views/uncollected.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "render/units.h"

#define DEBUG_SAVEALL 32u

struct asking {
	const struct pyr_layout *layout;
	const struct pyr_garbage *garbage;
	const struct pyr_gc_state *state;
	struct pyr_uncollected answer;
	bool failed;
};

static void add(struct asking *a, const char *name, struct pyr_strbuf *text)
{
	struct pyr_reason reason = {.name = name, .text = pyr_strbuf_take(text)};

	if (!reason.text || !pyr_vec_push(&a->answer.reasons, reason)) {
		free(reason.text);
		a->failed = true;
	}
}

static void add_words(struct asking *a, const char *name, const char *words)
{
	struct pyr_strbuf text = {0};

	pyr_strbuf_add(&text, words);
	add(a, name, &text);
}

/* "they are" when that is all of them, else "12 of them are". */
static void who(const struct asking *a, uint64_t n, struct pyr_strbuf *text)
{
	if (n == a->garbage->count)
		pyr_strbuf_add(text, n == 1 ? "it is" : "they are");
	else
		pyr_strbuf_printf(text, "%s of them %s", pyr_count(n).text, n == 1 ? "is" : "are");
}

static void collection_running(struct asking *a)
{
	switch (a->garbage->phase) {
	case PYR_COLLECTION_NONE:
		break;
	case PYR_COLLECTION_STARTING:
		add_words(
			a, "collecting",
			"a collection is running right now that has not begun to look for them, or "
			"is over but for its callbacks");
		break;
	case PYR_COLLECTION_COUNTING:
		add_words(a, "collecting",
			  "a collection is running right now and is looking for them");
		break;
	case PYR_COLLECTION_FINALIZING:
		add_words(a, "collecting",
			  "a collection is running right now: it has found them, and is calling "
			  "their "
			  "finalizers or clearing them");
		break;
	}
}

/* gc_alloc(), _PyObject_GC_Link(): generation 0 is collected when its count passes its
 * threshold; since 3.12 not at once but between two bytecodes. */
static void young(struct asking *a, uint64_t n)
{
	int32_t count = a->state->generations[0].count,
		threshold = a->state->generations[0].threshold;
	struct pyr_strbuf text = {0};

	who(a, n, &text);
	if (count > threshold)
		pyr_strbuf_printf(&text,
				  " young, and generation 0 is due: it is collected next time");
	else
		pyr_strbuf_printf(
			&text,
			" young: generation 0 is collected when %s more containers "
			"were allocated than freed (%s of %s so far)",
			pyr_count((uint64_t)threshold + 1 - (uint64_t)(count < 0 ? 0 : count)).text,
			pyr_count((uint64_t)(count < 0 ? 0 : count)).text,
			pyr_count((uint64_t)threshold + 1).text);
	add(a, "young", &text);
}

/* gc_collect_generations(): generation i when its count, of collections of the
 * one before, passes its threshold. */
static void middle(struct asking *a, uint64_t n)
{
	struct pyr_strbuf text = {0};

	who(a, n, &text);
	pyr_strbuf_printf(
		&text,
		" in generation 1, which is collected when generation 0 has been collected "
		"more than %d times (%d so far)",
		a->state->generations[1].threshold, a->state->generations[1].count);
	add(a, "middle", &text);
}

/* The oldest one besides only when what is new in it is a quarter of what survived the
 * last full collection (long_lived_pending, long_lived_total). */
static void old(struct asking *a, uint64_t n)
{
	const struct pyr_gc_state *s = a->state;
	struct pyr_strbuf text = {0};

	who(a, n, &text);
	if (pyr_is(a->layout, gc_generations, YOUNG_OLD2)) {
		pyr_strbuf_add(&text,
			       " old, and old objects are looked at in increments: their turn "
			       "has not come");
		add(a, "old", &text);
		return;
	}
	pyr_strbuf_printf(
		&text,
		" in generation 2, the oldest, which is collected when generation 1 has been "
		"collected more than %d times (%d so far)",
		s->generations[2].threshold, s->generations[2].count);
	if (s->long_lived_total > 0 && s->long_lived_pending >= 0)
		pyr_strbuf_printf(
			&text,
			", and %s objects have come to it since its last collection (%s so "
			"far): a quarter of those that survived that one",
			pyr_count((uint64_t)s->long_lived_total / 4).text,
			pyr_count((uint64_t)s->long_lived_pending).text);
	add(a, "old", &text);
}

static void by_generation(struct asking *a)
{
	static void (*const reasons[PYR_GC_GENERATIONS])(struct asking *, uint64_t) = {young,
										       middle, old};
	uint64_t left[PYR_GC_GENERATIONS];
	unsigned g, k, most;

	for (g = 0; g < PYR_GC_GENERATIONS; g++)
		left[g] = a->answer.by_generation[g];
	for (k = 0; k < PYR_GC_GENERATIONS; k++) {
		most = 0;
		for (g = 1; g < PYR_GC_GENERATIONS; g++)
			if (left[g] > left[most])
				most = g;
		if (!left[most])
			break;
		reasons[most](a, left[most]);
		left[most] = 0;
	}
}

static void consider(struct asking *a)
{
	if (!a->garbage->count)
		return;
	collection_running(a);
	if (!a->state->enabled)
		add_words(a, "disabled", "gc is disabled (gc.disable())");
	else if (a->state->generations[0].threshold == 0)
		add_words(a, "threshold_zero", "automatic collection is off (gc.set_threshold(0))");
	else if (!a->answer.reasons.count)
		by_generation(a);
	if (a->state->debug & DEBUG_SAVEALL)
		add_words(a, "saveall",
			  "gc.DEBUG_SAVEALL is set: collections put what they find into gc.garbage "
			  "and free nothing");
	if (a->garbage->legacy.count)
		add_words(
			a, "uncollectable",
			"some have finalizers of the old kind (tp_del), which no collection calls: "
			"they and what they hold are never freed");
}

#define GRAIN 65536u
#define WORKERS_MAX 64u

struct count {
	const struct pyr_garbage *garbage;
	uint64_t by_generation[WORKERS_MAX][PYR_GEN_COUNT];
};

static pyr_error *count_generations(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct count *c = ctx;
	const uint8_t *generation = c->garbage->model->heap->generation;
	uint64_t counts[PYR_GEN_COUNT] = {0};
	unsigned i;

	for (; begin < end; begin++)
		counts[generation[c->garbage->objects[begin]]]++;
	for (i = 0; i < PYR_GEN_COUNT; i++)
		c->by_generation[worker][i] += counts[i];
	return NULL;
}

static pyr_error *by_generations(const struct pyr_garbage *garbage, struct pyr_control *control,
				 uint64_t *ret)
{
	struct count c = {.garbage = garbage};
	unsigned worker, i;
	pyr_error *err;

	if ((err = pyr_parallel(control, NULL, pyr_parallel_workers(), garbage->count, GRAIN,
				count_generations, &c)))
		return err;
	for (worker = 0; worker < WORKERS_MAX; worker++)
		for (i = 0; i < PYR_GEN_COUNT; i++)
			ret[i] += c.by_generation[worker][i];
	return NULL;
}

pyr_error *pyr_uncollected_why(const struct pyr_garbage *garbage, struct pyr_control *control,
			       struct pyr_uncollected *ret)
{
	struct pyr_types *types = garbage->model->heap->types;
	struct pyr_python *python = pyr_types_python(types);
	struct asking a = {.layout = &python->layout, .garbage = garbage};
	struct pyr_gc_state *states;
	pyr_error *err;
	size_t count, i;

	if ((err = pyr_gc_states_read(python, &python->reader, &states, &count)))
		return err;
	for (i = 0; i < count; i++)
		if (states[i].interpreter == garbage->interpreter)
			a.state = &states[i];
	if ((err = by_generations(garbage, control, a.answer.by_generation))) {
		pyr_gc_states_destroy(states, count);
		return err;
	}
	if (a.state)
		consider(&a);
	pyr_gc_states_destroy(states, count);
	if (a.failed) {
		pyr_uncollected_deinit(&a.answer);
		return pyr_error_no_memory();
	}
	*ret = a.answer;
	return NULL;
}

void pyr_uncollected_deinit(struct pyr_uncollected *u)
{
	size_t i;

	for (i = 0; i < u->reasons.count; i++)
		free(u->reasons.data[i].text);
	pyr_vec_deinit(&u->reasons);
}
