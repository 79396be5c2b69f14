/* The collector's state and its lists: struct _gc_runtime_state (pycore_gc.h),
 * Modules/gcmodule.c up to 3.12, Python/gc.c since. */
#include "runtime/gcstate.h"

#include "runtime/access.h"
#include "runtime/raw.h"

/* PyGC_Head's words carry flags in their low bits (two-word heads only). */
#define POINTER_MASK (~UINT64_C(3))

static struct pyr_raw raw_of(const struct pyr_python *python, struct pyr_reader *reader)
{
	return (struct pyr_raw){ .layout = &python->layout, .reader = reader };
}

/* --- lists --- */

struct head_places {
	uint32_t size;
	int32_t next, prev;
};

static struct head_places places_of(const struct pyr_layout *l)
{
	return (struct head_places){ .size = pyr_layout_gc_head_size(l),
				     .next = pyr_offset(l, PyGC_Head, gc_next),
				     .prev = pyr_offset(l, PyGC_Head, gc_prev) };
}

/* No more nodes than heads fit into the memory that the target has. */
static uint64_t nodes_max(const struct pyr_target *target)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < target->segments.count; i++)
		bytes += target->segments.data[i].end - target->segments.data[i].start;
	for (i = 0; !pyr_target_concurrent(target) && i < target->mappings.count; i++)
		bytes += target->mappings.data[i].end - target->mappings.data[i].start;
	/* Of a target that does not tell its mappings, any amount may be true. */
	return bytes ? bytes / 16 : UINT64_MAX;
}

/* @linked: back links hold, which they do not while the list is being collected. */
static pyr_error *walk_list(const struct pyr_python *python, struct pyr_reader *reader,
			    pyr_addr head, bool linked, bool (*fn)(void *ctx, pyr_addr object),
			    void *ctx, pyr_addr *broken)
{
	struct head_places p = places_of(&python->layout);
	uint64_t left = nodes_max(python->target), next, prev;
	pyr_addr node = head, previous = head;
	const uint8_t *words;

	if (broken)
		*broken = 0;
	if (!head || !p.size || !pyr_try_u64(reader, head + (pyr_addr)p.next, &next))
		return pyr_error_create_at(PYR_E_UNREADABLE, head,
					   "the head of a gc list at 0x%llx is not in the target",
					   (unsigned long long)head);
	for (node = next & POINTER_MASK; node != head; node = next & POINTER_MASK) {
		words = left-- ? pyr_peek(reader, node, p.size) : NULL;
		if (words) {
			memcpy(&next, words + p.next, 8);
			memcpy(&prev, words + p.prev, 8);
		}
		if (!words || !(next & POINTER_MASK) ||
		    (linked && (prev & POINTER_MASK) != previous)) {
			if (broken)
				*broken = node;
			break;
		}
		if (!fn(ctx, node + p.size))
			break;
		previous = node;
		if (!(left & 0xfffff)) {
			pyr_error *err = pyr_control_check(python->target->control);

			if (err)
				return err;
		}
	}
	return pyr_reader_check(reader);
}

pyr_error *pyr_gc_list_walk(const struct pyr_python *python, struct pyr_reader *reader,
			    pyr_addr head, bool (*fn)(void *ctx, pyr_addr object), void *ctx,
			    pyr_addr *broken)
{
	return walk_list(python, reader, head, true, fn, ctx, broken);
}

static bool count_node(void *ctx, pyr_addr object)
{
	(void)object;
	++*(uint64_t *)ctx;
	return true;
}

static pyr_error *count_list(const struct pyr_python *python, struct pyr_reader *reader,
			     pyr_addr head, const char *what, uint64_t *ret)
{
	pyr_addr broken;
	pyr_error *err;

	if (!head)
		return NULL;
	if ((err = walk_list(python, reader, head, true, count_node, ret, &broken))) {
		if (err->code != PYR_E_UNREADABLE)
			return err;
		pyr_control_diagnose(python->target->control, "%s: %s", what, err->message);
		pyr_error_destroy(err);
	} else if (broken) {
		pyr_control_diagnose(python->target->control,
				     "%s: the gc list breaks off at 0x%llx after %llu objects", what,
				     (unsigned long long)broken, (unsigned long long)*ret);
	}
	return NULL;
}

pyr_error *pyr_gc_count_objects(const struct pyr_python *python, struct pyr_reader *reader,
				struct pyr_gc_state *states, size_t count)
{
	static const char *const names[PYR_GC_GENERATIONS] = { "generation 0", "generation 1",
							       "generation 2" };
	pyr_error *err;
	size_t i;
	int g;

	for (i = 0; i < count; i++) {
		struct pyr_gc_state *s = &states[i];

		for (g = 0; g < PYR_GC_GENERATIONS; g++) {
			s->generations[g].objects = 0;
			if ((err = count_list(python, reader, s->generations[g].head, names[g],
					      &s->generations[g].objects)))
				return err;
		}
		if ((err = count_list(python, reader, s->second_old_head, "the second old list",
				      &s->generations[2].objects)))
			return err;
		s->frozen = 0;
		if ((err = count_list(python, reader, s->permanent_head, "the permanent generation",
				      &s->frozen)))
			return err;
	}
	return NULL;
}

/* --- a collection in progress --- */

/* Is @head, a place on a C stack, the head of a list? Its neighbours must link
 * back to it, and it must lie between them. */
static bool is_stack_head(const struct pyr_python *python, struct pyr_reader *reader, pyr_addr head,
			  uint64_t next, uint64_t prev)
{
	struct head_places p = places_of(&python->layout);
	uint64_t back, forth;

	next &= POINTER_MASK;
	prev &= POINTER_MASK;
	if (!next || !prev || next == head || next % 8 || prev % 8 ||
	    !pyr_try_u64(reader, next + (pyr_addr)p.prev, &back) ||
	    !pyr_try_u64(reader, prev + (pyr_addr)p.next, &forth))
		return false;
	return (back & POINTER_MASK) == head && (forth & POINTER_MASK) == head;
}

static pyr_error *walk_stack_heads(const struct pyr_python *python, struct pyr_reader *reader,
				   pyr_addr from, pyr_addr to,
				   bool (*fn)(void *ctx, pyr_addr object), void *ctx)
{
	pyr_addr at, broken;
	uint64_t next, prev;
	pyr_error *err;

	for (at = (from + 7) & ~UINT64_C(7); at + 16 <= to; at += 8) {
		if (!pyr_try_u64(reader, at, &next) || !pyr_try_u64(reader, at + 8, &prev))
			break;
		if (is_stack_head(python, reader, at, next, prev) &&
		    (err = walk_list(python, reader, at, false, fn, ctx, &broken)))
			return err;
	}
	return NULL;
}

pyr_error *pyr_gc_collecting_walk(const struct pyr_python *python, struct pyr_reader *reader,
				  const struct pyr_gc_state *state,
				  bool (*fn)(void *ctx, pyr_addr object), void *ctx)
{
	const struct pyr_target *target = python->target;
	const struct pyr_mapping *mapping;
	pyr_error *err;
	size_t i;

	if (!state->collecting)
		return NULL;
	for (i = 0; i < target->threads.count; i++) {
		pyr_addr sp = target->threads.data[i].sp;
		/* 8 MiB: the usual limit of a stack, where mappings are not told. */
		pyr_addr end = sp + (8u << 20);

		mapping = pyr_target_mapping_at(target, sp);
		if (mapping)
			end = mapping->end;
		if ((err = walk_stack_heads(python, reader, sp, end, fn, ctx)))
			return err;
	}
	return NULL;
}

/* --- state --- */

static void read_list_object(const struct pyr_python *python, struct pyr_reader *reader,
			     pyr_addr list, pyr_addr *address, uint64_t *count)
{
	pyr_addr items;

	*address = list;
	*count = 0;
	if (list && !pyr_raw_list(raw_of(python, reader), list, &items, count))
		*count = 0;
}

static void read_generation(const struct pyr_python *python, struct pyr_reader *reader,
			    struct pyr_gc_state *s, int g, pyr_addr generation)
{
	const struct pyr_layout *l = &python->layout;
	int64_t threshold = 0, count = 0;

	s->generations[g].head = generation + (pyr_addr)pyr_offset(l, gc_generation, head);
	pyr_get_i64(l, reader, generation, gc_generation, threshold, &threshold);
	pyr_get_i64(l, reader, generation, gc_generation, count, &count);
	s->generations[g].threshold = (int32_t)threshold;
	s->generations[g].count = (int32_t)count;
}

/* The latest entry of each ring holds the running totals: gc_get_stats() of 3.15. */
static void read_stat_rings(const struct pyr_python *python, struct pyr_reader *reader,
			    pyr_addr stats, pyr_addr entries[PYR_GC_GENERATIONS])
{
	static const enum pyr_field rings[PYR_GC_GENERATIONS][2] = {
		{ PYR_FIELD(gc_stats, young), PYR_FIELD(gc_stats, young_index) },
		{ PYR_FIELD(gc_stats, old0), PYR_FIELD(gc_stats, old0_index) },
		{ PYR_FIELD(gc_stats, old1), PYR_FIELD(gc_stats, old1_index) },
	};
	const struct pyr_layout *l = &python->layout;
	uint32_t size = pyr_sizeof(l, gc_generation_stats);
	const struct pyr_field_place *ring;
	int64_t index;
	int g;

	for (g = 0; g < PYR_GC_GENERATIONS; g++) {
		ring = pyr_layout_place(l, rings[g][0]);
		if (size && ring->offset >= 0 &&
		    pyr_field_i64(l, reader, stats, rings[g][1], &index) && index >= 0 &&
		    (uint64_t)(index + 1) * size <= ring->size)
			entries[g] = stats + (pyr_addr)ring->offset + (pyr_addr)index * size;
	}
}

static void read_stats(const struct pyr_python *python, struct pyr_reader *reader,
		       struct pyr_gc_state *s, pyr_addr stats)
{
	const struct pyr_layout *l = &python->layout;
	pyr_addr entries[PYR_GC_GENERATIONS] = { 0 };
	int g;

	if (!stats)
		return;
	if (pyr_is(l, gc_stats, RINGS))
		read_stat_rings(python, reader, stats, entries);
	else
		for (g = 0; g < PYR_GC_GENERATIONS; g++)
			entries[g] = stats + (pyr_addr)g * pyr_sizeof(l, gc_generation_stats);
	for (g = 0; g < PYR_GC_GENERATIONS; g++)
		s->generations[g].has_stats =
			entries[g] &&
			pyr_get_u64(l, reader, entries[g], gc_generation_stats, collections,
				    &s->generations[g].collections) &&
			pyr_get_u64(l, reader, entries[g], gc_generation_stats, collected,
				    &s->generations[g].collected) &&
			pyr_get_u64(l, reader, entries[g], gc_generation_stats, uncollectable,
				    &s->generations[g].uncollectable);
}

/* generation0 points to generations[0] in every build that has it, also where a
 * distribution moved the array (Debian's 3.13). */
static pyr_addr first_generation(const struct pyr_python *python, struct pyr_reader *reader,
				 pyr_addr gc)
{
	const struct pyr_layout *l = &python->layout;
	pyr_addr first = pyr_get_addr(l, reader, gc, _gc_runtime_state, generation0);

	if (first > gc && first - gc < pyr_sizeof(l, _gc_runtime_state))
		return first;
	return pyr_has(l, _gc_runtime_state, generations)
		       ? gc + (pyr_addr)pyr_offset(l, _gc_runtime_state, generations)
		       : 0;
}

static pyr_error *read_state(const struct pyr_python *python, struct pyr_reader *reader,
			     struct pyr_gc_state *s)
{
	const struct pyr_layout *l = &python->layout;
	pyr_addr gc = s->address, first, stats = 0;
	uint64_t value = 0;
	int g;

	if (!pyr_get_u64(l, reader, gc, _gc_runtime_state, enabled, &value))
		return pyr_error_create_at(PYR_E_UNREADABLE, gc,
					   "the collector's state at 0x%llx is not in the target",
					   (unsigned long long)gc);
	s->enabled = value != 0;
	value = 0;
	pyr_get_u64(l, reader, gc, _gc_runtime_state, debug, &value);
	s->debug = (uint32_t)value;
	value = 0;
	pyr_get_u64(l, reader, gc, _gc_runtime_state, collecting, &value);
	s->collecting = value != 0;
	if (pyr_is(l, gc_generations, YOUNG_OLD2)) {
		pyr_addr old = gc + (pyr_addr)pyr_offset(l, _gc_runtime_state, old);

		read_generation(python, reader, s, 0,
				gc + (pyr_addr)pyr_offset(l, _gc_runtime_state, young));
		for (g = 1; g < PYR_GC_GENERATIONS; g++)
			read_generation(python, reader, s, g,
					old + (pyr_addr)(g - 1) * pyr_sizeof(l, gc_generation));
		/* gc.get_objects(1) is empty there, and 2 shows both old lists. */
		s->second_old_head = s->generations[1].head;
		s->generations[1].head = 0;
	} else {
		first = first_generation(python, reader, gc);
		for (g = 0; first && g < PYR_GC_GENERATIONS; g++)
			read_generation(python, reader, s, g,
					first + (pyr_addr)g * pyr_sizeof(l, gc_generation));
	}
	if (pyr_has(l, _gc_runtime_state, permanent_generation))
		s->permanent_head = gc +
				    (pyr_addr)pyr_offset(l, _gc_runtime_state, permanent_generation) +
				    (pyr_addr)pyr_offset(l, gc_generation, head);
	if (pyr_is(l, gc_stats, RINGS))
		stats = pyr_get_addr(l, reader, gc, _gc_runtime_state, generation_stats);
	else if (pyr_has(l, _gc_runtime_state, generation_stats))
		stats = gc + (pyr_addr)pyr_offset(l, _gc_runtime_state, generation_stats);
	read_stats(python, reader, s, stats);
	read_list_object(python, reader, pyr_get_addr(l, reader, gc, _gc_runtime_state, garbage),
			 &s->garbage, &s->garbage_count);
	read_list_object(python, reader, pyr_get_addr(l, reader, gc, _gc_runtime_state, callbacks),
			 &s->callbacks, &s->callback_count);
	pyr_get_i64(l, reader, gc, _gc_runtime_state, long_lived_total, &s->long_lived_total);
	pyr_get_i64(l, reader, gc, _gc_runtime_state, long_lived_pending, &s->long_lived_pending);
	s->collecting_frame = pyr_get_addr(l, reader, gc, _gc_runtime_state, frame);
	return NULL;
}

/* --- 3.6: static variables of Modules/gcmodule.c --- */

static bool static_address(const struct pyr_python *python, const char *name, pyr_addr *ret)
{
	return python->image &&
	       pyr_image_symbol(python->target, python->image, name, ret, NULL);
}

static uint32_t static_int(const struct pyr_python *python, struct pyr_reader *reader,
			   const char *name, uint32_t otherwise)
{
	pyr_addr at;
	uint32_t value;

	return static_address(python, name, &at) && pyr_try_u32(reader, at, &value) ? value
										    : otherwise;
}

static pyr_error *read_static_state(const struct pyr_python *python, struct pyr_reader *reader,
				    struct pyr_gc_state *s)
{
	const struct pyr_interpreter *interp = &python->interpreters.data[s->interpreter];
	struct pyr_raw raw = raw_of(python, reader);
	pyr_addr at, first = 0, module;
	int g;

	/* Exported, the other names are in .symtab alone. */
	if (!static_address(python, "_PyGC_generation0", &at) || !pyr_try_u64(reader, at, &first) ||
	    !first)
		return pyr_error_create(PYR_E_UNREADABLE,
					"the collector's generations were not found; "
					"give the executable with -e");
	for (g = 0; g < PYR_GC_GENERATIONS; g++)
		read_generation(python, reader, s, g,
				first + (pyr_addr)g * pyr_sizeof(&python->layout, gc_generation));
	if (!static_address(python, "enabled", &at))
		pyr_control_diagnose(python->target->control,
				     "whether the collector is enabled is in a static variable that "
				     "this stripped Python 3.6 does not name; taken as enabled");
	s->enabled = static_int(python, reader, "enabled", 1) != 0;
	s->collecting = static_int(python, reader, "collecting", 0) != 0;
	s->debug = static_int(python, reader, "debug", 0);
	if (static_address(python, "generation_stats", &at))
		read_stats(python, reader, s, at);
	/* The lists are attributes of the module, if anybody imported it. */
	module = interp->modules ? pyr_raw_module_dict(raw, interp->modules, "gc") : 0;
	if (module) {
		read_list_object(python, reader, pyr_raw_dict_get(raw, module, "garbage"),
				 &s->garbage, &s->garbage_count);
		read_list_object(python, reader, pyr_raw_dict_get(raw, module, "callbacks"),
				 &s->callbacks, &s->callback_count);
	}
	return NULL;
}

pyr_error *pyr_gc_states_read(struct pyr_types *types, struct pyr_reader *reader,
			      struct pyr_gc_state **ret, size_t *count)
{
	const struct pyr_python *python = pyr_types_python(types);
	size_t n = pyr_is(&python->layout, gc_location, INTERPRETER) ? python->interpreters.count : 1;
	struct pyr_gc_state *states = calloc(n ? n : 1, sizeof(*states));
	pyr_error *err = NULL;
	size_t i, filled = 0;

	if (!states)
		return pyr_error_no_memory();
	for (i = 0; i < n && i < python->interpreters.count; i++) {
		struct pyr_gc_state s = { .interpreter = i, .long_lived_total = -1,
					  .long_lived_pending = -1,
					  .address = python->interpreters.data[i].gc };

		err = s.address ? read_state(python, reader, &s)
				: read_static_state(python, reader, &s);
		if (!err) {
			states[filled++] = s;
		} else if (err->code == PYR_E_UNREADABLE && n > 1) {
			pyr_control_diagnose(python->target->control, "interpreter %lld: %s",
					     (long long)python->interpreters.data[i].id,
					     err->message);
			pyr_error_destroy(err);
			err = NULL;
		} else {
			free(states);
			return err;
		}
	}
	*ret = states;
	*count = filled;
	return NULL;
}

void pyr_gc_states_destroy(struct pyr_gc_state *states, size_t count)
{
	(void)count;
	free(states);
}
