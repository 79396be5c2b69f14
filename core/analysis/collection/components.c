#include "analysis/collection/components.h"

#include <string.h>

#define CHECK 0xfffffu /* nodes visited between looks at the control, a mask */

/* While a node's component is not decided, of[node] is 1 + the least position on the path
 * that it is known to reach, and the path, the first `pending` of order[], has it; 0: not
 * visited. What is decided is numbered from the top down and so above any position; the
 * numbers of cycles are turned round when all are known. */
struct component_search {
	struct pyr_components *c;
	const struct pyr_control *control;
	uint32_t *of, *order;
	uint32_t pending, visited;
};

static uint32_t number_of(uint32_t cycle)
{
	return PYR_CYCLES_MAX - 1 - cycle;
}

/* The component whose first node on the path is @root is complete. */
static bool close_component(struct component_search *s, uint32_t root)
{
	struct pyr_components *c = s->c;
	uint32_t first = s->of[root] - 1, size = s->pending - first, number, i, node;
	uint8_t marks = 0;

	for (i = first; i < s->pending; i++)
		marks |= c->marks.data[s->order[i]];
	if (marks & PYR_NODE_LEAVES) {
		number = PYR_NODE_OPEN;
	} else if (size == 1 && !(marks & PYR_NODE_SELF)) {
		number = PYR_NODE_ALONE;
	} else {
		number = number_of((uint32_t)c->sizes.count);
		if (!pyr_vec_push(&c->sizes, size))
			return false;
	}
	/* The decided ones fill order[] from its end: path and they are never more than all. */
	while (s->pending > first) {
		node = s->order[--s->pending];
		s->of[node] = number;
		if (number != PYR_NODE_OPEN)
			s->order[c->nodes - ++c->closed] = node;
	}
	return true;
}

static void enter(struct component_search *s, uint32_t node, uint32_t depth)
{
	s->order[s->pending++] = node;
	s->of[node] = s->pending;
	s->c->stack.data[depth] = node;
	s->c->cursor.data[depth] = s->c->start.data[node];
}

static pyr_error *search_from(struct component_search *s, uint32_t start)
{
	struct pyr_components *c = s->c;
	const uint32_t *out = c->out.data;
	uint32_t depth = 0, node = start, next, least;
	uint64_t e, end;
	pyr_error *err;

	enter(s, start, 0);
	for (;;) {
		end = c->start.data[node + 1];
		least = s->of[node];
		for (e = c->cursor.data[depth]; e < end; e++) {
			next = out[e];
			if (!s->of[next])
				break;
			if (s->of[next] < least)
				least = s->of[next];
			else if (s->of[next] == PYR_NODE_OPEN)
				c->marks.data[node] |= PYR_NODE_LEAVES;
		}
		s->of[node] = least;
		if (e < end) {
			c->cursor.data[depth] = e + 1;
			node = out[e];
			enter(s, node, ++depth);
			if (!(++s->visited & CHECK) && (err = pyr_control_check(s->control)))
				return err;
			continue;
		}
		if (s->order[least - 1] == node && !close_component(s, node))
			return pyr_error_no_memory();
		if (!depth)
			return NULL;
		next = node;
		node = c->stack.data[--depth];
		if (s->of[next] == PYR_NODE_OPEN)
			c->marks.data[node] |= PYR_NODE_LEAVES;
		else if (s->of[next] < s->of[node])
			s->of[node] = s->of[next];
	}
}

pyr_error *pyr_components_find(struct pyr_components *c, const struct pyr_control *control)
{
	struct component_search s = {.c = c, .control = control};
	uint32_t n = c->nodes, node;
	pyr_error *err;

	c->of.count = c->order.count = c->stack.count = c->cursor.count = c->sizes.count = 0;
	c->closed = 0;
	if (n >= PYR_CYCLES_MAX)
		return pyr_error_create(PYR_E_NO_MEMORY, "%u objects are too many", n);
	if (!pyr_vec_reserve(&c->of, (size_t)n + 1) || !pyr_vec_reserve(&c->order, (size_t)n + 1) ||
	    !pyr_vec_reserve(&c->stack, (size_t)n + 1) ||
	    !pyr_vec_reserve(&c->cursor, (size_t)n + 1))
		return pyr_error_no_memory();
	s.of = c->of.data;
	s.order = c->order.data;
	memset(s.of, 0, (size_t)n * sizeof(*s.of));
	for (node = 0; node < n; node++)
		if (!s.of[node] && (err = search_from(&s, node)))
			return err;
	for (node = 0; node < n; node++)
		if (s.of[node] < PYR_CYCLES_MAX)
			s.of[node] = number_of(s.of[node]);
	return NULL;
}

void pyr_components_deinit(struct pyr_components *c)
{
	pyr_vec_deinit(&c->start);
	pyr_vec_deinit(&c->out);
	pyr_vec_deinit(&c->marks);
	pyr_vec_deinit(&c->of);
	pyr_vec_deinit(&c->sizes);
	pyr_vec_deinit(&c->order);
	pyr_vec_deinit(&c->stack);
	pyr_vec_deinit(&c->cursor);
}
