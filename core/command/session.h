/* A session: a source, and what has been learned about it so far. Each layer is
 * opened on first use and kept until the source changes. */
#ifndef PYR_COMMAND_SESSION_H
#define PYR_COMMAND_SESSION_H

#include "analysis/retention/ledger.h"
#include "graph/model.h"
#include "roots/roots.h"
#include "pyretain.h"
#include "runtime/python.h"
#include "types/types.h"
#include "target/target.h"

enum pyr_origin { PYR_ORIGIN_NONE, PYR_ORIGIN_CORE, PYR_ORIGIN_PID, PYR_ORIGIN_DEBUGGER };

struct pyr_debugger_source; /* target/debugger.h */

struct pyr_session {
	enum pyr_origin origin;
	char *core_path;
	pid_t pid;
	struct pyr_debugger_source *debugger;
	struct pyr_target_options options; /* its strings are owned by `option_values` */
	char *exe, *sysroot, *debug_dir, *tmpdir;

	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *python;
	struct pyr_types *types;
	struct pyr_heap *heap;
	struct pyr_traverse *traverse; /* while there is no model; NULL: not asked for */
	struct pyr_model *model;
	/* The tracked objects alone, while there is no model of all; NULL: not asked for. */
	struct pyr_heap *tracked_heap;
	struct pyr_model *tracked_model;
	struct pyr_roots *roots;
	struct pyr_ledger *ledger;
	uint8_t *unreachable;                  /* by object; see pyr_garbage_mark() */
	struct pyr_retention_cache *retention; /* command/retention_cache.h */

	/* What the core file was when it was opened: another file in its place is another target.
	 */
	struct {
		uint64_t device, inode;
		int64_t size, modified_ns;
	} core_identity;
	char *route; /* debuggers: which way the bytes come, and why; owned, may be NULL */

	PYR_VEC(pyr_addr) results; /* addresses the last command listed */
	char *help_text;           /* what pyr_help() answered last */
};

/* Open on first use. The objects stay the session's. */
pyr_error *pyr_session_target(struct pyr_session *session, struct pyr_target **ret);
pyr_error *pyr_session_python(struct pyr_session *session, struct pyr_python **ret);
pyr_error *pyr_session_types(struct pyr_session *session, struct pyr_types **ret);
pyr_error *pyr_session_heap(struct pyr_session *session, struct pyr_heap **ret);
/* What single objects hold: the model's if there is one, else without building it. */
pyr_error *pyr_session_traverse(struct pyr_session *session, struct pyr_traverse **ret);
/* With its references; the predecessors are added by who needs them. */
pyr_error *pyr_session_model(struct pyr_session *session, struct pyr_model **ret);
/* What the collector goes by: of the tracked objects alone where that tells the same, which
 * takes a fraction of the time; else of all. Another command's model may replace it: for the
 * running command only. */
pyr_error *pyr_session_collector_model(struct pyr_session *session, struct pyr_model **ret);
pyr_error *pyr_session_roots(struct pyr_session *session, struct pyr_roots **ret);
pyr_error *pyr_session_ledger(struct pyr_session *session, struct pyr_ledger **ret);
/* What is garbage, as pyr_garbage_mark() tells it. */
pyr_error *pyr_session_unreachable(struct pyr_session *session, const uint8_t **ret);
/* Close all layers; the source and options stay. */
void pyr_session_close(struct pyr_session *session);
/* The command listed this object. */
void pyr_session_result(struct pyr_session *session, pyr_addr addr);

#endif
