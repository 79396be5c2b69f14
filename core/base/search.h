/* Binary search in what is sorted. Macros, as they work on sequences of any type; each argument
 * but the named variable and what is said with it is evaluated once. And the order of words. */
#ifndef PYR_BASE_SEARCH_H
#define PYR_BASE_SEARCH_H

#include <stddef.h>
#include <stdint.h>

/* How many of @count places lie before what is searched for: the least @i for which @before, an
 * expression with the variable @i, is false. It holds for a beginning of the sequence only. */
#define pyr_search(i, count, before)                                                               \
	({                                                                                         \
		size_t low_ = 0, high_ = (count), i;                                               \
		while (low_ < high_) {                                                             \
			i = low_ + (high_ - low_) / 2;                                             \
			if (before)                                                                \
				low_ = i + 1;                                                      \
			else                                                                       \
				high_ = i;                                                         \
		}                                                                                  \
		low_;                                                                              \
	})

/* The range that holds @addr, of @count that follow each other from @ranges on, each from its
 * member @begin to its member @end, exclusive; NULL: none does. */
#define pyr_search_range(ranges, count, begin, end, addr)                                          \
	({                                                                                         \
		__typeof__(&(ranges)[0]) list_ = (ranges);                                         \
		__typeof__(addr) addr_ = (addr);                                                   \
		size_t low_ = 0, high_ = (count), found_ = SIZE_MAX, middle_;                      \
		while (low_ < high_ && found_ == SIZE_MAX) {                                       \
			middle_ = low_ + (high_ - low_) / 2;                                       \
			if (addr_ < list_[middle_].begin)                                          \
				high_ = middle_;                                                   \
			else if (addr_ >= list_[middle_].end)                                      \
				low_ = middle_ + 1;                                                \
			else                                                                       \
				found_ = middle_;                                                  \
		}                                                                                  \
		found_ == SIZE_MAX ? NULL : &list_[found_];                                        \
	})

/* For qsort() and bsearch(): ids and other numbers of 32 bits, rising. */
static inline int pyr_by_number(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* ... addresses and other words. */
static inline int pyr_by_word(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

#endif
