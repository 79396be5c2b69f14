#include "target/residency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/pagemap.h"

static pyr_error *add(void *ctx, pyr_addr start, pyr_addr end, unsigned flags)
{
	struct pyr_residency *r = ctx;
	struct pyr_resident *last = r->ranges.count ? &r->ranges.data[r->ranges.count - 1] : NULL;
	struct pyr_resident fresh = {.start = start,
				     .end = end,
				     .kind = flags & PYR_PAGES_SWAPPED ? PYR_PAGE_SWAPPED
					     : flags & PYR_PAGES_FILE  ? PYR_PAGE_FILE
								       : PYR_PAGE_OWN};

	if (flags & PYR_PAGES_ZERO) /* counts nowhere */
		return NULL;
	if (last && last->end == start && last->kind == fresh.kind) {
		last->end = end;
		return NULL;
	}
	return pyr_vec_push(&r->ranges, fresh) ? NULL : pyr_error_no_memory();
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
	pyr_error *err = NULL;
	size_t i;

	read_rollup(process, &r);
	for (i = 0; r.known && !err && i < vmas->v.count; i++) {
		const struct pyr_vma *vma = &vmas->v.data[i];

		if (!counts(vma))
			continue;
		err = pyr_pagemap_each(process, vma->mapping.start, vma->mapping.end, true, add,
				       &r);
	}
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
