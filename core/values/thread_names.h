/* The names that the threading module keeps of its threads. */
#ifndef PYR_VALUES_THREAD_NAMES_H
#define PYR_VALUES_THREAD_NAMES_H

#include "types/types.h"

/* Sets the name of each of python->threads that threading._active knows
 * (Lib/threading.py). A thread that has a name keeps it. */
void pyr_threads_name(struct pyr_python *python);

#endif
