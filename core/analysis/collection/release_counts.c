#include "analysis/collection/release_counts.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_AT_FIRST 1024u

pyr_error *pyr_release_counts_init(struct pyr_release_counts *s)
{
	memset(s, 0, sizeof(*s));
	s->slots = calloc(SLOTS_AT_FIRST, sizeof(*s->slots));
	if (!s->slots)
		return pyr_error_no_memory();
	s->mask = SLOTS_AT_FIRST - 1;
	return NULL;
}

void pyr_release_counts_deinit(struct pyr_release_counts *s)
{
	free(s->slots);
	memset(s, 0, sizeof(*s));
}

static bool grow(struct pyr_release_counts *s)
{
	struct pyr_release_counts grown = {.count = s->count, .mask = s->mask * 2 + 1};
	size_t i;

	grown.slots = calloc(grown.mask + 1, sizeof(*grown.slots));
	if (!grown.slots)
		return false;
	for (i = 0; i <= s->mask; i++)
		if (s->slots[i].address)
			*pyr_release_counts_slot(&grown, s->slots[i].address) = s->slots[i];
	free(s->slots);
	*s = grown;
	return true;
}

bool pyr_release_counts_add(struct pyr_release_counts *s, struct pyr_release_count share)
{
	if (s->count >= s->mask / 4 * 3 && !grow(s))
		return false;
	*pyr_release_counts_slot(s, share.address) = share;
	s->count++;
	return true;
}
