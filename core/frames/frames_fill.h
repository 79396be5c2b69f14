/* What the two kinds of frames share while they are read (frames*.c). */
#ifndef PYR_FRAMES_FRAMES_FILL_H
#define PYR_FRAMES_FRAMES_FILL_H

#include "frames/frames.h"
#include "runtime/raw.h"

struct pyr_frame_walk {
	struct pyr_types *types;
	const struct pyr_python *python;
	struct pyr_raw raw;
};

/* Code, names, file, lines. */
void pyr_frame_set_code(struct pyr_frame_walk *walk, pyr_addr code, int32_t lasti,
			struct pyr_frame *frame);
/* Add the object @value that lies in @slot; @name is taken over. */
void pyr_frame_add(struct pyr_frame *frame, const struct pyr_variable *variable);
/* Item @i of the tuple of names @names as UTF-8, or NULL. */
char *pyr_frame_name(struct pyr_frame_walk *walk, pyr_addr names, uint64_t i);
/* Does an object start at @value, as far as its type tells? */
bool pyr_frame_is_object(struct pyr_frame_walk *walk, pyr_addr value);
void pyr_frame_deinit(struct pyr_frame *frame);

/* One frame object (frames_object.c); *@next is f_back. False: unreadable. */
bool pyr_frame_object_read(struct pyr_frame_walk *walk, pyr_addr address, struct pyr_frame *frame,
			   pyr_addr *next);
/* One interpreter frame (frames_interpreter.c); *@next is `previous`, *@shim tells
 * that it is an entry from C and no frame of Python code. False: unreadable. */
bool pyr_frame_interpreter_read(struct pyr_frame_walk *walk, pyr_addr address,
				struct pyr_frame *frame, pyr_addr *next, bool *shim);

#endif
