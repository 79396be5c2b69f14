/* References of one object, by its type's plan; and where plans are kept. */
#include "references/refs_walk.h"

#include <stdlib.h>

const struct pyr_traverse_plan *pyr_refs_plan(struct pyr_refs *refs, struct pyr_reader *reader,
					      const struct pyr_type *type)
{
	struct pyr_traverse_plan *plan, *none = NULL;

	if (type->index >= refs->capacity)
		return NULL;
	plan = atomic_load_explicit(&refs->plans[type->index], memory_order_acquire);
	if (plan)
		return plan;
	plan = pyr_traverse_plan_compile(refs, reader, type);
	if (plan && !atomic_compare_exchange_strong(&refs->plans[type->index], &none, plan)) {
		free(plan);
		plan = none;
	}
	return plan;
}

enum pyr_coverage pyr_traverse_plan_coverage(const struct pyr_type *type,
					     const struct pyr_traverse_plan *plan)
{
	if (plan->walker == PYR_WALK_UNKNOWN ||
	    atomic_load_explicit(&plan->state, memory_order_relaxed) == PYR_PLAN_REFUTED)
		return type->gc ? PYR_REFS_UNKNOWN : PYR_REFS_NONE;
	return plan->walker == PYR_WALK_MODULE ? PYR_REFS_PARTIAL : PYR_REFS_NATIVE;
}

static inline struct pyr_walk walk_of(struct pyr_refs *refs, struct pyr_reader *reader,
				      const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn,
				      void *ctx)
{
	return (struct pyr_walk){.refs = refs,
				 .reader = reader,
				 .type = type,
				 .addr = addr,
				 .fn = fn,
				 .ctx = ctx,
				 .details = true,
				 .plan = pyr_refs_plan(refs, reader, type)};
}

enum pyr_coverage pyr_refs_walk(struct pyr_refs *refs, struct pyr_reader *reader,
				const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn,
				void *ctx)
{
	struct pyr_walk w = walk_of(refs, reader, type, addr, fn, ctx);

	if (!w.plan)
		return PYR_REFS_UNKNOWN;
	pyr_walk_object(&w);
	return w.damaged ? PYR_REFS_DAMAGED : pyr_traverse_plan_coverage(type, w.plan);
}

struct owned {
	pyr_ref_fn fn;
	void *ctx;
	bool all; /* also what the function would have visited: it was not asked */
};

static void tell_owned(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct owned *o = ctx;

	if (label & PYR_REF_OWNED && (o->all || !(label & PYR_REF_TRAVERSED)))
		o->fn(o->ctx, target, label & ~PYR_REF_TRAVERSED, detail);
}

bool pyr_refs_walk_unvisited(struct pyr_refs *refs, struct pyr_reader *reader,
			     const struct pyr_type *type, pyr_addr addr,
			     const struct pyr_visited *visited, pyr_ref_fn fn, void *ctx)
{
	struct owned o = {.fn = fn, .ctx = ctx, .all = !visited};
	struct pyr_walk w = walk_of(refs, reader, type, addr, fn, ctx);
	const struct pyr_traverse_plan_field *f;
	pyr_addr target, place;
	uint32_t label, i;

	if (!w.plan)
		return true;
	w.visited = visited;
	/* The function that was asked visits the fields of such plans itself. */
	if (w.plan->walker != PYR_WALK_UNKNOWN) {
		w.fn = tell_owned;
		w.ctx = &o;
	}
	for (i = 0; i < w.plan->count; i++) {
		f = &w.plan->fields[i];
		place = addr + (pyr_addr)f->offset +
			(f->behind_items ? pyr_walk_items_size(&w) : 0);
		if ((f->label & PYR_REF_TRAVERSED || !visited ||
		     !pyr_visited_word(visited, (uint32_t)f->offset)) &&
		    pyr_try_u64(reader, place, &target))
			pyr_walk_tell(&w, target, f->label, f->detail);
	}
	if (w.plan->dict_mode != PYR_DICT_NOT_VISITED)
		pyr_walk_instance_dict(&w);
	label = (w.plan->visits_type ? PYR_REF_TRAVERSED : 0) |
		(w.plan->owns_type && !(visited && visited->type) ? PYR_REF_OWNED : 0);
	if (label)
		pyr_walk_tell(&w, type->address, PYR_EDGE_TYPE | label, 0);
	w.fn = tell_owned;
	w.ctx = &o;
	if (w.plan->owner != PYR_WALK_UNKNOWN)
		pyr_walk_rest(&w, w.plan->owner);
	return !w.damaged;
}

const struct pyr_type *pyr_refs_traverse_type(struct pyr_refs *refs, struct pyr_reader *reader,
					      const struct pyr_type *type)
{
	const struct pyr_traverse_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan ? plan->asked : type;
}

static void count_visits(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	(void)target;
	(void)detail;
	*(size_t *)ctx += (label & PYR_REF_TRAVERSED) != 0;
}

void pyr_refs_verify_type_visit(struct pyr_refs *refs, struct pyr_reader *reader,
				const struct pyr_type *type, pyr_addr addr)
{
	size_t visited, known = 0;
	struct pyr_walk w = walk_of(refs, reader, type, addr, count_visits, &known);
	struct pyr_traverse_plan *plan = (struct pyr_traverse_plan *)w.plan;

	if (!plan || atomic_load(&plan->state) != PYR_PLAN_UNSETTLED)
		return;
	if (!refs->ask || !refs->ask(refs->ask_ctx, type, addr, 0, &visited)) {
		/* Heap types are expected to visit their type since 3.9 (bpo-40217). */
		plan->visits_type |= !pyr_is(refs->layout, subtype_visits_type, ALWAYS);
		atomic_store(&plan->state, PYR_PLAN_SETTLED);
		return;
	}
	pyr_walk_object(&w);
	if (visited == known + 1 && !plan->visits_type && type->heap)
		plan->visits_type = true;
	else if (visited != known)
		atomic_store(&plan->state, PYR_PLAN_REFUTED);
	if (atomic_load(&plan->state) == PYR_PLAN_UNSETTLED)
		atomic_store(&plan->state, PYR_PLAN_SETTLED);
}

enum pyr_walker pyr_refs_owner_walker(struct pyr_refs *refs, struct pyr_reader *reader,
				      const struct pyr_type *type)
{
	const struct pyr_traverse_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan ? plan->owner : PYR_WALK_UNKNOWN;
}

bool pyr_refs_must_ask(struct pyr_refs *refs, struct pyr_reader *reader,
		       const struct pyr_type *type, pyr_addr addr)
{
	const struct pyr_traverse_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan &&
	       (atomic_load_explicit(&plan->state, memory_order_relaxed) == PYR_PLAN_UNSETTLED ||
		pyr_walk_must_ask(refs, reader, plan, addr));
}

enum pyr_walked pyr_refs_walked(struct pyr_refs *refs, struct pyr_reader *reader,
				const struct pyr_type *type, const struct pyr_traverse_plan **plan)
{
	enum pyr_coverage coverage;

	if (!(*plan = pyr_refs_plan(refs, reader, type)))
		return PYR_WALKED_OTHERWISE;
	coverage = pyr_traverse_plan_coverage(type, *plan);
	if ((coverage != PYR_REFS_NATIVE && coverage != PYR_REFS_NONE) ||
	    atomic_load(&(*plan)->state) != PYR_PLAN_SETTLED)
		return PYR_WALKED_OTHERWISE;
	return pyr_refs_are_none(refs, reader, type) ? PYR_WALKED_NEVER : PYR_WALKED_NATIVELY;
}

bool pyr_refs_are_none(struct pyr_refs *refs, struct pyr_reader *reader,
		       const struct pyr_type *type)
{
	const struct pyr_traverse_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan && !plan->count && plan->dict_mode == PYR_DICT_NOT_VISITED &&
	       !plan->visits_type && !plan->owns_type &&
	       (plan->walker == PYR_WALK_FIELDS ||
		(plan->walker == PYR_WALK_UNKNOWN &&
		 pyr_traverse_plan_coverage(type, plan) == PYR_REFS_NONE));
}

enum pyr_coverage pyr_refs_coverage(struct pyr_refs *refs, struct pyr_reader *reader,
				    const struct pyr_type *type)
{
	const struct pyr_traverse_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan ? pyr_traverse_plan_coverage(type, plan) : PYR_REFS_UNKNOWN;
}

/* subtype_traverse() is a local symbol. It is the traverse function that most
 * heap types share whose bases are not their definers: asked of the symbol table
 * first, then of the classes that are known by now. */
static pyr_addr find_subtype_traverse(struct pyr_types *types)
{
	struct pyr_python *python = pyr_types_python(types);
	struct {
		pyr_addr traverse;
		unsigned votes;
	} best[64] = {0};
	const struct pyr_type *type;
	uint32_t i, count = pyr_types_count(types);
	unsigned k, most = 0;
	pyr_addr found;

	if (python->image &&
	    pyr_image_symbol(python->target, python->image, "subtype_traverse", &found, NULL))
		return found;
	for (i = 0; i < count; i++) {
		type = pyr_types_at(types, i);
		if (!type || !type->heap || !type->gc || !type->traverse)
			continue;
		for (k = 0; k < 64 && best[k].traverse && best[k].traverse != type->traverse; k++)
			;
		if (k < 64) {
			best[k].traverse = type->traverse;
			best[k].votes++;
		}
	}
	for (k = 1; k < 64; k++)
		if (best[k].votes > best[most].votes)
			most = k;
	return best[most].traverse;
}

/* lookdict(), the lookup function of tables with keys of any type, is a local
 * symbol. The subclasses of `object` are such a table in every process: their
 * keys are ints. */
static pyr_addr find_lookdict(struct pyr_types *types)
{
	struct pyr_python *python = pyr_types_python(types);
	const struct pyr_layout *l = &python->layout;
	pyr_addr dict, keys;

	if (!pyr_is(l, dict_keys, LOOKUP_FN))
		return 0;
	dict = pyr_get_addr(l, &python->reader, python->known[PYR_KNOWN_OBJECT_TYPE], PyTypeObject,
			    tp_subclasses);
	keys = dict ? pyr_get_addr(l, &python->reader, dict, PyDictObject, ma_keys) : 0;
	return keys ? pyr_get_addr(l, &python->reader, keys, PyDictKeysObject, dk_lookup) : 0;
}

bool pyr_refs_add_interned(struct pyr_refs *refs, pyr_addr dict)
{
	size_t i;

	for (i = 0; i < refs->interned.count; i++)
		if (refs->interned.data[i] == dict)
			return true;
	return pyr_vec_push(&refs->interned, dict);
}

const pyr_addr *pyr_refs_interned(const struct pyr_refs *refs, size_t *count)
{
	*count = refs->interned.count;
	return refs->interned.data;
}

/* The tables of interned strings that can be had without looking through the heap. */
static bool find_interned(struct pyr_refs *refs)
{
	struct pyr_python *python = pyr_types_python(refs->types);
	pyr_addr place, dict = 0;
	size_t i;

	if (pyr_is(refs->layout, interned_location, STATIC))
		return !python->image ||
		       !pyr_image_symbol(python->target, python->image, "interned", &place, NULL) ||
		       !pyr_try_u64(&python->reader, place, &dict) || !dict ||
		       pyr_refs_add_interned(refs, dict);
	for (i = 0; i < python->interpreters.count; i++) {
		dict = pyr_get_addr(refs->layout, &python->reader,
				    python->interpreters.data[i].address, PyInterpreterState,
				    interned_strings);
		if (dict && !pyr_refs_add_interned(refs, dict))
			return false;
	}
	return true;
}

pyr_error *pyr_refs_create(struct pyr_types *types, struct pyr_refs **ret)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	struct pyr_refs *refs = calloc(1, sizeof(*refs));

	if (!refs)
		return pyr_error_no_memory();
	refs->types = types;
	refs->layout = l;
	/* Types that appear later than this are walked as unknown. */
	refs->capacity = pyr_types_count(types) + 4096;
	refs->plans = calloc(refs->capacity, sizeof(*refs->plans));
	if (!refs->plans) {
		free(refs);
		return pyr_error_no_memory();
	}
	refs->ob_type = pyr_offset(l, PyObject, ob_type);
	refs->lookup_in_keys = pyr_is(l, dict_keys, LOOKUP_FN);
	refs->ob_size = pyr_offset(l, PyVarObject, ob_size);
	refs->list_items = pyr_offset(l, PyListObject, ob_item);
	refs->list_allocated = pyr_offset(l, PyListObject, allocated);
	refs->tuple_items = pyr_offset(l, PyTupleObject, ob_item);
	refs->ma_keys = pyr_offset(l, PyDictObject, ma_keys);
	refs->ma_values = pyr_offset(l, PyDictObject, ma_values);
	refs->rule = pyr_is(l, managed_dict_traversal, DICT_FIRST)     ? PYR_RULE_DICT_FIRST
		     : pyr_is(l, managed_dict_traversal, VALUES_FIRST) ? PYR_RULE_VALUES_FIRST
								       : PYR_RULE_UNDECIDED;
	refs->subtype_traverse = find_subtype_traverse(types);
	refs->lookdict = find_lookdict(types);
	if (!find_interned(refs)) {
		pyr_refs_destroy(refs);
		return pyr_error_no_memory();
	}
	*ret = refs;
	return NULL;
}

void pyr_refs_ask(struct pyr_refs *refs, pyr_refs_ask_fn ask, void *ctx)
{
	refs->ask = ask;
	refs->ask_ctx = ctx;
}

void pyr_refs_destroy(struct pyr_refs *refs)
{
	uint32_t i;

	if (!refs)
		return;
	for (i = 0; i < refs->capacity; i++)
		free(atomic_load(&refs->plans[i]));
	free(refs->plans);
	pyr_vec_deinit(&refs->interned);
	free(refs);
}
