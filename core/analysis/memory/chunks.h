/* Whose malloc's chunks are: Python's, by what owns each, and native code's, by what the
 * chunks look like. */
#ifndef PYR_ANALYSIS_MEMORY_CHUNKS_H
#define PYR_ANALYSIS_MEMORY_CHUNKS_H

#include "objects/buffers.h"
#include "objects/heap.h"
#include "native/glibc.h"

enum pyr_chunk_owner {
	PYR_CHUNK_OF_OBJECT, /* the object itself; a: its type's index */
	PYR_CHUNK_OF_BUFFER, /* a buffer of an object; a: the type's index, b: enum pyr_buffer_name
			      */
	PYR_CHUNK_OF_INTERPRETER, /* b: enum pyr_buffer_name */
	PYR_CHUNK_OF_SYMBOL, /* begins with a pointer into an image; a: the symbol's address, or
			      * the pointer where there is none */
	PYR_CHUNK_OF_IMAGE,  /* the same, of pointers that few chunks begin with; a: the image's
			      * start */
	PYR_CHUNK_OF_LOADER, /* the dynamic linker's record of a library: struct link_map */
	PYR_CHUNK_OF_SIZE,   /* nothing is known of it; a: size class */
};

static inline bool pyr_chunk_is_python(enum pyr_chunk_owner owner)
{
	return owner <= PYR_CHUNK_OF_INTERPRETER;
}

struct pyr_chunk_group {
	enum pyr_chunk_owner owner;
	uint64_t a, b;
	uint64_t count, bytes;
	uint64_t largest;    /* chunk */
	pyr_addr example;    /* what malloc returned for it */
	uint32_t example_id; /* the object that owns it, or PYR_NO_ID */
};

struct pyr_chunk {
	pyr_addr memory;
	uint64_t size;
	bool mapped;
	enum pyr_chunk_owner owner;
	uint64_t a, b;
	uint32_t id; /* the owner, or PYR_NO_ID */
};

#define PYR_CHUNK_SIZES 128

/* Of chunks up to 1 KiB one class for each size, then one for each power of two. */
struct pyr_chunk_size {
	uint64_t up_to; /* bytes with the header */
	uint64_t count, bytes;
	uint64_t python_count, python_bytes;
};

struct pyr_chunks {
	PYR_VEC(struct pyr_chunk_group) groups; /* most bytes first */
	PYR_VEC(struct pyr_chunk) largest;      /* in use; largest first; at most `keep` */
	struct pyr_chunk_size sizes[PYR_CHUNK_SIZES];
	size_t size_count;
	uint64_t count, bytes; /* in use: of arenas and mapped */
	uint64_t python_count, python_bytes;
	uint64_t free_count, free_bytes, largest_free; /* as the walk sees them */
	uint64_t damaged;
};

struct pyr_chunks_input {
	struct pyr_target *target;
	struct pyr_heap *heap;             /* NULL: no Python */
	const struct pyr_buffers *buffers; /* outside of pymalloc; NULL without heap */
	const struct pyr_glibc *glibc;
	const struct pyr_glibc_mapped_list *mapped;
	size_t keep; /* how many of the largest to tell */
};

pyr_error *pyr_chunks_find(const struct pyr_chunks_input *input, struct pyr_control *control,
			   struct pyr_chunks *ret);
void pyr_chunks_deinit(struct pyr_chunks *chunks);

#endif
