/* why_bench CORE: how long the paths to objects take once the references are known, and
 * what is retained. Prints "name value" lines; tests/bench/bench.py turns them into
 * ratios. */
#define _GNU_SOURCE
#include "analysis/retention/retained.h"
#include "analysis/retention/edge_costs.h"
#include "bench.h"

#define TARGETS 2000u

static bool is_root(void *ctx, uint32_t node, unsigned *cost)
{
	const struct pyr_roots *roots = ctx;
	size_t i, end;
	bool found = false;
	unsigned c;

	pyr_roots_of(roots, node, &i, &end);
	for (; i < end; i++) {
		if (pyr_edge_costs_phase(&roots->roots.data[i]) != PYR_PHASE_EXACT)
			continue;
		c = pyr_edge_costs_root_cost((enum pyr_root_kind)roots->roots.data[i].kind);
		if (!found || c < *cost)
			*cost = c;
		found = true;
	}
	return found;
}

/* Objects from all over the heap. */
static void paths(struct pyr_model *model, struct pyr_roots *roots,
		  struct pyr_edge_costs *edge_costs, struct pyr_control *control)
{
	struct pyr_path_costs costs = {.cost = pyr_edge_costs_of, .ctx = edge_costs};
	struct pyr_path_query query = {.source = is_root, .ctx = roots};
	double t, took, most = 0, sum = 0;
	uint64_t looked = 0, most_looked = 0, none = 0, steps = 0;
	struct pyr_path path;
	uint32_t i, slowest = 0;

	for (i = 0; i < TARGETS; i++) {
		query.target = (uint32_t)((uint64_t)model->heap->count * i / TARGETS);
		t = now();
		die(pyr_path_find(control, &model->graph, &costs, &query, &path));
		took = now() - t;
		sum += took;
		if (took > most) {
			most = took;
			slowest = query.target;
		}
		if (path.looked > most_looked)
			most_looked = path.looked;
		looked += path.looked;
		none += !path.count;
		steps += path.count;
		pyr_path_deinit(&path);
	}
	printf("why_seconds %.6f\nwhy_most_seconds %.6f\n", sum / TARGETS, most);
	printf("why_slowest %s %llu references\n",
	       pyr_type_name(model->heap->types,
			     pyr_types_at(model->heap->types, model->heap->type[slowest])),
	       (unsigned long long)(model->graph.in_start[slowest + 1] -
				    model->graph.in_start[slowest]));
	printf("looked %llu most %llu none %llu steps %llu\n",
	       (unsigned long long)(looked / TARGETS), (unsigned long long)most_looked,
	       (unsigned long long)none, (unsigned long long)steps);
}

int main(int argc, char **argv)
{
	struct subject s;
	struct pyr_control *control = &s.control;
	struct pyr_model *model;
	struct pyr_roots *roots;
	struct pyr_ledger *ledger;
	struct pyr_edge_costs *edge_costs;
	struct pyr_retained retained;
	struct pyr_path_tree tree;
	double t;

	if (argc != 2) {
		fprintf(stderr, "usage: why_bench CORE\n");
		return 2;
	}
	subject_open(&s, argv[1], NULL);
	t = now();
	die(pyr_model_build(s.heap, control, &model));
	die(pyr_model_reverse(model, control));
	printf("both_seconds %.6f\n", now() - t);
	t = now();
	die(pyr_roots_find(model, control, &roots));
	printf("roots_seconds %.6f\n", now() - t);
	t = now();
	die(pyr_ledger_build(model, roots, control, &ledger));
	printf("ledger_seconds %.6f\n", now() - t);
	t = now();
	die(pyr_edge_costs_create(model, roots, ledger, control, &edge_costs));
	printf("telling_seconds %.6f\n", now() - t);
	paths(model, roots, edge_costs, control);
	t = now();
	die(pyr_edge_costs_tree(edge_costs, control, &tree));
	printf("tree_seconds %.6f\n", now() - t);
	pyr_path_tree_deinit(&tree);
	t = now();
	die(pyr_retained_compute(model, roots, ledger, control, &retained));
	printf("retained_seconds %.6f\n", now() - t);
	printf("objects %u\nreferences %llu\nreached %u %u %u %u\n", s.heap->count,
	       (unsigned long long)model->graph.edges, retained.objects[PYR_REACH_EXACT],
	       retained.objects[PYR_REACH_POSSIBLE], retained.objects[PYR_REACH_UNKNOWN],
	       retained.objects[PYR_REACH_NONE]);
	pyr_retained_deinit(&retained);
	pyr_edge_costs_destroy(edge_costs);
	pyr_ledger_destroy(ledger);
	pyr_roots_destroy(roots);
	pyr_model_destroy(model);
	subject_close(&s);
	return 0;
}
