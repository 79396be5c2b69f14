/* References of types of the standard library that no rows of fields can tell. */
#include "references/refs_walk.h"

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

/* The type of the links from @link on; those of one ring share it. */
static const struct pyr_type *link_type(struct pyr_refs *refs, struct pyr_reader *reader,
					pyr_addr link)
{
	pyr_addr addr;

	return pyr_try_u64(reader, link + (pyr_addr)refs->ob_type, &addr)
		       ? pyr_types_get(refs->types, reader, addr)
		       : NULL;
}

/* lru_cache_tp_traverse(), _functoolsmodule.c. The ring owns its links; what they own is
 * visited in their place, for they are no gc objects (but in 3.6, where they are). */
void pyr_walk_lru_cache(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr root = 0, link = ring(w->refs, w->reader, w->addr, &root), seen = link;
	const struct pyr_type *type = link ? link_type(w->refs, w->reader, link) : NULL;
	uint64_t i, visit = 0;

	if (!link)
		return;
	for (i = 0; link && link != root && i < LINKS_MAX; i++) {
		pyr_walk_tell(
			w, link,
			PYR_FIELD_LABEL(PYR_REF_OWNED | (type && type->gc ? PYR_REF_TRAVERSED : 0),
					"link"),
			i);
		if (type && !type->gc) {
			pyr_walk_tell(w, pyr_get_addr(l, w->reader, link, lru_list_elem, key),
				      PYR_EDGE_VISITED | PYR_REF_TRAVERSED, visit++);
			pyr_walk_tell(w, pyr_get_addr(l, w->reader, link, lru_list_elem, result),
				      PYR_EDGE_VISITED | PYR_REF_TRAVERSED, visit++);
			/* since 3.10, where it is a heap type */
			if (type->heap)
				pyr_walk_tell(w, type->address,
					      PYR_EDGE_VISITED | PYR_REF_TRAVERSED, visit++);
		}
		link = pyr_get_addr(l, w->reader, link, lru_list_elem, next);
		/* A ring that closes elsewhere (Brent). */
		if (link == seen)
			break;
		if (!(i & (i + 1)))
			seen = link;
	}
	if (link != root)
		w->damaged = true;
}

/* odict_traverse(), odictobject.c: the keys once more, in order, as each node owns one. */
void pyr_walk_odict(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr node = pyr_get_addr(l, w->reader, w->addr, PyODictObject, od_first), key;
	pyr_addr seen = node;
	uint64_t used = 0, i;

	if (!pyr_get_u64(l, w->reader, w->addr, PyDictObject, ma_used, &used)) {
		w->damaged = true;
		return;
	}
	for (i = 0; node && i < used; i++) {
		key = pyr_get_addr(l, w->reader, node, PyODictNode, key);
		pyr_walk_tell(w, key, PYR_EDGE_KEY | PYR_BOTH, key);
		node = pyr_get_addr(l, w->reader, node, PyODictNode, next);
		if (node == seen)
			break; /* a ring (Brent) */
		if (!(i & (i + 1)))
			seen = node;
	}
	/* Inside of an insertion or a deletion the two may differ by one. */
	w->damaged |= node || i + 1 < used;
}

/* deque_traverse(), _collectionsmodule.c: from leftindex in the leftmost block to
 * rightindex in the rightmost. */
void pyr_walk_deque(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	int32_t data = pyr_offset(l, block, data), right = pyr_offset(l, block, rightlink);
	pyr_addr block = pyr_get_addr(l, w->reader, w->addr, dequeobject, leftblock), items;
	uint64_t size, at = 0, count, n, i, told = 0, room = 0, blocks = 0;
	pyr_addr target, seen = block;

	/* leftlink, data, rightlink */
	if (data >= 0 && right > data)
		room = (uint64_t)(right - data) / 8;
	if (!block || !room || !pyr_get_u64(l, w->reader, w->addr, PyVarObject, ob_size, &size) ||
	    !pyr_get_u64(l, w->reader, w->addr, dequeobject, leftindex, &at) || at > room) {
		w->damaged = true;
		return;
	}
	for (count = size; count && block; count -= n) {
		n = room - at < count ? room - at : count;
		items = block + (pyr_addr)data + at * 8;
		for (i = 0; i < n; i++) {
			if (!pyr_try_u64(w->reader, items + i * 8, &target)) {
				w->damaged = true;
				return;
			}
			pyr_walk_tell(w, target, PYR_EDGE_ITEM | PYR_BOTH, told++);
		}
		at = 0;
		if (count == n)
			continue;
		block = pyr_get_addr(l, w->reader, block, block, rightlink);
		if (block == seen)
			break; /* a ring (Brent) */
		if (!(blocks & (blocks + 1)))
			seen = block;
		blocks++;
	}
	w->damaged |= count != 0;
}

/* element_gc_traverse(), _elementtree.c: `text` and `tail` may have their low bit set: a
 * list that is to be joined. */
void pyr_walk_element(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr extra = pyr_get_addr(l, w->reader, w->addr, ElementObject, extra), children;
	uint64_t count = 0, allocated = 0;

	pyr_walk_tell(w, pyr_get_addr(l, w->reader, w->addr, ElementObject, text) & ~UINT64_C(1),
		      PYR_FIELD_LABEL(PYR_BOTH, "text"), 0);
	pyr_walk_tell(w, pyr_get_addr(l, w->reader, w->addr, ElementObject, tail) & ~UINT64_C(1),
		      PYR_FIELD_LABEL(PYR_BOTH, "tail"), 0);
	if (!extra)
		return;
	pyr_walk_tell(w, pyr_get_addr(l, w->reader, extra, ElementObjectExtra, attrib),
		      PYR_FIELD_LABEL(PYR_BOTH, "attrib"), 0);
	children = pyr_get_addr(l, w->reader, extra, ElementObjectExtra, children);
	if (!pyr_get_u64(l, w->reader, extra, ElementObjectExtra, length, &count) ||
	    !pyr_get_u64(l, w->reader, extra, ElementObjectExtra, allocated, &allocated) ||
	    count > allocated)
		w->damaged = true;
	else
		pyr_walk_array(w, children, count, PYR_EDGE_ITEM | PYR_BOTH);
}

bool pyr_refs_visits_through(struct pyr_refs *refs, struct pyr_reader *reader,
			     const struct pyr_type *type, pyr_addr addr)
{
	pyr_addr root, link;
	const struct pyr_type *t;

	if (pyr_refs_owner_walker(refs, reader, type) != PYR_WALK_LRU_CACHE ||
	    !(link = ring(refs, reader, addr, &root)))
		return false;
	t = link_type(refs, reader, link);
	return t && !t->gc;
}
