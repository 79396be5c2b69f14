/* What /proc/PID/pagemap says: entries, and the ioctl that scans them. */
#ifndef PYR_TARGET_PAGEMAP_H
#define PYR_TARGET_PAGEMAP_H

#include <stdint.h>
#include <sys/ioctl.h>

/* Documentation/admin-guide/mm/pagemap.rst */
#define PYR_PAGEMAP_PRESENT (1ull << 63)
#define PYR_PAGEMAP_SWAPPED (1ull << 62)
#define PYR_PAGEMAP_FILE (1ull << 61)

/* include/uapi/linux/fs.h since Linux 6.7; not in every header that is about. */
struct pyr_scan_region {
	uint64_t start, end, categories;
};
struct pyr_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PYR_SCAN_IOCTL _IOWR('f', 16, struct pyr_scan_arg)
#define PYR_SCAN_FILE (1ull << 2)
#define PYR_SCAN_PRESENT (1ull << 3)
#define PYR_SCAN_SWAPPED (1ull << 4)
#define PYR_SCAN_ZERO (1ull << 5) /* the page of zeros */

#endif
