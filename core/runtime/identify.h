/* Which build of CPython a candidate is, and its layout: tables are tried until
 * one agrees with what the target says of itself. */
#ifndef PYR_RUNTIME_IDENTIFY_H
#define PYR_RUNTIME_IDENTIFY_H

#include "runtime/find.h"

/* Choose the layout of @candidate and fill python->layout, ->hexversion,
 * ->version, ->patchlevel_source, ->abiflags, ->version_text. Errors:
 * not_python (nothing there, or not initialized), unsupported_build,
 * unknown_layout. */
pyr_error *pyr_identify(struct pyr_python *python, const struct pyr_candidate *candidate,
			const struct pyr_python_options *options);

/* The main PyInterpreterState under @layout, or 0. */
pyr_addr pyr_identify_main(const struct pyr_layout *layout, struct pyr_reader *reader,
			   const struct pyr_candidate *candidate);

#endif
