#include "roots/borrowed_words.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "runtime/access.h"

#define VERSIONS 4096u    /* FUNC_VERSION_CACHE_SIZE, pycore_function.h */
#define VERSIONS_LEAST 4u /* functions that must agree where the cache is */

static const enum pyr_field fields[] = {
	/* typeobject.c: the values of the cache of attributes are borrowed. */
	PYR_FIELD(PyInterpreterState, type_cache),
	/* Behind the entries that a free list has are those that it had. */
	PYR_FIELD(PyInterpreterState, freelists),
	PYR_FIELD(PyInterpreterState, freelist_float),
	PYR_FIELD(PyInterpreterState, freelist_tuple),
	PYR_FIELD(PyInterpreterState, freelist_list),
	PYR_FIELD(PyInterpreterState, freelist_dict),
	PYR_FIELD(PyInterpreterState, freelist_frame),
	PYR_FIELD(PyInterpreterState, freelist_async_gen),
	PYR_FIELD(PyInterpreterState, freelist_context),
	PYR_FIELD(PyInterpreterState, memerrors_freelist),
	/* tp_dict, tp_subclasses and tp_weaklist of static types. */
	PYR_FIELD(PyInterpreterState, types_builtins),
	PYR_FIELD(PyInterpreterState, types_for_extensions),
};

static bool add(struct pyr_borrowed_words *b, pyr_addr start, uint64_t size)
{
	return !size || pyr_vec_push(&b->ranges.v, (struct pyr_range){start, start + size});
}

/* The value that is most frequent in @v, and how often it is there. */
static size_t most_frequent(pyr_addr *v, size_t count, pyr_addr *ret)
{
	size_t i, run = 0, best = 0;

	if (count)
		qsort(v, count, sizeof(*v), pyr_by_word);
	for (i = 0; i < count; i++) {
		run = i && v[i] == v[i - 1] ? run + 1 : 1;
		if (run > best) {
			best = run;
			*ret = v[i];
		}
	}
	return best;
}

/* The functions of an interpreter by func_version (3.12+; funcobject.c), a pointer each, in
 * 3.13+ one to the code besides. Neither is owned. The cache is found by the functions in
 * it: each lies where its version says. */
static bool add_versions(struct pyr_borrowed_words *b, const struct pyr_heap *heap,
			 pyr_addr interpreter)
{
	struct pyr_reader *reader = &b->python->reader;
	const struct pyr_layout *l = &b->python->layout;
	PYR_VEC(pyr_addr) bases[2] = {{0}, {0}};
	pyr_addr at, end = interpreter + pyr_sizeof(l, PyInterpreterState), base = 0;
	uint64_t word, version;
	size_t most[2], i;
	uint32_t id;
	bool ok = true;

	for (at = interpreter; at + 8 <= end && ok; at += 8) {
		if (!pyr_try_u64(reader, at, &word) || !word || word % 8 ||
		    (id = pyr_heap_id(heap, word)) == PYR_NO_ID ||
		    pyr_types_at(heap->types, heap->type[id])->shape != PYR_SHAPE_FUNCTION ||
		    !pyr_get_u64(l, reader, word, PyFunctionObject, func_version, &version))
			continue;
		ok = pyr_vec_push(&bases[0], at - 8 * (version % VERSIONS)) &&
		     pyr_vec_push(&bases[1], at - 16 * (version % VERSIONS));
	}
	for (i = 0; i < 2 && ok; i++) {
		most[i] = most_frequent(bases[i].data, bases[i].count, &base);
		if (most[i] >= VERSIONS_LEAST && most[i] > bases[i].count / 2)
			ok = add(b, base, (i ? 16 : 8) * VERSIONS);
	}
	pyr_vec_deinit(&bases[0]);
	pyr_vec_deinit(&bases[1]);
	return ok;
}

pyr_error *pyr_borrowed_words_init(struct pyr_heap *heap, struct pyr_borrowed_words *ret)
{
	struct pyr_borrowed_words b = {.python = pyr_types_python(heap->types)};
	const struct pyr_field_place *place;
	bool ok = true;
	size_t i, k;

	for (i = 0; i < b.python->interpreters.count && ok; i++) {
		pyr_addr interpreter = b.python->interpreters.data[i].address;

		for (k = 0; k < sizeof(fields) / sizeof(*fields) && ok; k++) {
			place = pyr_layout_place(&b.python->layout, fields[k]);
			if (place->offset >= 0)
				ok = add(&b, interpreter + (pyr_addr)place->offset, place->size);
		}
		ok = ok && add_versions(&b, heap, interpreter);
	}
	if (!ok) {
		pyr_borrowed_words_deinit(&b);
		return pyr_error_no_memory();
	}
	*ret = b;
	return NULL;
}

void pyr_borrowed_words_deinit(struct pyr_borrowed_words *borrowed)
{
	pyr_vec_deinit(&borrowed->ranges.v);
}

/* The same caches as static variables (until 3.9), where they have names. */
static bool is_static_cache(struct pyr_python *python, pyr_addr addr)
{
	const char *symbol;
	uint64_t offset;

	return python->image && addr >= python->image->start && addr < python->image->end &&
	       pyr_image_symbol_at(python->target, python->image, addr, &symbol, &offset) &&
	       (strstr(symbol, "free_list") || strstr(symbol, "freelist") ||
		!strcmp(symbol, "method_cache"));
}

bool pyr_borrowed_words_has(const struct pyr_borrowed_words *borrowed, pyr_addr addr)
{
	size_t i;

	for (i = 0; i < borrowed->ranges.v.count; i++)
		if (addr >= borrowed->ranges.v.data[i].start &&
		    addr < borrowed->ranges.v.data[i].end)
			return true;
	return is_static_cache(borrowed->python, addr);
}
