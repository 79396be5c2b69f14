#include "target/residency.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "target/pagemap.h"

#define REGIONS 4096u
#define ENTRIES 65536u

static pyr_error *add(struct pyr_residency *r, pyr_addr start, pyr_addr end,
		      enum pyr_page_kind kind)
{
	struct pyr_resident *last = r->ranges.count ? &r->ranges.data[r->ranges.count - 1] : NULL;
	struct pyr_resident fresh = {.start = start, .end = end, .kind = kind};

	/* A scan may answer a region twice; see procfs_memory.c, add_pages(). */
	if (last && start < last->end)
		fresh.start = last->end;
	if (fresh.start >= fresh.end)
		return NULL;
	if (last && last->end == fresh.start && last->kind == kind) {
		last->end = end;
		return NULL;
	}
	return pyr_vec_push(&r->ranges, fresh) ? NULL : pyr_error_no_memory();
}

/* The page of zeros that stands for what was only read counts nowhere. */
static pyr_error *scan(const struct pyr_process *process, pyr_addr start, pyr_addr end,
		       struct pyr_scan_region *regions, struct pyr_residency *r, bool *scanned)
{
	struct pyr_scan_arg arg = {
		.size = sizeof(arg), .start = start, .end = end, .vec_len = REGIONS};
	pyr_error *err;
	long n, i;

	arg.vec = (uintptr_t)regions;
	arg.category_anyof_mask = PYR_SCAN_PRESENT | PYR_SCAN_SWAPPED;
	arg.return_mask = PYR_SCAN_FILE | PYR_SCAN_PRESENT | PYR_SCAN_SWAPPED | PYR_SCAN_ZERO;
	while (arg.start < end) {
		n = ioctl(process->pagemap, PYR_SCAN_IOCTL, &arg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*scanned = errno != ENOTTY && errno != EINVAL;
			return NULL;
		}
		for (i = 0; i < n; i++) {
			uint64_t c = regions[i].categories;

			if (c & PYR_SCAN_ZERO)
				continue;
			if ((err = add(r, regions[i].start, regions[i].end,
				       c & PYR_SCAN_SWAPPED ? PYR_PAGE_SWAPPED
				       : c & PYR_SCAN_FILE  ? PYR_PAGE_FILE
							    : PYR_PAGE_OWN)))
				return err;
		}
		if (arg.walk_end <= arg.start)
			break;
		arg.start = arg.walk_end;
	}
	return NULL;
}

static pyr_error *read_entries(const struct pyr_process *process, pyr_addr start, pyr_addr end,
			       uint64_t *entries, struct pyr_residency *r)
{
	uint64_t page = process->page_size, want;
	pyr_error *err;
	ssize_t n, i;

	while (start < end) {
		want = (end - start) / page < ENTRIES ? (end - start) / page : ENTRIES;
		n = pread(process->pagemap, entries, want * sizeof(*entries),
			  (off_t)(start / page * sizeof(*entries)));
		if (n < (ssize_t)sizeof(*entries))
			return NULL;
		n /= (ssize_t)sizeof(*entries);
		for (i = 0; i < n; i++, start += page) {
			if (!(entries[i] & (PYR_PAGEMAP_PRESENT | PYR_PAGEMAP_SWAPPED)))
				continue;
			if ((err = add(r, start, start + page,
				       entries[i] & PYR_PAGEMAP_SWAPPED ? PYR_PAGE_SWAPPED
				       : entries[i] & PYR_PAGEMAP_FILE  ? PYR_PAGE_FILE
									: PYR_PAGE_OWN)))
				return err;
		}
	}
	return NULL;
}

/* The kernel's clock pages have no struct page and count nowhere (fs/proc/task_mmu.c,
 * vm_normal_page()); vsyscall is no part of the process. */
static bool counts(const struct pyr_vma *vma)
{
	const char *path = vma->mapping.path;

	return !path || (strncmp(path, "[vvar", 5) && strcmp(path, "[vsyscall]"));
}

static bool kilobytes(const char *text, const char *key, uint64_t *ret)
{
	const char *at = strstr(text, key);
	unsigned long long n;

	if (!at || sscanf(at + strlen(key), " %llu", &n) != 1)
		return false;
	*ret = (uint64_t)n * 1024;
	return true;
}

static void read_rollup(const struct pyr_process *process, struct pyr_residency *r)
{
	pyr_error *err;
	char *text;
	size_t size;

	err = pyr_process_file(process, "smaps_rollup", &text, &size);
	if (err) { /* no such file before Linux 4.14, or no permission */
		pyr_error_destroy(err);
		return;
	}
	r->has_rollup = kilobytes(text, "\nRss:", &r->rss);
	kilobytes(text, "\nPss:", &r->pss);
	kilobytes(text, "\nAnonymous:", &r->anonymous);
	kilobytes(text, "\nSwap:", &r->swap);
	kilobytes(text, "\nLazyFree:", &r->lazy_free);
	kilobytes(text, "\nAnonHugePages:", &r->huge);
	free(text);
}

pyr_error *pyr_residency_read(const struct pyr_process *process, const struct pyr_vma_list *vmas,
			      struct pyr_residency *ret)
{
	struct pyr_residency r = {.known = process->pagemap >= 0};
	struct pyr_scan_region *regions = malloc(REGIONS * sizeof(*regions));
	uint64_t *entries = malloc(ENTRIES * sizeof(*entries));
	bool scanned = !process->no_scan;
	pyr_error *err = regions && entries ? NULL : pyr_error_no_memory();
	size_t i;

	if (!err)
		read_rollup(process, &r);
	for (i = 0; r.known && !err && i < vmas->v.count; i++) {
		const struct pyr_vma *vma = &vmas->v.data[i];

		if (!counts(vma))
			continue;
		if (scanned)
			err = scan(process, vma->mapping.start, vma->mapping.end, regions, &r,
				   &scanned);
		if (!err && !scanned)
			err = read_entries(process, vma->mapping.start, vma->mapping.end, entries,
					   &r);
	}
	free(regions);
	free(entries);
	if (err)
		pyr_residency_deinit(&r);
	else
		*ret = r;
	return err;
}

void pyr_residency_deinit(struct pyr_residency *residency)
{
	pyr_vec_deinit(&residency->ranges);
}
