#include "lib/base/crypto.h"

#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/constant_time.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>

#include "lib/base/crypto_mbedtls.h"
#include "lib/base/mem.h"

#define NONCE_SIZE 12
#define TAG_SIZE 16

struct crypto_key {
	mbedtls_pk_context pk; /* always an EC key pair on P-256 */
	bool is_private;
};

/* --- errors --- */

static bool is_nomem(int mbedtls_rc)
{
	static const int high[] = {MBEDTLS_ERR_PK_ALLOC_FAILED, MBEDTLS_ERR_ECP_ALLOC_FAILED};

	/* A code is the sum of a module's (multiples of 128) and one from the layer below. */
	int low = -(-mbedtls_rc & 0x7f);

	if (low == MBEDTLS_ERR_MPI_ALLOC_FAILED || low == MBEDTLS_ERR_ASN1_ALLOC_FAILED)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(high); i++) {
		if (mbedtls_rc - low == high[i])
			return true;
	}
	return false;
}

int crypto_error(struct err *err, int code, int mbedtls_rc, const char *what)
{
	char text[128];

	if (is_nomem(mbedtls_rc))
		return err_nomem(err);
	mbedtls_strerror(mbedtls_rc, text, sizeof(text));
	return err_set(err, code, "%s: %s", what, text);
}

/* --- randomness --- */

/*
 * One generator a thread: no locks, and cheap once seeded. It holds no memory of its own, so that
 * nothing leaks when the thread ends; the collector of entropy may, and lives only while it is
 * read.
 */
static _Thread_local struct {
	mbedtls_ctr_drbg_context drbg;
	bool seeded;
} rng;

static int gather_entropy(void *ctx, unsigned char *out, size_t n)
{
	mbedtls_entropy_context entropy;
	int rc;

	(void)ctx;
	mbedtls_entropy_init(&entropy);
	rc = mbedtls_entropy_func(&entropy, out, n);
	mbedtls_entropy_free(&entropy);
	return rc;
}

static int seed_once(void)
{
	int rc;

	if (rng.seeded)
		return 0;
	mbedtls_ctr_drbg_init(&rng.drbg);
	rc = mbedtls_ctr_drbg_seed(&rng.drbg, gather_entropy, NULL, NULL, 0);
	if (rc == 0)
		rng.seeded = true;
	else
		mbedtls_ctr_drbg_free(&rng.drbg);
	return rc;
}

int crypto_rng(void *ctx, unsigned char *out, size_t n)
{
	int rc = seed_once();

	(void)ctx;
	while (rc == 0 && n > 0) {
		size_t part = n < MBEDTLS_CTR_DRBG_MAX_REQUEST ? n : MBEDTLS_CTR_DRBG_MAX_REQUEST;

		rc = mbedtls_ctr_drbg_random(&rng.drbg, out, part);
		out += part;
		n -= part;
	}
	return rc;
}

void crypto_random(void *out, size_t n)
{
	CHECK(crypto_rng(NULL, out, n) == 0);
}

int crypto_hmac(const void *key, size_t key_n, const void *data, size_t n,
		unsigned char out[SHA256_SIZE])
{
	const mbedtls_md_info_t *sha = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);

	/* Memory is all that can be lacking. */
	return mbedtls_md_hmac(sha, key, key_n, data, n, out) == 0 ? 0 : ERR_NOMEM;
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
	return n == 0 || mbedtls_ct_memcmp(a, b, n) == 0;
}

void crypto_wipe(void *data, size_t n)
{
	if (n > 0)
		mbedtls_platform_zeroize(data, n);
}

/* --- keys --- */

/* What 3.x changed: parsing a private key blinds with random numbers, signing is told its room. */
static int parse_private(mbedtls_pk_context *pk, const unsigned char *der, size_t n)
{
#if MBEDTLS_VERSION_MAJOR < 3
	return mbedtls_pk_parse_key(pk, der, n, NULL, 0);
#else
	return mbedtls_pk_parse_key(pk, der, n, NULL, 0, crypto_rng, NULL);
#endif
}

static int sign_hash(mbedtls_pk_context *pk, const unsigned char hash[SHA256_SIZE],
		     unsigned char sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE], size_t *n)
{
#if MBEDTLS_VERSION_MAJOR < 3
	return mbedtls_pk_sign(pk, MBEDTLS_MD_SHA256, hash, SHA256_SIZE, sig, n, crypto_rng, NULL);
#else
	return mbedtls_pk_sign(pk, MBEDTLS_MD_SHA256, hash, SHA256_SIZE, sig,
			       MBEDTLS_PK_SIGNATURE_MAX_SIZE, n, crypto_rng, NULL);
#endif
}

static struct crypto_key *key_alloc(void)
{
	struct crypto_key *key = mem_calloc(1, sizeof(*key));

	if (key)
		mbedtls_pk_init(&key->pk);
	return key;
}

void crypto_key_free(struct crypto_key *key)
{
	if (!key)
		return;
	mbedtls_pk_free(&key->pk);
	crypto_wipe(key, sizeof(*key));
	mem_free(key);
}

/* The library takes keys that it does not change by plain pointers. */
mbedtls_pk_context *crypto_key_pk(const struct crypto_key *key)
{
	return (mbedtls_pk_context *)&key->pk;
}

static int check_p256(const mbedtls_pk_context *pk, struct err *err)
{
	if (mbedtls_pk_get_type(pk) != MBEDTLS_PK_ECKEY ||
	    mbedtls_pk_ec(*pk)->MBEDTLS_PRIVATE(grp).id != MBEDTLS_ECP_DP_SECP256R1)
		return err_set(err, ERR_UNSUPPORTED, "key is not of the P-256 kind");
	return 0;
}

int crypto_key_new(struct crypto_key **out, struct err *err)
{
	struct crypto_key *key = key_alloc();
	int rc, mbed;

	if (!key)
		return err_nomem(err);
	mbed = mbedtls_pk_setup(&key->pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
	if (mbed == 0)
		mbed = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key->pk),
					   crypto_rng, NULL);
	if (mbed != 0) {
		rc = crypto_error(err, ERR_INTERNAL, mbed, "make key");
		goto out;
	}
	key->is_private = true;
	*out = key;
	key = NULL;
	rc = 0;
out:
	crypto_key_free(key);
	return rc;
}

int crypto_key_from_der(const void *der, size_t n, struct crypto_key **out, struct err *err)
{
	struct crypto_key *key;
	int rc, mbed;

	if (n > CRYPTO_KEY_MAX)
		return err_set(err, ERR_LIMIT, "private key is too long");
	key = key_alloc();
	if (!key)
		return err_nomem(err);
	mbed = parse_private(&key->pk, der, n);
	if (mbed != 0) {
		rc = crypto_error(err, ERR_INVALID, mbed, "private key");
		goto out;
	}
	rc = check_p256(&key->pk, err);
	if (rc < 0)
		goto out;
	key->is_private = true;
	*out = key;
	key = NULL;
out:
	crypto_key_free(key);
	return rc;
}

int crypto_key_from_spki(const void *spki, size_t n, struct crypto_key **out, struct err *err)
{
	unsigned char again[CRYPTO_SPKI_MAX];
	size_t again_n = 0;
	struct crypto_key *key;
	int rc, mbed;

	if (n > CRYPTO_SPKI_MAX)
		return err_set(err, ERR_LIMIT, "public key is too long");
	key = key_alloc();
	if (!key)
		return err_nomem(err);
	mbed = mbedtls_pk_parse_public_key(&key->pk, spki, n);
	if (mbed != 0) {
		rc = crypto_error(err, ERR_INVALID, mbed, "public key");
		goto out;
	}
	rc = check_p256(&key->pk, err);
	if (rc < 0)
		goto out;
	/* One key has one encoding, so that it has one key id and can't count twice. */
	rc = crypto_key_to_spki(key, again, sizeof(again), &again_n, err);
	if (rc < 0)
		goto out;
	if (again_n != n || memcmp(again, spki, n) != 0) {
		rc = err_set(err, ERR_INVALID, "public key: not in its canonical encoding");
		goto out;
	}
	*out = key;
	key = NULL;
out:
	crypto_key_free(key);
	return rc;
}

/* The library writes at the end of the room. Moves `written` bytes to the caller. */
static int copy_der(const unsigned char *room, size_t room_n, int written, unsigned char *out,
		    size_t cap, size_t *n, struct err *err)
{
	if (written < 0)
		return crypto_error(err, ERR_INTERNAL, written, "write key");
	if ((size_t)written > cap)
		return err_set(err, ERR_LIMIT, "key does not fit");
	memcpy(out, room + room_n - (size_t)written, (size_t)written);
	*n = (size_t)written;
	return 0;
}

int crypto_key_to_der(const struct crypto_key *key, unsigned char *out, size_t cap, size_t *n,
		      struct err *err)
{
	unsigned char room[CRYPTO_KEY_MAX];
	int rc;

	if (!key->is_private)
		return err_set(err, ERR_USAGE, "key has no private half");
	rc = copy_der(room, sizeof(room),
		      mbedtls_pk_write_key_der(crypto_key_pk(key), room, sizeof(room)), out, cap, n,
		      err);
	crypto_wipe(room, sizeof(room));
	return rc;
}

int crypto_key_to_spki(const struct crypto_key *key, unsigned char *out, size_t cap, size_t *n,
		       struct err *err)
{
	unsigned char room[CRYPTO_SPKI_MAX];

	return copy_der(room, sizeof(room),
			mbedtls_pk_write_pubkey_der(crypto_key_pk(key), room, sizeof(room)), out,
			cap, n, err);
}

int crypto_key_id(const struct crypto_key *key, unsigned char out[SHA256_SIZE], struct err *err)
{
	unsigned char spki[CRYPTO_SPKI_MAX];
	size_t n = 0;
	int rc = crypto_key_to_spki(key, spki, sizeof(spki), &n, err);

	if (rc == 0)
		sha256(spki, n, out);
	return rc;
}

/* --- signatures --- */

int crypto_sign(const struct crypto_key *key, const void *data, size_t n, unsigned char *sig,
		size_t cap, size_t *sig_n, struct err *err)
{
	unsigned char hash[SHA256_SIZE], room[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
	size_t room_n;
	int mbed;

	if (!key->is_private)
		return err_set(err, ERR_USAGE, "key has no private half");
	sha256(data, n, hash);
	mbed = sign_hash(crypto_key_pk(key), hash, room, &room_n);
	if (mbed != 0)
		return crypto_error(err, ERR_INTERNAL, mbed, "sign");
	if (room_n > cap)
		return err_set(err, ERR_LIMIT, "signature does not fit");
	memcpy(sig, room, room_n);
	*sig_n = room_n;
	return 0;
}

int crypto_verify(const struct crypto_key *key, const void *data, size_t n, const void *sig,
		  size_t sig_n)
{
	unsigned char hash[SHA256_SIZE];

	if (sig_n > CRYPTO_SIG_MAX)
		return ERR_VERIFY;
	sha256(data, n, hash);
	if (mbedtls_pk_verify(crypto_key_pk(key), MBEDTLS_MD_SHA256, hash, sizeof(hash), sig,
			      sig_n) != 0)
		return ERR_VERIFY;
	return 0;
}

/* --- authenticated encryption --- */

int crypto_seal(const unsigned char key[32], const void *data, size_t n, void *out, size_t cap)
{
	unsigned char *nonce = out;
	unsigned char *text = nonce + NONCE_SIZE;
	mbedtls_gcm_context gcm;
	int mbed;

	if (cap < CRYPTO_SEAL_EXTRA || cap - CRYPTO_SEAL_EXTRA < n)
		return ERR_LIMIT;
	mbedtls_gcm_init(&gcm);
	mbed = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 256);
	if (mbed == 0) {
		crypto_random(nonce, NONCE_SIZE);
		mbed = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, n, nonce, NONCE_SIZE,
						 NULL, 0, data, text, TAG_SIZE, text + n);
	}
	mbedtls_gcm_free(&gcm);
	return mbed == 0 ? 0 : crypto_error(NULL, ERR_INTERNAL, mbed, "seal");
}

int crypto_open(const unsigned char key[32], const void *sealed, size_t n, void *out, size_t cap,
		size_t *out_n)
{
	const unsigned char *nonce = sealed;
	mbedtls_gcm_context gcm;
	size_t text_n;
	int mbed;

	if (n < CRYPTO_SEAL_EXTRA)
		return ERR_VERIFY;
	text_n = n - CRYPTO_SEAL_EXTRA;
	if (cap < text_n)
		return ERR_LIMIT;
	mbedtls_gcm_init(&gcm);
	mbed = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 256);
	if (mbed == 0)
		mbed = mbedtls_gcm_auth_decrypt(&gcm, text_n, nonce, NONCE_SIZE, NULL, 0,
						nonce + n - TAG_SIZE, TAG_SIZE, nonce + NONCE_SIZE,
						out);
	mbedtls_gcm_free(&gcm);
	if (mbed == 0) {
		*out_n = text_n;
		return 0;
	}
	return crypto_error(NULL, ERR_VERIFY, mbed, "open");
}
