#include "base/search.h"
#include "roots/roots_internal.h"

#include <stdlib.h>
#include <string.h>

void pyr_roots_push_id(struct pyr_roots *roots, enum pyr_root_kind kind, unsigned flags,
		       uint32_t object, pyr_addr slot, uint64_t a, uint64_t b)
{
	struct pyr_root root = {.object = object,
				.kind = (uint8_t)kind,
				.owned = flags & PYR_ROOT_OWNED,
				.possible = flags & PYR_ROOT_POSSIBLE,
				.slot = slot,
				.a = a,
				.b = b};

	if (!pyr_vec_push(&roots->roots, root))
		roots->state->failed = true;
}

void pyr_roots_push(struct pyr_roots *roots, enum pyr_root_kind kind, unsigned flags,
		    pyr_addr object, pyr_addr slot, uint64_t a, uint64_t b)
{
	uint32_t id = object ? pyr_heap_id(roots->model->heap, object) : PYR_NO_ID;

	if (id != PYR_NO_ID)
		pyr_roots_push_id(roots, kind, flags, id, slot, a, b);
}

static int by_object(const void *x, const void *y)
{
	const struct pyr_root *a = x, *b = y;

	if (a->object != b->object)
		return a->object < b->object ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	if (a->a != b->a)
		return a->a < b->a ? -1 : 1;
	return a->b < b->b ? -1 : a->b > b->b;
}

/* Words of C memory that were told by name already, from @first on, go. */
static pyr_error *drop_known(struct pyr_roots *roots, size_t first)
{
	PYR_VEC(pyr_addr) slots = {0};
	struct pyr_root *r = roots->roots.data;
	size_t i, kept = first;

	for (i = 0; i < first; i++)
		if (r[i].slot && !pyr_vec_push(&slots, r[i].slot)) {
			pyr_vec_deinit(&slots);
			return pyr_error_no_memory();
		}
	if (slots.count) {
		qsort(slots.data, slots.count, sizeof(*slots.data), pyr_by_word);
		for (i = first; i < roots->roots.count; i++)
			if (!r[i].slot || !bsearch(&r[i].slot, slots.data, slots.count,
						   sizeof(*slots.data), pyr_by_word))
				r[kept++] = r[i];
		roots->roots.count = kept;
	}
	pyr_vec_deinit(&slots);
	return NULL;
}

static pyr_error *find(struct pyr_roots *roots, struct pyr_control *control)
{
	size_t exact;
	pyr_error *err;

	if ((err = pyr_roots_frames(roots, control)) ||
	    (err = pyr_roots_interpreters(roots, control)) ||
	    (err = pyr_roots_types(roots, control)) || (err = pyr_roots_statics(roots, control)) ||
	    (err = pyr_roots_cython(roots, control)) || (err = pyr_roots_modules(roots, control)))
		return err;
	exact = roots->roots.count;
	if ((err = pyr_roots_native(roots, control)) || (err = drop_known(roots, exact)))
		return err;
	if (roots->state->failed)
		return pyr_error_no_memory();
	if (roots->roots.count)
		qsort(roots->roots.data, roots->roots.count, sizeof(*roots->roots.data), by_object);
	return pyr_control_check(control);
}

pyr_error *pyr_roots_find(struct pyr_model *model, struct pyr_control *control,
			  struct pyr_roots **ret)
{
	struct pyr_roots *roots = calloc(1, sizeof(*roots));
	pyr_error *err;

	if (roots)
		roots->state = calloc(1, sizeof(*roots->state));
	if (!roots || !roots->state) {
		free(roots);
		return pyr_error_no_memory();
	}
	roots->model = model;
	if ((err = find(roots, control))) {
		pyr_roots_destroy(roots);
		return err;
	}
	*ret = roots;
	return NULL;
}

void pyr_roots_destroy(struct pyr_roots *roots)
{
	size_t i;

	if (!roots)
		return;
	pyr_roots_native_deinit(roots);
	for (i = 0; i < roots->state->threads.count; i++)
		pyr_frames_deinit(&roots->state->threads.data[i]);
	pyr_vec_deinit(&roots->state->threads);
	pyr_vec_deinit(&roots->state->statics);
	pyr_vec_deinit(&roots->roots);
	free(roots->state);
	free(roots);
}

void pyr_roots_of(const struct pyr_roots *roots, uint32_t object, size_t *begin, size_t *end)
{
	size_t i = pyr_search(k, roots->roots.count, roots->roots.data[k].object < object);

	*begin = i;
	while (i < roots->roots.count && roots->roots.data[i].object == object)
		i++;
	*end = i;
}

const char *pyr_root_kind_name(enum pyr_root_kind kind)
{
	static const char *const names[] = {
#define ROOT(id, name, certainty, cost, text, one_from, many_from, one, many) name,
#include "roots/roots.def"
#undef ROOT
	};

	return (unsigned)kind < PYR_ROOT_COUNT ? names[kind] : "?";
}

static void type_name(const struct pyr_roots *roots, const struct pyr_root *root,
		      struct pyr_strbuf *out)
{
	struct pyr_types *types = roots->model->heap->types;
	struct pyr_python *python = pyr_types_python(types);
	const struct pyr_type *type =
		pyr_types_get(types, &python->reader, roots->model->heap->address[root->object]);

	pyr_strbuf_printf(out, "static type %s", type ? pyr_type_name(types, type) : "?");
}

void pyr_root_name(const struct pyr_roots *roots, const struct pyr_root *root,
		   struct pyr_strbuf *out)
{
	switch ((enum pyr_root_kind)root->kind) {
	case PYR_ROOT_FRAME_LOCAL:
	case PYR_ROOT_FRAME_STACK:
	case PYR_ROOT_FRAME:
		pyr_root_frame_name(roots, root, out);
		break;
	case PYR_ROOT_MODULE:
	case PYR_ROOT_THREAD:
	case PYR_ROOT_INTERPRETER:
	case PYR_ROOT_RUNTIME:
	case PYR_ROOT_INTERNED:
		pyr_root_interpreter_name(roots, root, out);
		break;
	case PYR_ROOT_MODULE_STATE:
		pyr_root_module_name(roots, root, out);
		break;
	case PYR_ROOT_STATIC_TYPE:
		type_name(roots, root, out);
		break;
	case PYR_ROOT_IMMORTAL:
		pyr_strbuf_add(out, "an object that is never freed");
		break;
	case PYR_ROOT_C_STATIC:
	case PYR_ROOT_C_STACK:
	case PYR_ROOT_REGISTER:
	case PYR_ROOT_NATIVE:
		pyr_root_native_name(roots, root, out);
		break;
	case PYR_ROOT_COUNT:
		break;
	}
}
