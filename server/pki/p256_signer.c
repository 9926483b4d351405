#include "server/pki/p256_signer.h"

#include <string.h>

#include <mbedtls/bignum.h>
#include <nettle/bignum.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecdsa.h>

#include "lib/base/compiler.h"
#include "lib/base/crypto_mbedtls.h"
#include "lib/base/mem.h"

#define NUMBER_SIZE 32 /* bytes of a number on this curve */

struct p256_signer {
	struct ecc_scalar secret;
};

/* The private number, out of the one library and into the other. */
static int secret_take(const struct crypto_key *key, struct ecc_scalar *out, struct err *err)
{
	const mbedtls_ecp_keypair *pair = mbedtls_pk_ec(*crypto_key_pk(key));
	unsigned char bytes[NUMBER_SIZE];
	mpz_t number;
	int mbed = mbedtls_mpi_write_binary(&pair->MBEDTLS_PRIVATE(d), bytes, sizeof(bytes));
	int good;

	if (mbed != 0)
		return crypto_error(err, ERR_INTERNAL, mbed, "private key");
	nettle_mpz_init_set_str_256_u(number, sizeof(bytes), bytes);
	good = ecc_scalar_set(out, number); /* 0 is no key */
	crypto_wipe(mpz_limbs_modify(number, NUMBER_SIZE / (mp_bits_per_limb / 8)), NUMBER_SIZE);
	mpz_clear(number);
	crypto_wipe(bytes, sizeof(bytes));
	return good ? 0 : err_set(err, ERR_USAGE, "key has no private half");
}

int p256_signer_new(const struct crypto_key *key, struct p256_signer **out, struct err *err)
{
	struct p256_signer *signer = mem_calloc(1, sizeof(*signer));
	int rc;

	if (!signer)
		return err_nomem(err);
	ecc_scalar_init(&signer->secret, nettle_get_secp_256r1());
	rc = secret_take(key, &signer->secret, err);
	if (rc < 0) {
		p256_signer_free(signer);
		return rc;
	}
	*out = signer;
	return 0;
}

void p256_signer_free(struct p256_signer *signer)
{
	if (!signer)
		return;
	crypto_wipe(signer->secret.p, NUMBER_SIZE);
	ecc_scalar_clear(&signer->secret);
	mem_free(signer);
}

static void on_random(void *ctx, size_t n, uint8_t *out)
{
	(void)ctx;
	crypto_random(out, n);
}

/* An INTEGER in DER: without leading zeros, but one where the highest bit would make it negative.
 */
static size_t put_integer(const mpz_t number, unsigned char *out)
{
	unsigned char bytes[1 + NUMBER_SIZE] = {0};
	size_t skip = 0, n;

	nettle_mpz_get_str_256(NUMBER_SIZE, bytes + 1, number);
	while (skip < NUMBER_SIZE && bytes[skip] == 0 && bytes[skip + 1] < 0x80)
		skip++;
	n = sizeof(bytes) - skip;
	out[0] = 0x02;
	out[1] = (unsigned char)n;
	memcpy(out + 2, bytes + skip, n);
	return 2 + n;
}

int p256_sign(const void *p256_signer, const void *data, size_t n,
	      unsigned char sig[CRYPTO_SIG_MAX], size_t *sig_n, struct err *err)
{
	const struct p256_signer *signer = p256_signer;
	unsigned char hash[SHA256_SIZE];
	struct dsa_signature numbers;
	size_t len = 2;

	(void)err;
	sha256(data, n, hash);
	dsa_signature_init(&numbers);
	ecdsa_sign(&signer->secret, NULL, on_random, sizeof(hash), hash, &numbers);
	len += put_integer(numbers.r, sig + len);
	len += put_integer(numbers.s, sig + len);
	sig[0] = 0x30;
	sig[1] = (unsigned char)(len - 2);
	dsa_signature_clear(&numbers);
	*sig_n = len;
	return 0;
}
