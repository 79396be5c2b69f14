#include "runtime/gcstate.h"

#include "runtime/gclist.h"
#include "runtime/raw.h"

static struct pyr_raw raw_of(const struct pyr_python *python, struct pyr_reader *reader)
{
	return (struct pyr_raw){&python->layout, reader};
}

static void read_generation(struct pyr_raw raw, pyr_addr generation, struct pyr_gc_state *s,
			    unsigned g)
{
	s->generations[g].head = generation + (uint64_t)pyr_offset(raw.layout, gc_generation, head);
	s->generations[g].threshold =
		(int32_t)pyr_raw_get(raw, generation, PYR_FIELD(gc_generation, threshold));
	s->generations[g].count =
		(int32_t)pyr_raw_get(raw, generation, PYR_FIELD(gc_generation, count));
}

static void read_three(struct pyr_raw raw, pyr_addr generations, struct pyr_gc_state *s)
{
	unsigned g;

	for (g = 0; g < PYR_GC_GENERATIONS; g++)
		read_generation(raw, generations + g * pyr_sizeof(raw.layout, gc_generation), s, g);
}

/* 3.14.0-3.14.4. gc.get_threshold() shows the three thresholds; gc.get_count()
 * the counts of `young` and of the old list that is being visited. Generation 1
 * has no list of its own (gc.c, gc_get_count_impl(), _PyGC_GetObjects()). */
static void read_young_old(struct pyr_raw raw, struct pyr_gc_state *s)
{
	const struct pyr_layout *l = raw.layout;
	pyr_addr old = s->address + (uint64_t)pyr_offset(l, _gc_runtime_state, old);
	uint32_t size = pyr_sizeof(l, gc_generation);
	uint64_t visited =
		pyr_raw_get(raw, s->address, PYR_FIELD(_gc_runtime_state, visited_space));

	read_generation(raw, s->address + (uint64_t)pyr_offset(l, _gc_runtime_state, young), s, 0);
	read_generation(raw, old, s, 1);
	read_generation(raw, old + size, s, 2);
	s->generations[1].count = (int32_t)pyr_raw_get(raw, old + (visited & 1) * size,
						       PYR_FIELD(gc_generation, count));
	s->generations[2].count = 0;
	s->second_old_head = s->generations[2].head;
	s->generations[2].head = s->generations[1].head;
	s->generations[1].head = 0;
}

static void read_stats(struct pyr_raw raw, pyr_addr stats, struct pyr_gc_state *s, unsigned g)
{
	s->generations[g].has_stats =
		pyr_raw_field(raw, stats, PYR_FIELD(gc_generation_stats, collections),
			      &s->generations[g].collections) &&
		pyr_raw_field(raw, stats, PYR_FIELD(gc_generation_stats, collected),
			      &s->generations[g].collected) &&
		pyr_raw_field(raw, stats, PYR_FIELD(gc_generation_stats, uncollectable),
			      &s->generations[g].uncollectable);
}

static void read_all_stats(struct pyr_raw raw, pyr_addr array, struct pyr_gc_state *s)
{
	unsigned g;

	for (g = 0; g < PYR_GC_GENERATIONS; g++)
		read_stats(raw, array + g * pyr_sizeof(raw.layout, gc_generation_stats), s, g);
}

/* 3.15 keeps a ring of entries per generation; the one at `index` is the latest
 * and cumulative (gc.c, gc_get_stats()). */
static void read_rings(struct pyr_raw raw, pyr_addr stats, struct pyr_gc_state *s)
{
	static const enum pyr_field rings[PYR_GC_GENERATIONS][2] = {
		{PYR_FIELD(gc_stats, young), PYR_FIELD(gc_stats, young_index)},
		{PYR_FIELD(gc_stats, old0), PYR_FIELD(gc_stats, old0_index)},
		{PYR_FIELD(gc_stats, old1), PYR_FIELD(gc_stats, old1_index)},
	};
	uint32_t size = pyr_sizeof(raw.layout, gc_generation_stats);
	const struct pyr_field_place *place;
	uint64_t index;
	unsigned g;

	for (g = 0; g < PYR_GC_GENERATIONS; g++) {
		place = pyr_layout_place(raw.layout, rings[g][0]);
		if (place->offset < 0 || !size || !pyr_raw_field(raw, stats, rings[g][1], &index) ||
		    (index + 1) * size > place->size)
			continue;
		read_stats(raw, stats + (uint64_t)place->offset + index * size, s, g);
	}
}

/* The `generations` array. Debian's 3.13 has it at another offset than its
 * neighbours suggest (a patch of PyGC_Head's alignment), so `generation0`, which
 * always points to it, is believed over the table. */
static pyr_addr generations_at(struct pyr_raw raw, pyr_addr gc)
{
	int32_t offset = pyr_offset(raw.layout, _gc_runtime_state, generations);
	pyr_addr first = pyr_raw_get(raw, gc, PYR_FIELD(_gc_runtime_state, generation0));

	if (first >= gc && first < gc + pyr_sizeof(raw.layout, _gc_runtime_state))
		return first;
	return offset < 0 ? 0 : gc + (uint64_t)offset;
}

static void count_list_object(struct pyr_raw raw, pyr_addr list, uint64_t *ret)
{
	pyr_addr items;

	if (!list || !pyr_raw_list(raw, list, &items, ret))
		*ret = 0;
}

static void read_state(struct pyr_raw raw, struct pyr_gc_state *s)
{
	const struct pyr_layout *l = raw.layout;
	pyr_addr gc = s->address, generations;

#define GET(field) pyr_raw_get(raw, gc, PYR_FIELD(_gc_runtime_state, field))
	s->enabled = (int32_t)GET(enabled) != 0;
	s->debug = (uint32_t)GET(debug);
	s->collecting = (int32_t)GET(collecting) != 0;
	s->garbage = GET(garbage);
	s->callbacks = GET(callbacks);
	s->collecting_frame = GET(frame);
	if (pyr_has(l, _gc_runtime_state, long_lived_total))
		s->long_lived_total = (int64_t)GET(long_lived_total);
	if (pyr_has(l, _gc_runtime_state, long_lived_pending))
		s->long_lived_pending = (int64_t)GET(long_lived_pending);
	if (pyr_is(l, gc_generations, YOUNG_OLD2))
		read_young_old(raw, s);
	else if ((generations = generations_at(raw, gc)))
		read_three(raw, generations, s);
	if (pyr_has(l, _gc_runtime_state, permanent_generation))
		s->permanent_head =
			gc + (uint64_t)pyr_offset(l, _gc_runtime_state, permanent_generation) +
			(uint64_t)pyr_offset(l, gc_generation, head);
	if (pyr_is(l, gc_stats, RINGS))
		read_rings(raw, GET(generation_stats), s);
	else if (pyr_has(l, _gc_runtime_state, generation_stats))
		read_all_stats(
			raw, gc + (uint64_t)pyr_offset(l, _gc_runtime_state, generation_stats), s);
#undef GET
}

/* 3.6: static variables of gcmodule.c, in .symtab alone except the generations.
 * gc.garbage and gc.callbacks are also in the dict of the gc module. */
static void read_static(const struct pyr_python *python, struct pyr_raw raw, struct pyr_gc_state *s)
{
	pyr_addr dict = 0, at;
	uint32_t word;
	uint64_t value;

	s->enabled = true;
	if ((at = pyr_gc_static(python, "enabled")) && pyr_try_u32(raw.reader, at, &word))
		s->enabled = word != 0;
	else
		pyr_control_diagnose(python->target->control,
				     "gc.isenabled() is not known without symbols on this version");
	if ((at = pyr_gc_static(python, "debug")) && pyr_try_u32(raw.reader, at, &word))
		s->debug = word;
	s->collecting = pyr_gc_collecting(python, raw.reader);
	if (python->generations)
		read_three(raw, python->generations, s);
	if ((at = pyr_gc_static(python, "generation_stats")))
		read_all_stats(raw, at, s);
	if ((at = pyr_gc_static(python, "long_lived_total")) && pyr_try_u64(raw.reader, at, &value))
		s->long_lived_total = (int64_t)value;
	if ((at = pyr_gc_static(python, "long_lived_pending")) &&
	    pyr_try_u64(raw.reader, at, &value))
		s->long_lived_pending = (int64_t)value;
	if (python->interpreters.count)
		dict = pyr_raw_module_dict(raw, python->interpreters.data[0].modules, "gc");
	if (dict) {
		s->garbage = pyr_raw_dict_get(raw, dict, "garbage");
		s->callbacks = pyr_raw_dict_get(raw, dict, "callbacks");
	}
	if (!s->garbage && (at = pyr_gc_static(python, "garbage")))
		pyr_try_u64(raw.reader, at, &s->garbage);
	if (!s->callbacks && (at = pyr_gc_static(python, "callbacks")))
		pyr_try_u64(raw.reader, at, &s->callbacks);
}

pyr_error *pyr_gc_states_read(const struct pyr_python *python, struct pyr_reader *reader,
			      struct pyr_gc_state **ret, size_t *count)
{
	struct pyr_raw raw = raw_of(python, reader);
	bool shared = !pyr_is(&python->layout, gc_location, INTERPRETER);
	size_t n = shared ? 1 : python->interpreters.count, i;
	struct pyr_gc_state *states;
	pyr_error *err;

	states = calloc(n ? n : 1, sizeof(*states));
	if (!states)
		return pyr_error_no_memory();
	for (i = 0; i < n; i++) {
		states[i].interpreter = i;
		states[i].long_lived_total = states[i].long_lived_pending = -1;
		if (pyr_is(&python->layout, gc_location, STATIC)) {
			read_static(python, raw, &states[i]);
		} else {
			states[i].address =
				python->interpreters.count ? python->interpreters.data[i].gc : 0;
			if (states[i].address)
				read_state(raw, &states[i]);
			else
				pyr_control_diagnose(python->target->control,
						     "the collector's state was not found");
		}
		count_list_object(raw, states[i].garbage, &states[i].garbage_count);
		count_list_object(raw, states[i].callbacks, &states[i].callback_count);
	}
	if ((err = pyr_reader_check(reader))) {
		free(states);
		return err;
	}
	*ret = states;
	*count = n;
	return NULL;
}

void pyr_gc_states_destroy(struct pyr_gc_state *states, size_t count)
{
	(void)count;
	free(states);
}
