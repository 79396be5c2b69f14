/* Shared by the files that find roots (roots*.c); private to this room. */
#ifndef PYR_ROOTS_ROOTS_INTERNAL_H
#define PYR_ROOTS_ROOTS_INTERNAL_H

#include "roots/roots.h"
#include "runtime/access.h"
#include "frames/frames.h"

#define PYR_ROOT_OWNED 1u
#define PYR_ROOT_POSSIBLE 2u

/* What roots.c keeps for names and while it collects. */
struct pyr_roots_state {
	PYR_VEC(struct pyr_frames) threads; /* by index into python->threads */
	bool failed;                        /* memory ran out while a root was added */
	bool sorted;                        /* by object, kind, slot */
	PYR_VEC(pyr_addr) statics;          /* variables that were told, rising */
	void *native;                       /* roots_native.c: what its names are made of */
};

/* Add a root that holds the object at @object. Nothing happens when no object of the
 * heap starts there. Without memory the state is `failed`, which pyr_roots_find()
 * looks at. */
void pyr_roots_push(struct pyr_roots *roots, enum pyr_root_kind kind, unsigned flags,
		    pyr_addr object, pyr_addr slot, uint64_t a, uint64_t b);
/* The same for an object whose id is known. */
void pyr_roots_push_id(struct pyr_roots *roots, enum pyr_root_kind kind, unsigned flags,
		       uint32_t object, pyr_addr slot, uint64_t a, uint64_t b);

/* The exact ones, each an own file. */
pyr_error *pyr_roots_frames(struct pyr_roots *roots, struct pyr_control *control);
pyr_error *pyr_roots_interpreters(struct pyr_roots *roots, struct pyr_control *control);
pyr_error *pyr_roots_types(struct pyr_roots *roots, struct pyr_control *control);
pyr_error *pyr_roots_statics(struct pyr_roots *roots, struct pyr_control *control);
pyr_error *pyr_roots_modules(struct pyr_roots *roots, struct pyr_control *control);
pyr_error *pyr_roots_cython(struct pyr_roots *roots, struct pyr_control *control);
/* Was the variable at @slot told by pyr_roots_statics(), or is it part of an object? */
bool pyr_roots_known_static(const struct pyr_roots *roots, pyr_addr slot);

void pyr_root_frame_name(const struct pyr_roots *roots, const struct pyr_root *root,
			 struct pyr_strbuf *out);
void pyr_root_interpreter_name(const struct pyr_roots *roots, const struct pyr_root *root,
			       struct pyr_strbuf *out);
void pyr_root_module_name(const struct pyr_roots *roots, const struct pyr_root *root,
			  struct pyr_strbuf *out);
/* `thread 48213 "MainThread"` */
void pyr_root_thread_name(const struct pyr_roots *roots, size_t thread, struct pyr_strbuf *out);

/* Words of C memory (roots_native.c): kinds C_STATIC, C_STACK, REGISTER and NATIVE, all
 * PYR_ROOT_POSSIBLE. Called last; a slot that is an exact root already is dropped by
 * the caller. */
pyr_error *pyr_roots_native(struct pyr_roots *roots, struct pyr_control *control);
void pyr_root_native_name(const struct pyr_roots *roots, const struct pyr_root *root,
			  struct pyr_strbuf *out);
void pyr_roots_native_deinit(struct pyr_roots *roots);

static inline struct pyr_python *pyr_roots_python(const struct pyr_roots *roots)
{
	return pyr_types_python(roots->model->heap->types);
}

#endif
