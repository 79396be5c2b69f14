#define _GNU_SOURCE
#include "base/large.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Below this the rounding to whole huge pages would cost more than it gives. */
#define LARGE (16 * PYR_HUGE_PAGE)

void *pyr_large_alloc(size_t count, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	if (bytes < LARGE)
		return malloc(bytes ? bytes : 1);
	p = aligned_alloc(PYR_HUGE_PAGE, (bytes + PYR_HUGE_PAGE - 1) & ~(PYR_HUGE_PAGE - 1));
	/* The last, partial huge page stays of small ones: no memory beyond the array. */
	if (p)
		(void)madvise(p, bytes & ~(PYR_HUGE_PAGE - 1), MADV_HUGEPAGE);
	return p;
}
