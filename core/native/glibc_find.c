/* Finding main_arena, the ring of arenas, mp_, and the heaps. */
#include <stdlib.h>
#include <string.h>

#include "native/glibc_internal.h"

/* As many arenas as a process can have threads, about. */
#define ARENAS_MAX 100000u

static bool is_libc(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	return !strncmp(name, "libc.so.6", 9) || !strncmp(name, "libc-2.", 7);
}

/* Follow `next` from @first; true when the ring closes. */
static bool ring_closes(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr first, uint64_t bins)
{
	pyr_addr arena = first, top;
	uint64_t size;

	g->arenas.count = 0;
	do {
		struct pyr_glibc_arena a = {.address = arena};

		if (g->arenas.count == ARENAS_MAX || !pyr_try_u64(r, arena + bins - 16, &top) ||
		    top % 16 || !glibc_chunk_size(r, top, &size))
			return false;
		a.top = top;
		a.top_size = size & GLIBC_SIZE_MASK;
		if (!pyr_vec_push(&g->arenas, a) || !pyr_try_u64(r, arena + bins + 2048, &arena) ||
		    !arena || arena % 8)
			return false;
	} while (arena != first);
	return true;
}

/* @head is an empty bin; which one is not known, nor the version. */
static bool try_arena(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr head)
{
	static const enum pyr_glibc_layout layouts[] = {PYR_GLIBC_2_27, PYR_GLIBC_2_43,
							PYR_GLIBC_2_23};
	uint32_t mutex;
	unsigned k;
	size_t i;

	for (k = 0; k < GLIBC_BINS; k++) {
		/* The head of bin k + 1 is 16 bytes before bins[2k]. */
		pyr_addr bins = head - 16 * k;

		for (i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
			uint64_t at = glibc_bins_at(layouts[i]);

			/* The mutex, a futex word, is 0, 1 or 2. */
			if (!pyr_try_u32(r, bins - at, &mutex) || mutex > 2 ||
			    !ring_closes(r, g, bins - at, at))
				continue;
			g->layout = layouts[i];
			return true;
		}
	}
	return false;
}

static bool scan(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr from, pyr_addr to)
{
	const uint8_t *run;
	pyr_addr at = (from + 7) & ~UINT64_C(7);
	uint64_t a, b;
	size_t n, i;

	while (at + 16 <= to) {
		n = pyr_peek_run(r, at, to - at, &run) / 8;
		if (n < 2) {
			at = pyr_peek_next(r, at, to);
			continue;
		}
		for (i = 0; i + 1 < n; i++) {
			memcpy(&a, run + i * 8, 8);
			if (a != at + i * 8 - 16)
				continue;
			memcpy(&b, run + i * 8 + 8, 8);
			if (a == b && try_arena(r, g, at + i * 8))
				return true;
		}
		at += (n - 1) * 8;
	}
	g->arenas.count = 0;
	return false;
}

bool pyr_glibc_find_arenas(struct pyr_target *target, struct pyr_reader *reader,
			   struct pyr_glibc *g)
{
	pyr_addr ranges[8][2];
	size_t i, k, n;

	for (i = 0; i < target->image_count; i++) {
		const struct pyr_image *image = &target->images[i];

		if (!image->path || !is_libc(image->path))
			continue;
		n = pyr_image_writable(target, image, ranges, 8);
		for (k = 0; k < n && k < 8; k++)
			if (scan(reader, g, ranges[k][0], ranges[k][1]))
				return true;
	}
	return false;
}

/* mp_ lies in libc's .data; sbrk_base in it is where the brk heap starts, and
 * mmapped_mem and n_mmaps lie at fixed distances before it (struct malloc_par). */
static bool parameters_at(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr sbrk_base_at)
{
	/* n_mmaps, no_dyn_threshold, mmap_threshold: bytes before sbrk_base. */
	static const struct {
		uint64_t n_mmaps, no_dyn, threshold;
	} shapes[] = {{36, 24, 80}, {36, 24, 88}, {32, 20, 56}};
	uint64_t memory, threshold;
	uint32_t count, no_dyn;
	size_t i;

	if (!pyr_try_u64(r, sbrk_base_at - 16, &memory) || memory % 4096 || memory >> 46)
		return false;
	for (i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		if (!pyr_try_u32(r, sbrk_base_at - shapes[i].n_mmaps, &count) ||
		    !pyr_try_u32(r, sbrk_base_at - shapes[i].no_dyn, &no_dyn) ||
		    !pyr_try_u64(r, sbrk_base_at - shapes[i].threshold, &threshold))
			return false;
		/* Between 128 KiB, the smallest default, and what a person may set. */
		if (count > 1u << 20 || no_dyn > 1 || threshold < 4096 || threshold >> 40 ||
		    (count != 0) != (memory != 0))
			continue;
		g->mmapped_chunks = count;
		g->mmapped_bytes = memory;
		g->mmap_threshold = threshold;
		g->dynamic_threshold = !no_dyn;
		g->has_parameters = true;
		return true;
	}
	return false;
}

/* @strict: the brk heap begins at most a page after its mapping; else anywhere in it,
 * as where it follows a program's .bss. */
static bool find_parameters(struct pyr_reader *reader, struct pyr_glibc *g,
			    const struct pyr_mapping *heap, const pyr_addr range[2], bool strict)
{
	pyr_addr at, limit = strict ? heap->start + 4096 : g->arenas.data[0].top;
	uint64_t word, size;

	for (at = (range[0] + 7) & ~UINT64_C(7); at + 8 <= range[1]; at += 8) {
		if (!pyr_try_u64(reader, at, &word) || word < heap->start || word >= limit ||
		    word % 8 || at < range[0] + 96)
			continue;
		if (!strict && (word % 16 || !glibc_chunk_size(reader, word, &size) ||
				!(size & GLIBC_PREV_INUSE)))
			continue;
		if (parameters_at(reader, g, at)) {
			g->sbrk_base = word;
			return true;
		}
	}
	return false;
}

void pyr_glibc_find_parameters(struct pyr_target *target, struct pyr_reader *reader,
			       struct pyr_glibc *g)
{
	const struct pyr_image *image = pyr_target_image_at(target, g->arenas.data[0].address);
	const struct pyr_mapping *heap = pyr_target_mapping_at(target, g->arenas.data[0].top);
	pyr_addr ranges[8][2];
	size_t k, n, pass;

	if (!image || !heap)
		return;
	n = pyr_image_writable(target, image, ranges, 8);
	for (pass = 0; pass < 2; pass++)
		for (k = 0; k < n && k < 8; k++)
			if (find_parameters(reader, g, heap, ranges[k], pass == 0))
				return;
}

static bool add_region(struct pyr_glibc *g, const struct pyr_glibc_region *region)
{
	return region->start >= region->stops || pyr_vec_push(&g->regions, *region);
}

/* HEAP_MAX_SIZE: 64 MiB, or four huge pages (2.35+, glibc.malloc.hugetlb=2). */
static const uint64_t heap_sizes[] = {UINT64_C(64) << 20, UINT64_C(8) << 20, UINT64_C(4) << 30};

static uint64_t heap_max_of(struct pyr_reader *r, const struct pyr_glibc_arena *a)
{
	uint64_t arena, size;
	pyr_addr heap;
	size_t i;

	for (i = 0; i < sizeof(heap_sizes) / sizeof(*heap_sizes); i++) {
		heap = a->top & ~(heap_sizes[i] - 1);
		if (heap && pyr_try_u64(r, heap, &arena) && arena == a->address &&
		    pyr_try_u64(r, heap + 16, &size) && size <= heap_sizes[i])
			return heap_sizes[i];
	}
	return 0;
}

/* The heaps of a thread's arena: heap_info at multiples of HEAP_MAX_SIZE, the
 * newest holds top, `prev` leads to the first, which holds the arena itself. */
static bool add_heaps(struct pyr_reader *r, struct pyr_glibc *g, size_t index)
{
	struct pyr_glibc_arena *a = &g->arenas.data[index];
	uint64_t heap_max = heap_max_of(r, a), info, size;
	pyr_addr heap = a->top & ~(heap_max - 1), arena, prev;

	if (!heap_max) {
		g->damaged++;
		return true;
	}
	/* heap_info is 32 bytes until 2.34, 48 since; the arena lies right behind it. */
	info = (a->address & (heap_max - 1)) == 0x30 ? 0x30 : 0x20;
	while (heap) {
		struct pyr_glibc_region region = {.begins = heap, .arena = index};

		if (!pyr_try_u64(r, heap, &arena) || !pyr_try_u64(r, heap + 8, &prev) ||
		    !pyr_try_u64(r, heap + 16, &size) || arena != a->address || size > heap_max ||
		    a->heaps > 1u << 20) {
			g->damaged++;
			return true;
		}
		a->heaps++;
		region.start = heap + info;
		if ((a->address & ~(heap_max - 1)) == heap)
			region.start =
				(a->address + glibc_state_size(g->layout) + 15) & ~UINT64_C(15);
		region.stops = heap + size;
		region.end = a->top >= heap && a->top < heap + size ? a->top : heap + size;
		if (!add_region(g, &region))
			return false;
		heap = prev;
	}
	return true;
}

static int by_start(const void *x, const void *y)
{
	const struct pyr_glibc_region *a = x, *b = y;

	return a->begins < b->begins ? -1 : a->begins > b->begins;
}

/* The end of the mappings that follow each other without a gap from @addr on. */
static pyr_addr stretch_end(const struct pyr_target *target, pyr_addr addr)
{
	const struct pyr_mapping *m = pyr_target_mapping_at(target, addr);
	const struct pyr_mapping *last = target->mappings.data + target->mappings.count;

	if (!m)
		return addr;
	while (m + 1 < last && m[1].start == m->end && m[1].write)
		m++;
	return m->end;
}

/* The main arena's memory: the brk heap, and what it got by mmap() when the heap could
 * not grow (sysmalloc_mmap_fallback()). */
static bool add_main(struct pyr_target *target, struct pyr_glibc *g)
{
	const struct pyr_glibc_arena *a = &g->arenas.data[0];
	const struct pyr_mapping *heap = pyr_target_mapping_at(target, a->top);
	pyr_addr start = g->sbrk_base ? g->sbrk_base : heap ? heap->start : 0, end;
	struct pyr_glibc_region region = {.arena = 0};

	if (!start)
		return true;
	region.begins = start;
	region.start = (start + 15) & ~UINT64_C(15);
	end = stretch_end(target, start);
	if (a->top >= start && (a->top < end || !target->mappings.count)) {
		region.end = a->top;
		region.stops = a->top + a->top_size;
		return add_region(g, &region);
	}
	region.end = region.stops = end;
	if (!add_region(g, &region))
		return false;
	if (!heap)
		return true;
	region.begins = region.start = heap->start;
	region.end = a->top;
	region.stops = a->top + a->top_size;
	return add_region(g, &region);
}

bool pyr_glibc_find_regions(struct pyr_target *target, struct pyr_reader *reader,
			    struct pyr_glibc *g)
{
	struct pyr_glibc_region *r;
	size_t i, kept = 0;

	if (!add_main(target, g))
		return false;
	for (i = 1; i < g->arenas.count; i++)
		if (!add_heaps(reader, g, i))
			return false;
	if (g->regions.count)
		qsort(g->regions.data, g->regions.count, sizeof(*g->regions.data), by_start);
	/* A damaged list of heaps may name one twice. */
	for (i = 0, r = g->regions.data; i < g->regions.count; i++) {
		if (r[i].end < r[i].start)
			r[i].end = r[i].start;
		if (r[i].stops < r[i].end)
			r[i].stops = r[i].end;
		if (kept && r[i].begins < r[kept - 1].stops)
			g->damaged++;
		else
			r[kept++] = r[i];
	}
	g->regions.count = kept;
	return true;
}
