/* Which of an instance and its dict is visited for the values that they share. */
#include "references/refs_plan.h"

static void settle(struct pyr_walk *w, bool dict_first)
{
	atomic_store_explicit(&w->refs->rule,
			      dict_first ? PYR_RULE_DICT_FIRST : PYR_RULE_VALUES_FIRST,
			      memory_order_relaxed);
}

/* What the walked instance's own traverse function does with its dict. */
static bool instance_visits(struct pyr_walk *w, pyr_addr dict)
{
	size_t visited;

	if (!w->refs->ask(w->refs->ask_ctx, w->type, w->addr, dict, &visited))
		return true;
	/* PyObject_VisitManagedDict() is called by it for sure. */
	if (w->type->traverse == w->refs->subtype_traverse)
		settle(w, visited != 0);
	return visited != 0;
}

/* A dict whose values are embedded in an instance: is it visited itself, by the instance, and
 * are they by it? Where there are some its traverse function knows; of none the walked
 * instance has to be asked. Without code to ask, the newer rule. */
bool pyr_walk_dict_first(struct pyr_walk *w, pyr_addr dict)
{
	const struct pyr_layout *l = w->refs->layout;
	const struct pyr_type *type;
	int rule = atomic_load_explicit(&w->refs->rule, memory_order_relaxed);
	uint64_t used = 0, embedded = 0, type_addr;
	pyr_addr values;
	size_t visited;

	if (rule != PYR_RULE_UNDECIDED)
		return rule == PYR_RULE_DICT_FIRST;
	if (!w->refs->ask ||
	    !pyr_try_u64(w->reader, dict + (pyr_addr)w->refs->ob_type, &type_addr) ||
	    !(type = pyr_types_get(w->refs->types, w->reader, type_addr)) ||
	    !pyr_get_u64(l, w->reader, dict, PyDictObject, ma_used, &used) ||
	    !(values = pyr_get_addr(l, w->reader, dict, PyDictObject, ma_values)))
		return true;
	if (!used)
		return dict == w->addr || instance_visits(w, dict);
	if (!w->refs->ask(w->refs->ask_ctx, type, dict, 0, &visited))
		return true;
	/* Values that are the dict's own say nothing about embedded ones. */
	if (pyr_get_u64(l, w->reader, values, PyDictValues, embedded, &embedded) && embedded)
		settle(w, visited != 0);
	return visited != 0;
}

bool pyr_walk_asks(struct pyr_refs *refs, struct pyr_reader *reader,
		   const struct pyr_traverse_plan *plan, pyr_addr addr)
{
	const struct pyr_layout *l = refs->layout;
	pyr_addr dict, values;
	uint64_t embedded = 0;

	if (!pyr_has(l, PyDictValues, embedded))
		return false;
	if (plan->dict_mode == PYR_DICT_MANAGED_INLINE && plan->inline_values)
		return pyr_try_u64(reader, addr - 24, &dict) && dict;
	return plan->walker == PYR_WALK_DICT &&
	       (values = pyr_get_addr(l, reader, addr, PyDictObject, ma_values)) &&
	       pyr_get_u64(l, reader, values, PyDictValues, embedded, &embedded) && embedded;
}
