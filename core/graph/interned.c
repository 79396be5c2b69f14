#include "graph/interned.h"

#include <stdlib.h>

#include "base/parallel.h"
#include "runtime/access.h"

#define ENTRIES_MIN 256u /* fewer than any process has */
#define CHUNK 65536u

/* Is @addr an interned str? PyASCIIObject.state.interned. */
static bool is_interned(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
			pyr_addr str)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	uint64_t state;

	return pyr_get_addr(l, reader, addr, PyObject, ob_type) == str &&
	       pyr_get_u64(l, reader, addr, PyASCIIObject, state, &state) && state & 3;
}

/* Every key of the table is its own value, and interned. *@entries is how many. */
static bool is_table(struct pyr_types *types, struct pyr_reader *reader, pyr_addr dict,
		     pyr_addr str, uint64_t *entries)
{
	struct pyr_dict_iter iter;
	pyr_addr key, value;
	uint64_t count = 0;
	pyr_error *err;

	if ((err = pyr_dict_iter_init(types, reader, dict, &iter))) {
		pyr_error_destroy(err);
		return false;
	}
	while (pyr_dict_iter_next(&iter, &key, &value)) {
		if (key != value || !is_interned(types, reader, key, str))
			return false;
		count++;
	}
	*entries = count;
	return count >= ENTRIES_MIN;
}

struct interned_search {
	struct pyr_heap *heap;
	uint32_t dict; /* index of its type */
	struct candidates {
		struct pyr_reader reader;
		PYR_VEC(uint32_t) ids;
		bool out_of_memory;
	} * workers;
};

/* Dicts with enough entries. That of interned strings is never tracked: nothing in it can
 * be part of a cycle (MAINTAIN_TRACKING, dictobject.c). */
static pyr_error *look(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct interned_search *s = ctx;
	struct pyr_heap *heap = s->heap;
	struct candidates *c = &s->workers[worker];
	uint64_t used;

	for (; begin < end; begin++)
		if (heap->type[begin] == s->dict && heap->generation[begin] == PYR_GEN_UNTRACKED &&
		    pyr_get_u64(&pyr_types_python(heap->types)->layout, &c->reader,
				heap->address[begin], PyDictObject, ma_used, &used) &&
		    used >= ENTRIES_MIN && !pyr_vec_push(&c->ids, (uint32_t)begin))
			c->out_of_memory = true;
	return c->out_of_memory ? pyr_error_no_memory() : pyr_reader_check(&c->reader);
}

/* A dict that a program made of such strings has no more of them than the table. */
static void choose(const struct interned_search *s, const struct candidates *c, uint64_t *most,
		   pyr_addr *found)
{
	struct pyr_python *python = pyr_types_python(s->heap->types);
	uint64_t entries;
	size_t i;

	for (i = 0; i < c->ids.count; i++) {
		pyr_addr addr = s->heap->address[c->ids.data[i]];

		if (is_table(s->heap->types, &python->reader, addr,
			     python->known[PYR_KNOWN_UNICODE_TYPE], &entries) &&
		    (entries > *most || (entries == *most && addr < *found))) {
			*most = entries;
			*found = addr;
		}
	}
}

pyr_error *pyr_interned_find(struct pyr_heap *heap, struct pyr_control *control, pyr_addr *ret)
{
	struct pyr_python *python = pyr_types_python(heap->types);
	const struct pyr_type *dict =
		pyr_types_find(heap->types, python->known[PYR_KNOWN_DICT_TYPE]);
	struct interned_search s = {.heap = heap};
	unsigned workers = pyr_target_concurrent(python->target) ? pyr_parallel_workers() : 1, i;
	uint64_t most = 0;
	pyr_addr found = 0;
	pyr_error *err = NULL;

	if (dict) {
		s.dict = dict->index;
		if (!(s.workers = calloc(workers, sizeof(*s.workers))))
			return pyr_error_no_memory();
		for (i = 0; i < workers; i++)
			pyr_reader_init(&s.workers[i].reader, python->target);
		err = pyr_parallel(control, NULL, workers, heap->count, CHUNK, look, &s);
		for (i = 0; i < workers; i++) {
			if (!err)
				choose(&s, &s.workers[i], &most, &found);
			pyr_reader_deinit(&s.workers[i].reader);
			pyr_vec_deinit(&s.workers[i].ids);
		}
		free(s.workers);
	}
	if (!err)
		err = pyr_reader_check(&python->reader);
	if (!err)
		*ret = found;
	return err;
}
