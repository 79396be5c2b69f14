#include "analysis/collection/id_subset.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/search.h"

#define GRAIN 4096u /* words */

struct filling {
	struct pyr_id_subset *subset;
	const uint32_t *ids;
};

/* How many of the sorted ids are below @bound. */
static uint32_t below(const struct filling *f, uint64_t bound)
{
	return (uint32_t)pyr_search(i, f->subset->count, f->ids[i] < bound);
}

static pyr_error *fill_words(void *ctx, unsigned worker, size_t begin, size_t end)
{
	const struct filling *f = ctx;
	const struct pyr_id_subset *s = f->subset;
	uint32_t i = below(f, (uint64_t)begin * 64);
	uint64_t bits;

	(void)worker;
	for (; begin < end; begin++) {
		s->before[begin] = i;
		for (bits = 0; i < s->count && f->ids[i] / 64 == begin; i++)
			bits |= UINT64_C(1) << f->ids[i] % 64;
		s->bits[begin] = bits;
	}
	return NULL;
}

pyr_error *pyr_id_subset_create(struct pyr_control *control, const uint32_t *ids, uint32_t count,
				uint32_t nodes, struct pyr_id_subset *ret)
{
	size_t words = (size_t)nodes / 64 + 1;
	struct pyr_id_subset s = {.nodes = nodes, .count = count};
	struct filling f = {.subset = &s, .ids = ids};
	pyr_error *err;

	s.bits = malloc(words * sizeof(*s.bits));
	s.before = malloc(words * sizeof(*s.before));
	if (!s.bits || !s.before)
		err = pyr_error_no_memory();
	else
		err = pyr_parallel(control, NULL, pyr_parallel_workers(), words, GRAIN, fill_words,
				   &f);
	if (err) {
		pyr_id_subset_deinit(&s);
		return err;
	}
	*ret = s;
	return NULL;
}

void pyr_id_subset_deinit(struct pyr_id_subset *subset)
{
	free(subset->bits);
	free(subset->before);
	memset(subset, 0, sizeof(*subset));
}
