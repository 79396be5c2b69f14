#include "base/vec.h"

#include <stdint.h>

bool pyr_vec_grow(void **data, size_t count, size_t *capacity, size_t n, size_t size)
{
	size_t wanted = *capacity ? *capacity : 8;
	void *grown;

	if (n > SIZE_MAX / 4 / size || count > SIZE_MAX / 4 / size)
		return false;
	while (wanted < count + n)
		wanted *= 2;
	grown = realloc(*data, wanted * size);
	if (!grown)
		return false;
	*data = grown;
	*capacity = wanted;
	return true;
}
