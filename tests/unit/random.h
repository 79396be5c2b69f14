/* Numbers by chance, the same ones in every run: George Marsaglia's xorshift. */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stdint.h>

static uint64_t random_state = 88172645463325252u;

static inline uint64_t random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static inline uint32_t random_below(uint32_t below)
{
	return (uint32_t)(random_word() >> 33) % below;
}

#endif
