#define _GNU_SOURCE
#include "analysis/retention/path_patterns.h"

#include <stdlib.h>
#include <string.h>

#include "names/display_fold.h"
#include "values/object.h"

/* Keys of larger containers differ from object to object. */
#define NAMED_ITEMS 8u
/* References of an object that are looked at for a name: a large one is a container. */
#define NAMED_ROW 512u
/* A folded step spans few objects. */
#define CHAIN_MAX 10u

/* One step of a shape: hash-consed, so that equal shapes have one number. */
struct shape {
	uint32_t up;   /* the shape before, PYR_SHAPE_NONE: it is a root */
	uint32_t text; /* offset in `texts` */
	uint32_t hash;
	bool repeats; /* stands for one or more rounds */
};

struct merging {
	struct pyr_model *model;
	const struct pyr_roots *roots;
	const struct pyr_edge_costs *edge_costs;
	const struct pyr_path_tree *tree;
	uint32_t *shape_of; /* by object; PYR_SHAPE_NONE: not yet */
	PYR_VEC(struct shape) shapes;
	uint32_t *index; /* open addressing: shape + 1 */
	size_t index_size;
	struct pyr_strbuf texts; /* each with its NUL */
};

/* --- shapes --- */

static uint32_t hash_of(uint32_t up, const char *text)
{
	uint32_t h = up * 2654435761u + 0x9e3779b9u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h;
}

static const char *text_of(const struct merging *m, uint32_t shape)
{
	return m->texts.data + m->shapes.data[shape].text;
}

static bool grow_index(struct merging *m)
{
	size_t size = m->index_size ? m->index_size * 2 : 1024, i, k;
	uint32_t *index = calloc(size, sizeof(*index));

	if (!index)
		return false;
	for (i = 0; i < m->shapes.count; i++) {
		for (k = m->shapes.data[i].hash & (size - 1); index[k]; k = (k + 1) & (size - 1))
			;
		index[k] = (uint32_t)i + 1;
	}
	free(m->index);
	m->index = index;
	m->index_size = size;
	return true;
}

/* The shape @up with one more step, PYR_SHAPE_NONE without memory. */
static uint32_t intern(struct merging *m, uint32_t up, const char *text)
{
	struct shape shape = {.up = up, .hash = hash_of(up, text)};
	size_t k, mask;
	uint32_t s;

	if (m->shapes.count * 2 >= m->index_size && !grow_index(m))
		return PYR_SHAPE_NONE;
	mask = m->index_size - 1;
	for (k = shape.hash & mask; m->index[k]; k = (k + 1) & mask) {
		s = m->index[k] - 1;
		if (m->shapes.data[s].up == up && !strcmp(text_of(m, s), text))
			return s;
	}
	if (m->texts.length > UINT32_MAX / 2)
		return PYR_SHAPE_NONE;
	shape.text = (uint32_t)m->texts.length;
	pyr_strbuf_add_bytes(&m->texts, text, strlen(text) + 1);
	if (m->texts.failed || !pyr_vec_push(&m->shapes, shape))
		return PYR_SHAPE_NONE;
	m->index[k] = (uint32_t)m->shapes.count;
	return (uint32_t)m->shapes.count - 1;
}

static uint32_t up(const struct merging *m, uint32_t shape)
{
	return shape == PYR_SHAPE_NONE ? PYR_SHAPE_NONE : m->shapes.data[shape].up;
}

static bool same_step(const struct merging *m, uint32_t shape, const char *text)
{
	return shape != PYR_SHAPE_NONE && up(m, shape) != PYR_SHAPE_NONE &&
	       !strcmp(text_of(m, shape), text);
}

/* One more step; a round of one, two or three steps that comes again adds nothing. */
static uint32_t extend(struct merging *m, uint32_t shape, const char *text)
{
	uint32_t b = up(m, shape), c = up(m, b), d = up(m, c), e = up(m, d);

	if (same_step(m, shape, text)) {
		m->shapes.data[shape].repeats = true;
		return shape;
	}
	/* ..., x, y, x and now y */
	if (same_step(m, b, text) && same_step(m, c, text_of(m, shape))) {
		m->shapes.data[b].repeats = true;
		return b;
	}
	/* ..., x, y, z, x, y and now z */
	if (same_step(m, c, text) && same_step(m, d, text_of(m, shape)) &&
	    same_step(m, e, text_of(m, b))) {
		m->shapes.data[c].repeats = true;
		return c;
	}
	return intern(m, shape, text);
}

/* --- steps --- */

static const struct pyr_type *type_of(const struct merging *m, uint32_t node)
{
	const struct pyr_heap *heap = m->model->heap;

	return pyr_types_at(heap->types, heap->type[node]);
}

static bool is_container(const struct pyr_type *type)
{
	switch (type->shape) {
	case PYR_SHAPE_LIST:
	case PYR_SHAPE_TUPLE:
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_ODICT:
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
	case PYR_SHAPE_DEQUE:
		return true;
	default:
		return false;
	}
}

static uint64_t row(const struct merging *m, uint32_t node)
{
	const struct pyr_graph *g = &m->model->graph;

	return g->out_start[node + 1] - g->out_start[node];
}

/* Is the name of an item of @node one of too many to tell? */
static bool is_large(const struct merging *m, uint32_t node)
{
	return row(m, node) > NAMED_ROW && is_container(type_of(m, node)) &&
	       !pyr_edge_costs_is_namespace(m->edge_costs, node) &&
	       !pyr_edge_costs_is_modules(m->edge_costs, node);
}

/* `local "x" of f at app.py:88` without the line, `operand 3 of f` without the number. */
static void add_place(struct pyr_strbuf *out, const char *edge)
{
	bool operand = !strncmp(edge, "operand ", 8);
	const char *of = operand || !strncmp(edge, "local ", 6) ? strstr(edge, " of ") : NULL;
	const char *at = of ? strstr(of, " at ") : NULL;

	if (operand && of) {
		pyr_strbuf_add(out, "operand");
		edge = of;
	}
	if (at)
		pyr_strbuf_add_bytes(out, edge, (size_t)(at - edge));
	else
		pyr_strbuf_add(out, edge);
}

/* `[3]`, and `['key']` of a dict of many, are all one: […]. */
static void generalize(const struct merging *m, const struct pyr_step *steps, const uint32_t *nodes,
		       const struct pyr_display_step *d, struct pyr_strbuf *out)
{
	size_t k = d->first + d->count - 1;
	enum pyr_edge_kind kind = PYR_REF_KIND(steps[k].label);
	uint64_t edges = row(m, nodes[k]);

	pyr_strbuf_clear(out);
	if (d->edge[0] == '[' && pyr_edge_costs_is_modules(m->edge_costs, nodes[k]))
		pyr_strbuf_add(out, d->edge);
	else if (d->edge[0] == '[' && (kind != PYR_EDGE_VALUE || edges > 2 * NAMED_ITEMS))
		pyr_strbuf_add(out, "[…]");
	else if (!strncmp(d->edge, "key ", 4))
		pyr_strbuf_add(out, "key");
	else if (!strncmp(d->edge, "cached result for key ", 22))
		pyr_strbuf_add(out, "cached result");
	else
		add_place(out, d->edge);
}

/* The shape of the last of @nodes, that of the first being known. */
static pyr_error *shape_of_chain(struct merging *m, const uint32_t *nodes, size_t count,
				 uint32_t *ret)
{
	const struct pyr_heap *heap = m->model->heap;
	struct pyr_reader *reader = &pyr_types_python(heap->types)->reader;
	struct pyr_step steps[CHAIN_MAX];
	struct pyr_display display;
	struct pyr_strbuf text = {0};
	uint32_t shape = m->shape_of[nodes[0]];
	pyr_error *err;
	size_t i;

	for (i = 0; i + 1 < count; i++)
		if (!pyr_step_find(m->model->traverse, reader, type_of(m, nodes[i]),
				   heap->address[nodes[i]], heap->address[nodes[i + 1]], &steps[i],
				   NULL))
			steps[i] = (struct pyr_step){heap->address[nodes[i]],
						     heap->address[nodes[i + 1]],
						     type_of(m, nodes[i]), PYR_EDGE_VISITED, 0};
	if ((err = pyr_display_fold(heap->types, reader, steps, count - 1, false, &display)))
		return err;
	for (i = 0; i < display.steps.count && shape != PYR_SHAPE_NONE; i++) {
		generalize(m, steps, nodes, &display.steps.data[i], &text);
		shape = extend(m, shape, pyr_strbuf_str(&text));
	}
	pyr_strbuf_deinit(&text);
	pyr_display_deinit(&display);
	if (shape == PYR_SHAPE_NONE)
		return pyr_error_no_memory();
	*ret = shape;
	return NULL;
}

/* A variable of running functions is the same in all threads. */
static void name_root(const struct pyr_roots *roots, const struct pyr_root *root,
		      struct pyr_strbuf *out)
{
	struct pyr_strbuf name = {0};

	pyr_root_name(roots, root, &name);
	add_place(out, pyr_strbuf_str(&name));
	pyr_strbuf_deinit(&name);
}

static pyr_error *shape_of_root(struct merging *m, uint32_t node, uint32_t *ret)
{
	const struct pyr_roots *roots = m->roots;
	const struct pyr_root *root = NULL, *best = NULL;
	struct pyr_strbuf text = {0};
	size_t i, end;

	pyr_roots_of(roots, node, &i, &end);
	for (; i < end; i++) {
		root = &roots->roots.data[i];
		if (!pyr_edge_costs_root_counts(m->edge_costs, root))
			continue;
		if (!best || pyr_edge_costs_phase(root) < pyr_edge_costs_phase(best) ||
		    (pyr_edge_costs_phase(root) == pyr_edge_costs_phase(best) &&
		     pyr_edge_costs_root_cost((enum pyr_root_kind)root->kind) <
			     pyr_edge_costs_root_cost((enum pyr_root_kind)best->kind)))
			best = root;
	}
	if (best)
		name_root(roots, best, &text);
	else
		pyr_strbuf_add(&text, "references that were not found");
	*ret = intern(m, PYR_SHAPE_NONE, pyr_strbuf_str(&text));
	pyr_strbuf_deinit(&text);
	return *ret == PYR_SHAPE_NONE ? pyr_error_no_memory() : NULL;
}

/* From @node up to the nearest object that no folding passes over. */
static size_t chain_to(const struct merging *m, uint32_t node, uint32_t chain[CHAIN_MAX])
{
	uint32_t up[CHAIN_MAX], parent;
	size_t n = 0, i;

	up[n++] = node;
	for (parent = m->tree->parent[node]; parent < PYR_PATH_SOURCE;
	     parent = m->tree->parent[parent]) {
		up[n++] = parent;
		if (n == CHAIN_MAX || !pyr_display_fold_may_pass(type_of(m, parent)) ||
		    is_large(m, parent) || m->tree->parent[parent] == PYR_PATH_SOURCE)
			break;
	}
	for (i = 0; i < n; i++)
		chain[i] = up[n - 1 - i];
	return n;
}

/* The shape of @node, that of all before it on its path being known. */
static pyr_error *shape_of_node(struct merging *m, uint32_t node)
{
	uint32_t parent = m->tree->parent[node], chain[CHAIN_MAX], shape;
	pyr_error *err;
	size_t n;

	if (parent == PYR_PATH_SOURCE) {
		err = shape_of_root(m, node, &shape);
	} else if (is_large(m, parent)) {
		shape = extend(m, m->shape_of[parent], "[…]");
		err = shape == PYR_SHAPE_NONE ? pyr_error_no_memory() : NULL;
	} else {
		n = chain_to(m, node, chain);
		err = shape_of_chain(m, chain, n, &shape);
	}
	if (!err)
		m->shape_of[node] = shape;
	return err;
}

/* --- the marked objects, and all on their paths --- */

static pyr_error *shape_paths(struct merging *m, const bool *wanted, uint32_t types,
			      struct pyr_control *control)
{
	const struct pyr_heap *heap = m->model->heap;
	uint64_t *needed = calloc((size_t)heap->count / 64 + 1, sizeof(*needed));
	uint32_t i, node, parent;
	pyr_error *err = NULL;

	if (!needed)
		return pyr_error_no_memory();
	/* children before parents, then parents before children */
	for (i = m->tree->reached; i-- > 0;) {
		node = m->tree->order[i];
		if (heap->type[node] < types && wanted[heap->type[node]])
			needed[node / 64] |= UINT64_C(1) << node % 64;
		parent = m->tree->parent[node];
		if (needed[node / 64] >> node % 64 & 1 && parent < PYR_PATH_SOURCE)
			needed[parent / 64] |= UINT64_C(1) << parent % 64;
	}
	for (i = 0; i < m->tree->reached && !err; i++) {
		node = m->tree->order[i];
		if (!(needed[node / 64] >> node % 64 & 1))
			continue;
		if (!(err = shape_of_node(m, node)) && !(i & 0xfff))
			err = pyr_control_progress(control, "paths by shape", i, m->tree->reached);
	}
	free(needed);
	return err;
}

/* --- rows --- */

static void write_shape(const struct merging *m, uint32_t shape, struct pyr_strbuf *out)
{
	PYR_VEC(uint32_t) steps = {0};
	const char *text, *of = NULL, *where = NULL;
	bool plain, was_plain = true, module = false;
	size_t i, length;

	for (; shape != PYR_SHAPE_NONE; shape = up(m, shape))
		if (!pyr_vec_push(&steps, shape))
			break;
	for (i = steps.count; i-- > 0;) {
		text = text_of(m, steps.data[i]);
		length = strlen(text);
		if (i == steps.count - 1 && steps.count > 1 && !strncmp(text, "sys.modules", 11)) {
			module = true;
			where = text[11] ? text + 11 : NULL;
			continue;
		}
		if (module && length > 4 && text[0] == '[' && text[1] == '\'') {
			pyr_strbuf_add_bytes(out, text + 2, length - 4);
			module = false;
			continue;
		}
		if (i == steps.count - 1 && length > 7 && !strncmp(text, "local \"", 7) &&
		    (of = strstr(text, "\" of "))) {
			pyr_strbuf_add_bytes(out, text + 7, (size_t)(of - text - 7));
			continue;
		}
		plain = text[0] == '.' || text[0] == '[';
		if (i != steps.count - 1 && (!plain || !was_plain))
			pyr_strbuf_add(out, " → ");
		pyr_strbuf_add(out, text);
		if (m->shapes.data[steps.data[i]].repeats)
			pyr_strbuf_add(out, "…");
		was_plain = plain;
		module = false;
	}
	if (of)
		pyr_strbuf_printf(out, " (a variable of %s)", of + 5);
	if (where)
		pyr_strbuf_printf(out, " (%s)", where + 1);
	pyr_vec_deinit(&steps);
}

static int by_shape(const void *a, const void *b)
{
	const struct pyr_merged_row *x = a, *y = b;

	if (x->shape != y->shape)
		return x->shape < y->shape ? -1 : 1;
	return x->type < y->type ? -1 : x->type > y->type;
}

static int by_count(const void *a, const void *b)
{
	const struct pyr_merged_row *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->shape < y->shape ? -1 : x->shape > y->shape;
}

/* Rows of one shape and type become one; its example is the first in memory. */
static void merge_rows(struct pyr_merged *merged)
{
	struct pyr_merged_row *rows = merged->rows.data;
	size_t i, kept = 0;

	if (!merged->rows.count)
		return;
	qsort(rows, merged->rows.count, sizeof(*rows), by_shape);
	for (i = 1; i < merged->rows.count; i++) {
		if (by_shape(&rows[kept], &rows[i])) {
			rows[++kept] = rows[i];
			continue;
		}
		rows[kept].count += rows[i].count;
		rows[kept].bytes += rows[i].bytes;
		if (rows[i].example < rows[kept].example)
			rows[kept].example = rows[i].example;
	}
	merged->rows.count = kept + 1;
}

/* Rows that may wait before they are merged. */
#define ROWS_WAITING (UINT32_C(1) << 18)

static pyr_error *collect(struct merging *m, const bool *wanted, uint32_t types,
			  struct pyr_control *control, struct pyr_merged *merged)
{
	const struct pyr_heap *heap = m->model->heap;
	struct pyr_reader *reader = &pyr_types_python(heap->types)->reader;
	size_t most = ROWS_WAITING;
	struct pyr_merged_row row;
	pyr_error *err;
	bool exact;
	uint32_t n;

	for (n = 0; n < heap->count; n++) {
		if (heap->type[n] >= types || !wanted[heap->type[n]])
			continue;
		row = (struct pyr_merged_row){
			.shape = m->shape_of[n], .type = heap->type[n], .example = n, .count = 1};
		pyr_error_destroy(pyr_object_size(heap->types, reader, type_of(m, n),
						  heap->address[n], &row.bytes, &exact));
		merged->count++;
		merged->bytes += row.bytes;
		if (!(merged->count & 0xffff) &&
		    (err = pyr_control_progress(control, "adding up", n, heap->count)))
			return err;
		if (!pyr_vec_push(&merged->rows, row))
			return pyr_error_no_memory();
		if (merged->rows.count >= most) {
			merge_rows(merged);
			most = merged->rows.count * 2 + ROWS_WAITING;
		}
	}
	merge_rows(merged);
	if (merged->rows.count)
		qsort(merged->rows.data, merged->rows.count, sizeof(*merged->rows.data), by_count);
	return NULL;
}

static pyr_error *name_rows(struct merging *m, struct pyr_merged *merged)
{
	struct pyr_strbuf text = {0};
	size_t i;

	for (i = 0; i < merged->rows.count; i++) {
		if (merged->rows.data[i].shape == PYR_SHAPE_NONE)
			continue;
		write_shape(m, merged->rows.data[i].shape, &text);
		merged->rows.data[i].text = pyr_strbuf_take(&text);
		if (!merged->rows.data[i].text)
			return pyr_error_no_memory();
	}
	return NULL;
}

pyr_error *pyr_merged_compute(struct pyr_model *model, const struct pyr_roots *roots,
			      const struct pyr_edge_costs *edge_costs,
			      const struct pyr_path_tree *tree, const bool *wanted, uint32_t types,
			      struct pyr_control *control, struct pyr_merged *ret)
{
	struct merging m = {.model = model, .roots = roots, .edge_costs = edge_costs, .tree = tree};
	struct pyr_merged merged = {0};
	pyr_error *err;

	m.shape_of = malloc(((size_t)model->heap->count + 1) * sizeof(*m.shape_of));
	if (!m.shape_of)
		return pyr_error_no_memory();
	memset(m.shape_of, 0xff, ((size_t)model->heap->count + 1) * sizeof(*m.shape_of));
	if (!(err = shape_paths(&m, wanted, types, control)) &&
	    !(err = collect(&m, wanted, types, control, &merged)))
		err = name_rows(&m, &merged);
	free(m.shape_of);
	free(m.index);
	pyr_vec_deinit(&m.shapes);
	pyr_strbuf_deinit(&m.texts);
	if (err) {
		pyr_merged_deinit(&merged);
		return err;
	}
	*ret = merged;
	return NULL;
}

void pyr_merged_deinit(struct pyr_merged *merged)
{
	size_t i;

	for (i = 0; i < merged->rows.count; i++)
		free(merged->rows.data[i].text);
	pyr_vec_deinit(&merged->rows);
}
