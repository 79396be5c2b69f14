#include "analysis/memory/arenas.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "objects/classify.h"
#include "runtime/access.h"

struct arena_worker {
	struct pyr_classifier classifier;
	bool initialized;
	struct pyr_arenas_sum *sums; /* per state */
};

struct arena_walk {
	struct pyr_arenas *arenas;
	struct arena_worker *workers;
};

/* What an object takes of its block, from the start of the block: only of types whose
 * instances are all allocated in one way (classify.c, fills_class(), and types with a
 * count of items). */
static bool own_size(const struct pyr_classifier *c, const struct pyr_type_facts *kind,
		     const uint8_t *object, uint64_t *ret)
{
	uint64_t n, size = kind->before + kind->need;
	uint32_t state;

	if (kind->exact_class) {
		*ret = size;
		return true;
	}
	if (kind->has_count) {
		n = pyr_load64(object + c->size_at);
		if (kind->measure == PYR_MEASURE_INT)
			n = c->int_tag ? n >> 3 : (int64_t)n < 0 ? -n : n;
		*ret = size + n * kind->itemsize;
		return true;
	}
	if (!kind->is_str)
		return false;
	state = pyr_load32(object + c->str_state);
	n = pyr_load64(object + c->str_length);
	if (!(state >> c->compact_shift & 1))
		return false;
	*ret = state >> c->ascii_shift & 1
		       ? c->str_ascii + n + 1
		       : c->str_compact + (n + 1) * (state >> c->kind_shift & 7);
	return true;
}

static void count_rounding(struct pyr_classifier *c, const struct pyr_obmalloc *m,
			   const struct pyr_pool *pool, struct pyr_arenas_sum *sum)
{
	uint32_t at, offset, size = pool->block_size;
	const struct pyr_type_facts *kind;
	const uint8_t *block;
	uint64_t own;

	for (at = PYR_POOL_HEADER; at < pool->end; at += size) {
		if (pyr_pool_is_free(m, pool, at))
			continue;
		block = pool->bytes + at;
		if (c->debug_head) {
			own = __builtin_bswap64(pyr_load64(block)) + c->debug_total;
		} else {
			kind = pyr_classify(c, block, size, &offset);
			if (!kind || !own_size(c, kind, block + offset, &own))
				continue;
		}
		if (own > size)
			continue; /* no such size was asked for: not what it seemed */
		sum->bytes_rounding += size - own;
		sum->rounding_blocks++;
	}
}

static uint8_t add_pool(struct arena_worker *w, const struct pyr_obmalloc *m,
			const struct pyr_arena *arena, pyr_addr at, struct pyr_arena_use *use,
			struct pyr_arenas_sum *sum)
{
	struct pyr_size_class *class;
	struct pyr_pool pool;
	uint32_t room, count;
	uint8_t fill;

	if (at >= arena->pool_end) {
		use->free_pools++;
		sum->free_pools++;
		return PYR_FILL_NEVER;
	}
	switch (pyr_pool_read(m, &w->classifier.reader, arena, at, &pool)) {
	case PYR_POOL_LIVE:
		break;
	case PYR_POOL_EMPTY:
		use->free_pools++;
		sum->free_pools++;
		return PYR_FILL_FREE;
	case PYR_POOL_UNREADABLE:
		sum->unreadable_pools++;
		return PYR_FILL_ABSENT;
	case PYR_POOL_CORRUPT:
	default:
		sum->corrupt_pools++;
		return PYR_FILL_CORRUPT;
	}
	room = m->pool_size - PYR_POOL_HEADER;
	count = room / pool.block_size;
	if (pool.used > count) {
		sum->corrupt_pools++;
		return PYR_FILL_CORRUPT;
	}
	sum->inconsistent_pools += !pool.consistent;
	class = &sum->classes[pool.block_size / m->alignment - 1];
	class->pools++;
	class->blocks_used += pool.used;
	class->blocks_free += count - pool.used;
	sum->pools++;
	sum->bytes_headers += PYR_POOL_HEADER;
	sum->bytes_tails += room % pool.block_size;
	use->pools++;
	use->blocks_used += pool.used;
	use->bytes_in_use += (uint64_t)pool.used * pool.block_size;
	count_rounding(&w->classifier, m, &pool, sum);
	fill = (uint8_t)(pool.used * 100u / count);
	return fill ? fill : 1;
}

static pyr_error *walk_arenas(void *ctx, unsigned index, size_t begin, size_t end)
{
	struct arena_walk *walk = ctx;
	struct pyr_arenas *a = walk->arenas;
	const struct pyr_obmalloc *m = a->obmalloc;
	struct arena_worker *w = &walk->workers[index];
	const struct pyr_arena *arena;
	struct pyr_arenas_sum *sum;
	struct pyr_arena_use *use;
	pyr_error *err;
	uint32_t i;

	for (; begin < end; begin++) {
		arena = &m->arenas.data[begin];
		use = &a->uses[begin];
		sum = &w->sums[arena->state < a->state_count ? arena->state : 0];
		sum->arenas++;
		sum->bytes += arena->end - arena->address;
		sum->bytes_alignment +=
			arena->end - arena->address - (uint64_t)use->fills * m->pool_size;
		for (i = 0; i < use->fills; i++)
			a->fill[use->first_fill + i] =
				add_pool(w, m, arena,
					 arena->first_pool + (uint64_t)i * m->pool_size, use, sum);
	}
	if (w->classifier.out_of_memory)
		return pyr_error_no_memory();
	err = pyr_reader_check(&w->classifier.reader);
	return err ? err : pyr_reader_check(&w->classifier.far);
}

static void add_sum(struct pyr_arenas_sum *to, const struct pyr_arenas_sum *from)
{
	unsigned i;

	to->arenas += from->arenas;
	to->bytes += from->bytes;
	to->pools += from->pools;
	to->free_pools += from->free_pools;
	to->bytes_headers += from->bytes_headers;
	to->bytes_tails += from->bytes_tails;
	to->bytes_alignment += from->bytes_alignment;
	to->bytes_rounding += from->bytes_rounding;
	to->rounding_blocks += from->rounding_blocks;
	to->unreadable_pools += from->unreadable_pools;
	to->corrupt_pools += from->corrupt_pools;
	to->inconsistent_pools += from->inconsistent_pools;
	for (i = 0; i < PYR_POOL_CLASSES_MAX; i++) {
		to->classes[i].pools += from->classes[i].pools;
		to->classes[i].blocks_used += from->classes[i].blocks_used;
		to->classes[i].blocks_free += from->classes[i].blocks_free;
	}
}

/* What follows from the counts. */
static void finish_sum(struct pyr_arenas_sum *sum, const struct pyr_obmalloc *m)
{
	struct pyr_size_class *class;
	unsigned i;

	for (i = 0; i < m->classes; i++) {
		class = &sum->classes[i];
		class->size = (i + 1) * m->alignment;
		sum->blocks_used += class->blocks_used;
		sum->blocks_free += class->blocks_free;
		sum->bytes_in_use += class->blocks_used * class->size;
		sum->bytes_partly_used += class->blocks_free * class->size;
	}
	sum->bytes_free_pools = sum->free_pools * m->pool_size;
	sum->bytes_unknown = (sum->unreadable_pools + sum->corrupt_pools) * m->pool_size;
}

/* obmalloc.c, _Py_GetGlobalAllocatedBlocks() */
static void count_allocated(struct pyr_python *python, struct pyr_arenas *a)
{
	const struct pyr_obmalloc *m = a->obmalloc;
	const struct pyr_obmalloc_state *s;
	uint64_t total = 0, leaks = 0;
	size_t i;

	for (i = 0; i < m->states.count; i++) {
		s = &m->states.data[i];
		if (s->has_allocated_blocks)
			total += s->allocated_blocks;
		else if (s->has_raw_allocated_blocks)
			total += a->states[i].blocks_used + s->raw_allocated_blocks;
		else
			return;
	}
	if (!i || a->process.bytes_unknown)
		return;
	if (python->runtime)
		pyr_get_u64(&python->layout, &python->reader, python->runtime, _PyRuntimeState,
			    interpreter_leaks, &leaks);
	a->allocated_blocks = total + leaks;
	a->has_allocated_blocks = true;
}

static pyr_error *prepare(struct pyr_arenas *a)
{
	const struct pyr_obmalloc *m = a->obmalloc;
	uint64_t fills = 0;
	size_t i;

	a->state_count = m->states.count ? m->states.count : 1;
	a->states = calloc(a->state_count, sizeof(*a->states));
	a->uses = calloc(m->arenas.count + 1, sizeof(*a->uses));
	if (!a->states || !a->uses)
		return pyr_error_no_memory();
	for (i = 0; i < m->arenas.count; i++) {
		a->uses[i].first_fill = (uint32_t)fills;
		a->uses[i].fills =
			(uint32_t)((m->arenas.data[i].end - m->arenas.data[i].first_pool) /
				   m->pool_size);
		fills += a->uses[i].fills;
	}
	if (fills > UINT32_MAX)
		return pyr_error_create(PYR_E_CORRUPT, "arenas of %llu pools",
					(unsigned long long)fills);
	a->fill = malloc(fills + 1);
	return a->fill ? NULL : pyr_error_no_memory();
}

static pyr_error *run(struct pyr_types *types, struct pyr_control *control, struct arena_walk *walk,
		      unsigned workers)
{
	struct pyr_arenas *a = walk->arenas;
	pyr_error *err;
	unsigned i;
	size_t k;

	for (i = 0; i < workers; i++) {
		walk->workers[i].sums = calloc(a->state_count, sizeof(*a->states));
		if (!walk->workers[i].sums)
			return pyr_error_no_memory();
		if ((err = pyr_classifier_init(&walk->workers[i].classifier, types, true)))
			return err;
		walk->workers[i].initialized = true;
		walk->workers[i].classifier.alignment = a->obmalloc->alignment;
	}
	if ((err = pyr_parallel(control, "reading arenas", workers, a->obmalloc->arenas.count, 4,
				walk_arenas, walk)))
		return err;
	for (k = 0; k < a->state_count; k++) {
		for (i = 0; i < workers; i++)
			add_sum(&a->states[k], &walk->workers[i].sums[k]);
		add_sum(&a->process, &a->states[k]);
		finish_sum(&a->states[k], a->obmalloc);
	}
	finish_sum(&a->process, a->obmalloc);
	return NULL;
}

pyr_error *pyr_arenas_run(struct pyr_types *types, const struct pyr_obmalloc *obmalloc,
			  struct pyr_control *control, struct pyr_arenas *ret)
{
	struct pyr_python *python = pyr_types_python(types);
	struct pyr_arenas a = {.obmalloc = obmalloc};
	struct arena_walk walk = {.arenas = &a};
	unsigned workers, i;
	pyr_error *err;

	workers = pyr_target_concurrent(python->target) ? pyr_parallel_workers() : 1;
	walk.workers = calloc(workers, sizeof(*walk.workers));
	if (!walk.workers)
		return pyr_error_no_memory();
	if (!(err = prepare(&a)))
		err = run(types, control, &walk, workers);
	for (i = 0; i < workers; i++) {
		if (walk.workers[i].initialized)
			pyr_classifier_deinit(&walk.workers[i].classifier);
		free(walk.workers[i].sums);
	}
	free(walk.workers);
	if (err) {
		pyr_arenas_deinit(&a);
		return err;
	}
	count_allocated(python, &a);
	*ret = a;
	return NULL;
}

bool pyr_arena_is_almost_empty(const struct pyr_arenas *a, size_t i, unsigned percent)
{
	const struct pyr_arena *arena = &a->obmalloc->arenas.data[i];

	return a->uses[i].pools &&
	       a->uses[i].bytes_in_use * 100 <= (arena->end - arena->address) * percent;
}

void pyr_arenas_deinit(struct pyr_arenas *a)
{
	free(a->states);
	free(a->uses);
	free(a->fill);
	memset(a, 0, sizeof(*a));
}
