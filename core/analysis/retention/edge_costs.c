#include "analysis/retention/edge_costs.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/access.h"
#include "values/object.h"

/* Of modules that hold an object alike, the one with the shorter way to its name comes
 * first: logging before asyncio.log. */
struct rank {
	uint32_t module;
	uint8_t dots;
};

/* What the costs ask of a type. */
enum side { SIDE_OTHER, SIDE_DICT, SIDE_MODULE, SIDE_TYPE, SIDE_FUNCTION, SIDE_FRAME };

struct pyr_edge_costs {
	struct pyr_model *model;
	const struct pyr_roots *roots;
	const struct pyr_ledger *ledger;
	uint8_t *sides; /* enum side, by type index */
	uint32_t type_count;
	uint64_t *namespaces;       /* a bit per object */
	PYR_VEC(uint32_t) modules;  /* the dicts behind sys.modules */
	PYR_VEC(struct rank) ranks; /* by module */
};

static enum side side_of(const struct pyr_type *type)
{
	switch (type ? type->shape : PYR_SHAPE_GENERIC) {
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_ODICT:
		return SIDE_DICT;
	case PYR_SHAPE_MODULE:
		return SIDE_MODULE;
	case PYR_SHAPE_TYPE:
		return SIDE_TYPE;
	case PYR_SHAPE_FUNCTION:
		return SIDE_FUNCTION;
	case PYR_SHAPE_FRAME:
		return SIDE_FRAME;
	default:
		return SIDE_OTHER;
	}
}

static enum side side(const struct pyr_edge_costs *t, uint32_t node)
{
	uint32_t type = t->model->heap->type[node];

	return type < t->type_count ? (enum side)t->sides[type] : SIDE_OTHER;
}

static bool bit(const uint64_t *bits, uint32_t n)
{
	return bits[n / 64] >> n % 64 & 1;
}

bool pyr_edge_costs_is_namespace(const struct pyr_edge_costs *t, uint32_t node)
{
	return bit(t->namespaces, node);
}

bool pyr_edge_costs_is_modules(const struct pyr_edge_costs *t, uint32_t node)
{
	size_t i;

	for (i = 0; i < t->modules.count; i++)
		if (t->modules.data[i] == node)
			return true;
	return false;
}

/* md_dict, moduleobject.c. */
static void note_namespace(struct pyr_edge_costs *t, struct pyr_reader *reader, uint32_t module)
{
	const struct pyr_heap *heap = t->model->heap;
	const struct pyr_layout *l = &pyr_types_python(heap->types)->layout;
	pyr_addr dict = pyr_get_addr(l, reader, heap->address[module], PyModuleObject, md_dict);
	uint32_t id = dict ? pyr_heap_id(heap, dict) : PYR_NO_ID;

	if (id != PYR_NO_ID)
		t->namespaces[id / 64] |= UINT64_C(1) << id % 64;
}

static int by_module(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	return x->module < y->module ? -1 : x->module > y->module;
}

static pyr_error *rank_modules(struct pyr_edge_costs *t, uint32_t modules)
{
	const struct pyr_heap *heap = t->model->heap;
	struct pyr_reader *reader = &pyr_types_python(heap->types)->reader;
	struct rank rank = {0};
	struct pyr_dict_iter iter;
	pyr_addr key, value;
	const char *c;
	char *name;
	pyr_error *err;

	err = pyr_dict_iter_init(heap->types, reader, heap->address[modules], &iter);
	if (err) { /* damaged: names order nothing then */
		pyr_error_destroy(err);
		return NULL;
	}
	while (pyr_dict_iter_next(&iter, &key, &value)) {
		rank.module = pyr_heap_id(heap, value);
		if (rank.module == PYR_NO_ID)
			continue;
		err = pyr_str_utf8(heap->types, reader, key, 400, &name, NULL);
		if (err) {
			pyr_error_destroy(err);
			continue;
		}
		for (rank.dots = 0, c = name; *c; c++)
			rank.dots += *c == '.' && rank.dots < 3;
		free(name);
		if (!pyr_vec_push(&t->ranks, rank))
			return pyr_error_no_memory();
	}
	return NULL;
}

static unsigned module_cost(const struct pyr_edge_costs *t, uint32_t module)
{
	struct rank key = {.module = module}, *found;

	found = t->ranks.count
			? bsearch(&key, t->ranks.data, t->ranks.count, sizeof(key), by_module)
			: NULL;
	return 2 * (found ? found->dots : 3u);
}

pyr_error *pyr_edge_costs_create(struct pyr_model *model, const struct pyr_roots *roots,
				 const struct pyr_ledger *ledger, struct pyr_control *control,
				 struct pyr_edge_costs **ret)
{
	struct pyr_edge_costs *t = calloc(1, sizeof(*t));
	const struct pyr_heap *heap = model->heap;
	const struct pyr_root *root;
	pyr_error *err = NULL;
	uint32_t n;
	size_t i;

	if (!t)
		return pyr_error_no_memory();
	t->model = model;
	t->roots = roots;
	t->ledger = ledger;
	t->type_count = pyr_types_count(heap->types);
	t->sides = calloc((size_t)t->type_count + 1, sizeof(*t->sides));
	t->namespaces = calloc((size_t)heap->count / 64 + 1, sizeof(*t->namespaces));
	if (!t->sides || !t->namespaces) {
		pyr_edge_costs_destroy(t);
		return pyr_error_no_memory();
	}
	for (n = 0; n < t->type_count; n++)
		t->sides[n] = (uint8_t)side_of(pyr_types_at(heap->types, n));
	for (n = 0; n < heap->count && !err; n++) {
		if (side(t, n) == SIDE_MODULE)
			note_namespace(t, &pyr_types_python(heap->types)->reader, n);
		if (!(n & 0xfffff))
			err = pyr_control_check(control);
	}
	for (i = 0; i < roots->roots.count && !err; i++) {
		root = &roots->roots.data[i];
		if (root->kind == PYR_ROOT_MODULE && side(t, root->object) == SIDE_DICT &&
		    !pyr_vec_push(&t->modules, root->object))
			err = pyr_error_no_memory();
	}
	for (i = 0; i < t->modules.count && !err; i++)
		err = rank_modules(t, t->modules.data[i]);
	if (t->ranks.count)
		qsort(t->ranks.data, t->ranks.count, sizeof(*t->ranks.data), by_module);
	if (err) {
		pyr_edge_costs_destroy(t);
		return err;
	}
	*ret = t;
	return NULL;
}

void pyr_edge_costs_destroy(struct pyr_edge_costs *t)
{
	if (!t)
		return;
	free(t->sides);
	free(t->namespaces);
	pyr_vec_deinit(&t->modules);
	pyr_vec_deinit(&t->ranks);
	free(t);
}

/* An ordinary step costs 4. */
static unsigned kind_cost(const struct pyr_edge_costs *t, uint32_t from, uint32_t to,
			  enum pyr_edge_kind kind)
{
	switch (kind) {
	case PYR_EDGE_VALUE:
	case PYR_EDGE_ATTRIBUTE:
	case PYR_EDGE_SLOT:
	case PYR_EDGE_ITEM:
	case PYR_EDGE_LOCAL:
		return 4;
	case PYR_EDGE_KEY:
		return side(t, from) == SIDE_DICT ? 12 : 4;
	case PYR_EDGE_TYPE:
		return 32;
	case PYR_EDGE_STACK:
		return 10;
	case PYR_EDGE_FIELD:
		/* a class's or an instance's dict: part of an attribute */
		if (side(t, to) == SIDE_DICT)
			return side(t, from) == SIDE_TYPE ? 1 : 2;
		/* __mro__, __bases__, tp_cache, ...; __code__, __name__, ... */
		return side(t, from) == SIDE_TYPE ? 24 : 6;
	default:
		return 8;
	}
}

unsigned pyr_edge_costs_of(void *ctx, uint32_t from, uint64_t edge)
{
	const struct pyr_edge_costs *t = ctx;
	uint32_t to = t->model->graph.out[edge];
	uint8_t flags = t->model->flags[edge];
	unsigned cost;

	/* sys.modules['m'], its __dict__: as one with the name of a variable in it */
	if (bit(t->namespaces, to))
		return side(t, from) == SIDE_MODULE ? 0 : 40;
	if (side(t, to) == SIDE_MODULE)
		return pyr_edge_costs_is_modules(t, from) ? module_cost(t, to) : 20;
	cost = kind_cost(t, from, to, PYR_MODEL_KIND(flags));
	if (flags & PYR_MODEL_INFERRED)
		cost += 12;
	else if (!(flags & PYR_MODEL_OWNED))
		cost += 24;
	return cost;
}

unsigned pyr_edge_costs_root_cost(enum pyr_root_kind kind)
{
	static const uint8_t costs[PYR_ROOT_COUNT] = {
#define ROOT(id, name, certainty, cost, text, one_from, many_from, one, many)                      \
	[PYR_ROOT_##id] = (cost),
#include "roots/roots.def"
#undef ROOT
	};

	return (unsigned)kind < PYR_ROOT_COUNT ? costs[kind] : PYR_SOURCE_COST_MAX;
}

unsigned pyr_edge_costs_phase(const struct pyr_root *root)
{
	if (root->possible)
		return PYR_PHASE_POSSIBLE;
	return root->kind == PYR_ROOT_IMMORTAL || root->kind == PYR_ROOT_INTERNED
		       ? PYR_PHASE_LASTING
		       : PYR_PHASE_EXACT;
}

bool pyr_edge_costs_root_counts(const struct pyr_edge_costs *t, const struct pyr_root *root)
{
	return !root->possible || pyr_ledger_remainder(t->ledger, root->object) > 0;
}

typedef PYR_VEC(struct pyr_path_source) source_list;

static pyr_error *list_sources(const struct pyr_edge_costs *t, source_list *list)
{
	struct pyr_path_source source = {0};
	const struct pyr_root *root;
	unsigned phase;
	uint32_t n;
	size_t i;

	for (phase = 0; phase < PYR_PHASE_UNKNOWN; phase++) {
		for (i = 0; i < t->roots->roots.count; i++) {
			root = &t->roots->roots.data[i];
			if (pyr_edge_costs_phase(root) != phase ||
			    !pyr_edge_costs_root_counts(t, root))
				continue;
			source.node = root->object;
			source.cost =
				(uint8_t)pyr_edge_costs_root_cost((enum pyr_root_kind)root->kind);
			source.phase = (uint8_t)phase;
			if (!pyr_vec_push(list, source))
				return pyr_error_no_memory();
		}
	}
	source.phase = PYR_PHASE_UNKNOWN;
	source.cost = 0;
	for (n = 0; n < t->model->heap->count; n++) {
		if (pyr_ledger_remainder(t->ledger, n) <= 0)
			continue;
		source.node = n;
		if (!pyr_vec_push(list, source))
			return pyr_error_no_memory();
	}
	return NULL;
}

pyr_error *pyr_edge_costs_tree(struct pyr_edge_costs *t, struct pyr_control *control,
			       struct pyr_path_tree *ret)
{
	struct pyr_path_costs costs = {.cost = pyr_edge_costs_of, .ctx = t};
	source_list sources = {0};
	pyr_error *err;

	if (!(err = list_sources(t, &sources)))
		err = pyr_path_tree_build(control, &t->model->graph, &costs, sources.data,
					  sources.count, ret);
	pyr_vec_deinit(&sources);
	return err;
}
