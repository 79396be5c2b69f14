/* Memory for arrays of many megabytes: on huge pages where the kernel has them, so that
 * access in no order does not cost a walk of the page tables as well. Freed by free(). */
#ifndef PYR_BASE_LARGE_H
#define PYR_BASE_LARGE_H

#include <stddef.h>

#define PYR_HUGE_PAGE ((size_t)2 << 20)

/* @count elements of @size bytes with undefined contents; NULL: no memory. */
void *pyr_large_alloc(size_t count, size_t size);

#endif
