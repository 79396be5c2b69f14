#include "analysis/memory/waste.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/memory/waste_internal.h"
#include "base/parallel.h"

static const struct {
	const char *name, *text, *one, *many;
} kinds[] = {
#define WASTE(id, name, text, one, many) {name, text, one, many},
#include "analysis/memory/waste.def"
#undef WASTE
};

const char *pyr_waste_name(enum pyr_waste_kind kind)
{
	return kinds[kind].name;
}

const char *pyr_waste_text(enum pyr_waste_kind kind)
{
	return kinds[kind].text;
}

const char *pyr_waste_noun(enum pyr_waste_kind kind, uint64_t count)
{
	return count == 1 ? kinds[kind].one : kinds[kind].many;
}

bool pyr_waste_add(struct pyr_waste *waste, const struct pyr_waste_item *item, uint64_t objects)
{
	waste->totals[item->kind].objects += objects;
	waste->totals[item->kind].bytes += item->bytes;
	waste->bytes += item->bytes;
	return pyr_vec_push(&waste->items, *item);
}

struct pass {
	struct pyr_heap *heap;
	struct pyr_waste_worker *workers;
};

static void look_at(struct pyr_heap *heap, struct pyr_waste_worker *w, uint32_t id)
{
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	struct pyr_waste_text text = {.id = id};
	struct pyr_waste_item item;
	struct pyr_waste_view view;

	if (pyr_waste_of_container(heap, &w->reader, id, &item)) {
		w->out_of_memory |= !pyr_vec_push(&w->items, item);
	} else if (type->exact_shape &&
		   (type->shape == PYR_SHAPE_STR || type->shape == PYR_SHAPE_BYTES)) {
		if (pyr_waste_hash(heap, &w->reader, id, &text.hash))
			w->out_of_memory |=
				!pyr_vec_push(&w->texts[type->shape == PYR_SHAPE_BYTES], text);
	} else if (pyr_waste_of_view(heap, &w->reader, id, &view)) {
		w->out_of_memory |= !pyr_vec_push(&w->views, view);
	}
}

static pyr_error *look(void *ctx, unsigned index, size_t begin, size_t end)
{
	struct pass *pass = ctx;
	struct pyr_waste_worker *w = &pass->workers[index];

	for (; begin < end; begin++)
		look_at(pass->heap, w, (uint32_t)begin);
	return w->out_of_memory ? pyr_error_no_memory() : pyr_reader_check(&w->reader);
}

/* @count elements more of @size bytes behind the @*n of *@all. */
static bool append(void **all, size_t *n, const void *data, size_t count, size_t size)
{
	char *grown = realloc(*all, (*n + count + 1) * size);

	if (!grown)
		return false;
	if (count)
		memcpy(grown + *n * size, data, count * size);
	*all = grown;
	*n += count;
	return true;
}

/* @which: 0 str, 1 bytes */
static pyr_error *find_copies(struct pass *pass, struct pyr_control *control, unsigned workers,
			      unsigned which, struct pyr_waste *out)
{
	pyr_error *err = NULL;
	void *texts = NULL;
	size_t count = 0;
	unsigned i;

	for (i = 0; i < workers && !err; i++) {
		if (!append(&texts, &count, pass->workers[i].texts[which].data,
			    pass->workers[i].texts[which].count, sizeof(struct pyr_waste_text)))
			err = pyr_error_no_memory();
		pyr_vec_deinit(&pass->workers[i].texts[which]);
	}
	if (!err)
		err = pyr_waste_texts(pass->heap, control, which ? PYR_WASTE_BYTES : PYR_WASTE_STR,
				      texts, count, out);
	free(texts);
	return err;
}

static pyr_error *find_views(struct pass *pass, unsigned workers, struct pyr_waste *out)
{
	bool ok = true;
	void *views = NULL;
	size_t count = 0;
	unsigned i;

	for (i = 0; i < workers && ok; i++)
		ok = append(&views, &count, pass->workers[i].views.data,
			    pass->workers[i].views.count, sizeof(struct pyr_waste_view));
	ok = ok && pyr_waste_views(pass->heap, &pass->workers[0].reader, views, count, out);
	free(views);
	return ok ? NULL : pyr_error_no_memory();
}

static pyr_error *run(struct pass *pass, struct pyr_control *control, unsigned workers,
		      struct pyr_waste *out)
{
	pyr_error *err;
	unsigned i;
	size_t k;

	if ((err = pyr_parallel(control, "looking for waste", workers, pass->heap->count, 4096,
				look, pass)))
		return err;
	for (i = 0; i < workers; i++)
		for (k = 0; k < pass->workers[i].items.count; k++)
			if (!pyr_waste_add(out, &pass->workers[i].items.data[k], 1))
				return pyr_error_no_memory();
	if ((err = find_views(pass, workers, out)) ||
	    (err = find_copies(pass, control, workers, 0, out)))
		return err;
	return find_copies(pass, control, workers, 1, out);
}

static bool comes_before(const struct pyr_waste_item *a, const struct pyr_waste_item *b)
{
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes;
	return a->kind != b->kind ? a->kind < b->kind : a->id < b->id;
}

static int in_order(const void *a, const void *b)
{
	return comes_before(a, b) ? -1 : comes_before(b, a);
}

/* Keep the first @limit of many without sorting all: a heap whose top is the last kept. */
static void keep_first(struct pyr_waste *waste, uint64_t limit)
{
	struct pyr_waste_item *v = waste->items.data, t;
	size_t n = waste->items.count, i, at, child;

	if (limit < n) {
		for (i = 0; i < n; i++) {
			if (i >= limit) {
				if (!limit || !comes_before(&v[i], &v[0]))
					continue;
				v[0] = v[i];
				for (at = 0; (child = 2 * at + 1) < limit; at = child) {
					if (child + 1 < limit &&
					    comes_before(&v[child], &v[child + 1]))
						child++;
					if (!comes_before(&v[at], &v[child]))
						break;
					t = v[at];
					v[at] = v[child];
					v[child] = t;
				}
				continue;
			}
			for (at = i; at && comes_before(&v[(at - 1) / 2], &v[at]);
			     at = (at - 1) / 2) {
				t = v[at];
				v[at] = v[(at - 1) / 2];
				v[(at - 1) / 2] = t;
			}
		}
		waste->omitted = n - limit;
		waste->items.count = limit;
	}
	if (waste->items.count)
		qsort(v, waste->items.count, sizeof(*v), in_order);
}

pyr_error *pyr_waste_find(struct pyr_heap *heap, struct pyr_control *control, uint64_t limit,
			  struct pyr_waste *ret)
{
	struct pyr_target *target = pyr_types_python(heap->types)->target;
	unsigned workers = pyr_target_concurrent(target) ? pyr_parallel_workers() : 1, i;
	struct pass pass = {.heap = heap};
	struct pyr_waste out;
	pyr_error *err;

	memset(&out, 0, sizeof(out));
	pass.workers = calloc(workers, sizeof(*pass.workers));
	if (!pass.workers)
		return pyr_error_no_memory();
	for (i = 0; i < workers; i++)
		pyr_reader_init(&pass.workers[i].reader, target);
	err = run(&pass, control, workers, &out);
	for (i = 0; i < workers; i++) {
		pyr_reader_deinit(&pass.workers[i].reader);
		pyr_vec_deinit(&pass.workers[i].items);
		pyr_vec_deinit(&pass.workers[i].texts[0]);
		pyr_vec_deinit(&pass.workers[i].texts[1]);
		pyr_vec_deinit(&pass.workers[i].views);
	}
	free(pass.workers);
	if (err) {
		pyr_waste_deinit(&out);
		return err;
	}
	keep_first(&out, limit);
	*ret = out;
	return NULL;
}

void pyr_waste_deinit(struct pyr_waste *waste)
{
	pyr_vec_deinit(&waste->items);
}
