#include "server/pki/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static void test_hash_and_verify(void **state)
{
	char hash[PASSWORD_HASH_MAX], again[PASSWORD_HASH_MAX];
	bool weak = true;

	(void)state;
	assert_int_equal(password_hash("correct horse", hash, NULL), 0);
	assert_int_equal(password_hash("correct horse", again, NULL), 0);
	assert_string_not_equal(hash, again); /* salted */
	assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
	assert_true(password_verify(hash, "correct horse", &weak));
	assert_false(weak);
	assert_false(password_verify(hash, "correct horsf", NULL));
	assert_false(password_verify(hash, "", NULL));
}

static void test_refuses(void **state)
{
	static char big[PASSWORD_MAX + 2];
	char hash[PASSWORD_HASH_MAX] = "untouched";

	(void)state;
	memset(big, 'p', sizeof(big) - 1);
	assert_int_equal(password_hash("short", hash, NULL), ERR_INVALID);
	assert_int_equal(password_hash(big, hash, NULL), ERR_INVALID);
	assert_string_equal(hash, "untouched");
	assert_false(password_verify(NULL, "correct horse", NULL));
	assert_false(password_verify("", "correct horse", NULL));
	assert_false(password_verify("$argon2id$garbage", "correct horse", NULL));
	assert_false(password_verify(big, "correct horse", NULL));
}

static void test_weak(void **state)
{
	/* "correct horse" at a lower cost (8 MiB, one pass) */
	char hash[PASSWORD_HASH_MAX];
	bool weak = false;

	(void)state;
	assert_int_equal(crypto_pwhash_str_alg(hash, "correct horse", 13, 1, 8U << 20,
					       crypto_pwhash_ALG_ARGON2ID13),
			 0);
	assert_true(password_verify(hash, "correct horse", &weak));
	assert_true(weak);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_and_verify),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_weak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
