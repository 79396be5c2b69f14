/* A process's address space: its mappings, what of them is resident, the bytes. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "target/pagemap.h"
#include "target/procfs.h"

void pyr_vma_list_deinit(struct pyr_vma_list *list)
{
	pyr_vec_deinit(&list->v);
	free(list->text);
	list->text = NULL;
}

/* The kernel writes a newline in a path as \012 and nothing else (fs/proc/task_mmu.c,
 * show_map_vma: seq_file_path(m, file, "\n")). */
static void unescape_path(char *path)
{
	char *out = path;

	while (*path) {
		if (!strncmp(path, "\\012", 4)) {
			*out++ = '\n';
			path += 4;
		} else {
			*out++ = *path++;
		}
	}
	*out = '\0';
}

static bool parse_vma(char *line, struct pyr_vma *ret)
{
	static const char suffix[] = " (deleted)";
	struct pyr_mapping *m = &ret->mapping;
	char perms[8];
	size_t length;
	int n = 0;

	memset(ret, 0, sizeof(*ret));
	if (sscanf(line, "%lx-%lx %7s %lx %x:%x %lu%n", &m->start, &m->end, perms, &m->file_offset,
		   &ret->major, &ret->minor, &ret->inode, &n) < 7 ||
	    strlen(perms) < 4 || m->end <= m->start)
		return false;
	m->read = perms[0] == 'r';
	m->write = perms[1] == 'w';
	m->exec = perms[2] == 'x';
	m->shared = perms[3] == 's';
	line += n;
	while (*line == ' ')
		line++;
	if (!*line)
		return true;
	unescape_path(line);
	length = strlen(line);
	if (ret->inode && length > sizeof(suffix) - 1 &&
	    !strcmp(line + length - (sizeof(suffix) - 1), suffix)) {
		m->deleted = true;
		line[length - (sizeof(suffix) - 1)] = '\0';
	}
	m->path = line;
	return true;
}

pyr_error *pyr_process_maps(const struct pyr_process *process, struct pyr_vma_list *ret)
{
	struct pyr_vma_list list = {.text = NULL};
	struct pyr_vma vma;
	char *line, *next;
	pyr_addr end = 0;
	pyr_error *err;
	size_t size;

	if ((err = pyr_process_file(process, "maps", &list.text, &size)))
		return err;
	for (line = list.text; *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		else
			next = line + strlen(line);
		if (!parse_vma(line, &vma) || vma.mapping.end <= end)
			continue;
		/* Mappings that grow while the file is read may come out overlapping. */
		if (vma.mapping.start < end) {
			vma.mapping.file_offset += vma.inode ? end - vma.mapping.start : 0;
			vma.mapping.start = end;
		}
		end = vma.mapping.end;
		if (!pyr_vec_push(&list.v, vma)) {
			pyr_vma_list_deinit(&list);
			return pyr_error_no_memory();
		}
	}
	if (!list.v.count) {
		pyr_vma_list_deinit(&list);
		return pyr_process_gone(process); /* the address space is torn down first */
	}
	*ret = list;
	return NULL;
}

struct resident {
	struct pyr_range_list *ranges;
	size_t first; /* what was there before is not joined to */
	uint64_t page_size, *swapped;
};

static pyr_error *add_resident(void *ctx, pyr_addr start, pyr_addr end, unsigned flags)
{
	struct resident *r = ctx;
	struct pyr_range *last =
		r->ranges->v.count > r->first ? &r->ranges->v.data[r->ranges->v.count - 1] : NULL;
	struct pyr_range fresh = {.start = start, .end = end};

	if (flags & PYR_PAGES_SWAPPED)
		*r->swapped += (end - start) / r->page_size;
	if (last && last->end == start) {
		last->end = end;
		return NULL;
	}
	return pyr_vec_push(&r->ranges->v, fresh) ? NULL : pyr_error_no_memory();
}

pyr_error *pyr_process_resident(const struct pyr_process *process, pyr_addr start, pyr_addr end,
				bool files, struct pyr_range_list *ranges, uint64_t *swapped)
{
	struct pyr_range whole = {.start = start, .end = end};
	struct resident r = {.ranges = ranges,
			     .first = ranges->v.count,
			     .page_size = process->page_size,
			     .swapped = swapped};

	if (process->pagemap < 0)
		return pyr_vec_push(&ranges->v, whole) ? NULL : pyr_error_no_memory();
	return pyr_pagemap_each(process, start, end, files, add_resident, &r);
}

/* /proc/PID/mem also reads pages that the process itself may not (PROT_NONE). */
static size_t read_mem(const struct pyr_process *process, pyr_addr addr, uint8_t *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(process->mem, buf + done, len - done, (off_t)(addr + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

size_t pyr_process_read(const struct pyr_process *process, const struct pyr_range *ranges,
			size_t count, void *buf)
{
	struct iovec local = {.iov_base = buf}, remote[IOV_MAX];
	size_t i, n = count < IOV_MAX ? count : IOV_MAX, done, part;
	ssize_t got;

	for (i = 0; i < n; i++) {
		remote[i].iov_base = (void *)(uintptr_t)ranges[i].start;
		remote[i].iov_len = ranges[i].end - ranges[i].start;
		local.iov_len += remote[i].iov_len;
	}
	got = process_vm_readv(process->pid, &local, 1, remote, n, 0);
	done = got > 0 ? (size_t)got : 0;
	if (done == local.iov_len && n == count)
		return done;
	if (got < 0 && errno == ESRCH)
		return 0;
	/* Go on behind what was read, by the slower way, range by range. */
	for (i = 0, part = done; i < count; i++) {
		size_t len = ranges[i].end - ranges[i].start;

		if (part >= len) {
			part -= len;
			continue;
		}
		done += got = (ssize_t)read_mem(process, ranges[i].start + part,
						(uint8_t *)buf + done, len - part);
		if ((size_t)got < len - part)
			break;
		part = 0;
	}
	return done;
}

pyr_error *pyr_process_read_at(const struct pyr_process *process, pyr_addr addr, void *buf,
			       size_t len)
{
	struct pyr_range range = {.start = addr, .end = addr + len};
	pyr_error *err;

	if (range.end < addr || pyr_process_read(process, &range, 1, buf) < len) {
		if ((err = pyr_process_check(process)))
			return err;
		return pyr_error_create_at(PYR_E_UNREADABLE, addr,
					   "process %d holds nothing at 0x%llx", (int)process->pid,
					   (unsigned long long)addr);
	}
	return NULL;
}
