#include "analysis/subset.h"

#include <stdlib.h>
#include <string.h>

pyr_error *pyr_subset_create(const uint32_t *ids, uint32_t count, uint32_t nodes,
			     struct pyr_subset *ret)
{
	size_t words = (size_t)nodes / 64 + 1, w;
	struct pyr_subset s = {.nodes = nodes, .count = count};
	uint32_t i, sum = 0;

	s.bits = calloc(words, sizeof(*s.bits));
	s.before = malloc(words * sizeof(*s.before));
	if (!s.bits || !s.before) {
		pyr_subset_deinit(&s);
		return pyr_error_no_memory();
	}
	for (i = 0; i < count; i++)
		s.bits[ids[i] / 64] |= UINT64_C(1) << ids[i] % 64;
	for (w = 0; w < words; w++) {
		s.before[w] = sum;
		sum += (uint32_t)__builtin_popcountll(s.bits[w]);
	}
	*ret = s;
	return NULL;
}

void pyr_subset_deinit(struct pyr_subset *subset)
{
	free(subset->bits);
	free(subset->before);
	memset(subset, 0, sizeof(*subset));
}
