/* Pieces that several commands show: frames, variables, places in memory. */
#ifndef PYR_VIEWS_SHOW_H
#define PYR_VIEWS_SHOW_H

#include "command/context.h"
#include "frames/frames.h"

#define PYR_REPR_IN_TABLE 120u
#define PYR_REPR_IN_JSON 200u

/* Which variables of a frame (bits). */
#define PYR_SHOW_LOCALS 1u   /* locals, cells, free variables */
#define PYR_SHOW_OPERANDS 2u /* the operand stack */

/* {"function","file","line"[,"locals"]}: opens and closes the object. */
void pyr_show_frame_json(struct pyr_context *context, const char *key,
			 const struct pyr_frame *frame, unsigned variables);
/* "  File "x.py", line 3, in f" and, indented, its variables. */
void pyr_show_frame(struct pyr_context *context, const struct pyr_frame *frame, unsigned variables);

/* The members that identify a thread, into an open object. */
void pyr_show_thread_json(struct pyr_context *context, const struct pyr_python_thread *thread);
/* "MainThread" or the kernel's name for it, or "". */
const char *pyr_show_thread_name(const struct pyr_session *session,
				 const struct pyr_python_thread *thread);

/* Where an object's memory lies: show_memory.c */
struct pyr_memory_place {
	const char *kind; /* "pymalloc", "static", "malloc", "mapping", "unknown" */
	pyr_addr arena, pool, block;
	uint32_t block_size;
	char *image, *symbol, *mapping; /* owned */
	uint64_t offset;                /* from the symbol, else from the image */
	bool allocated;                 /* pymalloc: the block is in use */
};
void pyr_memory_place(struct pyr_context *context, pyr_addr addr, struct pyr_memory_place *ret);
void pyr_memory_place_deinit(struct pyr_memory_place *place);

/* What an object holds, by name: show_contents.c */
struct pyr_content {
	char *name;          /* ".attr", "['key']", "[3]"; of a set "" ; owned */
	pyr_addr value, key; /* key: of a dict's item, else 0 */
};
struct pyr_contents {
	const char *what; /* "attributes", "items", "elements"; NULL: nothing is shown */
	PYR_VEC(struct pyr_content) rows; /* at most `limit` */
	uint64_t count;                   /* all there are */
	bool damaged;
};
void pyr_contents_read(struct pyr_context *context, pyr_addr addr,
		       const struct pyr_object_header *header, bool attributes, uint64_t limit,
		       struct pyr_contents *ret);
void pyr_contents_deinit(struct pyr_contents *contents);
void pyr_show_contents(struct pyr_context *context, const struct pyr_contents *contents);
void pyr_show_contents_json(struct pyr_context *context, const struct pyr_contents *contents);

#endif
