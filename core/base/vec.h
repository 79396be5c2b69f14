/* Growable arrays. PYR_VEC(T) declares the struct; pyr_vec_push() appends a
 * value and answers false when memory ran out (the vector is unchanged).
 * A zeroed vector is an empty one. */
#ifndef PYR_BASE_VEC_H
#define PYR_BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PYR_VEC(T)                                                                                 \
	struct {                                                                                   \
		T *data;                                                                           \
		size_t count, capacity;                                                            \
	}

/* Make room for @n more elements of @size bytes behind *@data. */
bool pyr_vec_grow(void **data, size_t count, size_t *capacity, size_t n, size_t size);

#define pyr_vec_reserve(v, n)                                                                      \
	((v)->capacity - (v)->count >= (size_t)(n) ||                                              \
	 pyr_vec_grow((void **)&(v)->data, (v)->count, &(v)->capacity, (n), sizeof(*(v)->data)))
#define pyr_vec_push(v, ...)                                                                       \
	(pyr_vec_reserve(v, 1) ? ((v)->data[(v)->count++] = (__VA_ARGS__), true) : false)
#define pyr_vec_deinit(v) (free((v)->data), (v)->data = NULL, (v)->count = (v)->capacity = 0)

/* Arrays whose places are given by others, as by the numbers of types: make room for place
 * @index of @size bytes in *@data, which has *@count; what is new is zero. */
bool pyr_array_reach(void **data, uint32_t *count, uint32_t index, size_t size);

#endif
