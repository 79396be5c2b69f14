/* graph_bench CORE [--types|--ledger|--check|--once [SYSROOT]]: how long the references of a heap
 * take, and what memory. Prints "name value" lines; tests/bench/bench.py turns them into ratios.
 * --types says how the objects of each type are walked, --ledger whose reference counts are not
 * explained; --check compares native walks with what the type's own function visits, run in
 * the emulator. */
#define _GNU_SOURCE
#include <string.h>

#include "analysis/retention/dominators.h"
#include "bench.h"
#include "references/emulator.h"
#include "graph/model.h"

/* Of all threads. */
static double cpu(void)
{
	return on_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

static void ignore(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	(void)ctx;
	(void)target;
	(void)label;
	(void)detail;
}

static void by_type(struct pyr_model *model)
{
	static const char *const walk_cache[] = {"native", "learned", "emulated", "inferred",
						 "none"};
	struct pyr_types *types = model->heap->types;
	uint32_t count = pyr_types_count(types), id, i, w;
	uint64_t(*table)[PYR_WAY_COUNT] = calloc(count, sizeof(*table));

	for (id = 0; table && id < model->heap->count; id++)
		table[model->heap->type[id]][pyr_model_walk(model, id, ignore, NULL)]++;
	for (i = 0; table && i < count; i++)
		for (w = 0; w < PYR_WAY_COUNT; w++)
			if (table[i][w])
				printf("way %s %llu %s\n", walk_cache[w],
				       (unsigned long long)table[i][w],
				       pyr_type_name(types, pyr_types_at(types, i)));
	free(table);
}

struct told {
	uint64_t *data;
	size_t count, capacity;
};

static void keep_traversed(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	(void)detail;
	if (label & PYR_REF_TRAVERSED && !pyr_vec_push((struct told *)ctx, target))
		exit(1);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void compare(struct pyr_model *model, struct pyr_emulator *emulator, uint32_t id,
		    struct told *told, uint64_t tally[4])
{
	struct pyr_types *types = model->heap->types;
	const struct pyr_type *type = pyr_types_at(types, model->heap->type[id]);
	struct pyr_emulated_call call;
	struct told expected = {0};
	const char *why;
	enum pyr_traverse_method way;
	size_t i;

	told->count = 0;
	way = pyr_model_walk(model, id, keep_traversed, told);
	tally[3] += way == PYR_WAY_INFERRED;
	if (way != PYR_WAY_NATIVE)
		return;
	if (!type->gc || !type->traverse ||
	    !pyr_emulator_traverse(emulator, type->traverse, model->heap->address[id],
				   (uint64_t)type->basicsize, &call, &why)) {
		tally[2] += type->gc && type->traverse;
		return;
	}
	for (i = 0; i < call.visited_count; i++)
		if (!pyr_vec_push(&expected, call.visited[i]))
			exit(1);
	if (told->count)
		qsort(told->data, told->count, 8, by_value);
	if (expected.count)
		qsort(expected.data, expected.count, 8, by_value);
	tally[0]++;
	if (told->count != expected.count ||
	    (told->count && memcmp(told->data, expected.data, told->count * 8))) {
		tally[1]++;
		printf("differs 0x%llx %s: %zu natively, %zu emulated\n",
		       (unsigned long long)model->heap->address[id], pyr_type_name(types, type),
		       told->count, expected.count);
	}
	pyr_vec_deinit(&expected);
}

static void check(struct pyr_model *model)
{
	struct pyr_emulator *emulator;
	struct told told = {0};
	uint64_t tally[4] = {0};
	const char *why;
	uint32_t id;

	die(pyr_emulator_create(pyr_types_python(model->heap->types)->target, &emulator, &why));
	if (!emulator) {
		printf("no_emulation %s\n", why);
		return;
	}
	for (id = 0; id < model->heap->count; id++)
		compare(model, emulator, id, &told, tally);
	printf("compared %llu\ndifferent %llu\nabandoned %llu\ninferred_objects %llu\n",
	       (unsigned long long)tally[0], (unsigned long long)tally[1],
	       (unsigned long long)tally[2], (unsigned long long)tally[3]);
	pyr_emulator_destroy(emulator);
	pyr_vec_deinit(&told);
}

/* References that no object holds, by type; those of roots are among them. */
static void ledger(struct pyr_model *model, struct pyr_control *control)
{
	const struct pyr_graph *g = &model->graph;
	struct pyr_types *types = model->heap->types;
	struct pyr_python *python = pyr_types_python(types);
	uint32_t *owned = calloc(g->nodes + 1, sizeof(*owned)), n;
	struct sum {
		uint64_t objects, not_found, over, overheld;
	} *sums = calloc(pyr_types_count(types), sizeof(*sums)), all = {0};
	uint64_t e, total = 0;
	bool immortal;
	int64_t refcount;

	(void)control;
	for (e = 0; owned && e < g->edges; e++)
		owned[g->out[e]] += (model->flags[e] & PYR_MODEL_OWNED) != 0;
	for (n = 0; owned && sums && n < g->nodes; n++) {
		struct sum *s = &sums[model->heap->type[n]];

		if (!pyr_object_refcount(&python->layout, &python->reader, model->heap->address[n],
					 &refcount, &immortal) ||
		    immortal || refcount > 1 << 28)
			continue;
		total += (uint64_t)refcount;
		s->objects++;
		if ((int64_t)owned[n] > refcount) {
			s->over += owned[n] - (uint64_t)refcount;
			s->overheld++;
			all.over += owned[n] - (uint64_t)refcount;
		} else {
			s->not_found += (uint64_t)refcount - owned[n];
			all.not_found += (uint64_t)refcount - owned[n];
		}
	}
	for (n = 0; sums && n < pyr_types_count(types); n++)
		if (sums[n].not_found || sums[n].over)
			printf("ledger %llu not found, %llu over (%llu objects) of %llu %s\n",
			       (unsigned long long)sums[n].not_found,
			       (unsigned long long)sums[n].over,
			       (unsigned long long)sums[n].overheld,
			       (unsigned long long)sums[n].objects,
			       pyr_type_name(types, pyr_types_at(types, n)));
	printf("refcounts %llu\nnot_found %llu\nover %llu\n", (unsigned long long)total,
	       (unsigned long long)all.not_found, (unsigned long long)all.over);
	free(owned);
	free(sums);
}

/* One root that holds all that nothing holds, and what is held from itself. */
static void dominate(struct pyr_model *model, struct pyr_control *control)
{
	const struct pyr_graph *g = &model->graph;
	uint32_t *roots = malloc(((size_t)g->nodes + 1) * sizeof(*roots)), n;
	uint64_t *sizes = malloc(((size_t)g->nodes + 1) * sizeof(*sizes));
	size_t count = 0;
	struct pyr_dominators d;
	double t;

	if (!roots || !sizes)
		exit(1);
	for (n = 0; n < g->nodes; n++) {
		sizes[n] = 64;
		/* Static objects and modules hold the program. */
		if (g->in_start[n] == g->in_start[n + 1] ||
		    !(model->heap->found[n] & (PYR_FOUND_BLOCK | PYR_FOUND_GC_LIST)))
			roots[count++] = n;
	}
	t = now();
	die(pyr_dominators_compute(control, g, roots, count, sizes, &d));
	printf("dominators_seconds %.6f\nroots %zu\n", now() - t, count);
	pyr_dominators_deinit(&d);
	free(roots);
	free(sizes);
}

int main(int argc, char **argv)
{
	struct subject s;
	struct pyr_control *control = &s.control;
	struct pyr_model *model;
	double t, c, out = 1e9, both = 1e9, out_cpu = 1e9, both_cpu = 1e9;
	const uint64_t *walk_cache;
	int round, rounds = argc > 2 ? 1 : 3;

	if (argc < 2) {
		fprintf(stderr,
			"usage: graph_bench CORE [--types|--ledger|--check|--once [SYSROOT]]\n");
		return 2;
	}
	t = now();
	subject_open(&s, argv[1], argc > 3 ? argv[3] : NULL);
	printf("heap_seconds %.6f\nheap_cpu %.6f\nheap_kib %ld\n", now() - t, cpu(), own_kib());
	for (round = 0;; round++) {
		t = now();
		c = cpu();
		die(pyr_model_build(s.heap, control, &model));
		out = smaller(out, now() - t);
		out_cpu = smaller(out_cpu, cpu() - c);
		if (round == 0)
			printf("first_out_seconds %.6f\nfirst_out_cpu %.6f\n", now() - t,
			       cpu() - c);
		die(pyr_model_reverse(model, control));
		both = smaller(both, now() - t);
		both_cpu = smaller(both_cpu, cpu() - c);
		if (round == 0)
			printf("first_seconds %.6f\nfirst_cpu %.6f\nown_kib %ld\n", now() - t,
			       cpu() - c, own_kib());
		if (round + 1 == rounds)
			break;
		pyr_model_destroy(model);
	}
	walk_cache = pyr_traverse_counts(model->traverse);
	printf("out_seconds %.6f\nout_cpu %.6f\nboth_seconds %.6f\nboth_cpu %.6f\n", out, out_cpu,
	       both, both_cpu);
	printf("objects %u\nreferences %llu\n", s.heap->count,
	       (unsigned long long)model->graph.edges);
	printf("late native %llu none %llu learned %llu emulated %llu inferred %llu\n",
	       (unsigned long long)walk_cache[PYR_WAY_NATIVE],
	       (unsigned long long)walk_cache[PYR_WAY_NONE],
	       (unsigned long long)walk_cache[PYR_WAY_LEARNED],
	       (unsigned long long)walk_cache[PYR_WAY_EMULATED],
	       (unsigned long long)walk_cache[PYR_WAY_INFERRED]);
	printf("dangling %llu\ndamaged %llu\n", (unsigned long long)model->dangling,
	       (unsigned long long)model->damaged);
	if (argc > 2 && !strcmp(argv[2], "--types"))
		by_type(model);
	else if (argc > 2 && !strcmp(argv[2], "--ledger"))
		ledger(model, control);
	else if (argc > 2 && !strcmp(argv[2], "--check"))
		check(model);
	else if (argc < 3)
		dominate(model, control);
	print_diagnostics(control);
	pyr_model_destroy(model);
	subject_close(&s);
	return 0;
}
