/* numpy.ndarray by its C structure (ndarraytypes.h, PyArrayObject_fields and
 * PyArray_Descr), which is the same in numpy 1.x and 2.x but for the place of
 * the item size. */
#ifndef PYR_VALUES_NUMPY_H
#define PYR_VALUES_NUMPY_H

#include "values/object.h"

#define PYR_NDARRAY_DIMENSIONS_MAX 64

struct pyr_ndarray {
	pyr_addr data, base, descr;
	pyr_addr scalar_type; /* numpy.float64 and the like; dtype.type */
	unsigned dimensions;
	int64_t shape[PYR_NDARRAY_DIMENSIONS_MAX];
	uint64_t itemsize;
	uint64_t bytes; /* itemsize times all of shape */
	char kind, byteorder;
	bool owns_data;
};

pyr_error *pyr_ndarray_read(struct pyr_types *types, struct pyr_reader *reader, pyr_addr array,
			    struct pyr_ndarray *ret);

#endif
