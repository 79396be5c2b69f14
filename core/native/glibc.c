/* Free memory of glibc's malloc, its totals, and the walk over all chunks. */
#include "native/glibc.h"

#include <stdlib.h>

#include "native/glibc_internal.h"

#define PAGE UINT64_C(4096)

static int by_address(const void *x, const void *y)
{
	pyr_addr a = *(const pyr_addr *)x, b = *(const pyr_addr *)y;

	return a < b ? -1 : a > b;
}

/* The arena that a chunk belongs to: that of its region. */
static struct pyr_glibc_arena *arena_of(struct pyr_glibc *g, pyr_addr chunk)
{
	size_t low = 0, high = g->regions.count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (chunk < g->regions.data[middle].start)
			high = middle;
		else if (chunk >= g->regions.data[middle].end)
			low = middle + 1;
		else
			return &g->arenas.data[g->regions.data[middle].arena];
	}
	return NULL;
}

/* A link of a fastbin or tcache list that is stored at @place (REVEAL_PTR). The
 * arenas' version is not known; an address that is not aligned is a mangled one. */
static bool reveal(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr place, pyr_addr *ret)
{
	uint64_t stored, plain;

	if (!pyr_try_u64(r, place, &stored))
		return false;
	plain = stored ^ place >> 12;
	if (plain == 0 || (plain % 16 == 0 && pyr_peek(r, plain, 8))) {
		g->safe_linking = g->safe_linking || stored != plain;
		*ret = plain;
		return true;
	}
	*ret = stored;
	return stored == 0 || (stored % 16 == 0 && pyr_peek(r, stored, 8));
}

/* Free chunks of a bin: a ring through fd. trimmable: mtrim(), malloc.c. */
static void read_bins(struct pyr_reader *r, struct pyr_glibc *g, struct pyr_glibc_arena *a)
{
	pyr_addr bins = a->address + glibc_bins_at(g->layout), head, chunk;
	uint64_t size, from, steps;
	unsigned i;

	for (i = 0; i < GLIBC_BINS; i++) {
		head = bins + 16 * i - 16;
		if (!pyr_try_u64(r, head + 16, &chunk)) {
			g->damaged++;
			return;
		}
		for (steps = 0; chunk != head; steps++) {
			if (steps == GLIBC_LIST_MAX || chunk % 16 ||
			    !glibc_chunk_size(r, chunk, &size) || (size & GLIBC_SIZE_MASK) < 32) {
				g->damaged++;
				break;
			}
			size &= GLIBC_SIZE_MASK;
			a->bin_chunks++;
			a->bin_bytes += size;
			/* Whole pages behind the chunk's own header and links. */
			from = (chunk + 48 + PAGE - 1) & ~(PAGE - 1);
			if (chunk + size > from && chunk + size - from > PAGE - 1)
				a->trimmable += (chunk + size - from) & ~(PAGE - 1);
			if (!pyr_try_u64(r, chunk + 16, &chunk)) {
				g->damaged++;
				break;
			}
		}
	}
}

static bool read_fastbins(struct pyr_reader *r, struct pyr_glibc *g, struct pyr_glibc_arena *a)
{
	pyr_addr first = a->address + glibc_bins_at(g->layout) - 16 - 8 * GLIBC_FASTBINS, chunk;
	uint64_t size, steps;
	unsigned i;

	for (i = 0; g->layout != PYR_GLIBC_2_43 && i < GLIBC_FASTBINS; i++) {
		if (!pyr_try_u64(r, first + 8 * i, &chunk)) {
			g->damaged++;
			break;
		}
		for (steps = 0; chunk; steps++) {
			if (steps == GLIBC_LIST_MAX || !glibc_chunk_size(r, chunk, &size)) {
				g->damaged++;
				break;
			}
			a->fast_chunks++;
			a->fast_bytes += size & GLIBC_SIZE_MASK;
			if (!pyr_vec_push(&g->cached, chunk))
				return false;
			if (!reveal(r, g, chunk + 16, &chunk)) {
				g->damaged++;
				break;
			}
		}
	}
	return true;
}

/* The shapes of tcache_perthread_struct, told apart by its own chunk's size. */
static const struct tcache_shape {
	uint64_t chunk_size;
	unsigned bins, entries_at;
} tcache_shapes[] = {
	{0x250, 64, 64},  /* 2.26-2.29 */
	{0x290, 64, 128}, /* 2.30-2.41 */
	{0x300, 76, 152}, /* 2.42+ */
	{0x310, 76, 152},
};

static const struct tcache_shape *tcache_at(struct pyr_reader *r, pyr_addr p)
{
	const struct tcache_shape *shape = NULL;
	pyr_addr entry;
	uint64_t size;
	unsigned i;
	bool any = false;

	if (!p || p % 16 || !glibc_chunk_size(r, p - 16, &size))
		return NULL;
	for (i = 0; i < sizeof(tcache_shapes) / sizeof(*tcache_shapes); i++)
		if (tcache_shapes[i].chunk_size == (size & GLIBC_SIZE_MASK))
			shape = &tcache_shapes[i];
	for (i = 0; shape && i < shape->bins; i++) {
		if (!pyr_try_u64(r, p + shape->entries_at + 8 * i, &entry) || entry % 16 ||
		    (entry && !pyr_peek(r, entry - 8, 8)))
			return NULL;
		any = any || entry;
	}
	return any ? shape : NULL;
}

static bool read_tcache(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr tcache,
			const struct tcache_shape *shape)
{
	struct pyr_glibc_arena *a;
	pyr_addr memory;
	uint64_t size, steps;
	unsigned i;

	for (i = 0; i < shape->bins; i++) {
		if (!pyr_try_u64(r, tcache + shape->entries_at + 8 * i, &memory))
			return true;
		/* tcache counts are 16 bits wide. */
		for (steps = 0; memory; steps++) {
			if (steps > 65536 || !glibc_chunk_size(r, memory - 16, &size)) {
				g->damaged++;
				break;
			}
			if ((a = arena_of(g, memory - 16))) {
				a->tcache_chunks++;
				a->tcache_bytes += size & GLIBC_SIZE_MASK;
			}
			if (!pyr_vec_push(&g->cached, memory - 16))
				return false;
			if (!reveal(r, g, memory, &memory)) {
				g->damaged++;
				break;
			}
		}
	}
	return true;
}

/* `tcache` is a thread-local of libc, a little below the thread pointer (x86-64);
 * on aarch64 thread-locals of libraries lie above it. */
#define TLS_BYTES 0x600

static bool read_tcaches(struct pyr_target *target, struct pyr_reader *r, struct pyr_glibc *g)
{
	const struct tcache_shape *shape;
	pyr_addr tls, at, p;
	size_t i;

	for (i = 0; i < target->threads.count; i++) {
		tls = target->threads.data[i].tls;
		if (target->machine == PYR_MACHINE_AARCH64)
			tls += TLS_BYTES;
		for (at = tls - 8; tls > TLS_BYTES && at >= tls - TLS_BYTES; at -= 8) {
			if (!pyr_try_u64(r, at, &p) || !(shape = tcache_at(r, p)))
				continue;
			if (!read_tcache(r, g, p, shape))
				return false;
			break;
		}
	}
	return true;
}

bool pyr_glibc_read_free(struct pyr_target *target, struct pyr_reader *reader, struct pyr_glibc *g)
{
	struct pyr_glibc_arena *a;
	uint64_t extra;
	size_t i;

	for (i = 0; i < g->arenas.count; i++) {
		a = &g->arenas.data[i];
		/* attached_threads, then system_mem (2.23+). */
		if (!pyr_try_u64(reader, a->address + glibc_bins_at(g->layout) + 2072,
				 &a->system_mem))
			g->damaged++;
		read_bins(reader, g, a);
		if (!read_fastbins(reader, g, a))
			return false;
	}
	/* systrim(): all of the main top but MINSIZE, in whole pages. */
	a = &g->arenas.data[0];
	extra = a->top_size > 33 ? (a->top_size - 33) / PAGE * PAGE : 0;
	a->trimmable += extra;
	if (!read_tcaches(target, reader, g))
		return false;
	if (g->cached.count)
		qsort(g->cached.data, g->cached.count, sizeof(*g->cached.data), by_address);
	return true;
}

void pyr_glibc_deinit(struct pyr_glibc *g)
{
	pyr_vec_deinit(&g->arenas);
	pyr_vec_deinit(&g->regions);
	pyr_vec_deinit(&g->cached);
	memset(g, 0, sizeof(*g));
}

pyr_error *pyr_glibc_read(struct pyr_target *target, struct pyr_reader *reader,
			  struct pyr_glibc *ret)
{
	struct pyr_glibc g = {0};
	pyr_error *err;

	if (pyr_glibc_find_arenas(target, reader, &g)) {
		pyr_glibc_find_parameters(target, reader, &g);
		if (!pyr_glibc_find_regions(target, reader, &g) ||
		    !pyr_glibc_read_free(target, reader, &g)) {
			pyr_glibc_deinit(&g);
			return pyr_error_no_memory();
		}
	}
	if ((err = pyr_reader_check(reader))) {
		pyr_glibc_deinit(&g);
		return err;
	}
	*ret = g;
	return NULL;
}

/* int_mallinfo() and __libc_mallinfo2(), malloc.c. */
void pyr_glibc_mallinfo2(const struct pyr_glibc *g, struct pyr_mallinfo2 *ret)
{
	struct pyr_mallinfo2 m = {.hblks = g->mmapped_chunks, .hblkhd = g->mmapped_bytes};
	uint64_t available;
	size_t i;

	for (i = 0; i < g->arenas.count; i++) {
		const struct pyr_glibc_arena *a = &g->arenas.data[i];

		available = a->top_size + a->fast_bytes + a->bin_bytes;
		m.arena += a->system_mem;
		m.ordblks += a->bin_chunks + 1; /* top */
		m.smblks += a->fast_chunks;
		m.fsmblks += a->fast_bytes;
		m.fordblks += available;
		m.uordblks += a->system_mem - available;
	}
	if (g->arenas.count)
		m.keepcost = g->arenas.data[0].top_size;
	*ret = m;
}

pyr_error *pyr_glibc_walk(struct pyr_glibc *g, struct pyr_reader *reader,
			  bool (*fn)(void *ctx, pyr_addr memory, uint64_t size,
				     enum pyr_chunk_state state, size_t arena),
			  void *ctx)
{
	enum pyr_chunk_state state;
	uint64_t size, next;
	size_t i, cached = 0;
	pyr_addr chunk;

	for (i = 0; i < g->regions.count; i++) {
		const struct pyr_glibc_region *region = &g->regions.data[i];

		for (chunk = region->start; chunk < region->end; chunk += size) {
			if (!glibc_chunk_size(reader, chunk, &size)) {
				g->damaged++;
				break;
			}
			size &= GLIBC_SIZE_MASK;
			/* Fence posts where the heap was not contiguous: 16 bytes, or none. */
			if (size == 16)
				continue;
			if (size < 32 || size % 16 || size > region->end - chunk) {
				g->damaged += size != 0;
				break;
			}
			while (cached < g->cached.count && g->cached.data[cached] < chunk)
				cached++;
			if (cached < g->cached.count && g->cached.data[cached] == chunk)
				state = PYR_CHUNK_CACHED;
			else if (glibc_chunk_size(reader, chunk + size, &next) &&
				 !(next & GLIBC_PREV_INUSE))
				state = PYR_CHUNK_FREE;
			else
				state = PYR_CHUNK_IN_USE;
			if (!fn(ctx, chunk + 16, size, state, region->arena))
				return NULL;
		}
	}
	return pyr_reader_check(reader);
}
