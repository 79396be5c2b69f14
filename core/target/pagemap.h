/* What /proc/PID/pagemap says of the pages of a range. */
#ifndef PYR_TARGET_PAGEMAP_H
#define PYR_TARGET_PAGEMAP_H

#include "target/procfs.h"

/* Bits of @flags. */
#define PYR_PAGES_PRESENT 1u /* in memory */
#define PYR_PAGES_SWAPPED 2u /* in swap */
#define PYR_PAGES_FILE 4u    /* of a file or of shared memory */
#define PYR_PAGES_ZERO 8u    /* the page of zeros that stands for what was only read */

typedef pyr_error *pyr_pages_fn(void *ctx, pyr_addr start, pyr_addr end, unsigned flags);

/* Calls @fn for the pages of [start, end) that are in memory or in swap, upwards, in ranges
 * of equal flags that do not overlap. @files: also those that still belong to a mapped file.
 * Pages that the kernel only has a marker for, such as the guard pages of glibc 2.42's thread
 * stacks (MADV_GUARD_INSTALL), are in neither place. The process has a pagemap. */
pyr_error *pyr_pagemap_each(const struct pyr_process *process, pyr_addr start, pyr_addr end,
			    bool files, pyr_pages_fn *fn, void *ctx);

#endif
