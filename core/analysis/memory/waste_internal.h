/* Between the files of waste.h. */
#ifndef PYR_ANALYSIS_MEMORY_WASTE_INTERNAL_H
#define PYR_ANALYSIS_MEMORY_WASTE_INTERNAL_H

#include "analysis/memory/waste.h"

/* A string or bytes object by its contents. */
struct pyr_waste_text {
	uint64_t hash;
	uint32_t id;
};

/* A window on another object's buffer. */
struct pyr_waste_view {
	uint32_t owner;   /* id of the object that has the buffer */
	uint32_t id;      /* of the view itself */
	uint32_t via;     /* of the view that this is a view of, or PYR_NO_ID */
	pyr_addr through; /* what holds it: the view, or the managed buffer that several share */
	uint64_t seen;    /* bytes */
};

struct pyr_waste_worker {
	struct pyr_reader reader;
	PYR_VEC(struct pyr_waste_item) items;
	PYR_VEC(struct pyr_waste_text) texts[2]; /* str, bytes */
	PYR_VEC(struct pyr_waste_view) views;
	bool out_of_memory;
};

/* Containers: waste_containers.c. True when @ret was filled. */
bool pyr_waste_of_container(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id,
			    struct pyr_waste_item *ret);
/* Views: waste_views.c. */
bool pyr_waste_of_view(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id,
		       struct pyr_waste_view *ret);
/* Buffers of which only views are left. @views get sorted. False without memory. */
bool pyr_waste_views(struct pyr_heap *heap, struct pyr_reader *reader, struct pyr_waste_view *views,
		     size_t count, struct pyr_waste *ret);
/* Equal strings: waste_texts.c. */
bool pyr_waste_hash(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id, uint64_t *ret);
/* @texts get sorted; both kinds apart. */
pyr_error *pyr_waste_texts(struct pyr_heap *heap, struct pyr_control *control,
			   enum pyr_waste_kind kind, struct pyr_waste_text *texts, size_t count,
			   struct pyr_waste *ret);
/* Count an item and append it. False without memory. */
bool pyr_waste_add(struct pyr_waste *waste, const struct pyr_waste_item *item, uint64_t objects);

#endif
