#define _GNU_SOURCE
#include "target/target.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "target/image.h"
#include "target/reader.h"
#include "target/residency.h"

pyr_error *pyr_target_create(struct pyr_control *control, enum pyr_target_kind kind,
			     const struct pyr_target_ops *ops, void *state, struct pyr_target **ret)
{
	struct pyr_target *target = calloc(1, sizeof(*target));

	if (!target)
		return pyr_error_no_memory();
	target->kind = kind;
	target->ops = ops;
	target->state = state;
	target->control = control;
	target->page_size = 4096;
	*ret = target;
	return NULL;
}

void pyr_target_destroy(struct pyr_target *target)
{
	size_t i;

	if (!target)
		return;
	pyr_target_drop_images(target);
	pyr_target_drop_cache(target);
	if (target->ops && target->ops->destroy)
		target->ops->destroy(target);
	for (i = 0; i < target->incomplete.count; i++)
		free(target->incomplete.data[i]);
	for (i = 0; i < target->strings.count; i++)
		free(target->strings.data[i]);
	pyr_vec_deinit(&target->segments);
	pyr_vec_deinit(&target->mappings);
	pyr_vec_deinit(&target->threads);
	pyr_vec_deinit(&target->auxv);
	pyr_vec_deinit(&target->incomplete);
	pyr_vec_deinit(&target->strings);
	pyr_error_destroy(target->failure);
	if (target->residency)
		pyr_residency_deinit(target->residency);
	free(target->residency);
	free(target->description);
	free(target->exe);
	free(target->command_name);
	free(target);
}

pyr_error *pyr_target_add_segment(struct pyr_target *target, pyr_addr start, pyr_addr end,
				  const void *bytes, uint32_t flags)
{
	struct pyr_segment segment = {.start = start, .end = end, .bytes = bytes, .flags = flags};

	if (end <= start)
		return NULL;
	return pyr_vec_push(&target->segments, segment) ? NULL : pyr_error_no_memory();
}

pyr_error *pyr_target_add_mapping(struct pyr_target *target, const struct pyr_mapping *mapping)
{
	struct pyr_mapping copy = *mapping;

	if (copy.end <= copy.start)
		return NULL;
	if (copy.path) {
		char *path = strdup(copy.path);

		if (!path || !pyr_vec_push(&target->strings, path)) {
			free(path);
			return pyr_error_no_memory();
		}
		copy.path = path;
	}
	return pyr_vec_push(&target->mappings, copy) ? NULL : pyr_error_no_memory();
}

struct ordered {
	struct pyr_segment segment;
	size_t order;
};

static int by_start_then_order(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;

	if (x->segment.start != y->segment.start)
		return x->segment.start < y->segment.start ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int mapping_by_start(const void *a, const void *b)
{
	const struct pyr_mapping *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Trim what begins inside its predecessor. @v is sorted. */
static size_t trim_overlaps(struct pyr_segment *v, size_t count)
{
	size_t i, kept = 0;
	pyr_addr end = 0;

	for (i = 0; i < count; i++) {
		struct pyr_segment s = v[i];

		if (s.end <= end)
			continue;
		if (s.start < end) {
			s.bytes += end - s.start;
			s.start = end;
		}
		end = s.end;
		v[kept++] = s;
	}
	return kept;
}

/* Sort one class of segments (dumped ones or those from files) into @ret. */
static pyr_error *sorted_class(const struct pyr_target *target, bool from_file,
			       struct pyr_segment **ret, size_t *ret_count)
{
	size_t count = target->segments.count, i, n = 0;
	struct ordered *sorted = calloc(count + 1, sizeof(*sorted));
	struct pyr_segment *v = calloc(count + 1, sizeof(*v));

	if (!sorted || !v) {
		free(sorted);
		free(v);
		return pyr_error_no_memory();
	}
	for (i = 0; i < count; i++) {
		if (!!(target->segments.data[i].flags & PYR_SEG_FROM_FILE) != from_file)
			continue;
		sorted[n].segment = target->segments.data[i];
		sorted[n++].order = i;
	}
	qsort(sorted, n, sizeof(*sorted), by_start_then_order);
	for (i = 0; i < n; i++)
		v[i] = sorted[i].segment;
	free(sorted);
	*ret_count = trim_overlaps(v, n);
	*ret = v;
	return NULL;
}

/* A kernel dumps every mapping as a segment of its own; memory that grew in
 * many small steps is one run of bytes nevertheless. */
static size_t join_neighbours(struct pyr_segment *v, size_t count)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++) {
		struct pyr_segment *last = kept ? &v[kept - 1] : NULL;

		if (last && last->end == v[i].start && last->flags == v[i].flags &&
		    (uintptr_t)last->bytes + (last->end - last->start) == (uintptr_t)v[i].bytes)
			last->end = v[i].end;
		else
			v[kept++] = v[i];
	}
	return kept;
}

/* The gaps between dumped segments are filled from files. */
static pyr_error *sort_segments(struct pyr_target *target)
{
	struct pyr_segment *dumped = NULL, *files = NULL, *out;
	size_t ndumped = 0, nfiles = 0, d = 0, f, n = 0;
	pyr_error *err;

	if ((err = sorted_class(target, false, &dumped, &ndumped)) ||
	    (err = sorted_class(target, true, &files, &nfiles)))
		goto out;
	/* Every dumped segment splits at most one file segment in two. */
	target->segments.count = 0;
	if (!pyr_vec_reserve(&target->segments, nfiles + 2 * ndumped)) {
		err = pyr_error_no_memory();
		goto out;
	}
	out = target->segments.data;
	for (f = 0; f < nfiles; f++) {
		struct pyr_segment s = files[f];

		while (s.start < s.end) {
			struct pyr_segment part = s;

			while (d < ndumped && dumped[d].end <= s.start)
				out[n++] = dumped[d++];
			if (d < ndumped && dumped[d].start <= s.start)
				part.end = dumped[d].end < s.end ? dumped[d].end : s.end;
			else if (d < ndumped && dumped[d].start < s.end)
				out[n++] = (part.end = dumped[d].start, part);
			else
				out[n++] = part;
			s.bytes += part.end - s.start;
			s.start = part.end;
		}
	}
	while (d < ndumped)
		out[n++] = dumped[d++];
	target->segments.count = join_neighbours(out, n);
out:
	free(dumped);
	free(files);
	return err;
}

static void count_present(struct pyr_target *target)
{
	size_t i, k, s = 0;

	for (i = 0; i < target->mappings.count; i++) {
		struct pyr_mapping *m = &target->mappings.data[i];

		m->present = 0;
		while (s < target->segments.count && target->segments.data[s].end <= m->start)
			s++;
		for (k = s; k < target->segments.count; k++) {
			const struct pyr_segment *g = &target->segments.data[k];
			pyr_addr from = g->start > m->start ? g->start : m->start;
			pyr_addr to = g->end < m->end ? g->end : m->end;

			if (g->start >= m->end)
				break;
			if (to > from && !(g->flags & PYR_SEG_FROM_FILE))
				m->present += to - from;
		}
	}
}

pyr_error *pyr_target_finish(struct pyr_target *target)
{
	size_t i, kept = 0;
	pyr_error *err;

	if ((err = sort_segments(target)))
		return err;
	if (target->mappings.count)
		qsort(target->mappings.data, target->mappings.count, sizeof(*target->mappings.data),
		      mapping_by_start);
	for (i = 0; i < target->mappings.count; i++) {
		struct pyr_mapping m = target->mappings.data[i];

		if (!kept || m.start >= target->mappings.data[kept - 1].end)
			target->mappings.data[kept++] = m;
	}
	target->mappings.count = kept;
	count_present(target);
	return NULL;
}

void pyr_target_mark_incomplete(struct pyr_target *target, const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length >= 0 && !pyr_vec_push(&target->incomplete, text))
		free(text);
}

const struct pyr_mapping *pyr_target_mapping_at(const struct pyr_target *target, pyr_addr addr)
{
	return pyr_search_range(target->mappings.data, target->mappings.count, start, end, addr);
}

bool pyr_target_auxv(const struct pyr_target *target, uint64_t type, uint64_t *ret)
{
	size_t i;

	for (i = 0; i + 1 < target->auxv.count; i += 2) {
		if (target->auxv.data[i] == type) {
			*ret = target->auxv.data[i + 1];
			return true;
		}
	}
	return false;
}
