#include "values/weakrefs.h"

#include "runtime/access.h"

#define WEAKREFS_MAX (1u << 24)

bool pyr_weakrefs_each(struct pyr_types *types, struct pyr_reader *reader,
		       const struct pyr_type *type, pyr_addr addr,
		       bool (*fn)(void *ctx, pyr_addr weakref), void *ctx)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	pyr_addr at = 0, anchor = 0;
	uint64_t steps = 0, limit = 1;

	/* negative offsets lie before the object: managed weak references (3.12+) */
	if (!type->weaklistoffset || type->weaklistoffset < -64 ||
	    !pyr_has(l, PyWeakReference, wr_next))
		return true;
	if (!pyr_try_u64(reader, addr + (pyr_addr)type->weaklistoffset, &at))
		return false;
	/* Brent's cycle guard */
	for (; at && steps < WEAKREFS_MAX; steps++) {
		if (at == anchor || pyr_get_addr(l, reader, at, PyWeakReference, wr_object) != addr)
			return false;
		if (steps == limit) {
			anchor = at;
			limit *= 2;
		}
		if (!fn(ctx, at))
			return true;
		at = pyr_get_addr(l, reader, at, PyWeakReference, wr_next);
	}
	return !at;
}
