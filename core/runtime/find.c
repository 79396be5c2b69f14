/* The upper rungs of the ladder: symbols, sections, the cookie. */
#include "runtime/find.h"

#include <stdlib.h>

#define RANGES_PER_IMAGE 8

bool pyr_candidates_add(struct pyr_candidates *candidates, const struct pyr_candidate *one)
{
	size_t i;

	for (i = 0; i < candidates->list.count; i++) {
		const struct pyr_candidate *c = &candidates->list.data[i];

		if (c->runtime == one->runtime && c->interpreter == one->interpreter &&
		    c->interpreters == one->interpreters)
			return true;
	}
	return pyr_vec_push(&candidates->list, *one);
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path ? path : "";
}

const char *pyr_find_other_python(struct pyr_target *target)
{
	size_t i;

	for (i = 0; i < target->image_count; i++) {
		const struct pyr_image *image = &target->images[i];

		if (strstr(base_name(image->path), "pypy") ||
		    pyr_image_symbol(target, image, "pypy_main_startup", NULL, NULL))
			return "PyPy";
		if (strstr(base_name(image->path), "graalpy"))
			return "GraalPy";
	}
	return NULL;
}

bool pyr_find_python_name(const struct pyr_target *target)
{
	size_t i;

	for (i = 0; i < target->image_count; i++)
		if (strstr(base_name(target->images[i].path), "python"))
			return true;
	for (i = 0; i < target->mappings.count; i++)
		if (strstr(base_name(target->mappings.data[i].path), "python"))
			return true;
	return false;
}

/* 3.6 has no runtime structure: `interp_head` is in .symtab, the current thread
 * (zero while nobody holds the GIL) and the collector's generations in .dynsym. */
static bool find_3_6(struct pyr_target *target, struct pyr_reader *reader,
		     const struct pyr_image *image, struct pyr_candidate *c)
{
	pyr_addr current, generations, head;

	if (!pyr_image_symbol(target, image, "_PyThreadState_Current", &current, NULL) ||
	    !pyr_image_symbol(target, image, "_PyGC_generation0", &generations, NULL))
		return false;
	pyr_try_u64(reader, generations, &c->generations);
	if (pyr_image_symbol(target, image, "interp_head", &head, NULL))
		pyr_try_u64(reader, head, &c->interpreter);
	/* pystate.h, 3.6: prev, next, interp */
	if (!c->interpreter && pyr_try_u64(reader, current, &head) && head)
		pyr_try_u64(reader, head + 16, &c->interpreter);
	return true;
}

pyr_error *pyr_find_by_symbol(struct pyr_target *target, struct pyr_reader *reader,
			      struct pyr_candidates *ret)
{
	size_t i;

	for (i = 0; i < target->image_count; i++) {
		struct pyr_candidate c = {.image = &target->images[i]};

		if (pyr_image_symbol(target, c.image, "_PyRuntime", &c.runtime, NULL) ||
		    find_3_6(target, reader, c.image, &c))
			c.found_by = "symbol";
		else if (pyr_image_section(target, c.image, ".PyRuntime", &c.runtime, NULL))
			c.found_by = "section";
		else
			continue;
		if (!pyr_candidates_add(ret, &c))
			return pyr_error_no_memory();
	}
	return pyr_reader_check(reader);
}

/* --- static data --- */

static int by_start(const void *a, const void *b)
{
	const struct pyr_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool add_range(struct pyr_range_list *ranges, pyr_addr start, pyr_addr end)
{
	return start >= end || pyr_vec_push(&ranges->v, (struct pyr_range){start, end});
}

pyr_error *pyr_find_static_ranges(struct pyr_target *target, struct pyr_range_list *ret)
{
	pyr_addr writable[RANGES_PER_IMAGE][2], file_end = 0;
	struct pyr_range_list all = {0};
	bool files = false, ok = true;
	size_t i, j, n;

	for (i = 0; i < target->mappings.count; i++)
		files |= target->mappings.data[i].path && target->mappings.data[i].path[0] == '/';
	for (i = 0; i < target->mappings.count && ok; i++) {
		const struct pyr_mapping *m = &target->mappings.data[i];
		bool file = m->path && m->path[0] == '/';

		/* An anonymous mapping right behind a file's is its .bss. */
		if (file || (!m->path && m->start == file_end))
			file_end = m->end;
		else if (files)
			continue;
		if (m->write && !m->shared)
			ok = add_range(&all, m->start, m->end);
	}
	for (i = 0; i < target->image_count && ok; i++) {
		n = pyr_image_writable(target, &target->images[i], writable, RANGES_PER_IMAGE);
		for (j = 0; j < n && j < RANGES_PER_IMAGE && ok; j++)
			ok = add_range(&all, writable[j][0] & ~UINT64_C(7), writable[j][1]);
	}
	if (!ok) {
		pyr_vec_deinit(&all.v);
		return pyr_error_no_memory();
	}
	if (all.v.count)
		qsort(all.v.data, all.v.count, sizeof(*all.v.data), by_start);
	for (i = 0, n = 0; i < all.v.count; i++) {
		struct pyr_range *last = n ? &all.v.data[n - 1] : NULL;

		if (last && all.v.data[i].start <= last->end)
			last->end = last->end > all.v.data[i].end ? last->end : all.v.data[i].end;
		else
			all.v.data[n++] = all.v.data[i];
	}
	all.v.count = n;
	*ret = all;
	return NULL;
}

pyr_error *pyr_find_each_piece(struct pyr_reader *reader, const struct pyr_range_list *ranges,
			       bool (*fn)(void *ctx, pyr_addr addr, const uint8_t *bytes,
					  size_t size),
			       void *ctx)
{
	struct pyr_control *control = reader->target->control;
	const size_t piece = 1 << 20;
	const uint8_t *bytes, *edge;
	pyr_error *err;
	pyr_addr at;
	size_t i, n;

	for (i = 0; i < ranges->v.count; i++) {
		pyr_addr end = ranges->v.data[i].end;

		for (at = ranges->v.data[i].start; at < end;) {
			n = pyr_peek_run(reader, at, end - at < piece ? end - at : piece, &bytes);
			if ((err = pyr_reader_check(reader)) || (err = pyr_control_check(control)))
				return err;
			if (n < 8) {
				at = pyr_peek_next(reader, at, end);
				continue;
			}
			n &= ~(size_t)7;
			if (!fn(ctx, at, bytes, n))
				return NULL;
			at += n;
			edge = n >= PYR_FIND_EDGE && end - at >= PYR_FIND_EDGE
				       ? pyr_peek(reader, at - PYR_FIND_EDGE, 2 * PYR_FIND_EDGE)
				       : NULL;
			if (edge && !fn(ctx, at - PYR_FIND_EDGE, edge, 2 * PYR_FIND_EDGE))
				return NULL;
		}
	}
	return NULL;
}

/* --- the cookie --- */

struct cookie_scan {
	struct pyr_target *target;
	struct pyr_candidates *ret;
	bool failed;
};

static bool cookie_piece(void *ctx, pyr_addr addr, const uint8_t *bytes, size_t size)
{
	struct cookie_scan *scan = ctx;
	size_t i;

	for (i = 0; i < size; i += 8) {
		struct pyr_candidate c = {.runtime = addr + i, .found_by = "cookie"};

		if (memcmp(bytes + i, "xdebugpy", 8))
			continue;
		c.image = pyr_target_image_at(scan->target, c.runtime);
		if (!pyr_candidates_add(scan->ret, &c)) {
			scan->failed = true;
			return false;
		}
	}
	return true;
}

pyr_error *pyr_find_by_cookie(struct pyr_target *target, struct pyr_reader *reader,
			      struct pyr_candidates *ret)
{
	struct cookie_scan scan = {target, ret, false};
	struct pyr_range_list ranges;
	pyr_error *err;

	if ((err = pyr_find_static_ranges(target, &ranges)))
		return err;
	err = pyr_find_each_piece(reader, &ranges, cookie_piece, &scan);
	pyr_vec_deinit(&ranges.v);
	return !err && scan.failed ? pyr_error_no_memory() : err;
}
