/* Until 3.10 a code object keeps the frame of its last call for the next one
 * (frameobject.c, co_zombieframe): freed objects in blocks in use, one for each function
 * that was ever called. They are no list, but belong among what is kept for reuse. */
#ifndef PYR_ROOTS_ZOMBIE_FRAMES_H
#define PYR_ROOTS_ZOMBIE_FRAMES_H

#include "objects/heap.h"
#include "pymalloc/freelists.h"

/* Add those of all code objects to @freelists as one list of the process; nothing in
 * versions that have none. */
pyr_error *pyr_zombie_frames_add(struct pyr_heap *heap, struct pyr_freelists *freelists);
/* Does this version have them? */
bool pyr_zombie_frames_exist(const struct pyr_python *python);

#endif
