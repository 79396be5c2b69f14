/* A census grouped the way it is shown: by type name, module or size. */
#ifndef PYR_VIEWS_CENSUS_ROWS_H
#define PYR_VIEWS_CENSUS_ROWS_H

#include "analysis/census/census.h"
#include "command/context.h"

/* In the order of the words of `census --by`. */
enum pyr_census_by { PYR_CENSUS_BY_TYPE, PYR_CENSUS_BY_MODULE, PYR_CENSUS_BY_SIZE };

struct pyr_census_group {
	char *name;     /* of the type or module; NULL by size; owned */
	uint64_t up_to; /* by size: objects of at most this many bytes, more than half of it */
	uint64_t count, gc_count, bytes;
	uint64_t retained; /* by type, when asked for */
	uint32_t types;    /* type objects: several may have one name */
	pyr_addr address;  /* of a type object */
	bool inexact_size;
	enum pyr_certainty name_certainty;
};

struct pyr_census_groups {
	enum pyr_census_by by;
	PYR_VEC(struct pyr_census_group) rows; /* by bytes, descending; sizes ascending */
	bool filtered;
	uint64_t count, gc_count, bytes, type_count; /* of what matched */
};

/* @match: a REGEX value for type names; @generation -1: all; @retained: what all objects
 * of a type retain, by type index below @retained_count, or NULL. @only: objects with a
 * nonzero byte, by id, or NULL. */
pyr_error *pyr_census_group(struct pyr_context *context, const struct pyr_census *census,
			    enum pyr_census_by by, const struct pyr_value *match, int generation,
			    const uint8_t *only, const uint64_t *retained, uint32_t retained_count,
			    struct pyr_census_groups *ret);
void pyr_census_groups_deinit(struct pyr_census_groups *groups);

#endif
