/* The lower rungs: memory that looks like the runtime, a thread, `type`. */
#include "base/search.h"
#include "runtime/find.h"

#include <stdlib.h>

#include "runtime/raw.h"

#define VERSIONS_MAX 256
#define CHAIN_MAX 10000

/* Where the members lie that a scan compares; -1: not there. Builds that agree in
 * all of them are tried once. */
struct shape {
	int32_t head, main, runtime, threads, interp, next_interp, next_thread, thread_id;
};

struct shapes {
	struct shape shapes[VERSIONS_MAX];
	size_t count;
};

static void shape_of(const struct pyr_layout *l, struct shape *s)
{
	memset(s, 0, sizeof(*s));
	s->head = pyr_offset(l, _PyRuntimeState, interpreters_head);
	s->main = pyr_offset(l, _PyRuntimeState, interpreters_main);
	s->runtime = pyr_offset(l, PyInterpreterState, runtime);
	s->threads = pyr_offset(l, PyInterpreterState, threads_head);
	s->next_interp = pyr_offset(l, PyInterpreterState, next);
	s->interp = pyr_offset(l, PyThreadState, interp);
	s->next_thread = pyr_offset(l, PyThreadState, next);
	s->thread_id = pyr_offset(l, PyThreadState, thread_id);
}

static void add_shape(struct shapes *shapes, const struct shape *s)
{
	size_t i;

	for (i = 0; i < shapes->count; i++)
		if (!memcmp(&shapes->shapes[i], s, sizeof(*s)))
			return;
	if (shapes->count < VERSIONS_MAX)
		shapes->shapes[shapes->count++] = *s;
}

static pyr_error *all_shapes(struct pyr_target *target, struct shapes *ret)
{
	uint32_t versions[VERSIONS_MAX];
	size_t n = pyr_layout_versions(target->machine, versions, VERSIONS_MAX), i;
	struct pyr_layout *layout = malloc(sizeof(*layout));
	struct shape s;
	unsigned flavour;

	if (!layout)
		return pyr_error_no_memory();
	ret->count = 0;
	for (i = 0; i < n && i < VERSIONS_MAX; i++)
		for (flavour = 0; flavour < 4; flavour++) {
			struct pyr_build build = {.hexversion = versions[i],
						  .machine = target->machine,
						  .debug = flavour & 1,
						  .trace_refs = flavour & 2};
			pyr_error *err = pyr_layout_builtin(&build, layout);

			if (err) {
				pyr_error_destroy(err);
				continue;
			}
			shape_of(layout, &s);
			add_shape(ret, &s);
		}
	free(layout);
	return NULL;
}

static bool plausible(pyr_addr a)
{
	return a >= 4096 && !(a & 7) && a >> 56 == 0;
}

/* Does the chain from @at along the link at @offset reach @wanted? */
static bool reaches(struct pyr_reader *reader, pyr_addr at, int32_t offset, pyr_addr wanted)
{
	unsigned i;

	for (i = 0; i < CHAIN_MAX && plausible(at); i++) {
		if (at == wanted)
			return true;
		if (!pyr_try_u64(reader, at + (uint64_t)offset, &at))
			return false;
	}
	return false;
}

struct find_scan {
	struct pyr_target *target;
	struct pyr_reader reader; /* for what the words point to */
	struct shapes shapes;
	struct pyr_candidates *ret;
	uint64_t *ids; /* sorted */
	size_t id_count;
	bool failed;
};

/* --- the runtime --- */

/* interpreters.head and .main lie next to each other in every version. */
static bool is_runtime(struct find_scan *scan, const struct shape *s, pyr_addr at, pyr_addr head,
		       pyr_addr main)
{
	struct pyr_reader *reader = &scan->reader;
	uint64_t word, thread;

	if (s->head < 0 || s->main != s->head + 8 || s->threads < 0 || s->next_interp < 0)
		return false;
	if (s->runtime >= 0 && (!pyr_try_u64(reader, main + (uint64_t)s->runtime, &word) ||
				word != at - (uint64_t)s->head))
		return false;
	if (!pyr_try_u64(reader, main + (uint64_t)s->threads, &thread) || !plausible(thread) ||
	    !pyr_try_u64(reader, thread + (uint64_t)s->interp, &word) || word != main)
		return false;
	return reaches(reader, head, s->next_interp, main);
}

static bool runtime_piece(void *ctx, pyr_addr addr, const uint8_t *bytes, size_t size)
{
	struct find_scan *scan = ctx;
	struct pyr_candidate c = {.found_by = "scan"};
	uint64_t pair[2];
	size_t i, j;

	for (i = 0; i + 16 <= size; i += 8) {
		memcpy(pair, bytes + i, 16);
		if (!plausible(pair[0]) || !plausible(pair[1]))
			continue;
		for (j = 0; j < scan->shapes.count; j++) {
			if (!is_runtime(scan, &scan->shapes.shapes[j], addr + i, pair[0], pair[1]))
				continue;
			c.runtime = addr + i - (uint64_t)scan->shapes.shapes[j].head;
			c.image = pyr_target_image_at(scan->target, c.runtime);
			c.interpreters = addr + i;
			if (!pyr_candidates_add(scan->ret, &c)) {
				scan->failed = true;
				return false;
			}
			break; /* of one place one candidate: its layout is still to be chosen */
		}
	}
	return true;
}

static pyr_error *scan_ranges(struct find_scan *scan, struct pyr_reader *reader,
			      const struct pyr_range_list *ranges,
			      bool (*fn)(void *, pyr_addr, const uint8_t *, size_t))
{
	pyr_error *err = pyr_find_each_piece(reader, ranges, fn, scan);

	if (!err)
		err = pyr_reader_check(&scan->reader);
	return !err && scan->failed ? pyr_error_no_memory() : err;
}

pyr_error *pyr_find_by_runtime_scan(struct pyr_target *target, struct pyr_reader *reader,
				    struct pyr_candidates *ret)
{
	struct find_scan *scan = calloc(1, sizeof(*scan));
	struct pyr_range_list ranges = {0};
	pyr_error *err;

	if (!scan)
		return pyr_error_no_memory();
	scan->target = target;
	scan->ret = ret;
	pyr_reader_init(&scan->reader, target);
	if (!(err = all_shapes(target, &scan->shapes)) &&
	    !(err = pyr_find_static_ranges(target, &ranges)))
		err = scan_ranges(scan, reader, &ranges, runtime_piece);
	pyr_vec_deinit(&ranges.v);
	pyr_reader_deinit(&scan->reader);
	free(scan);
	return err;
}

/* --- threads --- */

/* pthread_self(): the thread pointer itself on x86-64; somewhat below it on
 * aarch64, where struct pthread precedes the thread control block. */
static bool is_thread_id(const struct find_scan *scan, uint64_t word)
{
	uint64_t slack = scan->target->machine == PYR_MACHINE_AARCH64 ? 8192 : 0;
	size_t i = pyr_search(k, scan->id_count, scan->ids[k] < word);

	return i < scan->id_count && scan->ids[i] - word <= slack;
}

/* 3.6 has no runtime that would lie in an image: what exports its collector does. */
static void image_of_3_6(struct find_scan *scan, struct pyr_candidate *c)
{
	pyr_addr variable;
	size_t i;

	for (i = 0; i < scan->target->image_count; i++) {
		const struct pyr_image *image = &scan->target->images[i];

		if (!pyr_image_symbol(scan->target, image, "_PyGC_generation0", &variable, NULL) ||
		    pyr_image_symbol(scan->target, image, "_PyRuntime", NULL, NULL))
			continue;
		c->image = image;
		pyr_try_u64(&scan->reader, variable, &c->generations);
		return;
	}
}

static bool thread_piece(void *ctx, pyr_addr addr, const uint8_t *bytes, size_t size)
{
	struct find_scan *scan = ctx;
	struct pyr_candidate c;
	uint64_t word, interp, head;
	const struct shape *s;
	pyr_addr thread;
	size_t i, j;

	for (i = 0; i + 8 <= size; i += 8) {
		memcpy(&word, bytes + i, 8);
		if (!word || !is_thread_id(scan, word))
			continue;
		for (j = 0; j < scan->shapes.count; j++) {
			s = &scan->shapes.shapes[j];
			if (s->thread_id < 0 || s->interp < 0 || s->threads < 0)
				continue;
			thread = addr + i - (uint64_t)s->thread_id;
			if (!pyr_try_u64(&scan->reader, thread + (uint64_t)s->interp, &interp) ||
			    !plausible(interp) ||
			    !pyr_try_u64(&scan->reader, interp + (uint64_t)s->threads, &head) ||
			    !reaches(&scan->reader, head, s->next_thread, thread))
				continue;
			memset(&c, 0, sizeof(c));
			c.found_by = "scan";
			c.interpreter = interp;
			if (s->runtime >= 0)
				pyr_try_u64(&scan->reader, interp + (uint64_t)s->runtime,
					    &c.runtime);
			if (c.runtime)
				c.image = pyr_target_image_at(scan->target, c.runtime);
			else
				image_of_3_6(scan, &c);
			if (!pyr_candidates_add(scan->ret, &c)) {
				scan->failed = true;
				return false;
			}
		}
	}
	return true;
}

pyr_error *pyr_find_by_thread_scan(struct pyr_target *target, struct pyr_reader *reader,
				   struct pyr_candidates *ret)
{
	struct find_scan *scan = calloc(1, sizeof(*scan));
	struct pyr_range_list ranges = {0};
	pyr_error *err = NULL;
	size_t i;

	if (!scan)
		return pyr_error_no_memory();
	scan->target = target;
	scan->ret = ret;
	pyr_reader_init(&scan->reader, target);
	scan->ids = calloc(target->threads.count + 1, sizeof(*scan->ids));
	for (i = 0; scan->ids && i < target->threads.count; i++)
		if (target->threads.data[i].tls)
			scan->ids[scan->id_count++] = target->threads.data[i].tls;
	for (i = 0; i < target->mappings.count && !err; i++)
		if (target->mappings.data[i].write && !target->mappings.data[i].shared &&
		    !pyr_vec_push(&ranges.v, (struct pyr_range){target->mappings.data[i].start,
								target->mappings.data[i].end}))
			err = pyr_error_no_memory();
	if (!err && !scan->ids)
		err = pyr_error_no_memory();
	if (!err && scan->id_count) {
		qsort(scan->ids, scan->id_count, sizeof(*scan->ids), pyr_by_word);
		if (!(err = all_shapes(target, &scan->shapes)))
			err = scan_ranges(scan, reader, &ranges, thread_piece);
	}
	pyr_vec_deinit(&ranges.v);
	pyr_reader_deinit(&scan->reader);
	free(scan->ids);
	free(scan);
	return err;
}

/* --- type --- */

struct type_scan {
	pyr_addr found;
	uint64_t basicsize;
};

/* The header is two words, four with Py_TRACE_REFS or without the GIL: ob_type at
 * 8 or 24, tp_basicsize 24 further on. */
static bool type_piece(void *ctx, pyr_addr addr, const uint8_t *bytes, size_t size)
{
	static const unsigned type_offsets[] = {8, 24};
	struct type_scan *scan = ctx;
	uint64_t word, basicsize;
	unsigned minors[4];
	size_t i, j;

	for (i = 0; i + 64 <= size; i += 8)
		for (j = 0; j < 2; j++) {
			memcpy(&word, bytes + i + type_offsets[j], 8);
			if (word != addr + i)
				continue;
			memcpy(&basicsize, bytes + i + type_offsets[j] + 24, 8);
			if (!pyr_layout_minors_from_type_size(basicsize, type_offsets[j] + 8,
							      minors, 4))
				continue;
			scan->found = addr + i;
			scan->basicsize = basicsize;
			return false;
		}
	return true;
}

pyr_error *pyr_find_type_of_type(struct pyr_target *target, struct pyr_reader *reader,
				 pyr_addr *ret, uint64_t *basicsize)
{
	struct type_scan scan = {0};
	struct pyr_range_list ranges;
	pyr_error *err;

	if ((err = pyr_find_static_ranges(target, &ranges)))
		return err;
	err = pyr_find_each_piece(reader, &ranges, type_piece, &scan);
	pyr_vec_deinit(&ranges.v);
	if (err)
		return err;
	*ret = scan.found;
	*basicsize = scan.basicsize;
	return NULL;
}

/* --- the collector's generations --- */

struct generation_scan {
	struct pyr_reader reader;
	uint32_t size;
	int32_t threshold;
	pyr_addr found;
};

static bool closes(struct pyr_reader *reader, pyr_addr head, const uint64_t link[2])
{
	uint64_t back, forward;

	return plausible(link[0]) && plausible(link[1]) &&
	       pyr_try_u64(reader, link[0] + 8, &back) && back == head &&
	       pyr_try_u64(reader, link[1], &forward) && forward == head;
}

static bool generation_piece(void *ctx, pyr_addr addr, const uint8_t *bytes, size_t size)
{
	struct generation_scan *scan = ctx;
	uint64_t link[2];
	int32_t threshold;
	unsigned g;
	size_t i;

	for (i = 0; i + 3 * scan->size <= size; i += 8) {
		for (g = 0; g < 3; g++) {
			memcpy(link, bytes + i + g * scan->size, 16);
			memcpy(&threshold, bytes + i + g * scan->size + scan->threshold, 4);
			if (threshold < 0 || threshold > 100000000 ||
			    !closes(&scan->reader, addr + i + g * scan->size, link))
				break;
		}
		if (g == 3) {
			scan->found = addr + i;
			return false;
		}
	}
	return true;
}

pyr_error *pyr_find_generations(struct pyr_target *target, struct pyr_reader *reader,
				const struct pyr_layout *layout, pyr_addr *ret)
{
	struct generation_scan scan = {.size = pyr_sizeof(layout, gc_generation),
				       .threshold = pyr_offset(layout, gc_generation, threshold)};
	struct pyr_range_list ranges;
	pyr_error *err;

	if (!scan.size || scan.threshold < 16 || (uint32_t)scan.threshold + 4 > scan.size) {
		*ret = 0;
		return NULL;
	}
	if ((err = pyr_find_static_ranges(target, &ranges)))
		return err;
	pyr_reader_init(&scan.reader, target);
	err = pyr_find_each_piece(reader, &ranges, generation_piece, &scan);
	if (!err)
		err = pyr_reader_check(&scan.reader);
	pyr_reader_deinit(&scan.reader);
	pyr_vec_deinit(&ranges.v);
	if (!err)
		*ret = scan.found;
	return err;
}
