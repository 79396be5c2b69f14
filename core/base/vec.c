#include "base/vec.h"

#include <string.h>

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

bool pyr_array_reach(void **data, uint32_t *count, uint32_t index, size_t size)
{
	size_t wanted = *count ? *count : 256;
	char *grown;

	if (index < *count)
		return true;
	while (wanted <= index)
		wanted *= 2;
	if (wanted > UINT32_MAX || !(grown = realloc(*data, wanted * size)))
		return false;
	memset(grown + *count * size, 0, (wanted - *count) * size);
	*data = grown;
	*count = (uint32_t)wanted;
	return true;
}
