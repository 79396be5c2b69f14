#include "objects/lists.h"

#include <string.h>

#include "objects/scan.h"

#define STRIDE 1024u /* nodes of one list before the next one's turn */

static pyr_error *add(struct pyr_lists *lists, size_t interpreter, enum pyr_generation generation,
		      pyr_addr head)
{
	struct pyr_list list = {.interpreter = interpreter,
				.generation = generation,
				.head = head,
				.previous = head};

	if (!head || pyr_lists_is_head(lists, head))
		return NULL;
	return pyr_vec_push(&lists->lists, list) ? NULL : pyr_error_no_memory();
}

pyr_error *pyr_lists_open(struct pyr_types *types, struct pyr_lists *ret)
{
	struct pyr_python *python = pyr_types_python(types);
	struct pyr_gc_state *states;
	struct pyr_lists lists;
	size_t count, i, g;
	pyr_error *err;

	memset(&lists, 0, sizeof(lists));
	if ((err = pyr_gc_states_read(python, &python->reader, &states, &count)))
		return err;
	for (i = 0; i < count && !err; i++) {
		for (g = 0; g < PYR_GC_GENERATIONS && !err; g++)
			err = add(&lists, states[i].interpreter, (enum pyr_generation)g,
				  states[i].generations[g].head);
		if (!err)
			err = add(&lists, states[i].interpreter, PYR_GEN_2,
				  states[i].second_old_head);
		if (!err)
			err = add(&lists, states[i].interpreter, PYR_GEN_PERMANENT,
				  states[i].permanent_head);
		lists.collecting |= states[i].collecting;
	}
	pyr_gc_states_destroy(states, count);
	if (err) {
		pyr_lists_deinit(&lists);
		return err;
	}
	lists.head_size = pyr_layout_gc_head_size(&python->layout);
	lists.limit = UINT64_C(1) << 43; /* 2^47 bytes of nodes of 16 */
	for (i = 0, g = 0; i < python->target->segments.count; i++)
		g += (python->target->segments.data[i].end -
		      python->target->segments.data[i].start) /
		     16;
	if (g && pyr_target_concurrent(python->target))
		lists.limit = g;
	*ret = lists;
	return NULL;
}

void pyr_lists_deinit(struct pyr_lists *lists)
{
	pyr_vec_deinit(&lists->lists);
}

void pyr_lists_rewind(struct pyr_lists *lists)
{
	size_t i;

	for (i = 0; i < lists->lists.count; i++) {
		lists->lists.data[i].node = 0;
		lists->lists.data[i].previous = lists->lists.data[i].head;
		lists->lists.data[i].nodes = 0;
		lists->lists.data[i].broken = 0;
		lists->lists.data[i].walked = false;
	}
	lists->has_rest = false;
}

bool pyr_lists_is_head(const struct pyr_lists *lists, pyr_addr addr)
{
	size_t i;

	for (i = 0; i < lists->lists.count; i++)
		if (lists->lists.data[i].head == addr)
			return true;
	return false;
}

static void stop(struct pyr_list *list, pyr_addr broken)
{
	list->walked = true;
	list->broken = broken;
}

/* Take at most STRIDE steps. A back link that does not lead back ends the walk,
 * and with it any cycle without the head; during a collection, when back links
 * hold counts, `limit` does. */
static void advance(struct pyr_lists *lists, size_t index, struct pyr_reader *reader,
		    pyr_list_node *fn, void *ctx)
{
	struct pyr_list *list = &lists->lists.data[index];
	pyr_addr node = list->node;
	const uint8_t *head;
	unsigned i;

	if (!node) {
		head = pyr_peek(reader, list->head, 16);
		if (!head) {
			stop(list, list->head);
			return;
		}
		node = pyr_load64(head) & ~UINT64_C(3);
	}
	for (i = 0; i < STRIDE; i++) {
		if (node == list->head) {
			stop(list, 0);
			return;
		}
		head = node && !(node & 7) ? pyr_peek(reader, node, 16) : NULL;
		if (!head || list->nodes > lists->limit ||
		    (!lists->collecting &&
		     (pyr_load64(head + 8) & ~UINT64_C(3)) != list->previous)) {
			stop(list, node ? node : list->previous);
			return;
		}
		fn(ctx, index, node + lists->head_size);
		list->nodes++;
		list->previous = node;
		node = pyr_load64(head) & ~UINT64_C(3);
		list->node = node;
	}
}

/* How many generations (of all interpreters) have lists that are not walked; at
 * most 2 is answered. */
static unsigned open_generations(struct pyr_lists *lists)
{
	unsigned open = 0;
	size_t i;

	for (i = 0; i < lists->lists.count; i++) {
		const struct pyr_list *list = &lists->lists.data[i];

		if (list->walked || (open && list->interpreter == lists->rest_interpreter &&
				     list->generation == lists->rest_generation))
			continue;
		if (open++)
			return 2;
		lists->rest_interpreter = list->interpreter;
		lists->rest_generation = list->generation;
	}
	return open;
}

static pyr_error *walk(struct pyr_lists *lists, struct pyr_reader *reader,
		       struct pyr_control *control, pyr_list_node *fn, void *ctx, unsigned leave)
{
	uint64_t done;
	pyr_error *err;
	size_t i;

	while (open_generations(lists) > leave) {
		for (i = 0, done = 0; i < lists->lists.count; i++) {
			if (!lists->lists.data[i].walked)
				advance(lists, i, reader, fn, ctx);
			done += lists->lists.data[i].nodes;
		}
		if ((err = pyr_control_progress(control, "walking gc lists", done, 0)) ||
		    (err = pyr_reader_check(reader)))
			return err;
	}
	return NULL;
}

pyr_error *pyr_lists_walk(struct pyr_lists *lists, struct pyr_reader *reader,
			  struct pyr_control *control, pyr_list_node *fn, void *ctx)
{
	pyr_error *err = walk(lists, reader, control, fn, ctx, lists->collecting ? 0 : 1);

	if (!err)
		lists->has_rest = open_generations(lists) > 0;
	return err;
}

pyr_error *pyr_lists_walk_rest(struct pyr_lists *lists, struct pyr_reader *reader,
			       struct pyr_control *control, pyr_list_node *fn, void *ctx)
{
	pyr_error *err = walk(lists, reader, control, fn, ctx, 0);

	if (!err)
		lists->has_rest = false;
	return err;
}

bool pyr_lists_proven(const struct pyr_lists *lists, struct pyr_reader *reader,
		      const struct pyr_scanner *const *scanners, size_t count)
{
	uint64_t nodes = 0, next = 0, prev = 0;
	const uint8_t *head;
	size_t i;

	if (lists->collecting || !lists->lists.count)
		return false;
	for (i = 0; i < lists->lists.count; i++) {
		if (lists->lists.data[i].broken ||
		    !(head = pyr_peek(reader, lists->lists.data[i].head, 16)))
			return false;
		nodes += pyr_link_hash(lists->lists.data[i].head);
		next += pyr_link_hash(pyr_load64(head) & ~UINT64_C(3));
		prev += pyr_link_hash(pyr_load64(head + 8) & ~UINT64_C(3));
	}
	for (i = 0; i < count; i++) {
		nodes += scanners[i]->node_sum;
		next += scanners[i]->next_sum;
		prev += scanners[i]->prev_sum;
	}
	return nodes == next && nodes == prev;
}
