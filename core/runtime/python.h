/* CPython in the target: where its runtime lies, which build it is, its
 * interpreters and threads. Everything above this room starts from here. */
#ifndef PYR_RUNTIME_PYTHON_H
#define PYR_RUNTIME_PYTHON_H

#include "layout/layout.h"
#include "target/image.h"
#include "target/reader.h"
#include "target/target.h"

/* Objects of the interpreter that the tool needs by address; 0: not found. */
enum pyr_known {
#define KNOWN(id, symbol) PYR_KNOWN_##id,
#include "runtime/known_objects.def"
#undef KNOWN
	PYR_KNOWN_COUNT
};

struct pyr_interpreter {
	pyr_addr address; /* PyInterpreterState */
	int64_t id;       /* 0: the main one */
	bool main;
	pyr_addr gc;      /* struct _gc_runtime_state, or 0 where it is not one struct (3.6) */
	pyr_addr modules; /* sys.modules dict, or 0 */
	pyr_addr sysdict, builtins; /* dicts, or 0 */
	bool finalizing;
};

struct pyr_python_thread {
	pyr_addr address;   /* PyThreadState */
	size_t interpreter; /* index into pyr_python.interpreters */
	uint64_t thread_id; /* pthread_t; 0 unknown */
	uint64_t native_id; /* kernel tid, from the thread state or matched by TLS; 0 unknown */
	ssize_t os_thread;  /* index into target->threads, or -1: no such OS thread any more */
	bool holds_gil;     /* of its interpreter; false when unknown */
	char *name;         /* threading's name for it ("MainThread"), or NULL; owned.
			     * values/thread_names.h fills it in */
};

struct pyr_python {
	struct pyr_target *target; /* borrowed */
	struct pyr_reader reader;  /* for the calling thread */
	struct pyr_layout layout;
	const struct pyr_image *image; /* that holds the interpreter; NULL: unknown */

	pyr_addr runtime;     /* _PyRuntime; 0 on 3.6 */
	pyr_addr generations; /* gcmodule.c's static array on 3.6; 0 elsewhere */
	const char *found_by; /* "symbol _PyRuntime in libpython3.11.so.1.0"-like static words:
			       * "symbol", "section", "cookie", "scan" */
	uint32_t hexversion;  /* PY_VERSION_HEX */
	char version[32];     /* "3.11.7", "3.14.0rc1" */
	char *version_text;   /* sys.version, or NULL; owned */
	const char *patchlevel_source; /* "sys.hexversion", "Py_Version", "_Py_DebugOffsets", ... */
	char abiflags[8];              /* "", "d", "t", ... */
	uint64_t runtime_finalizing;   /* thread state that finalizes, or 0 */
	char *malloc_name;             /* "pymalloc", "pymalloc_debug", "malloc", ...; owned */
	bool debug_allocator; /* blocks carry the debug header (16 bytes before the data) */

	pyr_addr known[PYR_KNOWN_COUNT];
	const char *known_source; /* "symbols", or "modules": by name in the target's modules */

	PYR_VEC(struct pyr_interpreter) interpreters; /* the main one first */
	PYR_VEC(struct pyr_python_thread) threads;    /* main thread first, then as linked */
};

struct pyr_python_options {
	const char *debug_dir, *sysroot; /* borrowed; may be NULL */
	bool force;                      /* try the nearest table of an unknown build */
};

/* Find CPython in @target. Errors: not_python, unsupported_build, unknown_layout. */
pyr_error *pyr_python_open(struct pyr_target *target, const struct pyr_python_options *options,
			   struct pyr_python **ret);
void pyr_python_destroy(struct pyr_python *python); /* NULL is allowed */

/* Field of the struct at @base, zero-extended by the field's size and bits.
 * Unknown_layout when the build has no such field. */
pyr_error *pyr_python_field(struct pyr_python *python, struct pyr_reader *reader, pyr_addr base,
			    enum pyr_field field, uint64_t *ret);

#endif
