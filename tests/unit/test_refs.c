/* What every tracked object refers to, read from outside, against gc.get_referents(), in a
 * copy of each CPython here (references.h). */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "references.h"
#include "referents.h"

static void referents_equal_cpythons(void **state)
{
	static struct python pythons[PYTHONS_MAX];
	size_t count = pythons_find(pythons), i;
	struct referents r;

	(void)state;
	assert_true(count > 0);
	for (i = 0; i < count; i++) {
		referents_check(&pythons[i], references_script, NULL, NULL, &r);
		assert_int_equal(r.different, 0);
		assert_true(r.same > 5000);
		if (r.emulation) {
			assert_int_equal(r.fallbacks, 0);
			assert_int_equal(r.abandoned, 0);
			assert_true(r.emulated > 5000);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(referents_equal_cpythons)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
