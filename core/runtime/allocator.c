/* Which allocator serves the object domain (obmalloc.c). */
#include <string.h>

#include "runtime/interpreters.h"
#include "runtime/raw.h"

/* The debug allocator puts 16 bytes before what it hands out: the size, the domain
 * ('o' for objects), and seven forbidden bytes; 0xFB until 3.7, then 0xFD. */
static int debug_header(struct pyr_reader *reader, pyr_addr block)
{
	const uint8_t *p = pyr_peek(reader, block - 8, 8);
	unsigned i;

	if (!p)
		return -1;
	if (p[0] != 'o')
		return 0;
	for (i = 1; i < 8; i++)
		if (p[i] != 0xfd && p[i] != 0xfb)
			return 0;
	return 1;
}

/* Does @block lie in a pool of pymalloc, where a block of its class begins? The head of a
 * pool tells the class twice: as szidx, and by maxnextoffset (pymalloc_alloc()). */
static int in_pool(struct pyr_raw raw, pyr_addr block)
{
	uint64_t pool = block & ~(uint64_t)(pyr_layout_pool_size(raw.layout) - 1);
	uint32_t header = (pyr_sizeof(raw.layout, pool_header) + 15) & ~15u;
	uint32_t alignment = pyr_layout_block_alignment(raw.layout);
	uint64_t class, count, max;

	if (!pyr_raw_field(raw, pool, PYR_FIELD(pool_header, szidx), &class) ||
	    !pyr_raw_field(raw, pool, PYR_FIELD(pool_header, maxnextoffset), &max) ||
	    !pyr_raw_field(raw, pool, PYR_FIELD(pool_header, ref_count), &count))
		return -1;
	return class < 64 && count > 0 && count < pyr_layout_pool_size(raw.layout) / alignment &&
	       max == pyr_layout_pool_size(raw.layout) - (class + 1) * alignment &&
	       block >= pool + header && (block - pool - header) % ((class + 1) * alignment) == 0;
}

/* Blocks are multiples of 16 or, until bpo-27987, of 8 bytes, and some builds of 3.6 have that
 * change too: the head of any pool tells, maxnextoffset being the pool's size less
 * that of a block (pymalloc_alloc()). */
static void settle_alignment(struct pyr_layout *layout, struct pyr_raw raw, pyr_addr block)
{
	uint64_t pool_size = pyr_layout_pool_size(layout), class, max;
	uint64_t pool = block & ~(pool_size - 1);

	if (!pyr_raw_field(raw, pool, PYR_FIELD(pool_header, szidx), &class) ||
	    !pyr_raw_field(raw, pool, PYR_FIELD(pool_header, maxnextoffset), &max) || class >= 64)
		return;
	if (max == pool_size - (class + 1) * 16)
		layout->traits[PYR_T_pool_alignment] = PYR_TRAIT(pool_alignment, BYTES_16);
	else if (max == pool_size - (class + 1) * 8)
		layout->traits[PYR_T_pool_alignment] = PYR_TRAIT(pool_alignment, BYTES_8);
}

/* Objects that every interpreter allocates early: dicts, with a collector's head
 * and nothing before it. */
static void sample(struct pyr_python *python, struct pyr_raw raw, bool *debug, bool *pymalloc,
		   bool *known)
{
	const struct pyr_interpreter *in = &python->interpreters.data[0];
	const pyr_addr dicts[] = {in->modules, in->sysdict, in->builtins};
	int debugs = 0, pools = 0, plain = 0, outside = 0, answer;
	uint32_t head = pyr_layout_gc_head_size(raw.layout);
	pyr_addr block;
	size_t i;

	for (i = 0; i < sizeof(dicts) / sizeof(*dicts); i++) {
		if (!dicts[i])
			continue;
		block = dicts[i] - head;
		answer = debug_header(raw.reader, block);
		debugs += answer == 1;
		plain += answer == 0;
		if (answer == 1)
			block -= 16;
		settle_alignment(&python->layout, raw, block);
		answer = in_pool(raw, block);
		pools += answer == 1;
		outside += answer == 0;
	}
	*debug = debugs > plain;
	*pymalloc = pools > outside;
	*known = debugs + plain > 0;
}

void pyr_python_fill_allocator(struct pyr_python *python)
{
	struct pyr_raw raw = {&python->layout, &python->reader};
	bool debug = false, pymalloc = true, known = false;
	uint64_t preconfig = 0;

	if (python->interpreters.count)
		sample(python, raw, &debug, &pymalloc, &known);
	if (python->runtime)
		preconfig = (uint32_t)pyr_raw_get(raw, python->runtime,
						  PYR_FIELD(_PyRuntimeState, preconfig_allocator));
	if (!known) {
		/* PyMemAllocatorName: 2 debug, 4 malloc_debug, 6 pymalloc_debug, 8 mimalloc_debug
		 */
		debug = preconfig ? !(preconfig & 1) : python->layout.debug;
		pymalloc = preconfig < 3 || preconfig == 5 || preconfig == 6;
	}
	/* One that was asked for by name (PyMemAllocatorName: 3 malloc, 5 pymalloc, 7 mimalloc, and
	 * each with debug hooks); what malloc() hands out may look like a pool by chance. */
	if (preconfig >= 3 && preconfig <= 8)
		pymalloc = preconfig == 5 || preconfig == 6;
	python->debug_allocator = debug;
	python->malloc_name = strdup(pymalloc         ? (debug ? "pymalloc_debug" : "pymalloc")
				     : preconfig >= 7 ? (debug ? "mimalloc_debug" : "mimalloc")
						      : (debug ? "malloc_debug" : "malloc"));
}
