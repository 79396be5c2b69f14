/* Python frames of threads and generators, on every version: frame objects
 * (3.6-3.10) and interpreter frames (3.11+). */
#ifndef PYR_FRAMES_FRAMES_H
#define PYR_FRAMES_FRAMES_H

#include "types/types.h"

enum pyr_variable_kind {
	PYR_VARIABLE_LOCAL,
	PYR_VARIABLE_CELL,
	PYR_VARIABLE_FREE,
	PYR_VARIABLE_STACK /* operand stack; no name */
};

struct pyr_variable {
	char *name;     /* owned; NULL for the operand stack */
	pyr_addr value; /* object, never 0; cells are given as the cell */
	pyr_addr slot;  /* where the reference lies */
	enum pyr_variable_kind kind;
	bool counted;  /* the slot owns a reference (3.14+ stack references may not) */
	bool possible; /* operand stack of unknown depth (the frame is running): the slot
			* may be above its top and hold what was there before */
};

struct pyr_frame {
	pyr_addr address;        /* PyFrameObject (<= 3.10) or _PyInterpreterFrame */
	pyr_addr frame_object;   /* PyFrameObject if there is one, else 0 */
	pyr_addr code, function; /* PyCodeObject; PyFunctionObject or 0 */
	pyr_addr generator;      /* the generator or coroutine whose frame this is, or 0 */
	char *name;              /* co_qualname, else co_name; owned; "?" when unreadable */
	char *filename;          /* owned; "?" when unreadable */
	int32_t line;            /* 0: unknown */
	int32_t first_line;
	int32_t lasti; /* byte offset of the last instruction, -1: none yet */
	PYR_VEC(struct pyr_variable) variables;
};

struct pyr_frames {
	PYR_VEC(struct pyr_frame) frames; /* innermost first */
	bool truncated;                   /* the chain is cut (unreadable or cyclic); `why` tells */
	char *why;                        /* owned, or NULL */
};

/* All Python frames of python->threads.data[thread], without interpreter-entry
 * shims. Damage cuts the list and is told in `why`, it is not an error. */
pyr_error *pyr_thread_frames(struct pyr_types *types, struct pyr_reader *reader, size_t thread,
			     struct pyr_frames *ret);
/* The frame of a suspended or finished generator, coroutine or async generator:
 * zero or one frames. */
pyr_error *pyr_generator_frame(struct pyr_types *types, struct pyr_reader *reader, pyr_addr gen,
			       struct pyr_frames *ret);
/* The frame of a frame object: none when it cannot be read, else one. */
pyr_error *pyr_frame_of_object(struct pyr_types *types, struct pyr_reader *reader, pyr_addr object,
			       struct pyr_frames *ret);
void pyr_frames_deinit(struct pyr_frames *frames);

/* The line of the instruction at byte offset @lasti of @code (all three line
 * tables: co_lnotab, PEP 626, 3.11's location table); 0 when there is none. */
pyr_error *pyr_code_line(struct pyr_types *types, struct pyr_reader *reader, pyr_addr code,
			 int32_t lasti, int32_t *ret);

#endif
