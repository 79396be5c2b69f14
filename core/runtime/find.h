/* Places where a CPython runtime may lie: the ladder from exported symbols down
 * to scans of memory. Each step only proposes; identify.h decides. */
#ifndef PYR_RUNTIME_FIND_H
#define PYR_RUNTIME_FIND_H

#include "base/range.h"
#include "runtime/python.h"

struct pyr_candidate {
	const struct pyr_image *image; /* that holds it; NULL: unknown */
	pyr_addr runtime;              /* _PyRuntime; 0: not found, or 3.6 */
	/* What was seen is its interpreters.head, here: where _PyRuntime begins depends on the
	 * version, and `runtime` is a guess (pyr_candidate_runtime()). 0: it is not. */
	pyr_addr interpreters;
	pyr_addr interpreter; /* a PyInterpreterState; 0: ask the runtime */
	pyr_addr generations; /* 3.6: gcmodule.c's array, or 0 */
	const char *found_by; /* "symbol", "section", "cookie", "scan" */
};

/* _PyRuntime, were the layout the target's. */
static inline pyr_addr pyr_candidate_runtime(const struct pyr_candidate *c,
					     const struct pyr_layout *layout)
{
	int32_t head = pyr_offset(layout, _PyRuntimeState, interpreters_head);

	return c->interpreters && head >= 0 ? c->interpreters - (uint64_t)head : c->runtime;
}

struct pyr_candidates {
	PYR_VEC(struct pyr_candidate) list;
};

/* `_PyRuntime` (3.7+) or what 3.6 exports, in the images' symbol tables; the
 * section .PyRuntime of images without the symbol. */
pyr_error *pyr_find_by_symbol(struct pyr_target *target, struct pyr_reader *reader,
			      struct pyr_candidates *ret);
/* The cookie with which _Py_DebugOffsets begins (3.13+), in static data. */
pyr_error *pyr_find_by_cookie(struct pyr_target *target, struct pyr_reader *reader,
			      struct pyr_candidates *ret);
/* Static data that looks like _PyRuntimeState in the layout of any version. */
pyr_error *pyr_find_by_runtime_scan(struct pyr_target *target, struct pyr_reader *reader,
				    struct pyr_candidates *ret);
/* Writable memory that looks like a PyThreadState of one of the target's threads. */
pyr_error *pyr_find_by_thread_scan(struct pyr_target *target, struct pyr_reader *reader,
				   struct pyr_candidates *ret);

/* The object that is its own type: 0 when static data holds none. Its
 * tp_basicsize tells the minor version (pyr_layout_minors_from_type_size()). */
pyr_error *pyr_find_type_of_type(struct pyr_target *target, struct pyr_reader *reader,
				 pyr_addr *ret, uint64_t *basicsize);
/* 3.6: three list heads in a row that close, with thresholds; 0 when there are none. */
pyr_error *pyr_find_generations(struct pyr_target *target, struct pyr_reader *reader,
				const struct pyr_layout *layout, pyr_addr *ret);

/* The file that is, by its name or its symbols, an interpreter other than
 * CPython ("PyPy"), or NULL. */
const char *pyr_find_other_python(struct pyr_target *target);
/* Does the name of an image speak of Python? */
bool pyr_find_python_name(const struct pyr_target *target);

/* --- shared by find*.c --- */
/* Writable static data: of images, of file mappings, and the anonymous mappings
 * that continue those (.bss). Sorted, not overlapping. */
pyr_error *pyr_find_static_ranges(struct pyr_target *target, struct pyr_range_list *ret);
/* Call @fn for each directly addressable piece of the ranges, in order, whole
 * words, and for the surroundings of each edge between two of them: what is smaller
 * than PYR_FIND_EDGE bytes is seen whole, perhaps twice. Stops when @fn answers
 * false. */
#define PYR_FIND_EDGE 256
pyr_error *pyr_find_each_piece(struct pyr_reader *reader, const struct pyr_range_list *ranges,
			       bool (*fn)(void *ctx, pyr_addr addr, const uint8_t *bytes,
					  size_t size),
			       void *ctx);
bool pyr_candidates_add(struct pyr_candidates *candidates, const struct pyr_candidate *one);

#endif
