/* A target that is seen through a debugger: see pyr_session_use_debugger(). */
#ifndef PYR_TARGET_DEBUGGER_H
#define PYR_TARGET_DEBUGGER_H

#include "pyretain.h"
#include "target/target.h"

/* What the front-end told; owned copies. */
struct pyr_debugger_source {
	struct pyr_debugger facts; /* its strings and auxv point into our copies */
	char *description, *machine, *exe;
	uint8_t *auxv;
	PYR_VEC(struct pyr_mapping) mappings; /* paths owned */
	PYR_VEC(struct pyr_thread) threads;
	struct pyr_c_frames frames;
	char *offered_core;
	pid_t offered_pid;
};

pyr_error *pyr_debugger_source_create(const struct pyr_debugger *facts,
				      struct pyr_debugger_source **ret);
void pyr_debugger_source_destroy(struct pyr_debugger_source *source); /* NULL is allowed */

/* Build the target: segments straight from the offered core or process memory
 * when they are proven to show the same bytes, else the callback. *why (owned
 * by the caller, may be set to NULL) tells which way was taken and why. */
pyr_error *pyr_target_open_debugger(struct pyr_control *control,
				    const struct pyr_debugger_source *source,
				    const struct pyr_target_options *options,
				    struct pyr_target **ret, char **why);

#endif
