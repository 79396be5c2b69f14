/* Takes what one thread's objects tell, and turns it into edges: targets are looked up
 * many at a time, while their places in the index are on the way from memory. */
#ifndef PYR_GRAPH_EDGE_COLLECTOR_H
#define PYR_GRAPH_EDGE_COLLECTOR_H

#include "graph/edge_stream.h"
#include "objects/index.h"
#include "references/refs.h"

#define PYR_EDGE_COLLECTOR_PENDING 256u

struct pyr_edge_collector {
	struct pyr_reader reader;
	struct pyr_reader ahead;       /* for what comes next */
	const struct pyr_index *index; /* borrowed */
	struct pyr_refs *refs;         /* borrowed */
	bool may_ask;                  /* on the calling thread */
	uint64_t *counts; /* borrowed; by id: edges of the object that the stream got */
	struct pyr_edge_stream stream;
	uint64_t dangling; /* words that are no object's address */
	uint64_t inferred, damaged;
	uint32_t owner; /* whose references are told now */
	uint32_t pending_count;
	struct pyr_pending {
		const struct pyr_index_unit *unit;
		uint32_t owner;
		uint8_t granule, flags;
	} pending[PYR_EDGE_COLLECTOR_PENDING];
};

/* Zeroed before. */
void pyr_edge_collector_deinit(struct pyr_edge_collector *edge_collector);

struct pyr_traverse_plan; /* refs_plan.h */
/* Objects that are walked soon: ask for their first words, then for those that these lead
 * to. Where the target's memory is at hand; to ask costs more else. */
void pyr_edge_collector_expect(struct pyr_edge_collector *edge_collector, pyr_addr addr);
void pyr_edge_collector_expect_more(struct pyr_edge_collector *edge_collector,
				    const struct pyr_traverse_plan *plan, pyr_addr addr);
/* Walk the object natively. False: that has to be asked first by the calling thread. */
bool pyr_edge_collector_walk(struct pyr_edge_collector *edge_collector, const struct pyr_type *type,
			     const struct pyr_traverse_plan *plan, uint32_t id, pyr_addr addr);
/* A pyr_ref_fn for references of `owner` that others tell. */
void pyr_edge_collector_take(void *edge_collector, pyr_addr target, uint32_t label,
			     uint64_t detail);
/* All that was taken is in the stream and counted. */
void pyr_edge_collector_flush(struct pyr_edge_collector *edge_collector);

#endif
