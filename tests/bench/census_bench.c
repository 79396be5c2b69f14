/* census_bench CORE [--twin]: how fast the parts of a census are, on one core.
 * Prints "name value" lines; tests/bench/bench.py turns them into ratios. --twin
 * also builds the heap model and compares the census over it with the stream. */
#define _GNU_SOURCE
#include <string.h>

#include "analysis/census/census.h"
#include "bench.h"
#include "objects/enumeration.h"

/* Of this thread alone: rates are those of one core, however busy the machine. */
static double cpu(void)
{
	return on_clock(CLOCK_THREAD_CPUTIME_ID);
}

static void count_only(struct pyr_scanner *s, struct pyr_type_facts *kind, pyr_addr addr,
		       const uint8_t *object, bool tracked, void *ctx)
{
	(void)s;
	(void)addr;
	(void)object;
	(void)ctx;
	kind->all.count++;
	kind->tracked.count += tracked;
}

#define ROUNDS 5

/* Classify every block, on this thread alone. */
static void bench_scan(struct pyr_types *types, struct pyr_control *control)
{
	struct pyr_enumeration s;
	struct pyr_scanner *scanner;
	double t, best = 1e9;
	size_t i;
	int round;

	for (round = 0; round < ROUNDS; round++) { /* the first one faults the pages in */
		die(pyr_enumeration_open(types, control, &s));
		scanner = s.scanners[0];
		t = cpu();
		for (i = 0; i < s.obmalloc.arenas.count; i++)
			pyr_scan_arena(scanner, &s.obmalloc.arenas.data[i], true, count_only, NULL);
		t = cpu() - t;
		best = t < best ? t : best;
		if (round == ROUNDS - 1) {
			printf("arenas_from %s\n", pyr_obmalloc_source_name(s.obmalloc.source));
			printf("arenas %zu\n", s.obmalloc.arenas.count);
			printf("blocks %llu\n", (unsigned long long)scanner->blocks);
			printf("block_objects %llu\n", (unsigned long long)scanner->objects);
			printf("scan_seconds %.6f\n", best);
			printf("blocks_per_second %.0f\n", (double)scanner->blocks / best);
		}
		pyr_enumeration_close(&s);
	}
}

static void no_node(void *ctx, size_t list, pyr_addr object)
{
	(void)list;
	*(uint64_t *)ctx += object & 1;
}

static void bench_lists(struct pyr_types *types, struct pyr_control *control)
{
	struct pyr_reader *reader = &pyr_types_python(types)->reader;
	uint64_t nodes = 0, odd = 0;
	struct pyr_lists lists;
	double t;
	size_t i;

	die(pyr_lists_open(types, &lists));
	t = cpu();
	die(pyr_lists_walk(&lists, reader, control, no_node, &odd));
	die(pyr_lists_walk_rest(&lists, reader, control, no_node, &odd));
	t = cpu() - t;
	for (i = 0; i < lists.lists.count; i++)
		nodes += lists.lists.data[i].nodes;
	printf("list_nodes %llu\n", (unsigned long long)nodes);
	printf("list_seconds %.6f\n", t);
	printf("nodes_per_second %.0f\n", (double)nodes / t);
	pyr_lists_deinit(&lists);
}

static void print_census(const struct pyr_census *c)
{
	static const char *const names[] = {"gen0",      "gen1",       "gen2",
					    "permanent", "collecting", "untracked"};
	unsigned i;

	printf("objects %llu\ngc_objects %llu\nbytes %llu\nproven %d\n",
	       (unsigned long long)c->objects, (unsigned long long)c->gc_objects,
	       (unsigned long long)c->bytes, c->proven);
	printf("only_block %llu\nonly_gc_list %llu\nonly_reached %llu\n",
	       (unsigned long long)c->only_block, (unsigned long long)c->only_gc_list,
	       (unsigned long long)c->only_reached);
	for (i = 0; i < PYR_GEN_COUNT; i++)
		printf("%s %llu\n", names[i], (unsigned long long)c->by_generation[i]);
}

static int differ(struct pyr_types *types, const struct pyr_census *a, const struct pyr_census *b)
{
	size_t i, k;
	int bad = 0;

	for (i = 0; i < PYR_GEN_COUNT; i++)
		bad += a->by_generation[i] != b->by_generation[i];
	bad += a->objects != b->objects || a->gc_objects != b->gc_objects || a->bytes != b->bytes ||
	       a->only_block != b->only_block || a->only_gc_list != b->only_gc_list ||
	       a->only_reached != b->only_reached || a->rows.count != b->rows.count;
	for (i = 0; i < PYR_CENSUS_SIZES; i++)
		bad += a->sizes[i].count != b->sizes[i].count ||
		       a->sizes[i].bytes != b->sizes[i].bytes;
	for (i = 0; i < a->rows.count; i++) {
		const struct pyr_census_row *x = &a->rows.data[i], *y = NULL;

		for (k = 0; k < b->rows.count; k++)
			if (b->rows.data[k].type == x->type)
				y = &b->rows.data[k];
		if (!y || x->count != y->count || x->gc_count != y->gc_count ||
		    x->bytes != y->bytes || x->inexact_size != y->inexact_size) {
			printf("differs %s: %llu/%llu/%llu against %llu/%llu/%llu\n",
			       pyr_type_name(types, pyr_types_at(types, x->type)),
			       (unsigned long long)x->count, (unsigned long long)x->gc_count,
			       (unsigned long long)x->bytes, y ? (unsigned long long)y->count : 0,
			       y ? (unsigned long long)y->gc_count : 0,
			       y ? (unsigned long long)y->bytes : 0);
			bad++;
		}
	}
	return bad;
}

static void twin(struct pyr_types *types, struct pyr_control *control)
{
	struct pyr_census_options o = {.generation = -1, .size_histogram = true};
	struct pyr_census stream, model;
	struct pyr_heap *heap;
	uint32_t id;
	int bad = 0;
	double t;

	t = now();
	die(pyr_heap_build(types, control, &heap));
	printf("heap_seconds %.6f\n", now() - t);
	printf("heap_bytes_per_object %.2f\n",
	       (double)own_kib() * 1024 / (heap->count ? heap->count : 1));
	for (id = 0; id < heap->count; id++)
		bad += pyr_heap_id(heap, heap->address[id]) != id ||
		       pyr_heap_id(heap, heap->address[id] + 8) == id ||
		       (id && heap->address[id - 1] >= heap->address[id]);
	if (bad)
		printf("differs: %d ids\n", bad);
	for (o.generation = -1; o.generation <= 2; o.generation++) {
		die(pyr_census_run(types, control, &o, &stream));
		die(pyr_census_of_heap(heap, control, &o, &model));
		bad += differ(types, &stream, &model);
		pyr_census_deinit(&stream);
		pyr_census_deinit(&model);
	}
	pyr_heap_destroy(heap);
	printf("twin_differences %d\n", bad);
	if (bad)
		exit(1);
}

int main(int argc, char **argv)
{
	struct pyr_census_options options = {.generation = -1};
	struct pyr_target_options target_options = {0};
	struct pyr_python_options python_options = {0};
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *python;
	struct pyr_types *types;
	struct pyr_census census;
	double start, t;
	size_t i;

	if (argc < 2) {
		fprintf(stderr, "usage: census_bench CORE [--twin|--top]\n");
		return 2;
	}
	pyr_control_init(&control);
	start = t = now();
	die(pyr_target_open_core(&control, argv[1], &target_options, &target));
	printf("open_seconds %.6f\n", now() - t);
	t = now();
	die(pyr_python_open(target, &python_options, &python));
	printf("python %s\npython_seconds %.6f\n", python->version, now() - t);
	t = now();
	die(pyr_types_create(python, &types));
	printf("types_seconds %.6f\n", now() - t);
	t = now();
	die(pyr_census_run(types, &control, &options, &census));
	printf("census_seconds %.6f\n", now() - t);
	printf("whole_seconds %.6f\n", now() - start);
	printf("census_bytes_per_object %.2f\n",
	       (double)own_kib() * 1024 / (double)(census.objects ? census.objects : 1));
	print_census(&census);
	for (i = 0; argc > 2 && !strcmp(argv[2], "--top") && i < census.rows.count; i++)
		printf("type %s %llu %llu %llu\n",
		       pyr_type_name(types, pyr_types_at(types, census.rows.data[i].type)),
		       (unsigned long long)census.rows.data[i].count,
		       (unsigned long long)census.rows.data[i].gc_count,
		       (unsigned long long)census.rows.data[i].bytes);
	pyr_census_deinit(&census);
	print_diagnostics(&control);
	bench_scan(types, &control);
	bench_lists(types, &control);
	if (argc > 2 && !strcmp(argv[2], "--twin"))
		twin(types, &control);
	pyr_types_destroy(types);
	pyr_python_destroy(python);
	pyr_target_destroy(target);
	pyr_control_deinit(&control);
	return 0;
}
