#include "values/object.h"

#include "types/types.h"

#define REFCOUNT_MAX (INT64_C(1) << 40) /* more than memory has room for referrers */

/* The count as this build encodes it; object.h, Py_REFCNT() and _Py_IsImmortal(). A
 * word that no count can be gives -1: in a freed block the link to the next one lies there,
 * which may look immortal in its low half. */
static void decode_refcount(const struct pyr_layout *l, uint64_t word,
			    struct pyr_object_header *header)
{
	uint32_t low = (uint32_t)word;

	switch (pyr_trait(l, immortal_encoding)) {
	case PYR_TRAIT(immortal_encoding, UINT32_MAX_WORD):
		header->immortal = (int32_t)low < 0;
		header->refcount = header->immortal && word >> 32 ? -1 : (int64_t)word;
		break;
	case PYR_TRAIT(immortal_encoding, HIGH_BIT_32):
		/* Above the count: ob_overflow, 0 in practice, and ob_flags. */
		header->immortal = (int32_t)low < 0;
		header->refcount = word >> 32 & 0xffff ? -1 : (int64_t)low;
		break;
	default:
		header->refcount = (int64_t)word;
		break;
	}
}

bool pyr_object_refcount(const struct pyr_layout *layout, struct pyr_reader *reader, pyr_addr addr,
			 int64_t *refcount, bool *immortal)
{
	struct pyr_object_header header = {0};
	uint64_t word;

	if (!pyr_try_u64(reader, addr + (pyr_addr)pyr_offset(layout, PyObject, ob_refcnt), &word))
		return false;
	decode_refcount(layout, word, &header);
	*refcount = header.refcount;
	*immortal = header.immortal;
	return header.refcount >= 0 && header.refcount <= REFCOUNT_MAX;
}

/* PyGC_Head; gcmodule.c, gc.c, pycore_gc.h. */
static void read_gc_head(const struct pyr_layout *l, struct pyr_reader *reader, pyr_addr addr,
			 struct pyr_object_header *header)
{
	pyr_addr head = addr - header->type->gc_head;
	uint64_t next, prev;
	int64_t refs;

	switch (pyr_trait(l, gc_head)) {
	case PYR_TRAIT(gc_head, THREE_WORDS):
		if (!pyr_get_i64(l, reader, head, PyGC_Head, gc_refs, &refs))
			return;
		header->finalized = refs & 1;
		refs >>= 1;
		header->tracked = refs != -2;                 /* _PyGC_REFS_UNTRACKED */
		header->collecting = refs >= 0 || refs == -4; /* ..._TENTATIVELY_UNREACHABLE */
		break;
	case PYR_TRAIT(gc_head, TWO_WORDS):
	case PYR_TRAIT(gc_head, TWO_WORDS_AGED):
		if (!pyr_get_u64(l, reader, head, PyGC_Head, gc_next, &next) ||
		    !pyr_get_u64(l, reader, head, PyGC_Head, gc_prev, &prev))
			return;
		header->tracked = next != 0;
		header->finalized = prev & 1;
		header->collecting = prev & 2;
		break;
	default:
		break;
	}
}

pyr_error *pyr_object_header(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
			     struct pyr_object_header *ret)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_object_header header = {0};
	uint64_t word, type, flags;
	pyr_error *err;

	if (!pyr_field_u64(l, reader, addr, PYR_FIELD(PyObject, ob_type), &type) ||
	    !pyr_try_u64(reader, addr + (pyr_addr)pyr_offset(l, PyObject, ob_refcnt), &word)) {
		err = pyr_reader_check(reader);
		return err ? err
			   : pyr_error_create_at(PYR_E_UNREADABLE, addr,
						 "0x%llx is not in the target",
						 (unsigned long long)addr);
	}
	if (addr % 8 == 0)
		header.type = pyr_types_get(types, reader, type);
	decode_refcount(l, word, &header);
	if (!header.type || header.refcount < 0 || header.refcount > REFCOUNT_MAX)
		return pyr_error_create_at(PYR_E_NOT_AN_OBJECT, addr, "no object lies at 0x%llx",
					   (unsigned long long)addr);
	if (header.refcount == 0)
		return pyr_error_create_at(PYR_E_FREED, addr,
					   "the object at 0x%llx (a %s) was freed",
					   (unsigned long long)addr, header.type->name);
	/* Only `type` defines tp_is_gc: static types have no gc head. */
	header.is_gc = header.type->gc;
	if (header.is_gc && header.type->shape == PYR_SHAPE_TYPE)
		header.is_gc = pyr_get_u64(l, reader, addr, PyTypeObject, tp_flags, &flags) &&
			       flags & PYR_TPFLAGS_HEAPTYPE;
	if (header.is_gc)
		read_gc_head(l, reader, addr, &header);
	*ret = header;
	return NULL;
}
