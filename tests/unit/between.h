/* assert_between(): an unsigned value in [minimum, maximum]. cmocka 2 deprecates
 * assert_in_range(), and cmocka 1 has nothing else. */
#ifndef TESTS_UNIT_BETWEEN_H
#define TESTS_UNIT_BETWEEN_H

#ifdef assert_uint_in_range
#define assert_between(value, minimum, maximum) assert_uint_in_range(value, minimum, maximum)
#else
#define assert_between(value, minimum, maximum) assert_in_range(value, minimum, maximum)
#endif

#endif
