/* How many of what, and how many bytes: a histogram over all live objects. */
#ifndef PYR_ANALYSIS_CENSUS_CENSUS_H
#define PYR_ANALYSIS_CENSUS_CENSUS_H

#include "objects/heap.h"

struct pyr_census_row {
	uint32_t type;     /* index into types */
	uint64_t count;    /* objects of exactly this type */
	uint64_t gc_count; /* those in generations 0-2, as gc.get_objects() counts */
	uint64_t bytes;    /* shallow, as sys.getsizeof() counts */
	bool inexact_size; /* the type may define a __sizeof__ of its own */
};

#define PYR_CENSUS_SIZES 64

struct pyr_census {
	PYR_VEC(struct pyr_census_row) rows; /* by bytes, descending */
	uint64_t objects, gc_objects, bytes;
	uint64_t by_generation[PYR_GEN_COUNT]; /* all interpreters together */
	/* per interpreter x generation: [i * PYR_GEN_COUNT + g] */
	uint64_t *by_interpreter;
	size_t interpreters;
	/* how many were found by which way only */
	uint64_t only_block, only_gc_list, only_reached;
	/* sizes[i]: objects of more than 2^(i-1) and at most 2^i bytes; when asked for */
	struct {
		uint64_t count, bytes;
	} sizes[PYR_CENSUS_SIZES];
	bool proven; /* membership in generations is exact: every list closes */
};

struct pyr_census_options {
	int generation; /* only members of this generation (0-2); -1: all objects */
	/* Only objects with a nonzero byte, by id; NULL: all. For a census over a heap. */
	const uint8_t *only;
	bool size_histogram; /* fill `sizes` */
};

/* The fast way: streams over the arenas, gc lists and what they reach, without
 * building a heap. Integrity (every gc list closes) is checked. */
pyr_error *pyr_census_run(struct pyr_types *types, struct pyr_control *control,
			  const struct pyr_census_options *options, struct pyr_census *ret);
/* The obvious way, over a heap model: the twin that tests compare with. */
pyr_error *pyr_census_of_heap(struct pyr_heap *heap, struct pyr_control *control,
			      const struct pyr_census_options *options, struct pyr_census *ret);
void pyr_census_deinit(struct pyr_census *census);

#endif
