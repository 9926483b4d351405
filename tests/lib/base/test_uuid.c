#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"

static void parses_and_formats(void **state)
{
	struct uuid u;
	char text[UUID_TEXT_MAX];
	(void)state;

	assert_int_equal(uuid_parse("00112233-4455-6677-8899-AABBccddeeff", &u), 0);
	assert_memory_equal(u.b, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
			    UUID_SIZE);
	uuid_format(&u, text);
	assert_string_equal(text, "00112233-4455-6677-8899-aabbccddeeff");
}

static void refuses(void **state)
{
	static const char *const cases[] = {
		"",
		"00112233-4455-6677-8899-aabbccddeef",
		"00112233-4455-6677-8899-aabbccddeeff0",
		"00112233-4455-6677-8899-aabbccddeefg",
		"001122334-455-6677-8899-aabbccddeeff",
		"00112233445566778899aabbccddeeff0000",
		"{0112233-4455-6677-8899-aabbccddeef}",
		"00112233-4455-6677-8899 aabbccddeeff",
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct uuid u = {{42}};
		assert_int_equal(uuid_parse(cases[i], &u), ERR_INVALID);
		assert_int_equal(u.b[0], 42);
	}
}

static void new_ones_are_random_version_4(void **state)
{
	struct uuid a, b, zero = {{0}};
	(void)state;

	for (int i = 0; i < 50; i++) {
		uuid_new(&a);
		uuid_new(&b);
		assert_int_equal(a.b[6] >> 4, 4);
		assert_int_equal(a.b[8] >> 6, 2);
		assert_int_not_equal(uuid_cmp(&a, &b), 0);
		assert_int_equal(uuid_cmp(&a, &b) < 0, uuid_cmp(&b, &a) > 0);
		assert_false(uuid_is_zero(&a));
	}
	assert_true(uuid_is_zero(&zero));
	assert_true(uuid_cmp(&zero, &a) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_and_formats),
		cmocka_unit_test(refuses),
		cmocka_unit_test(new_ones_are_random_version_4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
