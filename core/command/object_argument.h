/* The object that a person asked about by an address in or around it. */
#ifndef PYR_COMMAND_OBJECT_ARGUMENT_H
#define PYR_COMMAND_OBJECT_ARGUMENT_H

#include "command/context.h"

struct pyr_object_argument {
	pyr_addr asked, address;
	bool listed; /* it is one of the heap's objects; where.id is its id */
	struct pyr_resolved where;
	struct pyr_object_header header;
	enum pyr_generation generation;
};

/* The object at or around @addr. One that the heap does not list, and that looks like
 * an object all the same, is answered too: see `listed`. */
pyr_error *pyr_context_resolve(struct pyr_context *context, pyr_addr addr,
			       struct pyr_object_argument *ret);
/* The same; not_an_object when it is not listed. */
pyr_error *pyr_context_resolve_listed(struct pyr_context *context, pyr_addr addr,
				      struct pyr_object_argument *ret);

/* "address", "asked", "offset", "part", "type", "type_address", "repr" into the open object. */
void pyr_object_argument_json(struct pyr_context *context, const struct pyr_object_argument *asked);
/* A line that tells where the address lies, when it is not the object's own. */
void pyr_object_argument_print(struct pyr_context *context,
			       const struct pyr_object_argument *asked);

#endif
