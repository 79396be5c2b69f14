/* Filling struct pyr_python once its layout is known. */
#ifndef PYR_RUNTIME_INTERPRETERS_H
#define PYR_RUNTIME_INTERPRETERS_H

#include "runtime/find.h"

/* python->interpreters, the main one first. */
pyr_error *pyr_python_fill_interpreters(struct pyr_python *python,
					const struct pyr_candidate *candidate);
/* python->threads of all interpreters; their names stay NULL (values/thread_names.h). */
pyr_error *pyr_python_fill_threads(struct pyr_python *python);
/* python->known: by symbol, else by name in the target's modules. */
void pyr_python_fill_known(struct pyr_python *python);
/* python->malloc_name and ->debug_allocator. */
void pyr_python_fill_allocator(struct pyr_python *python);

#endif
