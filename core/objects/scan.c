#include "objects/scan.h"

#include <stdlib.h>
#include <string.h>

static size_t set_slot(const struct pyr_address_hash *set, pyr_addr addr)
{
	size_t i = (size_t)((addr >> 3) * 0x9e3779b97f4a7c15u >> 17) & (set->capacity - 1);

	while (set->slots[i] && set->slots[i] != addr)
		i = (i + 1) & (set->capacity - 1);
	return i;
}

static bool set_grow(struct pyr_address_hash *set)
{
	struct pyr_address_hash grown = {.capacity = set->capacity ? set->capacity * 2 : 4096,
					 .count = set->count};
	size_t i;

	grown.slots = calloc(grown.capacity, sizeof(*grown.slots));
	if (!grown.slots)
		return false;
	for (i = 0; i < set->capacity; i++)
		if (set->slots[i])
			grown.slots[set_slot(&grown, set->slots[i])] = set->slots[i];
	free(set->slots);
	*set = grown;
	return true;
}

int pyr_address_hash_add(struct pyr_address_hash *set, pyr_addr addr)
{
	size_t i;

	if (set->count * 2 >= set->capacity && !set_grow(set))
		return -1;
	i = set_slot(set, addr);
	if (set->slots[i] == addr)
		return 0;
	set->slots[i] = addr;
	set->count++;
	return 1;
}

void pyr_address_hash_deinit(struct pyr_address_hash *set)
{
	free(set->slots);
	memset(set, 0, sizeof(*set));
}

pyr_error *pyr_scanner_init(struct pyr_scanner *s, struct pyr_types *types,
			    const struct pyr_obmalloc *obmalloc, const struct pyr_pages *outside,
			    bool collecting)
{
	pyr_error *err;

	memset(s, 0, sizeof(*s));
	if ((err = pyr_classifier_init(&s->classifier, types, collecting)))
		return err;
	s->classifier.pointers = outside;
	s->classifier.alignment = obmalloc->alignment;
	s->obmalloc = obmalloc;
	s->outside = outside;
	return NULL;
}

void pyr_scanner_deinit(struct pyr_scanner *s)
{
	pyr_classifier_deinit(&s->classifier);
	pyr_address_hash_deinit(&s->noted);
	pyr_vec_deinit(&s->candidates);
	pyr_vec_deinit(&s->buffers.v);
	pyr_vec_deinit(&s->links);
}

pyr_error *pyr_scanner_check(struct pyr_scanner *s)
{
	pyr_error *err;

	if (s->classifier.out_of_memory)
		return pyr_error_no_memory();
	err = pyr_reader_check(&s->classifier.reader);
	return err ? err : pyr_reader_check(&s->classifier.far);
}

void pyr_scanner_note_slow(struct pyr_scanner *s, pyr_addr word)
{
	int added = pyr_address_hash_add(&s->noted, word);

	s->recent[(word >> 3) & (PYR_RECENT - 1)] = word;
	if (added < 0 || (added > 0 && !pyr_vec_push(&s->candidates, word)))
		s->classifier.out_of_memory = true;
}

void pyr_scanner_buffer(void *scanner, pyr_addr start, uint64_t size)
{
	struct pyr_scanner *s = scanner;

	if (start & 7 || !pyr_pages_has(s->outside, start))
		return;
	if (size > UINT64_MAX - start)
		size = UINT64_MAX - start;
	if (!pyr_vec_push(&s->buffers.v, (struct pyr_range){start, start + size}))
		s->classifier.out_of_memory = true;
}

void pyr_scanner_link(struct pyr_scanner *s, pyr_addr next)
{
	if (!pyr_vec_push(&s->links, next))
		s->classifier.out_of_memory = true;
}

void pyr_scanner_range(struct pyr_scanner *s, pyr_addr start, uint64_t size)
{
	const uint8_t *run;
	size_t n;

	while (size >= 8) {
		n = pyr_peek_run(&s->classifier.far, start, size, &run);
		if (n < 8)
			break;
		n &= ~(size_t)7;
		pyr_scanner_words(s, run, run + n);
		start += n;
		size -= n;
	}
}
