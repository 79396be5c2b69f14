#include "analysis/retention/retained.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "values/object.h"

#define GRAIN 16384
#define NOBODY UINT32_MAX

/* --- shallow sizes --- */

struct sizing {
	struct pyr_heap *heap;
	struct pyr_reader *readers; /* one per worker */
	uint64_t *sizes;
};

static pyr_error *measure(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct sizing *s = ctx;
	const struct pyr_type *type;
	uint64_t size;
	pyr_error *err;
	size_t n;
	bool exact;

	for (n = begin; n < end; n++) {
		type = pyr_types_at(s->heap->types, s->heap->type[n]);
		size = type ? pyr_type_fixed_size(type) : 0;
		if (type && !size) {
			err = pyr_object_size(s->heap->types, &s->readers[worker], type,
					      s->heap->address[n], &size, &exact);
			if (err) { /* damaged: a census leaves it out too */
				pyr_error_destroy(err);
				size = 0;
			}
		}
		s->sizes[n] = size;
	}
	return NULL;
}

pyr_error *pyr_retained_sizes(struct pyr_heap *heap, struct pyr_control *control, uint64_t **ret)
{
	unsigned workers = pyr_parallel_workers(), i;
	struct sizing s = {.heap = heap};
	pyr_error *err;

	s.sizes = malloc(((size_t)heap->count + 1) * sizeof(*s.sizes));
	s.readers = calloc(workers, sizeof(*s.readers));
	if (!s.sizes || !s.readers) {
		free(s.sizes);
		free(s.readers);
		return pyr_error_no_memory();
	}
	for (i = 0; i < workers; i++)
		pyr_reader_init(&s.readers[i], pyr_types_python(heap->types)->target);
	err = pyr_parallel(control, "sizes", workers, heap->count, GRAIN, measure, &s);
	for (i = 0; i < workers; i++)
		pyr_reader_deinit(&s.readers[i]);
	free(s.readers);
	if (err) {
		free(s.sizes);
		return err;
	}
	*ret = s.sizes;
	return NULL;
}

/* --- the tree --- */

typedef PYR_VEC(uint32_t) node_list;

static pyr_error *list_roots(const struct pyr_model *model, const struct pyr_roots *roots,
			     const struct pyr_ledger *ledger, node_list *list, size_t ends[3])
{
	const struct pyr_root *root;
	uint32_t n;
	size_t i;
	int possible;

	for (possible = 0; possible < 2; possible++) {
		for (i = 0; i < roots->roots.count; i++) {
			root = &roots->roots.data[i];
			if (root->possible != (possible == 1) ||
			    (possible && pyr_ledger_remainder(ledger, root->object) <= 0))
				continue;
			if (!pyr_vec_push(list, root->object))
				return pyr_error_no_memory();
		}
		ends[possible] = list->count;
	}
	for (n = 0; n < model->heap->count; n++)
		if (pyr_ledger_remainder(ledger, n) > 0 && !pyr_vec_push(list, n))
			return pyr_error_no_memory();
	ends[2] = list->count;
	return NULL;
}

pyr_error *pyr_retained_compute(struct pyr_model *model, const struct pyr_roots *roots,
				const struct pyr_ledger *ledger, struct pyr_control *control,
				struct pyr_retained *ret)
{
	struct pyr_retained r = {0};
	node_list list = {0};
	size_t ends[3];
	pyr_error *err;
	uint32_t n;

	if (!(err = list_roots(model, roots, ledger, &list, ends)) &&
	    !(err = pyr_retained_sizes(model->heap, control, &r.sizes)))
		err = pyr_dominators_compute_phased(control, &model->graph, list.data, ends, 3,
						    r.sizes, r.objects, &r.tree);
	pyr_vec_deinit(&list);
	if (err) {
		pyr_retained_deinit(&r);
		return err;
	}
	r.objects[PYR_REACH_NONE] = model->heap->count - r.objects[PYR_REACH_EXACT] -
				    r.objects[PYR_REACH_POSSIBLE] - r.objects[PYR_REACH_UNKNOWN];
	for (n = 0; n < model->heap->count; n++)
		r.bytes += r.sizes[n];
	*ret = r;
	return NULL;
}

void pyr_retained_deinit(struct pyr_retained *r)
{
	pyr_dominators_deinit(&r->tree);
	free(r->sizes);
	memset(r, 0, sizeof(*r));
}

/* --- the tree downwards --- */

pyr_error *pyr_dominated_unfold(const struct pyr_dominators *tree, uint32_t count,
				struct pyr_dominated *ret)
{
	struct pyr_dominated f = {.top = NOBODY};
	size_t n = (size_t)count + 1;
	uint32_t i, *head;

	f.child = malloc(n * sizeof(*f.child));
	f.sibling = malloc(n * sizeof(*f.sibling));
	if (!f.child || !f.sibling) {
		pyr_dominated_deinit(&f);
		return pyr_error_no_memory();
	}
	memset(f.child, 0xff, n * sizeof(*f.child));
	memset(f.sibling, 0xff, n * sizeof(*f.sibling));
	for (i = count; i-- > 0;) {
		if (tree->parent[i] == PYR_NOT_REACHABLE)
			continue;
		head = tree->parent[i] == PYR_DOMINATED_BY_ROOTS ? &f.top
								 : &f.child[tree->parent[i]];
		f.sibling[i] = *head;
		*head = i;
	}
	*ret = f;
	return NULL;
}

void pyr_dominated_deinit(struct pyr_dominated *f)
{
	free(f->child);
	free(f->sibling);
	memset(f, 0, sizeof(*f));
}

uint32_t pyr_dominated_next(const struct pyr_dominated *f, const struct pyr_dominators *tree,
			    uint32_t start, uint32_t node)
{
	if (f->child[node] != NOBODY)
		return f->child[node];
	for (; node != start; node = tree->parent[node])
		if (f->sibling[node] != NOBODY)
			return f->sibling[node];
	return NOBODY;
}

/* --- by type --- */

/* A walk down the tree that keeps, for each type, how many of its objects are above. */
static void add_up(const struct pyr_retained *r, const struct pyr_heap *heap,
		   const struct pyr_dominated *f, uint32_t *above, uint64_t *ret, uint32_t types)
{
	uint32_t n = f->top, type;

	while (n != NOBODY) {
		type = heap->type[n];
		if (type < types && !above[type]++)
			ret[type] += r->tree.retained[n];
		if (f->child[n] != NOBODY) {
			n = f->child[n];
			continue;
		}
		for (;;) {
			if (heap->type[n] < types)
				above[heap->type[n]]--;
			if (f->sibling[n] != NOBODY) {
				n = f->sibling[n];
				break;
			}
			if (r->tree.parent[n] == PYR_DOMINATED_BY_ROOTS)
				return;
			n = r->tree.parent[n];
		}
	}
}

pyr_error *pyr_retained_by_type(const struct pyr_retained *r, const struct pyr_heap *heap,
				struct pyr_control *control, uint64_t *ret, uint32_t types)
{
	uint32_t *above = calloc((size_t)types + 1, sizeof(*above));
	struct pyr_dominated f;
	pyr_error *err;

	if (!above)
		return pyr_error_no_memory();
	if (!(err = pyr_control_check(control)) &&
	    !(err = pyr_dominated_unfold(&r->tree, heap->count, &f))) {
		add_up(r, heap, &f, above, ret, types);
		pyr_dominated_deinit(&f);
	}
	free(above);
	return err;
}
