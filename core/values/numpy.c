#include "values/numpy.h"

#include "types/types.h"
#include "values/values.h"

/* Offsets behind the object header. */
#define ARRAY_DATA 0
#define ARRAY_ND 8
#define ARRAY_DIMENSIONS 16
#define ARRAY_BASE 32
#define ARRAY_DESCR 40
#define ARRAY_FLAGS 48
#define DESCR_TYPE 0
#define DESCR_KIND 8
#define DESCR_BYTEORDER 10
#define DESCR_ELSIZE_1 16 /* int, followed by the int alignment */
#define DESCR_ALIGNMENT_1 20
#define DESCR_ELSIZE_2 24 /* npy_intp; here numpy 2 has 64 bits of flags before it */
#define FLAG_OWNDATA 4u

static bool read_itemsize(struct pyr_reader *reader, pyr_addr descr, uint64_t *ret)
{
	uint32_t elsize, alignment;

	if (!pyr_try_u32(reader, descr + DESCR_ELSIZE_1, &elsize) ||
	    !pyr_try_u32(reader, descr + DESCR_ALIGNMENT_1, &alignment))
		return false;
	/* An alignment is at least 1; in numpy 2 the word is the high half of flags
	 * of which only the low byte is used. */
	if (alignment != 0) {
		*ret = elsize;
		return true;
	}
	return pyr_try_u64(reader, descr + DESCR_ELSIZE_2, ret);
}

pyr_error *pyr_ndarray_read(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
			    struct pyr_ndarray *ret)
{
	pyr_addr header = pyr_object_body(pyr_types_layout(types)), body = addr + header;
	struct pyr_ndarray array = {0};
	uint32_t nd, flags;
	pyr_addr dimensions;
	const char *kind;
	uint64_t bytes;
	unsigned i;

	if (!pyr_try_u64(reader, body + ARRAY_DATA, &array.data) ||
	    !pyr_try_u32(reader, body + ARRAY_ND, &nd) ||
	    !pyr_try_u64(reader, body + ARRAY_DIMENSIONS, &dimensions) ||
	    !pyr_try_u64(reader, body + ARRAY_BASE, &array.base) ||
	    !pyr_try_u64(reader, body + ARRAY_DESCR, &array.descr) ||
	    !pyr_try_u32(reader, body + ARRAY_FLAGS, &flags) ||
	    !pyr_try_u64(reader, array.descr + header + DESCR_TYPE, &array.scalar_type) ||
	    !(kind = pyr_peek(reader, array.descr + header + DESCR_KIND, 3)) ||
	    !(array.kind = kind[0], array.byteorder = kind[DESCR_BYTEORDER - DESCR_KIND]) ||
	    !read_itemsize(reader, array.descr + header, &array.itemsize))
		return pyr_error_create_at(PYR_E_UNREADABLE, addr, "the array at 0x%llx is absent",
					   (unsigned long long)addr);
	if (nd > PYR_NDARRAY_DIMENSIONS_MAX)
		goto corrupt;
	bytes = array.itemsize;
	for (i = 0; i < nd; i++) {
		if (!pyr_try_u64(reader, dimensions + 8 * i, (uint64_t *)&array.shape[i]) ||
		    array.shape[i] < 0 ||
		    __builtin_mul_overflow(bytes, (uint64_t)array.shape[i], &bytes))
			goto corrupt;
	}
	array.dimensions = nd;
	array.bytes = bytes;
	array.owns_data = flags & FLAG_OWNDATA;
	*ret = array;
	return NULL;

corrupt:
	return pyr_error_create_at(PYR_E_CORRUPT, addr, "the array at 0x%llx contradicts itself",
				   (unsigned long long)addr);
}
