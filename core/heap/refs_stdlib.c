/* References of types of the standard library that no rows of fields can tell. */
#include "heap/refs_internal.h"

#define LINKS_MAX (UINT64_C(1) << 32)

/* The ring of an lru_cache: its root, which is a link inside of the object, and the first
 * link; 0 where the ring is empty or cannot be read. */
static pyr_addr ring(struct pyr_refs *refs, struct pyr_reader *reader, pyr_addr cache,
		     pyr_addr *root)
{
	const struct pyr_layout *l = refs->layout;
	pyr_addr first = pyr_get_addr(l, reader, cache, lru_cache_object, root_next);

	if (!pyr_has(l, lru_list_elem, next))
		return 0;
	*root = cache + (pyr_addr)(pyr_offset(l, lru_cache_object, root_next) -
				   pyr_offset(l, lru_list_elem, next));
	return first == *root ? 0 : first;
}

/* The ring owns its links (_functoolsmodule.c, bounded_lru_cache_wrapper()). */
void pyr_walk_lru_cache(struct pyr_walk *w)
{
	pyr_addr root = 0, link = ring(w->refs, w->reader, w->addr, &root);
	uint64_t i;

	if (!link || !pyr_refs_visits_through(w->refs, w->reader, w->type, w->addr))
		return;
	for (i = 0; link && link != root && i < LINKS_MAX; i++) {
		pyr_walk_tell(w, link, PYR_FIELD_LABEL(PYR_REF_OWNED, "link"), i);
		link = pyr_get_addr(w->refs->layout, w->reader, link, lru_list_elem, next);
	}
	if (link != root)
		w->damaged = true;
}

/* lru_cache_tp_traverse() visits what the links own in their place, for they are not
 * gc objects; in 3.6 they were. */
bool pyr_refs_visits_through(struct pyr_refs *refs, struct pyr_reader *reader,
			     const struct pyr_type *type, pyr_addr addr)
{
	pyr_addr root, link, link_type;
	const struct pyr_type *t;

	if (pyr_refs_owner(refs, reader, type) != PYR_WALK_LRU_CACHE ||
	    !(link = ring(refs, reader, addr, &root)) ||
	    !pyr_try_u64(reader, link + (pyr_addr)refs->ob_type, &link_type))
		return false;
	t = pyr_types_get(refs->types, reader, link_type);
	return t && !t->gc;
}
