#include "target/pagemap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Documentation/admin-guide/mm/pagemap.rst */
#define ENTRY_PRESENT (1ull << 63)
#define ENTRY_SWAPPED (1ull << 62)
#define ENTRY_FILE (1ull << 61)
#define ENTRY_GUARD (1ull << 58) /* since Linux 6.15 */
/* The type of swap that a swapped page's entry names, shown to the privileged. The last type
 * is no swap but a marker (include/linux/swap.h, SWP_PTE_MARKER): what tells a guard page on
 * Linux 6.13 and 6.14. */
#define ENTRY_SWAP_TYPE(e) ((e)&31)
#define SWAP_TYPE_MARKER 31u

/* include/uapi/linux/fs.h since Linux 6.7; not in every header that is about. */
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE (1ull << 2)
#define SCAN_PRESENT (1ull << 3)
#define SCAN_SWAPPED (1ull << 4)
#define SCAN_ZERO (1ull << 5)

#define REGIONS 4096u
#define ENTRIES 65536u

struct scan {
	const struct pyr_process *process;
	bool files;
	pyr_pages_fn *fn;
	void *ctx;
	pyr_addr told;     /* what lies below was told */
	uint64_t *entries; /* NULL until some are read: with a scan, most often none */
	struct scan_region *regions;
};

/* What is told of a page; 0: nothing. */
static unsigned flags_of(uint64_t entry, bool files)
{
	unsigned file = entry & ENTRY_FILE ? PYR_PAGES_FILE : 0;

	if (file && !files)
		return 0;
	if (entry & ENTRY_PRESENT)
		return PYR_PAGES_PRESENT | file;
	if (!(entry & ENTRY_SWAPPED) || entry & ENTRY_GUARD ||
	    ENTRY_SWAP_TYPE(entry) == SWAP_TYPE_MARKER)
		return 0;
	return PYR_PAGES_SWAPPED | file;
}

/* A scan's walk_end may lie before the last region that it found (seen on Linux 6.18): then
 * the next one finds some again. */
static pyr_error *tell(struct scan *s, pyr_addr start, pyr_addr end, unsigned flags)
{
	if (start < s->told)
		start = s->told;
	if (start >= end)
		return NULL;
	s->told = end;
	return s->fn(s->ctx, start, end, flags);
}

static pyr_error *read_entries(struct scan *s, pyr_addr start, pyr_addr end)
{
	uint64_t page = s->process->page_size, want;
	unsigned flags, run_flags;
	pyr_error *err;
	ssize_t n, i, run;

	if (!s->entries && !(s->entries = malloc(ENTRIES * sizeof(*s->entries))))
		return pyr_error_no_memory();
	while (start < end) {
		want = (end - start) / page < ENTRIES ? (end - start) / page : ENTRIES;
		n = pread(s->process->pagemap, s->entries, want * sizeof(*s->entries),
			  (off_t)(start / page * sizeof(*s->entries)));
		if (n < (ssize_t)sizeof(*s->entries))
			return NULL; /* an exited process has no pages */
		n /= (ssize_t)sizeof(*s->entries);
		for (i = run = 0, run_flags = 0; i <= n; i++) {
			flags = i < n ? flags_of(s->entries[i], s->files) : 0;
			if (flags == run_flags && i < n)
				continue;
			if (run_flags && (err = tell(s, start + (uint64_t)run * page,
						     start + (uint64_t)i * page, run_flags)))
				return err;
			run = i;
			run_flags = flags;
		}
		start += (uint64_t)n * page;
	}
	return NULL;
}

/* By ioctl, which skips what has no page tables: an address space may reserve
 * terabytes. *scanned is false when this kernel has no such thing. */
static pyr_error *scan(struct scan *s, pyr_addr start, pyr_addr end, bool *scanned)
{
	struct scan_arg arg = {.size = sizeof(arg), .start = start, .end = end, .vec_len = REGIONS};
	pyr_error *err;
	long n, i;

	arg.vec = (uintptr_t)s->regions;
	arg.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED;
	arg.category_inverted = arg.category_mask = s->files ? 0 : SCAN_FILE;
	arg.return_mask = SCAN_FILE | SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO;
	while (arg.start < end) {
		n = ioctl(s->process->pagemap, SCAN_IOCTL, &arg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			/* An exited process has no pages; nor has what the kernel hides. */
			*scanned = errno != ENOTTY && errno != EINVAL;
			return NULL;
		}
		for (i = 0; i < n; i++) {
			const struct scan_region *r = &s->regions[i];

			/* Whether it is swapped or a marker only the entries tell on every kernel:
			 * a scan has a category for guard pages since 6.17, and refuses
			 * categories that it does not know. */
			err = r->categories & SCAN_SWAPPED
				      ? read_entries(s, r->start, r->end)
				      : tell(s, r->start, r->end,
					     PYR_PAGES_PRESENT |
						     (r->categories & SCAN_FILE ? PYR_PAGES_FILE
										: 0) |
						     (r->categories & SCAN_ZERO ? PYR_PAGES_ZERO
										: 0));
			if (err)
				return err;
		}
		if (arg.walk_end <= arg.start)
			break;
		arg.start = arg.walk_end;
	}
	return NULL;
}

pyr_error *pyr_pagemap_each(const struct pyr_process *process, pyr_addr start, pyr_addr end,
			    bool files, pyr_pages_fn *fn, void *ctx)
{
	struct scan s = {.process = process, .files = files, .fn = fn, .ctx = ctx};
	bool scanned = !process->no_scan;
	pyr_error *err = NULL;

	if (scanned) {
		s.regions = malloc(REGIONS * sizeof(*s.regions));
		err = s.regions ? scan(&s, start, end, &scanned) : pyr_error_no_memory();
	}
	if (!err && !scanned)
		err = read_entries(&s, start, end);
	free(s.entries);
	free(s.regions);
	return err;
}
