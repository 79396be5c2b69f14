/* dominators: who retains how much. */
#include <stdlib.h>
#include <string.h>

#include "views/path_search.h"

struct dominators_answer {
	struct pyr_context *context;
	struct pyr_retention_cache *retention;
	struct pyr_dominated tree;
	bool whole;     /* of all objects, not of `start` */
	uint32_t start; /* an object */
	uint64_t bytes; /* what is looked at retains */
	uint64_t objects, omitted;
	PYR_VEC(uint32_t) rows; /* parents before what they dominate */
};

static const struct pyr_retained *retained(const struct dominators_answer *a)
{
	return &a->retention->retained;
}

static const char *name_of(const struct dominators_answer *a, uint32_t node)
{
	const struct pyr_heap *heap = a->retention->model->heap;

	return pyr_type_name(heap->types, pyr_types_at(heap->types, heap->type[node]));
}

static pyr_addr address_of(const struct dominators_answer *a, uint32_t node)
{
	return a->retention->model->heap->address[node];
}

/* --- those that retain most --- */

/* A heap of candidates, the one that retains most on top: what it dominates retains
 * less, so that every row's parent is a row. */
typedef PYR_VEC(uint32_t) candidate_list;

static bool more(const struct dominators_answer *a, uint32_t x, uint32_t y)
{
	const uint64_t *bytes = retained(a)->tree.retained;

	return bytes[x] != bytes[y] ? bytes[x] > bytes[y] : x < y;
}

static bool add(const struct dominators_answer *a, candidate_list *list, uint32_t node)
{
	size_t i, up;

	if (!pyr_vec_push(list, node))
		return false;
	for (i = list->count - 1; i && more(a, node, list->data[up = (i - 1) / 2]); i = up)
		list->data[i] = list->data[up];
	list->data[i] = node;
	return true;
}

static uint32_t take(const struct dominators_answer *a, candidate_list *list)
{
	uint32_t top = list->data[0], last = list->data[--list->count];
	size_t i = 0, down;

	while ((down = 2 * i + 1) < list->count) {
		if (down + 1 < list->count && more(a, list->data[down + 1], list->data[down]))
			down++;
		if (!more(a, list->data[down], last))
			break;
		list->data[i] = list->data[down];
		i = down;
	}
	list->data[i] = last;
	return top;
}

static pyr_error *choose(struct dominators_answer *a, uint64_t limit)
{
	candidate_list list = {0};
	uint32_t node, child;
	bool failed = false;
	pyr_error *err = NULL;

	child = a->whole ? a->tree.top : a->tree.child[a->start];
	for (; child != PYR_NOT_REACHABLE && !failed; child = a->tree.sibling[child])
		failed = !add(a, &list, child);
	while (list.count && a->rows.count < limit && !failed && !err) {
		node = take(a, &list);
		failed = !pyr_vec_push(&a->rows, node);
		for (child = a->tree.child[node]; child != PYR_NOT_REACHABLE && !failed;
		     child = a->tree.sibling[child])
			failed = !add(a, &list, child);
		if (!(a->rows.count & 0xffff))
			err = pyr_control_progress(&a->context->session->control,
						   "what retains most", a->rows.count, a->objects);
	}
	pyr_vec_deinit(&list);
	if (failed && !err)
		err = pyr_error_no_memory();
	a->omitted = a->objects - a->rows.count;
	return err;
}

/* --- telling: objects --- */

static bool is_dominated(const struct dominators_answer *a, uint32_t node)
{
	return retained(a)->tree.parent[node] < PYR_DOMINATED_BY_ROOTS;
}

static void dominators_json(struct dominators_answer *a)
{
	struct pyr_json *json = a->context->json;
	uint32_t node;
	size_t i;

	pyr_json_begin_list(json, "objects");
	for (i = 0; i < a->rows.count; i++) {
		if (i % 4096 == 0 && pyr_control_cancelled(&a->context->session->control))
			break;
		node = a->rows.data[i];
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", address_of(a, node));
		pyr_json_string(json, "type", name_of(a, node));
		pyr_json_uint(json, "retained", retained(a)->tree.retained[node]);
		pyr_json_uint(json, "shallow", retained(a)->sizes[node]);
		pyr_json_address(
			json, "parent",
			is_dominated(a, node) ? address_of(a, retained(a)->tree.parent[node]) : 0);
		pyr_json_end_object(json);
		pyr_session_result(a->context->session, address_of(a, node));
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", a->omitted);
}

/* `app.cache.SESSIONS`: by its most telling path. Caller frees; NULL: there is none. */
static char *held_as(struct dominators_answer *a, uint32_t node)
{
	const struct pyr_root *root = NULL;
	struct pyr_path_search finder;
	struct pyr_path path = {0};
	struct pyr_printable_path route;
	char *text = NULL;
	pyr_error *err;

	pyr_path_search_init(&finder, a->context, a->retention, node, NULL);
	err = pyr_path_search_next(&finder, PYR_PHASE_POSSIBLE, &path, &root);
	if (!err && path.count &&
	    !(err = pyr_printable_path_make(a->context, a->retention, root, &path, false,
					    &route))) {
		text = route.expression;
		route.expression = NULL;
		pyr_printable_path_deinit(&route);
	}
	pyr_error_destroy(err); /* interrupted: told at the end */
	pyr_path_deinit(&path);
	pyr_path_search_deinit(&finder);
	return text;
}

struct dominators_place {
	uint32_t node;
	unsigned depth;
	size_t first, next; /* rows of what it dominates: first child, next sibling; 0: none */
};

static void print_row(struct dominators_answer *a, struct pyr_table *table,
		      const struct dominators_place *p)
{
	uint64_t bytes = retained(a)->tree.retained[p->node];
	unsigned indent = p->depth < 12 ? p->depth * 2 : 24;
	char *held = held_as(a, p->node);

	pyr_table_text(table, pyr_bytes(bytes).text);
	pyr_table_text(table, pyr_release_count(bytes, retained(a)->bytes).text);
	pyr_table_text(table, pyr_bytes(retained(a)->sizes[p->node]).text);
	pyr_table_text(table, pyr_address(address_of(a, p->node)).text);
	pyr_table_cell(table, "%*s%s", (int)indent, "", pyr_short_type(name_of(a, p->node)));
	pyr_table_text(table, held ? held : "");
	pyr_session_result(a->context->session, address_of(a, p->node));
	free(held);
}

/* The rows, by what retains most, as a tree: each below its parent. */
static pyr_error *print_tree(struct dominators_answer *a)
{
	static const struct pyr_column columns[] = {
		{"RETAINED", true, false, PYR_CUT_END}, {"SHARE", true, false, PYR_CUT_END},
		{"SHALLOW", true, false, PYR_CUT_END},  {"ADDRESS", false, false, PYR_CUT_END},
		{"TYPE", false, true, PYR_CUT_START},   {"HELD AS", false, true, PYR_CUT_START},
	};
	struct dominators_place *places = calloc(a->rows.count + 1, sizeof(*places));
	size_t *last = calloc(a->rows.count + 1, sizeof(*last)), i, k, parent;
	/* by object, its place; places[0] stands for what is above all rows */
	uint32_t *place_of =
		calloc((size_t)a->retention->model->heap->count + 1, sizeof(*place_of));
	struct pyr_table table;

	if (!places || !last || !place_of) {
		free(places);
		free(last);
		free(place_of);
		return pyr_error_no_memory();
	}
	for (i = 1; i <= a->rows.count; i++) {
		places[i].node = a->rows.data[i - 1];
		place_of[places[i].node] = (uint32_t)i;
		parent = is_dominated(a, places[i].node)
				 ? place_of[retained(a)->tree.parent[places[i].node]]
				 : 0;
		places[i].depth = parent ? places[parent].depth + 1 : 0;
		if (last[parent])
			places[last[parent]].next = i;
		else
			places[parent].first = i;
		last[parent] = i;
	}
	free(place_of);
	/* a place's way back up is kept where `last` was */
	for (i = 0; i <= a->rows.count; i++)
		for (k = places[i].first; k; k = places[k].next)
			last[k] = i;
	pyr_table_init(&table, a->context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = places[0].first; i && !pyr_control_cancelled(&a->context->session->control);) {
		print_row(a, &table, &places[i]);
		if (places[i].first) {
			i = places[i].first;
			continue;
		}
		while (i && !places[i].next)
			i = last[i];
		i = places[i].next;
	}
	pyr_table_finish(&table);
	free(places);
	free(last);
	return NULL;
}

/* What is worth a headline: below a module, and below what retains little more than one
 * other object. */
static uint32_t headline(const struct dominators_answer *a)
{
	const struct pyr_edge_costs *edge_costs = a->retention->edge_costs;
	const struct pyr_heap *heap = a->retention->model->heap;
	uint32_t node = a->rows.data[0], child, most;
	const struct pyr_type *type;
	unsigned depth;

	for (depth = 0; depth < 64; depth++) {
		most = a->tree.child[node];
		for (child = most; child != PYR_NOT_REACHABLE; child = a->tree.sibling[child])
			if (more(a, child, most))
				most = child;
		if (most == PYR_NOT_REACHABLE)
			break;
		type = pyr_types_at(heap->types, heap->type[node]);
		if (!pyr_edge_costs_is_namespace(edge_costs, node) &&
		    !pyr_edge_costs_is_modules(edge_costs, node) &&
		    type->shape != PYR_SHAPE_MODULE &&
		    retained(a)->tree.retained[most] < retained(a)->tree.retained[node] / 10 * 9)
			break;
		node = most;
	}
	return node;
}

static void dominators_sentence(struct dominators_answer *a)
{
	const struct pyr_retained *r = retained(a);
	struct pyr_out *out = a->context->out;
	uint32_t top = a->whole && a->rows.count ? headline(a) : 0;
	char *held = a->whole && a->rows.count ? held_as(a, top) : NULL;

	pyr_out_style(out, PYR_STYLE_STRONG);
	if (!a->whole)
		pyr_out_printf(out, "This %s retains %s in %s, itself included.",
			       pyr_short_type(name_of(a, a->start)), pyr_bytes(a->bytes).text,
			       pyr_counted(a->objects + 1, "object", "objects").text);
	else if (a->rows.count)
		pyr_out_printf(
			out, "%s in %s. Most is retained by %s%s (%s): %s, %s.",
			pyr_bytes(r->bytes).text,
			pyr_counted(a->retention->model->heap->count, "object", "objects").text,
			held ? "" : "the object at ",
			held ? held : pyr_address(address_of(a, top)).text,
			pyr_short_type(name_of(a, top)), pyr_bytes(r->tree.retained[top]).text,
			pyr_release_count(r->tree.retained[top], r->bytes).text);
	pyr_out_style(out, PYR_STYLE_PLAIN);
	pyr_out_text(out, "\n");
	free(held);
}

/* What is not held in the way that sizes are about. */
static void footer(struct dominators_answer *a)
{
	const struct pyr_retained *r = retained(a);
	struct pyr_out *out = a->context->out;
	uint32_t possible = r->objects[PYR_REACH_POSSIBLE], unknown = r->objects[PYR_REACH_UNKNOWN];

	if (possible || unknown)
		pyr_out_printf(out,
			       "\n%s held by words of C memory alone, %s by references that were "
			       "not found.\n",
			       pyr_counted(possible, "object is", "objects are").text,
			       pyr_count(unknown).text);
	if (r->objects[PYR_REACH_NONE])
		pyr_out_printf(
			out, "%s%s unreachable: garbage that was not collected yet.\n",
			possible || unknown ? "" : "\n",
			pyr_counted(r->objects[PYR_REACH_NONE], "object is", "objects are").text);
}

/* --- by type --- */

struct type_row {
	uint32_t type;
	uint64_t count, bytes, retained;
};

static int by_retained(const void *a, const void *b)
{
	const struct type_row *x = a, *y = b;

	if (x->retained != y->retained)
		return x->retained < y->retained ? 1 : -1;
	return x->type < y->type ? -1 : x->type > y->type;
}

/* What is retained, or all that is reached, by type. Of one object the retained bytes
 * are those of its objects of the type: each object is of one type. */
static pyr_error *count_types(struct dominators_answer *a, struct type_row **ret, uint32_t *count)
{
	const struct pyr_heap *heap = a->retention->model->heap;
	const struct pyr_retained *r = retained(a);
	uint32_t types = pyr_types_count(heap->types), node, i, kept = 0;
	struct type_row *rows = calloc((size_t)types + 1, sizeof(*rows));
	uint64_t *all = calloc((size_t)types + 1, sizeof(*all));
	pyr_error *err = NULL;

	if (!rows || !all)
		err = pyr_error_no_memory();
	else if (a->whole)
		err = pyr_retained_by_type(r, heap, &a->context->session->control, all, types);
	if (err) {
		free(rows);
		free(all);
		return err;
	}
	for (node = a->whole ? 0 : a->start;
	     a->whole ? node < heap->count : node != PYR_NOT_REACHABLE;
	     node = a->whole ? node + 1 : pyr_dominated_next(&a->tree, &r->tree, a->start, node)) {
		if (heap->type[node] >= types)
			continue;
		rows[heap->type[node]].count++;
		rows[heap->type[node]].bytes += r->sizes[node];
	}
	for (i = 0; i < types; i++) {
		if (!rows[i].count)
			continue;
		rows[kept].type = i;
		rows[kept].count = rows[i].count;
		rows[kept].bytes = rows[i].bytes;
		rows[kept].retained = a->whole ? all[i] : rows[i].bytes;
		kept++;
	}
	free(all);
	if (kept)
		qsort(rows, kept, sizeof(*rows), by_retained);
	*ret = rows;
	*count = kept;
	return NULL;
}

static void print_types(struct dominators_answer *a, const struct type_row *rows, uint32_t count)
{
	static const struct pyr_column columns[] = {
		{"TYPE", false, true, PYR_CUT_START},  {"COUNT", true, false, PYR_CUT_END},
		{"SHALLOW", true, false, PYR_CUT_END}, {"RETAINED", true, false, PYR_CUT_END},
		{"SHARE", true, false, PYR_CUT_END},
	};
	struct pyr_types *types = a->context->session->types;
	struct pyr_json *json = a->context->json;
	uint32_t i, shown = a->context->limit < count ? (uint32_t)a->context->limit : count;
	struct pyr_table table;

	if (json) {
		pyr_json_begin_list(json, "types");
		for (i = 0; i < shown; i++) {
			pyr_json_begin_object(json, NULL);
			pyr_json_string(json, "type",
					pyr_type_name(types, pyr_types_at(types, rows[i].type)));
			pyr_json_uint(json, "count", rows[i].count);
			pyr_json_uint(json, "bytes", rows[i].bytes);
			pyr_json_uint(json, "retained", rows[i].retained);
			pyr_json_end_object(json);
		}
		pyr_json_end_list(json);
		pyr_json_uint(json, "omitted", count - shown);
		return;
	}
	pyr_table_init(&table, a->context->out, columns, a->whole ? 5 : 3);
	for (i = 0; i < shown; i++) {
		pyr_table_text(&table, pyr_type_name(types, pyr_types_at(types, rows[i].type)));
		pyr_table_text(&table, pyr_count(rows[i].count).text);
		pyr_table_text(&table, pyr_bytes(rows[i].bytes).text);
		if (!a->whole)
			continue;
		pyr_table_text(&table, pyr_bytes(rows[i].retained).text);
		pyr_table_text(&table,
			       pyr_release_count(rows[i].retained, retained(a)->bytes).text);
	}
	pyr_table_finish(&table);
	pyr_context_more(a->context, shown, count, "type", "types");
}

/* --- the command --- */

static void count_objects(struct dominators_answer *a)
{
	const struct pyr_retained *r = retained(a);
	uint32_t node;

	if (a->whole) {
		a->bytes = r->bytes;
		a->objects = a->retention->model->heap->count - r->objects[PYR_REACH_NONE];
		return;
	}
	a->bytes = r->tree.retained[a->start];
	if (r->tree.parent[a->start] == PYR_NOT_REACHABLE)
		return;
	for (node = a->start;
	     (node = pyr_dominated_next(&a->tree, &r->tree, a->start, node)) != PYR_NOT_REACHABLE;)
		a->objects++;
}

static void totals_json(struct dominators_answer *a)
{
	static const char *const names[PYR_REACH_COUNT] = {"exact", "possible", "unknown", "none"};
	const struct pyr_retained *r = retained(a);
	struct pyr_json *json = a->context->json;
	unsigned i;

	if (!a->whole) {
		pyr_json_address(json, "address", address_of(a, a->start));
		pyr_json_string(json, "type", name_of(a, a->start));
		pyr_json_uint(json, "retained", a->bytes);
		pyr_json_uint(json, "shallow", r->sizes[a->start]);
		pyr_json_uint(json, "dominated", a->objects);
	}
	pyr_json_uint(json, "bytes", r->bytes);
	pyr_json_begin_object(json, "reached");
	for (i = 0; i < PYR_REACH_COUNT; i++)
		pyr_json_uint(json, names[i], r->objects[i]);
	pyr_json_end_object(json);
}

static pyr_error *print(struct dominators_answer *a)
{
	bool unreachable = !a->whole && retained(a)->tree.parent[a->start] == PYR_NOT_REACHABLE;
	bool by_type = pyr_context_option(a->context, PYR_OPT_dominators_by)->number == 1;
	struct type_row *rows = NULL;
	uint32_t count = 0;
	pyr_error *err = NULL;

	if (by_type && !unreachable && (err = count_types(a, &rows, &count)))
		return err;
	pyr_context_answer(a->context);
	if (a->context->json) {
		totals_json(a);
		if (by_type)
			print_types(a, rows, count);
		else
			dominators_json(a);
	} else if (unreachable) {
		pyr_out_styled(a->context->out, PYR_STYLE_STRONG,
			       "Nothing that was found holds this %s: it retains nothing.\n",
			       pyr_short_type(name_of(a, a->start)));
	} else {
		dominators_sentence(a);
		if (by_type || a->rows.count)
			pyr_out_text(a->context->out, "\n");
		if (by_type)
			print_types(a, rows, count);
		else if (a->rows.count && !(err = print_tree(a)))
			pyr_context_more(a->context, a->rows.count, a->objects, "object",
					 "objects");
		if (a->whole && !err)
			footer(a);
	}
	free(rows);
	return err;
}

pyr_error *pyr_cmd_dominators(struct pyr_context *context)
{
	const struct pyr_value *address = &context->args->arguments[0];
	struct dominators_answer a = {.context = context, .whole = !address->given};
	struct pyr_resolved where;
	struct pyr_heap *heap;
	pyr_error *err;

	if ((err = pyr_session_heap(context->session, &heap)))
		return err;
	if (address->given) {
		if ((err = pyr_heap_resolve(heap, &context->session->control, address->number,
					    &where)))
			return err;
		a.start = where.id;
	}
	if ((err = pyr_session_retained(context->session, &a.retention)) ||
	    (err = pyr_dominated_unfold(&retained(&a)->tree, heap->count, &a.tree)))
		return err;
	count_objects(&a);
	if (!(err = choose(&a, context->limit)))
		err = print(&a);
	pyr_vec_deinit(&a.rows);
	pyr_dominated_deinit(&a.tree);
	return err;
}
