/* What of a process is worth copying. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target/live_copy.h"

#define GIB (1024ull * 1024 * 1024)
/* A mapping up to this size gets one stretch of our address space; in larger
 * ones (reserved, hardly used) holes of a GiB separate stretches. */
#define WHOLE_MAX (64 * GIB)
#define HOLE_MIN GIB

enum kind {
	SKIP,
	ANONYMOUS,
	SPECIAL,   /* a few pages that the kernel made: vdso */
	FILE_HERE, /* only the process's own pages */
	FILE_GONE, /* the file's pages, too: the process is the only one who has them */
};

bool pyr_vma_file_here(const struct pyr_vma *vma, const char *root)
{
	struct stat st;
	char *path;
	bool here;

	if (!vma->mapping.path || vma->mapping.deleted ||
	    asprintf(&path, "%s%s", root ? root : "", vma->mapping.path) < 0)
		return false;
	/* Not the device: overlay and btrfs file systems show two different ones. */
	here = stat(path, &st) == 0 && st.st_ino == vma->inode;
	free(path);
	return here;
}

static bool starts(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static enum kind classify(const struct pyr_vma *vma, const char *root)
{
	const char *path = vma->mapping.path;

	/* What other processes see, too, holds no objects; neither does what the
	 * process itself may not read (guard pages, reserved address space). */
	if (vma->mapping.shared || !vma->mapping.read)
		return SKIP;
	if (!path)
		return ANONYMOUS;
	if (!vma->inode && *path == '[') {
		if (!strcmp(path, "[vdso]"))
			return SPECIAL;
		/* Clock pages and the legacy page: the kernel's, and not to be read. */
		if (starts(path, "[vvar") || !strcmp(path, "[vsyscall]") ||
		    !strcmp(path, "[uprobes]"))
			return SKIP;
		return ANONYMOUS;
	}
	if (starts(path, "anon_inode:") ||
	    (starts(path, "/dev/") && strcmp(path, "/dev/zero") && !starts(path, "/dev/shm/") &&
	     !starts(path, "/dev/hugepages")))
		return SKIP; /* a device's memory */
	return pyr_vma_file_here(vma, root) ? FILE_HERE : FILE_GONE;
}

static bool add_piece(struct pyr_copy_plan *plan, pyr_addr start, pyr_addr end, bool zeros,
		      size_t first, size_t count)
{
	struct pyr_traverse_plan_piece piece = {.start = start,
						.end = end,
						.zeros = zeros,
						.first_range = first,
						.range_count = count};

	return pyr_vec_push(&plan->pieces, piece);
}

/* The ranges from @first on lie in [start, end): make pieces of them. */
static bool add_pieces(struct pyr_copy_plan *plan, pyr_addr start, pyr_addr end, bool zeros,
		       size_t first)
{
	const struct pyr_range *r = plan->ranges.v.data;
	size_t count = plan->ranges.v.count, i, from = first;
	bool whole = zeros && end - start <= WHOLE_MAX;

	if (first == count)
		return !whole || end - start > HOLE_MIN ||
		       add_piece(plan, start, end, true, first, 0);
	if (whole)
		return add_piece(plan, start, end, true, first, count - first);
	for (i = first + 1; i <= count; i++) {
		if (i < count && r[i].start - r[i - 1].end < HOLE_MIN)
			continue;
		if (!add_piece(plan, r[from].start, r[i - 1].end, zeros, from, i - from))
			return false;
		from = i;
	}
	return true;
}

/* The first page of a mapped file holds the ELF header and the build-id: what
 * tells whether a file here is the same. */
static bool add_header(struct pyr_copy_plan *plan, const struct pyr_vma *vma, uint64_t page,
		       size_t first)
{
	struct pyr_range head = {.start = vma->mapping.start, .end = vma->mapping.start + page};
	struct pyr_range *r;
	size_t i;

	if (vma->mapping.file_offset)
		return true;
	if (first < plan->ranges.v.count && plan->ranges.v.data[first].start == head.start)
		return true;
	if (!pyr_vec_push(&plan->ranges.v, head))
		return false;
	r = plan->ranges.v.data;
	for (i = plan->ranges.v.count - 1; i > first; i--)
		r[i] = r[i - 1];
	r[first] = head;
	if (first + 1 < plan->ranges.v.count && r[first + 1].start == head.end) {
		r[first].end = r[first + 1].end;
		for (i = first + 1; i + 1 < plan->ranges.v.count; i++)
			r[i] = r[i + 1];
		plan->ranges.v.count--;
	}
	return true;
}

static pyr_error *plan_vma(const struct pyr_process *process, const struct pyr_vma *vma,
			   const char *root, bool code, struct pyr_copy_plan *plan)
{
	const struct pyr_mapping *m = &vma->mapping;
	enum kind kind = classify(vma, root);
	size_t first = plan->ranges.v.count, i;
	pyr_error *err;

	if (kind == SKIP || (!code && vma->inode && m->exec))
		return NULL;
	if ((err = pyr_process_resident(process, m->start, m->end,
					kind == SPECIAL || kind == FILE_GONE, &plan->ranges,
					&plan->swapped)))
		return err;
	if (vma->inode && !add_header(plan, vma, process->page_size, first))
		return pyr_error_no_memory();
	for (i = first; i < plan->ranges.v.count; i++)
		plan->bytes += plan->ranges.v.data[i].end - plan->ranges.v.data[i].start;
	return add_pieces(plan, m->start, m->end, kind == ANONYMOUS, first) ? NULL
									    : pyr_error_no_memory();
}

pyr_error *pyr_copy_plan_make(const struct pyr_process *process, const struct pyr_vma_list *vmas,
			      const char *root, bool code, struct pyr_copy_plan *ret)
{
	struct pyr_copy_plan plan = {.bytes = 0};
	pyr_error *err;
	size_t i;

	for (i = 0; i < vmas->v.count; i++) {
		if ((err = plan_vma(process, &vmas->v.data[i], root, code, &plan))) {
			pyr_copy_plan_deinit(&plan);
			return err;
		}
	}
	*ret = plan;
	return NULL;
}

void pyr_copy_plan_deinit(struct pyr_copy_plan *plan)
{
	pyr_vec_deinit(&plan->pieces);
	pyr_vec_deinit(&plan->ranges.v);
}
