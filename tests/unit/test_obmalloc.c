/* pymalloc's arenas, made by hand: what is allocated is known, and then damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/memory/arenas.h"
#include "mock_target.h"
#include "random.h"
#include "pymalloc/obmalloc.h"

#define INTERPRETER 0x560000000000u
#define ARENAS 0x560000100000u
#define ARENA 0x7f0000001000u /* not aligned to pools */
#define ARENA_SIZE (1u << 20)
#define POOL 16384u

struct fixture {
	struct mock_target mock;
	struct pyr_python python;
	uint8_t *interpreter, *arenas, *arena;
	size_t interpreter_size;
};

static uint8_t *pool_bytes(struct fixture *f, unsigned i)
{
	return f->arena + 0x3000 + i * POOL; /* ARENA rounds up to 0x7f0000004000 */
}

static pyr_addr pool_address(unsigned i)
{
	return 0x7f0000004000u + i * POOL;
}

/* A pool of class @szidx with @carved blocks, of which those in @used live. */
static void make_pool(struct fixture *f, unsigned i, uint32_t szidx, uint32_t carved,
		      const bool *used)
{
	uint32_t size = (szidx + 1) * 16, k, count = 0;
	uint8_t *p = pool_bytes(f, i);
	uint64_t link = 0;

	for (k = 0; k < carved; k++) {
		count += used[k];
		memset(p + 48 + k * size, 0x41, size);
	}
	/* the free list in an order of its own: odd blocks before even ones */
	for (k = 0; k < 2 * carved; k++) {
		uint32_t b = k % carved;

		if (used[b] || (b & 1) != k / carved)
			continue;
		put64(p + 48 + b * size, link);
		link = pool_address(i) + 48 + b * size;
	}
	put32(p, count);
	put64(p + 8, link);
	put32(p + 32, 0);
	put32(p + 36, szidx);
	put32(p + 40, 48 + carved * size);
	put32(p + 44, POOL - size);
}

static void set_up(struct fixture *f, unsigned pools, bool with_state)
{
	struct pyr_build build = {.hexversion = 0x030c01f0, .machine = PYR_MACHINE_X86_64};
	const struct pyr_layout *l = &f->python.layout;
	struct pyr_interpreter interpreter = {.address = INTERPRETER, .main = true};
	uint64_t state;

	memset(f, 0, sizeof(*f));
	assert_null(pyr_layout_builtin(&build, &f->python.layout));
	mock_target_init(&f->mock, false);
	f->python.target = f->mock.target;
	f->interpreter_size = 16384;
	f->interpreter = calloc(1, f->interpreter_size);
	f->arenas = calloc(16, 48);
	f->arena = calloc(1, ARENA_SIZE);
	state = (uint64_t)pyr_offset(l, PyInterpreterState, obmalloc);
	if (with_state) {
		put64(f->interpreter + state + (uint64_t)pyr_offset(l, _obmalloc_state, arenas),
		      ARENAS);
		put32(f->interpreter + state + (uint64_t)pyr_offset(l, _obmalloc_state, maxarenas),
		      16);
		assert_true(pyr_vec_push(&f->python.interpreters, interpreter));
	}
	put64(f->arenas, ARENA);
	put64(f->arenas + 8, pool_address(pools));
	put32(f->arenas + 16, 0);
	put32(f->arenas + 20, 63);
	mock_target_add(&f->mock, INTERPRETER, f->interpreter, f->interpreter_size);
	mock_target_add(&f->mock, ARENAS, f->arenas, 16 * 48);
	mock_target_add(&f->mock, ARENA, f->arena, ARENA_SIZE);
	mock_target_finish(&f->mock);
	pyr_reader_init(&f->python.reader, f->mock.target);
}

static void tear_down(struct fixture *f)
{
	pyr_reader_deinit(&f->python.reader);
	pyr_vec_deinit(&f->python.interpreters);
	mock_target_deinit(&f->mock);
	free(f->interpreter);
	free(f->arenas);
	free(f->arena);
}

static void blocks_like_the_twin(void **state)
{
	struct pyr_obmalloc m;
	struct pyr_block block;
	struct pyr_pool pool;
	struct fixture f;
	unsigned i, k;

	(void)state;
	set_up(&f, 40, true);
	for (i = 0; i < 40; i++) {
		uint32_t szidx = random_below(32), size = (szidx + 1) * 16;
		uint32_t carved = 1 + random_below((POOL - 48) / size), live = 0;
		bool used[1024];

		for (k = 0; k < carved; k++)
			live += used[k] = k == 0 || random_below(3) > 0;
		make_pool(&f, i, szidx, carved, used);
		assert_null(pyr_obmalloc_open(&f.python, &m));
		assert_int_equal(m.source, PYR_OBMALLOC_STATE);
		assert_int_equal(m.arenas.count, 1);
		assert_int_equal(m.alignment, 16);
		assert_int_equal(
			pyr_pool_read(&m, &f.python.reader, m.arenas.data, pool_address(i), &pool),
			PYR_POOL_LIVE);
		assert_true(pool.consistent);
		assert_int_equal(pool.block_size, size);
		assert_int_equal(pool.used, live);
		assert_int_equal(pool.end, 48 + carved * size);
		for (k = 0; k < carved; k++) {
			assert_int_equal(pyr_pool_is_free(&m, &pool, 48 + k * size), !used[k]);
			assert_true(pyr_obmalloc_block_at(
				&m, &f.python.reader,
				pool_address(i) + 48 + k * size + random_below(size), &block));
			assert_int_equal(block.address, pool_address(i) + 48 + k * size);
			assert_int_equal(block.size, size);
			assert_int_equal(block.allocated, used[k]);
		}
		assert_false(
			pyr_obmalloc_block_at(&m, &f.python.reader, pool_address(i) + 47, &block));
		assert_false(pyr_obmalloc_block_at(&m, &f.python.reader, pool_address(i) + pool.end,
						   &block));
		pyr_obmalloc_deinit(&m);
	}
	tear_down(&f);
}

/* Whatever the header and the free list say, the pool's own bytes alone are read. */
static void damage_is_told(void **state)
{
	const bool used[64] = {true, false, true, false, true};
	struct pyr_obmalloc m;
	struct pyr_pool pool;
	struct fixture f;
	uint8_t *p;
	unsigned i;

	(void)state;
	set_up(&f, 1, true);
	p = pool_bytes(&f, 0);
	make_pool(&f, 0, 3, 5, used);
	assert_null(pyr_obmalloc_open(&f.python, &m));
#define READ() pyr_pool_read(&m, &f.python.reader, m.arenas.data, pool_address(0), &pool)
	assert_int_equal(READ(), PYR_POOL_LIVE);
	assert_true(pool.consistent);
	assert_int_equal(pool.free_count, 2);

	put64(p + 48 + 64, pool_address(0) + 48 + 3 * 64); /* a cycle */
	put64(p + 48 + 3 * 64, pool_address(0) + 48 + 64);
	assert_int_equal(READ(), PYR_POOL_LIVE);
	assert_false(pool.consistent);
	assert_int_equal(pool.free_count, 2);
	put64(p + 48 + 3 * 64, pool_address(0) + 48 + 64 + 8); /* between blocks */
	put64(p + 8, pool_address(0) + 48 + 3 * 64);
	assert_int_equal(READ(), PYR_POOL_LIVE);
	assert_false(pool.consistent);
	assert_int_equal(pool.free_count, 1);
	put64(p + 8, 0xdeadbeef0000); /* elsewhere */
	assert_int_equal(READ(), PYR_POOL_LIVE);
	assert_false(pool.consistent);
	put64(p + 8, pool_address(1) - 1);
	assert_int_equal(READ(), PYR_POOL_LIVE);
	make_pool(&f, 0, 3, 5, used);
	put32(p + 32, 9); /* another arena's */
	assert_int_equal(READ(), PYR_POOL_LIVE);
	assert_false(pool.consistent);
	make_pool(&f, 0, 3, 5, used);
	put32(p + 36, 32);
	assert_int_equal(READ(), PYR_POOL_CORRUPT);
	make_pool(&f, 0, 3, 5, used);
	put32(p + 40, 0xffffffff);
	assert_int_equal(READ(), PYR_POOL_CORRUPT);
	make_pool(&f, 0, 3, 5, used);
	put32(p, 0);
	assert_int_equal(READ(), PYR_POOL_EMPTY);
	for (i = 0; i < 20000; i++) { /* any bytes: no crash, under sanitizers */
		make_pool(&f, 0, random_below(32), 5, used);
		p[random_below(48)] = (uint8_t)random_below(256);
		p[48 + random_below(500)] = (uint8_t)random_below(256);
		if (READ() == PYR_POOL_LIVE)
			assert_true(pool.end <= POOL && pool.block_size >= 16);
	}
#undef READ
	assert_int_equal(pyr_pool_read(&m, &f.python.reader, m.arenas.data, 0x7f0000200000, &pool),
			 PYR_POOL_UNREADABLE);
	pyr_obmalloc_deinit(&m);
	tear_down(&f);
}

static void pools_without_state(void **state)
{
	const bool used[64] = {true, false, true};
	struct pyr_obmalloc m;
	struct fixture f;
	unsigned i;

	(void)state;
	set_up(&f, 10, false);
	for (i = 0; i < 10; i++)
		if (i != 4)
			make_pool(&f, i, i, 3, used);
	put32(pool_bytes(&f, 7), 0); /* wholly free, among used ones */
	assert_null(pyr_obmalloc_open(&f.python, &m));
	assert_int_equal(m.source, PYR_OBMALLOC_SCAN);
	assert_int_equal(m.arenas.count, 2);
	assert_int_equal(m.arenas.data[0].first_pool, pool_address(0));
	assert_int_equal(m.arenas.data[0].pool_end, pool_address(4));
	assert_int_equal(m.arenas.data[1].first_pool, pool_address(5));
	assert_int_equal(m.arenas.data[1].pool_end, pool_address(10));
	pyr_obmalloc_deinit(&m);
	tear_down(&f);
}

static void entries_that_lie(void **state)
{
	const bool used[64] = {true, true};
	struct pyr_obmalloc m;
	struct fixture f;

	(void)state;
	set_up(&f, 2, true);
	make_pool(&f, 0, 1, 2, used);
	make_pool(&f, 1, 1, 2, used);
	memcpy(f.arenas + 48, f.arenas, 48);  /* the same arena twice */
	put64(f.arenas + 96, 0x7f0000301000); /* pool_address outside of it */
	put64(f.arenas + 96 + 8, 0x7f0000801000);
	put64(f.arenas + 144, UINT64_C(1) << 50); /* no address */
	assert_null(pyr_obmalloc_open(&f.python, &m));
	assert_int_equal(m.arenas.count, 1);
	assert_int_equal(m.dropped_arenas, 3);
	assert_ptr_equal(pyr_obmalloc_arena_at(&m, ARENA), m.arenas.data);
	assert_ptr_equal(pyr_obmalloc_arena_at(&m, ARENA + ARENA_SIZE - 1), m.arenas.data);
	assert_null(pyr_obmalloc_arena_at(&m, ARENA + ARENA_SIZE));
	assert_null(pyr_obmalloc_arena_at(&m, ARENA - 1));
	pyr_obmalloc_deinit(&m);
	/* An array of four billion entries of which 16 are there. */
	put32(f.interpreter + pyr_offset(&f.python.layout, PyInterpreterState, obmalloc) +
		      pyr_offset(&f.python.layout, _obmalloc_state, maxarenas),
	      UINT32_MAX);
	assert_null(pyr_obmalloc_open(&f.python, &m));
	assert_int_equal(m.arenas.count, 1);
	pyr_obmalloc_deinit(&m);
	tear_down(&f);
}

/* Arenas of 2 MiB say so by the number of their pools. */
static void large_arenas(void **state)
{
	const bool used[64] = {true, true};
	struct pyr_obmalloc m;
	struct fixture f;

	(void)state;
	set_up(&f, 2, true);
	make_pool(&f, 0, 1, 2, used);
	make_pool(&f, 1, 1, 2, used);
	put32(f.arenas + 20, 127);
	assert_null(pyr_obmalloc_open(&f.python, &m));
	assert_int_equal(m.arenas.count, 1);
	assert_int_equal(m.dropped_arenas, 0);
	assert_int_equal(m.arena_size, 2 << 20);
	assert_int_equal(m.arenas.data[0].end - m.arenas.data[0].address, 2 << 20);
	pyr_obmalloc_deinit(&m);
	put32(f.arenas + 20, 300); /* nor 2 MiB has room for them */
	assert_null(pyr_obmalloc_open(&f.python, &m));
	assert_int_equal(m.arenas.count, 0);
	assert_int_equal(m.arena_size, 1 << 20);
	assert_int_equal(m.dropped_arenas, 1);
	pyr_obmalloc_deinit(&m);
	tear_down(&f);
}

/* Whatever the pools say, every byte of the arenas stands under one heading. */
static void every_byte_once(void **state)
{
	struct pyr_control control;
	struct pyr_types types = {.python = NULL};
	struct pyr_arenas arenas;
	struct pyr_obmalloc m;
	struct fixture f;
	unsigned i, k, round;
	bool used[1024];

	(void)state;
	set_up(&f, 40, true);
	types.python = &f.python;
	pyr_control_init(&control);
	for (round = 0; round < 300; round++) {
		uint64_t live = 0, pools = 0, sum;

		for (i = 0; i < 40; i++) {
			uint32_t szidx = random_below(32), size = (szidx + 1) * 16;
			uint32_t carved = 1 + random_below((POOL - 48) / size);

			for (k = 0; k < carved; k++)
				live += used[k] = k == 0 || random_below(3) > 0;
			make_pool(&f, i, szidx, carved, used);
			if (random_below(8) == 0) { /* wholly free */
				for (k = 0; k < carved; k++)
					live -= used[k];
				put32(pool_bytes(&f, i), 0);
			} else {
				pools++;
			}
		}
		if (round >= 100) /* a header with a wrong byte */
			pool_bytes(&f, random_below(40))[random_below(48)] =
				(uint8_t)random_below(256);
		assert_null(pyr_obmalloc_open(&f.python, &m));
		assert_null(pyr_arenas_run(&types, &m, &control, &arenas));
		sum = arenas.process.bytes_in_use + arenas.process.bytes_partly_used +
		      arenas.process.bytes_free_pools + arenas.process.bytes_headers +
		      arenas.process.bytes_tails + arenas.process.bytes_alignment +
		      arenas.process.bytes_unknown;
		assert_int_equal(sum, arenas.process.bytes);
		assert_int_equal(arenas.process.bytes, ARENA_SIZE);
		assert_int_equal(arenas.process.pools + arenas.process.free_pools +
					 arenas.process.corrupt_pools,
				 63);
		if (round < 100) {
			assert_int_equal(arenas.process.blocks_used, live);
			assert_int_equal(arenas.process.pools, pools);
			assert_int_equal(arenas.process.corrupt_pools, 0);
			assert_int_equal(arenas.process.inconsistent_pools, 0);
		}
		for (i = 40; i < 63; i++)
			assert_int_equal(arenas.fill[i], PYR_FILL_NEVER);
		pyr_arenas_deinit(&arenas);
		pyr_obmalloc_deinit(&m);
	}
	pyr_control_deinit(&control);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_like_the_twin), cmocka_unit_test(damage_is_told),
		cmocka_unit_test(pools_without_state),  cmocka_unit_test(entries_that_lie),
		cmocka_unit_test(large_arenas),         cmocka_unit_test(every_byte_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
