/* The chunks that threads keep for themselves: struct tcache_perthread_struct.
 *
 * A thread's tcache is a chunk of an arena, and a thread-local variable of libc leads
 * to it. Where a thread's pointer is not known (a copy made by fork has no other
 * threads, a running process shows no registers) it is known by its shape. */
#include <stdlib.h>

#include "native/glibc_internal.h"

/* Told apart by the size of its own chunk. */
static const struct tcache_shape {
	uint64_t chunk_size;
	unsigned bins, entries_at;
	unsigned count_width; /* bytes of counts[i]; 0: they count the free slots */
} tcache_shapes[] = {
	{0x250, 64, 64, 1},  /* 2.26-2.29 */
	{0x290, 64, 128, 2}, /* 2.30-2.41 */
	{0x300, 76, 152, 0}, /* 2.42+ */
	{0x310, 76, 152, 0},
};
#define SMALL_BINS 64
/* tcache counts are 16 bits wide. */
#define ENTRIES_MAX 65536u

static const struct tcache_shape *shape_of(uint64_t size)
{
	unsigned i;

	for (i = 0; i < sizeof(tcache_shapes) / sizeof(*tcache_shapes); i++)
		if (tcache_shapes[i].chunk_size == (size & GLIBC_SIZE_MASK))
			return &tcache_shapes[i];
	return NULL;
}

static const struct tcache_shape *tcache_at(struct pyr_reader *r, pyr_addr p)
{
	const struct tcache_shape *shape;
	pyr_addr entry;
	uint64_t size;
	unsigned i;
	bool any = false;

	if (!p || p % 16 || !glibc_chunk_size(r, p - 16, &size) || !(shape = shape_of(size)))
		return NULL;
	for (i = 0; i < shape->bins; i++) {
		if (!pyr_try_u64(r, p + shape->entries_at + 8 * i, &entry) || entry % 16 ||
		    (entry && !pyr_peek(r, entry - 8, 8)))
			return NULL;
		any = any || entry;
	}
	return any ? shape : NULL;
}

/* Every list holds chunks of its bin's size, as many as were counted. */
static bool proves_itself(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr p,
			  const struct tcache_shape *shape)
{
	uint64_t size, steps, count;
	const uint8_t *counts;
	pyr_addr memory;
	unsigned i;

	for (i = 0; i < shape->bins; i++) {
		if (!pyr_try_u64(r, p + shape->entries_at + 8 * i, &memory))
			return false;
		for (steps = 0; memory; steps++) {
			if (steps > ENTRIES_MAX || !glibc_chunk_size(r, memory - 16, &size) ||
			    (i < SMALL_BINS && (size & GLIBC_SIZE_MASK) != 32 + 16 * i) ||
			    (i >= SMALL_BINS && (size & GLIBC_SIZE_MASK) < 1024) ||
			    !glibc_reveal(r, g, memory, &memory))
				return false;
		}
		if (!shape->count_width)
			continue;
		if (!(counts = pyr_peek(r, p + i * shape->count_width, shape->count_width)))
			return false;
		count = counts[0] | (shape->count_width == 2 ? counts[1] << 8 : 0);
		if (count != steps)
			return false;
	}
	return true;
}

static bool known(const struct pyr_glibc *g, pyr_addr p)
{
	size_t i;

	for (i = 0; i < g->tcaches.count; i++)
		if (g->tcaches.data[i] == p)
			return true;
	return false;
}

static bool read_tcache(struct pyr_reader *r, struct pyr_glibc *g, pyr_addr tcache,
			const struct tcache_shape *shape)
{
	struct pyr_glibc_arena *a;
	pyr_addr memory;
	uint64_t size, steps;
	unsigned i;

	if (!pyr_vec_push(&g->tcaches, tcache))
		return false;
	for (i = 0; i < shape->bins; i++) {
		if (!pyr_try_u64(r, tcache + shape->entries_at + 8 * i, &memory))
			return true;
		for (steps = 0; memory; steps++) {
			if (steps > ENTRIES_MAX || !glibc_chunk_size(r, memory - 16, &size)) {
				g->damaged++;
				break;
			}
			if ((a = glibc_arena_of(g, memory - 16))) {
				a->tcache.chunks++;
				a->tcache.bytes += size & GLIBC_SIZE_MASK;
			}
			if (!pyr_vec_push(&g->cached, memory - 16))
				return false;
			if (!glibc_reveal(r, g, memory, &memory)) {
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

static bool read_by_threads(struct pyr_target *target, struct pyr_reader *r, struct pyr_glibc *g)
{
	const struct tcache_shape *shape;
	pyr_addr tls, at, p;
	size_t i;

	for (i = 0; i < target->threads.count; i++) {
		tls = target->threads.data[i].tls;
		if (target->machine == PYR_MACHINE_AARCH64)
			tls += TLS_BYTES;
		for (at = tls - 8; tls > TLS_BYTES && at >= tls - TLS_BYTES; at -= 8) {
			if (!pyr_try_u64(r, at, &p) || known(g, p) || !(shape = tcache_at(r, p)))
				continue;
			if (!read_tcache(r, g, p, shape))
				return false;
			break;
		}
	}
	return true;
}

struct tcache_search {
	struct pyr_glibc *glibc;
	struct pyr_reader *reader;
	bool failed;
};

static bool look_at_chunk(void *ctx, pyr_addr memory, uint64_t size, enum pyr_chunk_state state,
			  size_t region)
{
	const struct tcache_shape *shape;
	struct tcache_search *s = ctx;

	(void)region;
	if (state != PYR_CHUNK_IN_USE || size < 0x250 || size > 0x310 || !shape_of(size) ||
	    known(s->glibc, memory) || !(shape = tcache_at(s->reader, memory)) ||
	    !proves_itself(s->reader, s->glibc, memory, shape))
		return true;
	s->failed = !read_tcache(s->reader, s->glibc, memory, shape);
	return !s->failed;
}

bool pyr_glibc_read_tcaches(struct pyr_target *target, struct pyr_reader *r, struct pyr_glibc *g)
{
	struct tcache_search search = {.glibc = g, .reader = r};
	struct pyr_glibc_visitor visitor = {.chunk = look_at_chunk, .ctx = &search};
	size_t i;

	if (!read_by_threads(target, r, g))
		return false;
	for (i = 0; i < g->regions.count && !search.failed; i++)
		pyr_error_destroy(pyr_glibc_walk_region(g, r, i, &visitor));
	return !search.failed;
}
