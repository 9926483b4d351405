#include "server/pki/p256_signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <uv.h>

#include "lib/base/compiler.h"

/* Enough for numbers that begin with a zero byte (1 in 256) and with two zero bits beyond it. */
#define MANY 3000
#define THREADS 4

static struct crypto_key *key;

static int setup(void **state)
{
	(void)state;
	return crypto_key_new(&key, NULL);
}

static int teardown(void **state)
{
	(void)state;
	crypto_key_free(key);
	return 0;
}

/* Shorter or longer by a byte or two, as its numbers are. */
static void test_verifies(void **state)
{
	bool short_ones = false, long_ones = false;
	struct p256_signer *signer = NULL;
	unsigned char sig[CRYPTO_SIG_MAX], before[CRYPTO_SIG_MAX] = {0};
	size_t n = 0;

	(void)state;
	assert_int_equal(p256_signer_new(key, &signer, NULL), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(p256_sign(signer, &i, sizeof(i), sig, &n, NULL), 0);
		assert_in_range(n, 66, 72);
		short_ones = short_ones || n < 70;
		long_ones = long_ones || n == 72;
		if (n < 70 || i % 30 == 0)
			assert_int_equal(crypto_verify(key, &i, sizeof(i), sig, n), 0);
		assert_memory_not_equal(sig, before, sizeof(sig)); /* a nonce is never used twice */
		memcpy(before, sig, sizeof(sig));
	}
	assert_true(short_ones && long_ones);
	sig[n - 1] ^= 1;
	assert_int_equal(crypto_verify(key, before, 1, sig, n), ERR_VERIFY);
	p256_signer_free(signer);
}

/* The same text, so that equal nonces would show: r is made of the nonce alone. */
static void test_nonces(void **state)
{
	struct p256_signer *signer = NULL;
	unsigned char seen[64][CRYPTO_SIG_MAX];
	size_t n;

	(void)state;
	assert_int_equal(p256_signer_new(key, &signer, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		memset(seen[i], 0, sizeof(seen[i]));
		(void)p256_sign(signer, "text", 4, seen[i], &n, NULL);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(seen[k] + 6, seen[i] + 6, 24);
	}
	p256_signer_free(signer);
}

struct worker {
	uv_thread_t thread;
	const struct p256_signer *signer;
	unsigned char sig[CRYPTO_SIG_MAX];
	size_t n;
};

static void work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < 200; i++)
		(void)p256_sign(w->signer, &w->signer, sizeof(w->signer), w->sig, &w->n, NULL);
}

static void test_many_threads(void **state)
{
	struct p256_signer *signer = NULL;
	struct worker workers[THREADS];

	(void)state;
	assert_int_equal(p256_signer_new(key, &signer, NULL), 0);
	for (size_t i = 0; i < THREADS; i++) {
		workers[i].signer = signer;
		assert_int_equal(uv_thread_create(&workers[i].thread, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(uv_thread_join(&workers[i].thread), 0);
		assert_int_equal(
			crypto_verify(key, &signer, sizeof(signer), workers[i].sig, workers[i].n),
			0);
	}
	p256_signer_free(signer);
}

static void test_public_half(void **state)
{
	unsigned char spki[CRYPTO_SPKI_MAX];
	struct p256_signer *signer = NULL;
	struct crypto_key *public_half = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(crypto_key_to_spki(key, spki, sizeof(spki), &n, NULL), 0);
	assert_int_equal(crypto_key_from_spki(spki, n, &public_half, NULL), 0);
	assert_int_equal(p256_signer_new(public_half, &signer, NULL), ERR_USAGE);
	assert_null(signer);
	p256_signer_free(signer);
	crypto_key_free(public_half);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verifies),
		cmocka_unit_test(test_nonces),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_public_half),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
