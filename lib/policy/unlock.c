#include "lib/policy/unlock.h"

#include <string.h>

#include "lib/base/base32.h"
#include "lib/base/buf.h"
#include "lib/base/crypto.h"

#define CLAIM_SIZE 9 /* expiry, flags, serial */
#define MAC_SIZE 10
#define FLAG_STATUS 1u
#define MINUTE_MS 60000
#define TYPED_MAX 256

static int make_mac(const struct uuid *environment, const void *claim,
		    const unsigned char key[UNLOCK_KEY_SIZE], unsigned char out[SHA256_SIZE])
{
	static const char purpose[] = "envwarden-unlock"; /* its end counts */
	unsigned char message[sizeof(purpose) + UUID_SIZE + CLAIM_SIZE];

	memcpy(message, purpose, sizeof(purpose));
	memcpy(message + sizeof(purpose), environment->b, UUID_SIZE);
	memcpy(message + sizeof(purpose) + UUID_SIZE, claim, CLAIM_SIZE);
	return crypto_hmac(key, UNLOCK_KEY_SIZE, message, sizeof(message), out);
}

static void put_groups(const char *letters, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && i % 4 == 0)
			*out++ = '-';
		*out++ = letters[i];
	}
	*out = '\0';
}

int unlock_format(const struct unlock *unlock, const unsigned char key[UNLOCK_KEY_SIZE],
		  char out[UNLOCK_CODE_MAX], struct err *err)
{
	int64_t minutes = unlock->expires_ms / MINUTE_MS;
	unsigned char mac[SHA256_SIZE];
	struct buf code;
	struct buf text;
	int rc;

	if (minutes <= 0 || minutes > UINT32_MAX)
		return err_set(err, ERR_INVALID, "an unlock code can't expire then");
	buf_init(&code, CLAIM_SIZE + MAC_SIZE);
	buf_init(&text, UNLOCK_CODE_MAX);
	buf_add_u32(&code, (uint32_t)minutes);
	buf_add_u8(&code, unlock->lifts_status ? FLAG_STATUS : 0);
	buf_add_u32(&code, unlock->serial);
	rc = buf_rc(&code);
	if (rc == 0)
		rc = make_mac(&unlock->environment, code.data, key, mac);
	if (rc == 0) {
		buf_add(&code, mac, MAC_SIZE);
		rc = buf_rc(&code);
	}
	if (rc == 0) {
		base32_encode(&text, code.data, code.len);
		rc = buf_rc(&text);
	}
	if (rc == 0)
		put_groups(text.data, text.len, out);
	else
		rc = err_set(err, rc, "unlock code: %s", err_text(rc));
	buf_deinit(&code);
	buf_deinit(&text);
	return rc;
}

static int check(const struct buf *code, const struct uuid *environment,
		 const unsigned char key[UNLOCK_KEY_SIZE], struct unlock *out, struct err *err)
{
	unsigned char mac[SHA256_SIZE];
	struct rd rd;
	uint32_t minutes;
	uint8_t flags;

	if (code->len != CLAIM_SIZE + MAC_SIZE)
		return err_set(err, ERR_INVALID, "this is not an unlock code");
	if (make_mac(environment, code->data, key, mac) < 0)
		return err_nomem(err);
	if (!crypto_equal(mac, code->data + CLAIM_SIZE, MAC_SIZE))
		return err_set(err, ERR_VERIFY,
			       "this code is not for this environment, or was mistyped");
	rd_init(&rd, code->data, CLAIM_SIZE);
	minutes = rd_u32(&rd);
	flags = rd_u8(&rd);
	*out = (struct unlock){
		.environment = *environment,
		.expires_ms = (int64_t)minutes * MINUTE_MS,
		.lifts_status = (flags & FLAG_STATUS) != 0,
	};
	out->serial = rd_u32(&rd);
	return 0;
}

int unlock_parse(const char *text, size_t n, const struct uuid *environment,
		 const unsigned char key[UNLOCK_KEY_SIZE], struct unlock *out, struct err *err)
{
	struct buf code;
	int rc;

	if (n > TYPED_MAX)
		return err_set(err, ERR_INVALID, "this is not an unlock code");
	buf_init(&code, TYPED_MAX);
	rc = base32_decode(text, n, &code);
	if (rc == ERR_NOMEM)
		rc = err_nomem(err);
	else if (rc < 0)
		rc = err_set(err, ERR_INVALID, "this is not an unlock code");
	else
		rc = check(&code, environment, key, out, err);
	buf_deinit(&code);
	return rc;
}
