#include "objects/enumeration.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"

/* Pages on which objects may lie that are no blocks: written memory, without the
 * arenas. */
static pyr_error *find_pages(struct pyr_enumeration *s)
{
	const struct pyr_target *target = s->python->target;
	const struct pyr_segment *g;
	const struct pyr_mapping *m;
	pyr_error *err = NULL;
	size_t i, k = 0, j;

	if (!target->mappings.count && !pyr_target_concurrent(target))
		err = pyr_pages_add_all(&s->pages);
	for (i = 0; i < target->segments.count && !err; i++) {
		g = &target->segments.data[i];
		if (!target->mappings.count) {
			err = pyr_pages_add(&s->pages, g->start, g->end);
			continue;
		}
		while (k < target->mappings.count && target->mappings.data[k].end <= g->start)
			k++;
		for (j = k; j < target->mappings.count && !err; j++) {
			m = &target->mappings.data[j];
			if (m->start >= g->end)
				break;
			if (m->write)
				err = pyr_pages_add(&s->pages,
						    m->start > g->start ? m->start : g->start,
						    m->end < g->end ? m->end : g->end);
		}
	}
	if (!pyr_target_concurrent(target))
		for (i = 0; i < target->mappings.count && !err; i++)
			if (target->mappings.data[i].write)
				err = pyr_pages_add(&s->pages, target->mappings.data[i].start,
						    target->mappings.data[i].end);
	for (i = 0; i < s->obmalloc.arenas.count && !err; i++)
		err = pyr_pages_remove(&s->pages, s->obmalloc.arenas.data[i].address,
				       s->obmalloc.arenas.data[i].end);
	return err;
}

static pyr_error *make_scanners(struct pyr_enumeration *s)
{
	pyr_error *err;
	unsigned i;

	s->workers = pyr_target_concurrent(s->python->target) ? pyr_parallel_workers() : 1;
	s->scanners = calloc(s->workers, sizeof(*s->scanners));
	if (!s->scanners)
		return pyr_error_no_memory();
	for (i = 0; i < s->workers; i++) {
		if (!(s->scanners[i] = calloc(1, sizeof(**s->scanners))))
			return pyr_error_no_memory();
		if ((err = pyr_scanner_init(s->scanners[i], s->types, &s->obmalloc, &s->pages,
					    s->lists.collecting)))
			return err;
	}
	return NULL;
}

pyr_error *pyr_enumeration_open(struct pyr_types *types, struct pyr_control *control,
				struct pyr_enumeration *ret)
{
	pyr_error *err;

	memset(ret, 0, sizeof(*ret));
	ret->types = types;
	ret->python = pyr_types_python(types);
	ret->control = control;
	if ((err = pyr_obmalloc_open(ret->python, &ret->obmalloc)) ||
	    (err = pyr_pages_init(&ret->pages)) || (err = find_pages(ret)) ||
	    (err = pyr_lists_open(types, &ret->lists)) || (err = make_scanners(ret)))
		pyr_enumeration_close(ret);
	return err;
}

void pyr_enumeration_close(struct pyr_enumeration *s)
{
	unsigned i;

	for (i = 0; s->scanners && i < s->workers; i++) {
		if (s->scanners[i])
			pyr_scanner_deinit(s->scanners[i]);
		free(s->scanners[i]);
	}
	free(s->scanners);
	free(s->table.slots);
	pyr_address_hash_deinit(&s->buffers);
	pyr_vec_deinit(&s->outside);
	pyr_lists_deinit(&s->lists);
	pyr_pages_deinit(&s->pages);
	pyr_obmalloc_deinit(&s->obmalloc);
	memset(s, 0, sizeof(*s));
}

static void diagnose_pools(struct pyr_enumeration *s)
{
	uint64_t unreadable = 0, corrupt = 0, inconsistent = 0, unmeasured = 0;
	unsigned i;

	for (i = 0; i < s->workers; i++) {
		unreadable += s->scanners[i]->unreadable_pools;
		corrupt += s->scanners[i]->corrupt_pools;
		inconsistent += s->scanners[i]->inconsistent_pools;
		unmeasured += s->scanners[i]->classifier.unmeasured;
	}
	if (unreadable)
		pyr_control_diagnose(
			s->control,
			"%llu pools of pymalloc are not in the target: their objects are missing",
			(unsigned long long)unreadable);
	if (corrupt)
		pyr_control_diagnose(s->control, "%llu pools of pymalloc have a corrupt header",
				     (unsigned long long)corrupt);
	if (inconsistent)
		pyr_control_diagnose(
			s->control,
			"%llu pools of pymalloc have a free list that disagrees with their count",
			(unsigned long long)inconsistent);
	if (unmeasured)
		pyr_control_diagnose(
			s->control,
			"the sizes of %llu objects could not be read: tp_basicsize was counted",
			(unsigned long long)unmeasured);
	if (s->obmalloc.dropped_arenas)
		pyr_control_diagnose(s->control, "%llu entries of pymalloc's arenas make no sense",
				     (unsigned long long)s->obmalloc.dropped_arenas);
	if (s->obmalloc.source == PYR_OBMALLOC_SCAN)
		pyr_control_diagnose(
			s->control,
			"pymalloc's state was not found: arenas were found by their pools");
}

void pyr_enumeration_diagnose(struct pyr_enumeration *s)
{
	const struct pyr_list *list;
	size_t i;

	diagnose_pools(s);
	/* During a collection some heads lie on the C stack. */
	if (s->bad_links && !s->lists.collecting)
		pyr_control_diagnose(s->control, "%llu nodes of gc lists are no objects",
				     (unsigned long long)s->bad_links);
	for (i = 0; i < s->lists.lists.count; i++) {
		list = &s->lists.lists.data[i];
		if (list->broken)
			pyr_control_diagnose(
				s->control,
				"the gc list at 0x%llx breaks off at 0x%llx, after %llu objects",
				(unsigned long long)list->head, (unsigned long long)list->broken,
				(unsigned long long)list->nodes);
	}
}
