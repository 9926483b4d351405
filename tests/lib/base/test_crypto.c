#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/crypto.h"
#include "lib/base/text.h"
#include "tests/support/fault.h"

static void check_hash(const void *data, size_t n, const char *hex)
{
	unsigned char expected[SHA256_SIZE], got[SHA256_SIZE];
	const unsigned char *p = data;

	assert_int_equal(text_from_hex(hex, strlen(hex), expected, sizeof(expected)), 0);
	sha256(data, n, got);
	assert_memory_equal(got, expected, sizeof(got));
	for (size_t step = 1; step < 200; step += 31) {
		struct sha256 h;

		sha256_init(&h);
		for (size_t i = 0; i < n; i += step)
			sha256_update(&h, p + i, n - i < step ? n - i : step);
		sha256_final(&h, got);
		assert_memory_equal(got, expected, sizeof(got));
	}
}

static void hashes_known_answers(void **state)
{
	char as[1000];
	(void)state;

	memset(as, 'a', sizeof(as));
	check_hash("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check_hash("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check_hash(as, sizeof(as),
		   "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
}

static void random_bytes_differ(void **state)
{
	static unsigned char big[5000];
	unsigned char a[32], b[32];
	unsigned seen = 0;
	(void)state;

	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	crypto_random(big, sizeof(big));
	for (size_t i = sizeof(big) - 100; i < sizeof(big); i++)
		seen |= big[i];
	assert_int_equal(seen, 0xff);
	crypto_random(NULL, 0);
}

static void *draw(void *into)
{
	crypto_random(into, 32);
	return NULL;
}

static void threads_draw_apart(void **state)
{
	unsigned char drawn[4][32];
	pthread_t threads[4];
	(void)state;

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, draw, drawn[i]), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (size_t i = 1; i < 4; i++)
		assert_memory_not_equal(drawn[0], drawn[i], 32);
}

static void compares_and_wipes(void **state)
{
	char secret[] = "secret";
	(void)state;

	assert_true(crypto_equal("abc", "abc", 3));
	assert_false(crypto_equal("abc", "abd", 3));
	assert_false(crypto_equal("xbc", "abc", 3));
	assert_true(crypto_equal("x", "y", 0));
	crypto_wipe(secret, sizeof(secret));
	assert_memory_equal(secret, "\0\0\0\0\0\0\0", sizeof(secret));
	crypto_wipe(NULL, 0);
}

static void signs_and_verifies(void **state)
{
	unsigned char sig[CRYPTO_SIG_MAX];
	struct crypto_key *key, *other;
	struct err err = ERR_INIT;
	size_t n;
	(void)state;

	assert_int_equal(crypto_key_new(&key, &err), 0);
	assert_int_equal(crypto_key_new(&other, &err), 0);
	assert_int_equal(crypto_sign(key, "hello", 5, sig, sizeof(sig), &n, &err), 0);
	assert_int_equal(crypto_verify(key, "hello", 5, sig, n), 0);
	assert_int_equal(crypto_verify(key, "hellO", 5, sig, n), ERR_VERIFY);
	assert_int_equal(crypto_verify(key, "hello", 4, sig, n), ERR_VERIFY);
	assert_int_equal(crypto_verify(other, "hello", 5, sig, n), ERR_VERIFY);
	assert_int_equal(crypto_verify(key, "hello", 5, sig, n - 1), ERR_VERIFY);
	assert_int_equal(crypto_verify(key, "hello", 5, sig, 0), ERR_VERIFY);
	assert_int_equal(crypto_verify(key, "hello", 5, sig, SIZE_MAX), ERR_VERIFY);
	for (size_t i = 0; i < n; i++) {
		sig[i] ^= 4;
		assert_int_equal(crypto_verify(key, "hello", 5, sig, n), ERR_VERIFY);
		sig[i] ^= 4;
	}
	assert_int_equal(crypto_sign(key, "hello", 5, sig, 10, &n, &err), ERR_LIMIT);
	crypto_key_free(key);
	crypto_key_free(other);
	crypto_key_free(NULL);
}

static void keys_go_out_and_come_back(void **state)
{
	unsigned char der[CRYPTO_KEY_MAX], spki[CRYPTO_SPKI_MAX], sig[CRYPTO_SIG_MAX];
	unsigned char id[SHA256_SIZE], hash[SHA256_SIZE];
	struct crypto_key *key, *same, *public;
	struct err err = ERR_INIT;
	size_t der_n, spki_n, sig_n;
	(void)state;

	assert_int_equal(crypto_key_new(&key, &err), 0);
	assert_int_equal(crypto_key_to_der(key, der, sizeof(der), &der_n, &err), 0);
	assert_int_equal(crypto_key_to_spki(key, spki, sizeof(spki), &spki_n, &err), 0);
	assert_int_equal(spki_n, 91);
	assert_int_equal(crypto_key_id(key, id, &err), 0);
	sha256(spki, spki_n, hash);
	assert_memory_equal(id, hash, sizeof(id));

	assert_int_equal(crypto_key_from_der(der, der_n, &same, &err), 0);
	assert_int_equal(crypto_key_from_spki(spki, spki_n, &public, &err), 0);
	assert_int_equal(crypto_sign(same, "x", 1, sig, sizeof(sig), &sig_n, &err), 0);
	assert_int_equal(crypto_verify(public, "x", 1, sig, sig_n), 0);
	assert_int_equal(crypto_key_id(public, hash, &err), 0);
	assert_memory_equal(id, hash, sizeof(id));

	assert_int_equal(crypto_sign(public, "x", 1, sig, sizeof(sig), &sig_n, &err), ERR_USAGE);
	assert_int_equal(crypto_key_to_der(public, der, sizeof(der), &der_n, &err), ERR_USAGE);
	assert_int_equal(crypto_key_to_spki(key, spki, 90, &spki_n, &err), ERR_LIMIT);
	crypto_key_free(key);
	crypto_key_free(same);
	crypto_key_free(public);
}

static void refuses_broken_keys(void **state)
{
	unsigned char der[CRYPTO_KEY_MAX], spki[CRYPTO_SPKI_MAX + 1];
	struct crypto_key *key, *none = NULL;
	struct err err = ERR_INIT;
	size_t der_n, spki_n;
	(void)state;

	assert_int_equal(crypto_key_new(&key, &err), 0);
	assert_int_equal(crypto_key_to_der(key, der, sizeof(der), &der_n, &err), 0);
	assert_int_equal(crypto_key_to_spki(key, spki, CRYPTO_SPKI_MAX, &spki_n, &err), 0);
	for (size_t n = 0; n < der_n; n++)
		assert_true(crypto_key_from_der(der, n, &none, &err) < 0);
	for (size_t n = 0; n < spki_n; n++)
		assert_true(crypto_key_from_spki(spki, n, &none, &err) < 0);
	spki[spki_n] = 0;
	assert_true(crypto_key_from_spki(spki, spki_n + 1, &none, &err) < 0);
	spki[spki_n - 1] ^= 1; /* no point of the curve any more */
	assert_int_equal(crypto_key_from_spki(spki, spki_n, &none, &err), ERR_INVALID);
	assert_true(text_starts(err.text, "public key: "));
	assert_int_equal(crypto_key_from_spki(spki, CRYPTO_SPKI_MAX + 1, &none, &err), ERR_LIMIT);
	assert_null(none);
	crypto_key_free(key);
}

/* Keys on other curves, and the same P-256 key with its point compressed. */
static void refuses_other_kinds(void **state)
{
	static const struct {
		const char *hex;
		int rc;
	} cases[] = {
		/* secp384r1, its generator */
		{"3076301006072a8648ce3d020106052b8104002203620004"
		 "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c"
		 "3a545e3872760ab73617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c0"
		 "0a60b1ce1d7e819d7a431d7c90ea0e5f",
		 ERR_UNSUPPORTED},
		/* secp256k1, its generator */
		{"3056301006072a8648ce3d020106052b8104000a03420004"
		 "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
		 "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
		 ERR_UNSUPPORTED},
		/* secp256r1, its generator: this one is fine */
		{"3059301306072a8648ce3d020106082a8648ce3d03010703420004"
		 "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
		 "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
		 0},
		/* the same in other words, which a lenient reader takes: a length in two bytes,
		 * and something behind the end */
		{"308159301306072a8648ce3d020106082a8648ce3d03010703420004"
		 "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
		 "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
		 ERR_INVALID},
		{"3059301306072a8648ce3d020106082a8648ce3d03010703420004"
		 "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
		 "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f500",
		 ERR_INVALID},
		/* the same with one coordinate */
		{"3039301306072a8648ce3d020106082a8648ce3d030107032200"
		 "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
		 ERR_INVALID},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned char der[CRYPTO_SPKI_MAX];
		size_t n = strlen(cases[i].hex) / 2;
		struct crypto_key *key = NULL;
		struct err err = ERR_INIT;

		assert_int_equal(text_from_hex(cases[i].hex, 2 * n, der, n), 0);
		assert_int_equal(crypto_key_from_spki(der, n, &key, &err), cases[i].rc);
		assert_int_equal(err.code, cases[i].rc);
		crypto_key_free(key);
	}
}

static void sealed_data_opens_only_whole(void **state)
{
	unsigned char key[32] = {7}, sealed[5 + CRYPTO_SEAL_EXTRA], again[sizeof(sealed)];
	char text[5];
	size_t n;
	(void)state;

	assert_int_equal(crypto_seal(key, "hello", 5, sealed, sizeof(sealed) - 1), ERR_LIMIT);
	assert_int_equal(crypto_seal(key, "hello", 5, sealed, sizeof(sealed)), 0);
	assert_int_equal(crypto_seal(key, "hello", 5, again, sizeof(again)), 0);
	assert_memory_not_equal(sealed, again, 12); /* fresh nonces */
	assert_int_equal(crypto_open(key, sealed, sizeof(sealed), text, sizeof(text), &n), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(crypto_open(key, sealed, sizeof(sealed), text, 4, &n), ERR_LIMIT);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 1;
		assert_int_equal(crypto_open(key, sealed, sizeof(sealed), text, 5, &n), ERR_VERIFY);
		sealed[i] ^= 1;
		assert_int_equal(crypto_open(key, sealed, i, text, 5, &n), ERR_VERIFY);
	}
	key[31] ^= 1;
	assert_int_equal(crypto_open(key, sealed, sizeof(sealed), text, 5, &n), ERR_VERIFY);

	assert_int_equal(crypto_seal(key, NULL, 0, sealed, CRYPTO_SEAL_EXTRA), 0);
	assert_int_equal(crypto_open(key, sealed, CRYPTO_SEAL_EXTRA, text, 0, &n), 0);
	assert_int_equal(n, 0);
}

static int make_key(void *ctx)
{
	struct crypto_key *key = NULL;
	int rc = crypto_key_new(&key, NULL);
	(void)ctx;

	crypto_key_free(key);
	return rc;
}

static void survives_lack_of_memory(void **state)
{
	(void)state;
	fault_each_alloc(make_key, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_known_answers),
		cmocka_unit_test(random_bytes_differ),
		cmocka_unit_test(threads_draw_apart),
		cmocka_unit_test(compares_and_wipes),
		cmocka_unit_test(signs_and_verifies),
		cmocka_unit_test(keys_go_out_and_come_back),
		cmocka_unit_test(refuses_broken_keys),
		cmocka_unit_test(refuses_other_kinds),
		cmocka_unit_test(sealed_data_opens_only_whole),
		cmocka_unit_test(survives_lack_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
