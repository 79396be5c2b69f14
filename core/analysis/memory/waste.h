/* Bytes that objects take and need not: over-allocation, tables that were not made smaller
 * after deletions, buffers that a view of a few bytes keeps, equal strings.
 *
 * Each number is what would be saved, by sys.getsizeof(): of a container the difference to
 * a copy of it, of equal strings all but one. */
#ifndef PYR_ANALYSIS_MEMORY_WASTE_H
#define PYR_ANALYSIS_MEMORY_WASTE_H

#include "objects/heap.h"

enum pyr_waste_kind {
#define WASTE(id, name, text, one, many) PYR_WASTE_##id,
#include "analysis/memory/waste.def"
#undef WASTE
	PYR_WASTE_COUNT
};

const char *pyr_waste_name(enum pyr_waste_kind kind);
const char *pyr_waste_text(enum pyr_waste_kind kind);
/* "list" or "lists" */
const char *pyr_waste_noun(enum pyr_waste_kind kind, uint64_t count);

struct pyr_waste_item {
	uint64_t bytes; /* that need not be */
	/* What it holds and what it has room for: items, entries, bytes of a bytearray or of a
	 * buffer (those that views show), blocks of a deque; of equal strings 1 and how many. */
	uint64_t used, room;
	uint32_t id;  /* the container, the buffer's owner, the first of equal strings */
	uint8_t kind; /* enum pyr_waste_kind */
};

struct pyr_waste {
	struct {
		uint64_t objects; /* items; of equal strings the superfluous ones */
		uint64_t bytes;
	} totals[PYR_WASTE_COUNT];
	uint64_t bytes;
	PYR_VEC(struct pyr_waste_item) items; /* most bytes first, at most as many as asked for */
	uint64_t omitted;                     /* items beyond them */
};

/* One pass over the heap on all cores, and one over its strings. @limit: items to keep. */
pyr_error *pyr_waste_find(struct pyr_heap *heap, struct pyr_control *control, uint64_t limit,
			  struct pyr_waste *ret);
void pyr_waste_deinit(struct pyr_waste *waste);

#endif
