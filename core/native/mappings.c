#include "native/mappings.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

static bool starts(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* A core names no mappings but those of files: the auxiliary vector and the stack
 * pointers tell the others. */
static bool holds_auxv(const struct pyr_target *target, const struct pyr_mapping *m, uint64_t type)
{
	uint64_t at;

	return pyr_target_auxv(target, type, &at) && at >= m->start && at < m->end;
}

enum pyr_mapping_kind pyr_mapping_kind(const struct pyr_target *target, const struct pyr_mapping *m)
{
	const char *path = m->path;

	if (path && (starts(path, "[vdso]") || starts(path, "[vvar") ||
		     starts(path, "[vsyscall]") || starts(path, "[uprobes]")))
		return PYR_MAPPING_KERNEL;
	if (holds_auxv(target, m, AT_SYSINFO_EHDR) || m->start == UINT64_C(0xffffffffff600000))
		return PYR_MAPPING_KERNEL;
	/* mm/shmem.c, ipc/shm.c, mm/memfd.c name what has no file of its own. */
	if (path && (starts(path, "/dev/shm/") || starts(path, "/SYSV") ||
		     starts(path, "/memfd:") || !strcmp(path, "/dev/zero")))
		return PYR_MAPPING_SHARED;
	if (path && (starts(path, "/dev/") || starts(path, "anon_inode:")))
		return PYR_MAPPING_DEVICE;
	if (path && *path != '[')
		return PYR_MAPPING_FILE;
	if (m->shared)
		return PYR_MAPPING_SHARED;
	if ((path && !strcmp(path, "[stack]")) || holds_auxv(target, m, AT_RANDOM))
		return PYR_MAPPING_STACK;
	return PYR_MAPPING_ANONYMOUS;
}

static int by_start(const void *x, const void *y)
{
	const struct pyr_area *a = x, *b = y;

	return a->start < b->start ? -1 : a->start > b->start;
}

#define PTHREAD_BYTES 0xa00u /* struct pthread, in any glibc, and some more */

/* nptl/descr.h: stackblock and stackblock_size follow each other in struct pthread,
 * which lies at the stack's upper end. They name a stretch of whole pages that holds
 * the structure itself. */
static bool stack_block(struct pyr_target *target, struct pyr_reader *r, pyr_addr pthread,
			pyr_addr *start, pyr_addr *end)
{
	uint64_t page = target->page_size, block, size;
	pyr_addr at;

	for (at = pthread; at < pthread + PTHREAD_BYTES; at += 8) {
		if (!pyr_try_u64(r, at, &block) || !pyr_try_u64(r, at + 8, &size))
			return false;
		if (!block || block % page || size % page || block >= pthread ||
		    size > UINT64_C(1) << 40 || block + size <= pthread ||
		    block + size > pthread + PTHREAD_BYTES + 2 * page)
			continue;
		*start = block;
		*end = block + size;
		return true;
	}
	return false;
}

/* On aarch64 the structure lies before the thread pointer (TLS_DTV_AT_TP). */
static pyr_addr pthread_of(const struct pyr_target *target, pyr_addr tls)
{
	return target->machine == PYR_MACHINE_AARCH64 ? tls - PTHREAD_BYTES : tls;
}

static pyr_error *add_stack(struct pyr_target *target, struct pyr_reader *r, size_t index,
			    struct pyr_area_list *list)
{
	const struct pyr_thread *t = &target->threads.data[index];
	const struct pyr_mapping *m = pyr_target_mapping_at(target, t->sp);
	struct pyr_area area = {.kind = PYR_AREA_STACK, .index = index};
	pyr_addr start, end, page = target->page_size;

	if (!m || pyr_mapping_kind(target, m) != PYR_MAPPING_ANONYMOUS)
		return NULL;
	area.start = m->start;
	area.end = m->end;
	if (t->tls && stack_block(target, r, pthread_of(target, t->tls), &start, &end) &&
	    t->sp >= start && t->sp < end) {
		area.start = start > m->start ? start : m->start;
		area.end = end < m->end ? end : m->end;
	} else if (t->tls > t->sp && t->tls < m->end) {
		area.end = (t->tls + page) & ~(page - 1);
	}
	return pyr_vec_push(&list->v, area) ? NULL : pyr_error_no_memory();
}

/* The dynamic linker maps the first thread's block by itself (init_tls(), elf/rtld.c);
 * a mapping that small holds little else. */
#define TLS_MAPPING_MAX (UINT64_C(128) << 10)

static pyr_error *add_tls(struct pyr_target *target, size_t index, struct pyr_area_list *list)
{
	pyr_addr tls = target->threads.data[index].tls, page = target->page_size;
	const struct pyr_mapping *m = pyr_target_mapping_at(target, tls);
	struct pyr_area area = {.kind = PYR_AREA_TLS, .index = index};

	if (!m || pyr_mapping_kind(target, m) != PYR_MAPPING_ANONYMOUS)
		return NULL;
	area.start = m->start;
	area.end = m->end;
	if (m->end - m->start > TLS_MAPPING_MAX) {
		area.start = (tls & ~(page - 1)) - page;
		area.end = (tls & ~(page - 1)) + page;
		if (area.start < m->start)
			area.start = m->start;
		if (area.end > m->end)
			area.end = m->end;
	}
	return pyr_vec_push(&list->v, area) ? NULL : pyr_error_no_memory();
}

/* Sorted, the earlier of two that overlap wins. */
static void tidy(struct pyr_area_list *list)
{
	size_t i, kept = 0;
	pyr_addr end = 0;

	if (list->v.count)
		qsort(list->v.data, list->v.count, sizeof(*list->v.data), by_start);
	for (i = 0; i < list->v.count; i++) {
		struct pyr_area area = list->v.data[i];

		if (area.start < end)
			area.start = end;
		if (area.start >= area.end)
			continue;
		end = area.end;
		list->v.data[kept++] = area;
	}
	list->v.count = kept;
}

pyr_error *pyr_areas_find(struct pyr_target *target, struct pyr_reader *reader,
			  struct pyr_area_list *ret)
{
	struct pyr_area_list list = {.v = {NULL, 0, 0}};
	pyr_addr ranges[8][2], page = target->page_size;
	pyr_error *err = NULL;
	size_t i, k, n;

	for (i = 0; i < target->image_count && !err; i++) {
		n = pyr_image_writable(target, &target->images[i], ranges, 8);
		for (k = 0; k < n && k < 8 && !err; k++) {
			struct pyr_area area = {.start = ranges[k][0] & ~(page - 1),
						.end = (ranges[k][1] + page - 1) & ~(page - 1),
						.kind = PYR_AREA_STATIC,
						.index = i};

			if (!pyr_vec_push(&list.v, area))
				err = pyr_error_no_memory();
		}
	}
	for (i = 0; i < target->threads.count && !err; i++)
		err = add_stack(target, reader, i, &list);
	for (i = 0; i < target->threads.count && !err; i++)
		if (target->threads.data[i].tls)
			err = add_tls(target, i, &list);
	if (err) {
		pyr_areas_deinit(&list);
		return err;
	}
	tidy(&list);
	*ret = list;
	return NULL;
}

/* struct pthread begins with tcbhead_t, whose tcb and self are its own address
 * (sysdeps/x86_64/nptl/tls.h). */
pyr_error *pyr_areas_ended_stacks(struct pyr_target *target, struct pyr_reader *r, pyr_addr start,
				  pyr_addr end, struct pyr_area_list *list)
{
	struct pyr_area area = {.kind = PYR_AREA_ENDED_STACK};
	pyr_addr at = (start + 63) & ~UINT64_C(63), from, to;
	const uint8_t *run;
	uint64_t tcb, self;
	size_t n, i;

	if (target->machine != PYR_MACHINE_X86_64)
		return NULL;
	/* Through a debugger every page costs: where a stack would end, its structure lies. */
	if (!pyr_target_concurrent(target) && end - start > 2 * target->page_size)
		at = end - 2 * target->page_size;
	while (at + 64 <= end) {
		n = pyr_peek_run(r, at, end - at, &run);
		if (n < 64) {
			at = (pyr_peek_next(r, at, end) + 63) & ~UINT64_C(63);
			continue;
		}
		for (i = 0; i + 64 <= n; i += 64) {
			memcpy(&tcb, run + i, 8);
			if (tcb != at + i)
				continue;
			memcpy(&self, run + i + 16, 8);
			if (self != tcb || !stack_block(target, r, tcb, &from, &to))
				continue;
			area.start = from < start ? start : from;
			area.end = to > end ? end : to;
			if (list->v.count && list->v.data[list->v.count - 1].end > area.start)
				area.start = list->v.data[list->v.count - 1].end;
			if (area.start < area.end && !pyr_vec_push(&list->v, area))
				return pyr_error_no_memory();
		}
		at += i ? i : 64;
	}
	return NULL;
}

void pyr_areas_deinit(struct pyr_area_list *list)
{
	pyr_vec_deinit(&list->v);
}

/* --- guesses --- */

static bool is_float(uint64_t word)
{
	unsigned exponent = word >> 52 & 0x7ff;

	return word == 0 || (exponent > 0x3ff - 100 && exponent < 0x3ff + 100);
}

static bool is_float32(uint32_t word)
{
	unsigned exponent = word >> 23 & 0xff;

	return word == 0 || (exponent > 0x7f - 40 && exponent < 0x7f + 40);
}

#define SAMPLE 512u

const char *pyr_bytes_look_like(struct pyr_target *target, struct pyr_reader *r, pyr_addr start,
				pyr_addr end)
{
	unsigned floats = 0, floats32 = 0, small = 0, text = 0, pointers = 0, zeros = 0, i;
	unsigned words = SAMPLE / 8;
	const uint8_t *p = pyr_peek(r, start, SAMPLE);
	uint64_t word;
	uint32_t half[2];

	if (end - start < SAMPLE || !p)
		return "";
	if (!memcmp(p, "\177ELF", 4))
		return "an ELF file";
	for (i = 0; i < SAMPLE; i++)
		text += (p[i] >= 32 && p[i] < 127) || p[i] == '\n' || p[i] == '\t';
	for (i = 0; i < words; i++) {
		memcpy(&word, p + 8 * i, 8);
		memcpy(half, p + 8 * i, 8);
		zeros += word == 0;
		floats += is_float(word);
		floats32 += is_float32(half[0]) && is_float32(half[1]);
		small += word < UINT64_C(1) << 32;
		pointers += word > 0x10000 && pyr_target_mapping_at(target, word) != NULL;
	}
	if (zeros == words) {
		p = pyr_peek(r, start + (end - start) / 2 / 64 * 64, 64);
		for (i = 0; p && i < 64 && !p[i]; i++)
			;
		return !p ? "" : i == 64 ? "zeros" : "zeros at first";
	}
	if (text > SAMPLE / 10 * 9)
		return "text";
	if (pointers > words / 4)
		return "pointers";
	if (small == words)
		return "small integers (int64)";
	if (floats == words && zeros < words / 2)
		return "numbers (float64)";
	if (floats32 == words && zeros < words / 2)
		return "numbers (float32)";
	return "";
}
