/* Shared by the files that account for the memory; private to them. */
#ifndef PYR_ANALYSIS_MEMORY_MEMORY_INTERNAL_H
#define PYR_ANALYSIS_MEMORY_MEMORY_INTERNAL_H

#include "analysis/memory/memory_paint.h"
#include "base/parallel.h"

/* Who says what is in an area. */
enum memory_master {
	MEMORY_OF_PYMALLOC,  /* index: of the arena */
	MEMORY_OF_MALLOC,    /* of the region */
	MEMORY_OF_CHUNK,     /* a mapped chunk */
	MEMORY_OF_PLAIN,     /* one category, and objects that lie in it */
	MEMORY_OF_ANONYMOUS, /* nobody's, as far as is known */
};

struct memory_area {
	pyr_addr start, end;
	enum memory_master master;
	enum pyr_memory_category own, file; /* what its master leaves out */
	size_t index;
};

struct memory_area_list {
	PYR_VEC(struct memory_area) v; /* sorted, not overlapping */
};

struct memory_account {
	const struct pyr_memory_input *input;
	struct pyr_held held;
	struct memory_area_list areas;
	struct pyr_painter *painters; /* one per worker */
	struct pyr_reader *readers;
	uint64_t *trimmable, *damaged;            /* by worker */
	uint64_t *unclaimed;                      /* by area: bytes left to nobody */
	uint64_t (*zeros)[PYR_MEMORY_CATEGORIES]; /* by worker */
};

/* Cut the address space into areas: memory_areas.c */
pyr_error *pyr_memory_areas(struct memory_account *account);

#endif
