/* A target made by a test: bytes of the test's own at any address, as segments
 * or behind a read function that counts and can be told to fail. */
#ifndef TESTS_UNIT_MOCK_TARGET_H
#define TESTS_UNIT_MOCK_TARGET_H

#include <string.h>

#include "target/reader.h"
#include "target/target.h"

struct mock_region {
	pyr_addr start;
	const void *bytes;
	size_t size;
};

struct mock_target {
	struct pyr_control control;
	struct pyr_target *target;
	PYR_VEC(struct mock_region) regions; /* what the read function knows */
	size_t reads;                        /* calls of it */
	size_t fail_at;                      /* the call (from 1) that fails; 0: none */
	enum pyr_error_code fail_with;
};

/* @callback: reads go through a function instead of segments. */
void mock_target_init(struct mock_target *mock, bool callback);
void mock_target_deinit(struct mock_target *mock);
/* @bytes stay the caller's and must outlive the mock. */
void mock_target_add(struct mock_target *mock, pyr_addr start, const void *bytes, size_t size);
/* After the last add of a mock with segments. */
void mock_target_finish(struct mock_target *mock);

/* Words in such bytes. */
static inline void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}
static inline void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, 8);
}

#endif
