#include "runtime/gclist.h"

#include "runtime/raw.h"

#define CHUNK 1024

void pyr_gc_list_init(const struct pyr_python *python, struct pyr_reader *reader, pyr_addr head,
		      bool collecting, struct pyr_gc_list *ret)
{
	const struct pyr_target *target = python->target;
	const struct pyr_layout *l = &python->layout;
	struct pyr_gc_list list = {.reader = reader, .head = head, .previous = head};
	uint64_t bytes = 0, word;
	size_t i;

	list.mask = pyr_is(l, gc_head, THREE_WORDS) ? ~UINT64_C(0) : ~UINT64_C(3);
	list.head_size = pyr_layout_gc_head_size(l);
	list.check_back = !collecting;
	for (i = 0; i < target->segments.count; i++)
		bytes += target->segments.data[i].end - target->segments.data[i].start;
	if (!pyr_target_concurrent(target))
		for (i = 0; i < target->mappings.count; i++)
			bytes += target->mappings.data[i].end - target->mappings.data[i].start;
	/* Without either (a debugger that tells no mappings) the cycle guard alone. */
	list.bound = bytes ? bytes / 16 : UINT64_MAX;
	list.anchor_at = 1;
	if (!head || !list.head_size) {
		list.at = head;
	} else if (pyr_try_u64(reader, head, &word)) {
		list.at = word & list.mask;
	} else {
		list.at = head;
		list.broken = head;
	}
	*ret = list;
}

/* From the head's back link on, after the forward links broke. */
static void turn_back(struct pyr_gc_list *list)
{
	uint64_t word;

	list->backwards = true;
	list->last_good = list->previous;
	list->at = list->previous = list->head;
	if (list->check_back && pyr_try_u64(list->reader, list->head + 8, &word))
		list->at = word & list->mask;
}

/* The back links are checked by the forward ones, so this ends: no node is met
 * twice from the same successor. */
static size_t next_backwards(struct pyr_gc_list *list, pyr_addr *objects, size_t max)
{
	uint64_t link[2];
	const void *p;
	size_t n = 0;

	while (n < max && list->at != list->head && list->at != list->last_good &&
	       !(list->at & 7) && list->nodes < list->bound &&
	       (p = pyr_peek(list->reader, list->at, 16))) {
		memcpy(link, p, 16);
		if ((link[0] & list->mask) != list->previous)
			break;
		objects[n++] = list->at + list->head_size;
		list->nodes++;
		list->previous = list->at;
		list->at = link[1] & list->mask;
	}
	if (n < max)
		list->at = list->head;
	return n;
}

static size_t next_forwards(struct pyr_gc_list *list, pyr_addr *objects, size_t max)
{
	struct pyr_reader *reader = list->reader;
	const uint64_t mask = list->mask;
	const pyr_addr head = list->head;
	pyr_addr at = list->at, previous = list->previous;
	const uint8_t *p;
	uint64_t link[2];
	size_t n = 0;

	while (n < max && at != head) {
		p = pyr_peek(reader, at, 16);
		if (!p || at & 7) {
			list->broken = at ? at : previous;
			break;
		}
		memcpy(link, p, 16);
		if (list->check_back && (link[1] & mask) != previous) {
			list->broken = at;
			break;
		}
		if (at == list->anchor) {
			list->broken = at;
			break;
		}
		objects[n++] = at + list->head_size;
		previous = at;
		at = link[0] & mask;
		if (++list->nodes == list->anchor_at) {
			list->anchor = previous;
			list->anchor_at *= 2;
			if (list->nodes > list->bound) {
				list->broken = previous;
				break;
			}
		}
	}
	list->at = at;
	list->previous = previous;
	return n;
}

size_t pyr_gc_list_next(struct pyr_gc_list *list, pyr_addr *objects, size_t max)
{
	uint64_t word;
	size_t n;

	if (list->backwards)
		return next_backwards(list, objects, max);
	n = list->broken ? 0 : next_forwards(list, objects, max);
	if (!n && !list->broken && list->check_back && list->head && list->head_size &&
	    (!pyr_try_u64(list->reader, list->head + 8, &word) ||
	     (word & list->mask) != list->previous))
		list->broken = list->head; /* all nodes were reached */
	else if (list->broken)
		turn_back(list);
	if (!n && list->backwards)
		return next_backwards(list, objects, max);
	return n;
}

pyr_error *pyr_gc_list_walk(const struct pyr_python *python, struct pyr_reader *reader,
			    pyr_addr head, bool (*fn)(void *ctx, pyr_addr object), void *ctx,
			    pyr_addr *broken)
{
	struct pyr_gc_list list;
	pyr_addr objects[CHUNK];
	pyr_error *err;
	size_t n, i;

	pyr_gc_list_init(python, reader, head, pyr_gc_collecting(python, reader), &list);
	while ((n = pyr_gc_list_next(&list, objects, CHUNK))) {
		for (i = 0; i < n; i++)
			if (!fn(ctx, objects[i])) {
				list.broken = 0;
				goto out;
			}
		if ((err = pyr_control_check(python->target->control)))
			return err;
	}
out:
	if ((err = pyr_reader_check(reader)))
		return err;
	if (broken)
		*broken = list.broken;
	return NULL;
}

static pyr_error *count_list(const struct pyr_python *python, struct pyr_reader *reader,
			     pyr_addr head, bool collecting, const char *what, uint64_t *ret)
{
	struct pyr_gc_list list;
	pyr_addr objects[CHUNK];
	uint64_t count = 0;
	pyr_error *err;
	size_t n;

	if (!head)
		return NULL;
	pyr_gc_list_init(python, reader, head, collecting, &list);
	while ((n = pyr_gc_list_next(&list, objects, CHUNK))) {
		count += n;
		if ((err = pyr_control_check(python->target->control)))
			return err;
	}
	if ((err = pyr_reader_check(reader)))
		return err;
	if (list.broken)
		pyr_control_diagnose(
			python->target->control,
			"the list of %s is broken at 0x%llx: %llu objects were reached "
			"from its two ends",
			what, (unsigned long long)list.broken, (unsigned long long)count);
	*ret += count;
	return NULL;
}

pyr_error *pyr_gc_count_objects(const struct pyr_python *python, struct pyr_reader *reader,
				struct pyr_gc_state *states, size_t count)
{
	static const char *const names[] = {"generation 0", "generation 1", "generation 2"};
	pyr_error *err;
	size_t i, g;

	for (i = 0; i < count; i++) {
		struct pyr_gc_state *s = &states[i];

		for (g = 0; g < PYR_GC_GENERATIONS; g++) {
			s->generations[g].objects = 0;
			if ((err = count_list(python, reader, s->generations[g].head, s->collecting,
					      names[g], &s->generations[g].objects)))
				return err;
		}
		s->frozen = 0;
		if ((err = count_list(python, reader, s->second_old_head, s->collecting, names[2],
				      &s->generations[2].objects)) ||
		    (err = count_list(python, reader, s->permanent_head, s->collecting,
				      "frozen objects", &s->frozen)))
			return err;
	}
	return NULL;
}

/* The collections that run in an interpreter other than the one that is asked
 * for do not touch its lists; but one answer for all is safe, and rarely wrong. */
bool pyr_gc_collecting(const struct pyr_python *python, struct pyr_reader *reader)
{
	struct pyr_raw raw = {&python->layout, reader};
	pyr_addr variable;
	uint32_t word;
	size_t i;

	if (pyr_is(&python->layout, gc_location, STATIC)) {
		variable = pyr_gc_static(python, "collecting");
		return variable && pyr_try_u32(reader, variable, &word) && word;
	}
	for (i = 0; i < python->interpreters.count; i++)
		if (python->interpreters.data[i].gc &&
		    pyr_raw_get(raw, python->interpreters.data[i].gc,
				PYR_FIELD(_gc_runtime_state, collecting)))
			return true;
	return false;
}

pyr_addr pyr_gc_static(const struct pyr_python *python, const char *name)
{
	pyr_addr address;

	if (!python->image ||
	    !pyr_image_symbol(python->target, python->image, name, &address, NULL))
		return 0;
	return address;
}

/* --- a collection in progress --- */

/* Is @a the head of a list whose first and last node point back to it? */
static bool is_head(struct pyr_reader *reader, uint64_t mask, pyr_addr a, const uint64_t words[2])
{
	pyr_addr next = words[0] & mask, prev = words[1] & mask;
	uint64_t back, forward;

	return next > 4096 && prev > 4096 && !(next & 7) && !(prev & 7) && next != a && prev != a &&
	       pyr_try_u64(reader, next + 8, &back) && (back & mask) == a &&
	       pyr_try_u64(reader, prev, &forward) && (forward & mask) == a;
}

struct stack_scan {
	const struct pyr_python *python;
	struct pyr_reader *reader, *lists;
	bool (*fn)(void *ctx, pyr_addr object);
	void *ctx;
	bool stopped;
};

/* Between update_refs() and the end of delete_garbage() the objects under
 * collection are on lists whose heads are local variables of gc_collect_main()
 * and of what it calls: finalizers run then, so cores do show it. */
static pyr_error *scan_stack(struct stack_scan *scan, pyr_addr sp, pyr_addr end)
{
	uint64_t mask =
		pyr_is(&scan->python->layout, gc_head, THREE_WORDS) ? ~UINT64_C(0) : ~UINT64_C(3);
	pyr_addr a, objects[CHUNK];
	struct pyr_gc_list list;
	uint64_t words[2];
	const void *p;
	pyr_error *err;
	size_t n, i;

	for (a = sp & ~UINT64_C(7); a + 16 <= end && !scan->stopped; a += 8) {
		p = pyr_peek(scan->reader, a, 16);
		if (!p) {
			a = pyr_peek_next(scan->reader, a, end) - 8;
			continue;
		}
		memcpy(words, p, 16);
		if (!is_head(scan->lists, mask, a, words))
			continue;
		pyr_gc_list_init(scan->python, scan->lists, a, true, &list);
		while (!scan->stopped && (n = pyr_gc_list_next(&list, objects, CHUNK))) {
			for (i = 0; i < n && !scan->stopped; i++)
				scan->stopped = !scan->fn(scan->ctx, objects[i]);
			if ((err = pyr_control_check(scan->python->target->control)))
				return err;
		}
		if (list.broken)
			pyr_control_diagnose(scan->python->target->control,
					     "a list of the running collection is broken at 0x%llx",
					     (unsigned long long)list.broken);
	}
	return NULL;
}

pyr_error *pyr_gc_collecting_walk(const struct pyr_python *python, struct pyr_reader *reader,
				  const struct pyr_gc_state *state,
				  bool (*fn)(void *ctx, pyr_addr object), void *ctx)
{
	struct pyr_target *target = python->target;
	struct stack_scan scan = {python, reader, NULL, fn, ctx, false};
	struct pyr_reader lists;
	const struct pyr_mapping *mapping;
	pyr_error *err = NULL;
	size_t i;

	if (!state->collecting)
		return NULL;
	/* The stack and the lists are far apart: a cursor for each. */
	pyr_reader_init(&lists, target);
	scan.lists = &lists;
	for (i = 0; i < target->threads.count && !err && !scan.stopped; i++) {
		mapping = pyr_target_mapping_at(target, target->threads.data[i].sp);
		if (mapping)
			err = scan_stack(&scan, target->threads.data[i].sp, mapping->end);
	}
	if (!err)
		err = pyr_reader_check(&lists);
	pyr_reader_deinit(&lists);
	return err ? err : pyr_reader_check(reader);
}
