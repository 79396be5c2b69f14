/* Where the cycles among some objects are: searched piece by piece on all cores.
 *
 * What belongs together was mostly allocated together: a piece is a run of the objects in
 * address order, small enough for a core's own cache. What leads to other pieces is left
 * over and searched as one last piece. Nothing of the graph is kept, and of a cycle one
 * member, from which the others can be found. The answer does not depend on the number
 * of cores. */
#ifndef PYR_ANALYSIS_COLLECTION_CYCLE_PIECES_H
#define PYR_ANALYSIS_COLLECTION_CYCLE_PIECES_H

#include <stdbool.h>

#include "analysis/collection/components.h"
#include "analysis/collection/id_subset.h"
#include "graph/graph.h"

#define PYR_CYCLE_WORKERS_MAX 64u

/* A cycle that was just found, among the nodes of a piece. */
struct pyr_cycle_view {
	const struct pyr_components *part; /* its start, out and of */
	const uint32_t *labels; /* by edge of the part; PYR_CYCLE_NUMBER() and _FLAGS() */
	const uint32_t *ids;    /* by node */
	uint32_t cycle;         /* of[] of its members */
	const uint32_t *nodes;  /* the members */
	uint32_t count;         /* of them */
};

/* Which of its object's references an edge is; beyond 2^24 no longer told apart. */
#define PYR_CYCLE_NUMBER(label) ((label) >> 8)
#define PYR_CYCLE_NUMBER_MAX (UINT32_MAX >> 8)
#define PYR_CYCLE_FLAGS(label) ((uint8_t)(label))

struct pyr_cycle_source {
	const struct pyr_graph *graph;
	const uint8_t *flags;               /* by edge; those with one of ... */
	uint8_t visited;                    /* ... these bits are followed */
	const uint32_t *objects;            /* ids, sorted */
	uint32_t count;                     /* of them */
	const struct pyr_id_subset *subset; /* the same */
	const uint64_t *weights;            /* by place in objects; NULL: none */
	/* What a cycle holds besides, objects of the set that are in none, counts with the
	 * first that is found to lead to it. */
	bool besides;
	uint32_t piece; /* objects in one; 0: as many as measured best */
	/* A number for a cycle. Called from several threads, @worker below
	 * PYR_CYCLE_WORKERS_MAX. NULL: none. */
	pyr_error *(*kind_of)(void *ctx, unsigned worker, const struct pyr_cycle_view *view,
			      uint64_t *ret);
	void *ctx;
};

/* Places are indices into the objects. */
struct pyr_cycle_facts {
	uint64_t bytes;   /* of the objects */
	uint32_t objects; /* members and what it holds besides */
	uint32_t members;
	uint32_t first; /* the lowest place of a member */
};

struct pyr_cycle_places {
	uint32_t count;                /* cycles; they come after those that they lead to */
	struct pyr_cycle_facts *facts; /* by cycle */
	uint64_t *kind;                /* by cycle, what kind_of said */
	uint32_t *of;                  /* place -> first of its cycle; no place: it is in none */
};

pyr_error *pyr_cycle_places_find(struct pyr_control *control, const struct pyr_cycle_source *source,
				 struct pyr_cycle_places *ret);
void pyr_cycle_places_deinit(struct pyr_cycle_places *places);

#endif
