#include "analysis/collection/cycle_members.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"

#define DENSE 64u /* of so many objects one a member: all are looked at */

pyr_error *pyr_cycle_members_init(const struct pyr_cycles *cycles, struct pyr_cycle_members *ret)
{
	struct pyr_cycle_members m = {.cycles = cycles};

	/* Of these pages only those are ever there that have members of cycles asked for. */
	m.index = calloc((size_t)cycles->count + 1, sizeof(*m.index));
	if (!m.index)
		return pyr_error_no_memory();
	*ret = m;
	return NULL;
}

/* Is it among the places yet? What index[] says of others than those asked for is of no
 * meaning. */
static bool is_found(const struct pyr_cycle_members *m, uint32_t place)
{
	uint32_t i = m->index[place];

	return i < m->places.count && m->places.data[i] == place;
}

static void found(struct pyr_cycle_members *m, uint32_t place)
{
	m->index[place] = (uint32_t)m->places.count;
	m->places.data[m->places.count++] = place;
}

/* All members reach one another. */
static void follow(struct pyr_cycle_members *m, const struct pyr_cycle_facts *facts)
{
	const struct pyr_cycles *c = m->cycles;
	const struct pyr_graph *g = &c->model->graph;
	uint32_t id, place;
	uint64_t e;
	size_t i;

	found(m, facts->first);
	for (i = 0; i < m->places.count && m->places.count < facts->members; i++) {
		id = c->objects[m->places.data[i]];
		for (e = g->out_start[id]; e < g->out_start[id + 1]; e++) {
			if (!(c->model->flags[e] & PYR_MODEL_TRAVERSED))
				continue;
			place = pyr_id_subset_place(c->subset, g->out[e]);
			if (place != PYR_NOT_IN_SUBSET && c->found.of[place] == facts->first &&
			    !is_found(m, place))
				found(m, place);
		}
	}
	qsort(m->places.data, m->places.count, sizeof(*m->places.data), pyr_by_number);
	for (i = 0; i < m->places.count; i++)
		m->index[m->places.data[i]] = (uint32_t)i;
}

pyr_error *pyr_cycle_members_find(struct pyr_cycle_members *m, uint32_t cycle)
{
	const struct pyr_cycles *c = m->cycles;
	const struct pyr_cycle_facts *facts = &c->found.facts[cycle];
	uint32_t place;

	m->places.count = 0;
	if (!pyr_vec_reserve(&m->places, facts->members))
		return pyr_error_no_memory();
	if (facts->members < c->count / DENSE) {
		follow(m, facts);
		return NULL;
	}
	for (place = facts->first; m->places.count < facts->members; place++)
		if (c->found.of[place] == facts->first)
			found(m, place);
	return NULL;
}

void pyr_cycle_members_deinit(struct pyr_cycle_members *m)
{
	pyr_vec_deinit(&m->places);
	free(m->index);
	memset(m, 0, sizeof(*m));
}
