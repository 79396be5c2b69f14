/* Does malloc's block begin here? Objects that pymalloc does not hold come from malloc,
 * and glibc keeps the size of a chunk before it (malloc/malloc.c, struct malloc_chunk). */
#ifndef PYR_OBJECTS_CHUNK_H
#define PYR_OBJECTS_CHUNK_H

#include "target/reader.h"

/* Is @memory what malloc returned for a chunk in use of at least @need bytes (at most
 * @limit)? */
bool pyr_chunk_begins(struct pyr_reader *reader, pyr_addr memory, uint64_t need, uint64_t limit);

#endif
