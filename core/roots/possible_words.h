/* Words of memory that is no object's, taken as possible references: those that equal
 * the address of an object. Shared by roots_native.c, roots_stacks.c, roots_chunks.c. */
#ifndef PYR_ROOTS_POSSIBLE_WORDS_H
#define PYR_ROOTS_POSSIBLE_WORDS_H

#include "roots/roots_internal.h"
#include "target/image.h"

struct pyr_possible_words {
	const struct pyr_heap *heap;
	const struct pyr_target *target;
	pyr_addr low, high; /* of all objects */
};

static inline void pyr_possible_words_init(struct pyr_possible_words *words,
					   const struct pyr_roots *roots)
{
	words->heap = roots->model->heap;
	words->target = pyr_roots_python(roots)->target;
	words->low = words->heap->count ? words->heap->address[0] : 1;
	words->high = words->heap->count ? words->heap->address[words->heap->count - 1] : 0;
}

/* The object that starts at @word, if it is one that something must hold: what lies in a
 * binary is a C variable itself. */
static inline uint32_t pyr_possible_words_object(const struct pyr_possible_words *words,
						 uint64_t word)
{
	uint32_t id;

	if (word & 7 || word < words->low || word > words->high)
		return PYR_NO_ID;
	id = pyr_heap_id(words->heap, word);
	if (id != PYR_NO_ID && pyr_target_image_at(words->target, word))
		return PYR_NO_ID;
	return id;
}

/* Is @key, behind @hash, the key of an entry of CPython's table of pointers (hashtable.c,
 * _Py_hashtable_hash_ptr())? tracemalloc's tables have the address of every block. */
static inline bool pyr_possible_words_hashed(uint64_t hash, uint64_t key)
{
	return hash == (key >> 4 | key << 60);
}

/* What names of kinds C_STATIC, C_STACK, REGISTER and NATIVE are made of:
 *   C_STATIC: a is the index of the image, or with PYR_POSSIBLE_WORDS_TLS that of the OS thread
 *   C_STACK:  a is the OS thread, b the distance from its stack pointer
 *   REGISTER: a is the OS thread, b the register (index into pyr_thread.regs)
 *   NATIVE:   a is what malloc returned, b the bytes behind it */
#define PYR_POSSIBLE_WORDS_TLS (UINT64_C(1) << 63)

pyr_error *pyr_roots_stacks(struct pyr_roots *roots, const struct pyr_possible_words *words,
			    struct pyr_control *control);
pyr_error *pyr_roots_chunks(struct pyr_roots *roots, const struct pyr_possible_words *words,
			    struct pyr_control *control);

void pyr_root_stack_name(const struct pyr_roots *roots, const struct pyr_root *root,
			 struct pyr_strbuf *out);
void pyr_root_chunk_name(const struct pyr_roots *roots, const struct pyr_root *root,
			 struct pyr_strbuf *out);
/* `libfoo.so:bar_table+0x18`, or `libfoo.so+0x4f20` */
void pyr_image_place_name(struct pyr_target *target, const struct pyr_image *image, pyr_addr addr,
			  struct pyr_strbuf *out);

#endif
