#include "lib/policy/unlock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/fault.h"

static const unsigned char key[UNLOCK_KEY_SIZE] = {1, 2, 3};
static const struct unlock made = {
	.environment = {{9}}, .expires_ms = INT64_C(1790000040000), .serial = 7};

static int parse(const char *text, const struct uuid *environment, struct unlock *out)
{
	return unlock_parse(text, strlen(text), environment, key, out, NULL);
}

static void a_code_says_what_was_put_in(void **state)
{
	char code[UNLOCK_CODE_MAX];
	struct unlock out;

	(void)state;
	for (int status = 0; status < 2; status++) {
		struct unlock in = made;

		in.lifts_status = status;
		assert_int_equal(unlock_format(&in, key, code, NULL), 0);
		assert_int_equal(parse(code, &made.environment, &out), 0);
		assert_memory_equal(out.environment.b, made.environment.b, UUID_SIZE);
		assert_int_equal(out.expires_ms, made.expires_ms - made.expires_ms % 60000);
		assert_int_equal(out.serial, 7);
		assert_int_equal(out.lifts_status, status);
	}
}

/* Read over the telephone and typed by hand. */
static void codes_are_golden_and_forgiving(void **state)
{
	char code[UNLOCK_CODE_MAX];
	char typed[UNLOCK_CODE_MAX];
	struct unlock out;

	(void)state;
	assert_int_equal(unlock_format(&made, key, code, NULL), 0);
	assert_string_equal(code, "073K-GXG0-0000-01VF-CRQM-M9KN-QRJ1-PR8");
	for (size_t i = 0; i <= strlen(code); i++)
		typed[i] = (char)(code[i] == '-' ? ' ' : code[i] >= 'A' ? code[i] + 32 : code[i]);
	assert_int_equal(parse(typed, &made.environment, &out), 0);
}

static void a_code_is_for_one_environment_and_key(void **state)
{
	static const unsigned char other_key[UNLOCK_KEY_SIZE] = {1, 2, 4};
	const struct uuid other = {{8}};
	char code[UNLOCK_CODE_MAX];
	struct unlock out;

	(void)state;
	assert_int_equal(unlock_format(&made, key, code, NULL), 0);
	assert_int_equal(parse(code, &other, &out), ERR_VERIFY);
	assert_int_equal(unlock_parse(code, strlen(code), &made.environment, other_key, &out, NULL),
			 ERR_VERIFY);
	for (size_t i = 0; code[i]; i++) {
		char old = code[i];

		if (old == '-')
			continue;
		code[i] = old == '7' ? '8' : '7';
		/* The last letter has bits that say nothing. */
		if (code[i + 1])
			assert_int_not_equal(parse(code, &made.environment, &out), 0);
		code[i] = old;
	}
}

static void what_is_no_code_is_refused(void **state)
{
	static const char *const texts[] = {"", "-", "AAAA", "!!!!", "K7Q2-K7Q2-K7Q2-K7Q2"};
	char code[UNLOCK_CODE_MAX], longer[UNLOCK_CODE_MAX + 16];
	struct unlock out;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(parse(texts[i], &made.environment, &out), ERR_INVALID);
	/* A good one with more behind it. */
	assert_int_equal(unlock_format(&made, key, code, NULL), 0);
	(void)snprintf(longer, sizeof(longer), "%s-0000-0000", code);
	assert_int_equal(parse(longer, &made.environment, &out), ERR_INVALID);
	assert_int_equal(unlock_format(&(struct unlock){.expires_ms = 0}, key, code, NULL),
			 ERR_INVALID);
	assert_int_equal(unlock_format(&(struct unlock){.expires_ms = INT64_MAX}, key, code, NULL),
			 ERR_INVALID);
}

static int there_and_back(void *ctx)
{
	char code[UNLOCK_CODE_MAX];
	struct unlock out;
	int rc = unlock_format(&made, key, code, NULL);

	(void)ctx;
	return rc == 0 ? parse(code, &made.environment, &out) : rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
	(void)state;
	fault_each_alloc(there_and_back, NULL, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_code_says_what_was_put_in),
		cmocka_unit_test(codes_are_golden_and_forgiving),
		cmocka_unit_test(a_code_is_for_one_environment_and_key),
		cmocka_unit_test(what_is_no_code_is_refused),
		cmocka_unit_test(running_out_of_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
