#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/base32.h"
#include "lib/base/compiler.h"
#include "lib/base/err.h"

static void encodes(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *text;
	} cases[] = {
		{"", 0, ""},
		{"\0", 1, "00"},
		{"\xff", 1, "ZW"},
		{"\xff\xff", 2, "ZZZG"},
		{"\x01\x02\x03", 3, "04106"},
		{"hello", 5, "D1JPRV3F"},
		{"Hello, World!", 13, "91JPRV3F5GG5EVVJDHJ22"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf text, back;

		buf_init(&text, 100);
		buf_init(&back, 100);
		base32_encode(&text, cases[i].bytes, cases[i].n);
		assert_string_equal(buf_cstr(&text), cases[i].text);
		assert_int_equal(base32_decode(text.data, text.len, &back), 0);
		assert_int_equal(back.len, cases[i].n);
		if (back.len > 0)
			assert_memory_equal(back.data, cases[i].bytes, back.len);
		buf_deinit(&text);
		buf_deinit(&back);
	}
}

static void decodes_what_people_type(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *bytes;
	} cases[] = {
		{"D1JPRV3F", 0, "hello"},
		{"d1jp-rv3f", 0, "hello"},
		{"dIJp rv3f", 0, "hello"},
		{"DLJPRV3F", 0, "hello"},
		{"dljp\trv3f", 0, "hello"},
		{"--", 0, ""},
		{"D1JPRV3U", ERR_INVALID, ""}, /* no such letter */
		{"D1JPRV3F*", ERR_INVALID, ""},
		{"D1JPRV3F0", ERR_INVALID, ""}, /* a digit too many */
		{"ZZ", ERR_INVALID, ""},	/* padding bits set */
		{"D1\n", ERR_INVALID, ""},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out;

		buf_init(&out, 100);
		buf_addc(&out, '>');
		assert_int_equal(base32_decode(cases[i].text, strlen(cases[i].text), &out),
				 cases[i].rc);
		assert_string_equal(buf_cstr(&out) + 1, cases[i].bytes);
		buf_deinit(&out);
	}
}

static void takes_o_for_zero_and_no_nul(void **state)
{
	struct buf out;
	(void)state;

	buf_init(&out, 1);
	assert_int_equal(base32_decode("oO", 2, &out), 0);
	assert_int_equal(out.data[0], 0);
	assert_int_equal(base32_decode("0\0", 2, &out), ERR_INVALID);
	assert_int_equal(base32_decode("0000", 4, &out), ERR_LIMIT);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodes),
		cmocka_unit_test(decodes_what_people_type),
		cmocka_unit_test(takes_o_for_zero_and_no_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
