/* Counting bits without a call: the machine's own instruction is not in the x86-64 that
 * everybody has, and what the compiler puts there is a function. */
#ifndef PYR_BASE_BITS_H
#define PYR_BASE_BITS_H

#include <stdint.h>

static inline uint32_t pyr_bits_set(uint64_t x)
{
	x -= x >> 1 & UINT64_C(0x5555555555555555);
	x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
	x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (uint32_t)(x * UINT64_C(0x0101010101010101) >> 56);
}

#endif
