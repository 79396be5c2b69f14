/* Memory that objects own apart from themselves: the items of a list, the table of a
 * dict, the elements of an ndarray, ...; and what the interpreter itself allocates. Which
 * allocation belongs to whom is answered from a sorted list of all of them.
 *
 * Objects that are other objects' storage (the bytes of a BytesIO) are no buffers. */
#ifndef PYR_OBJECTS_BUFFERS_H
#define PYR_OBJECTS_BUFFERS_H

#include "objects/heap.h"

enum pyr_buffer_name {
#define BUFFER(id, name, text) PYR_BUFFER_##id,
#define BUFFER_ARRAY(shape, s, pointer, t, count, more, unit, id)
#include "objects/buffers.def"
#undef BUFFER
#undef BUFFER_ARRAY
	PYR_BUFFER_COUNT
};

/* "ob_item"; "items of a list". */
const char *pyr_buffer_name(enum pyr_buffer_name name);
const char *pyr_buffer_text(enum pyr_buffer_name name);

/* --- of one object (buffers_of.c) --- */

struct pyr_pages;

/* What instances of each type may own, looked up once. */
struct pyr_buffer_source {
	struct pyr_types *types;      /* borrowed */
	const struct pyr_pages *skip; /* buffers that begin here are not wanted; may be NULL */
	uint8_t *what;                /* by type index; 0: nothing */
	uint32_t count;               /* types */
};

pyr_error *pyr_buffer_source_init(struct pyr_types *types, struct pyr_buffer_source *ret);
void pyr_buffer_source_deinit(struct pyr_buffer_source *source);

typedef void (*pyr_buffer_fn)(void *ctx, pyr_addr start, uint64_t size, enum pyr_buffer_name name);

/* Tell the buffers of the object at @addr. Sizes are what the object says, bounded but
 * not checked to be mapped. Any thread, with its own reader. */
void pyr_object_buffers(const struct pyr_buffer_source *source, struct pyr_reader *reader,
			const struct pyr_type *type, pyr_addr addr, pyr_buffer_fn fn, void *ctx);

/* Buffers that are full of references, with those of dicts, lists, sets and deques left to
 * pyr_type_facts_buffers(): may instances of the shape have some? */
bool pyr_shape_buffers_references(enum pyr_shape shape);
/* Tell them; also the attributes of instances without a dict, whatever their shape. */
void pyr_reference_buffers(struct pyr_types *types, struct pyr_reader *reader,
			   const struct pyr_type *type, pyr_addr addr, pyr_buffer_fn fn, void *ctx);

/* --- of the heap --- */

struct pyr_buffer {
	pyr_addr start, end; /* [start, end) */
	uint32_t owner;      /* id; PYR_NO_ID: the interpreter */
	uint8_t name;        /* enum pyr_buffer_name */
};

/* Sorted, not overlapping: a buffer that claims to reach into the next one ends there. A
 * table that several dicts share is the class's whose instances they belong to, else the
 * first dict's. */
struct pyr_buffers {
	struct pyr_buffer *data;
	size_t count;
};

/* All buffers of the heap. @inside: those in pymalloc's arenas too, else only those that
 * lie elsewhere (there are far fewer). 24 bytes per buffer, twice that while sorting. */
pyr_error *pyr_buffers_build(struct pyr_heap *heap, struct pyr_control *control, bool inside,
			     struct pyr_buffers *ret);
void pyr_buffers_deinit(struct pyr_buffers *buffers);

/* The first buffer that ends behind @addr: it contains @addr, or is the next one; NULL:
 * there is none. */
const struct pyr_buffer *pyr_buffers_from(const struct pyr_buffers *buffers, pyr_addr addr);
/* The buffer that contains @addr, or NULL. */
const struct pyr_buffer *pyr_buffers_at(const struct pyr_buffers *buffers, pyr_addr addr);

/* Whose an allocation [start, end) is: that of the object, or of the buffer, that begins
 * in it. */
struct pyr_allocation {
	uint32_t owner;                  /* id; PYR_NO_ID: nobody's, or the interpreter's */
	bool object;                     /* the object itself lies there */
	const struct pyr_buffer *buffer; /* or this buffer; NULL with neither: not known */
};
void pyr_buffers_allocation(const struct pyr_buffers *buffers, const struct pyr_heap *heap,
			    pyr_addr start, pyr_addr end, struct pyr_allocation *ret);

#endif
