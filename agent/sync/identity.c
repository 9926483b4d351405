#include "agent/sync/identity.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/net/address.h"
#include "lib/net/tls_identity.h"
#include "platform/secret.h"
#include "proto/limits.h"

#define MAGIC "EWID"
#define MAGIC_SIZE 4
#define VERSION 1

void sync_identity_init(struct sync_identity *id)
{
	*id = (struct sync_identity){.n_addresses = 0};
	buf_init(&id->chain, TLS_CHAIN_MAX);
	buf_init(&id->root, LIMIT_SMALL_SIGNED);
}

void sync_identity_deinit(struct sync_identity *id)
{
	crypto_key_free(id->key);
	buf_deinit(&id->chain);
	buf_deinit(&id->root);
	crypto_wipe(id, sizeof(*id));
}

/* --- bytes --- */

static void add_text(struct buf *out, const char *text)
{
	buf_add_lp(out, text, strlen(text));
}

int sync_identity_encode(const struct sync_identity *id, struct buf *out, struct err *err)
{
	unsigned char key[CRYPTO_KEY_MAX], sum[SHA256_SIZE];
	size_t start = out->len, key_n;
	int rc = crypto_key_to_der(id->key, key, sizeof(key), &key_n, err);

	if (rc < 0) {
		(void)err_context(err, "identity");
		return rc;
	}
	buf_add(out, MAGIC, MAGIC_SIZE);
	buf_add_u8(out, VERSION);
	buf_add_lp(out, id->machine.b, UUID_SIZE);
	buf_add_lp(out, id->organisation.b, UUID_SIZE);
	add_text(out, id->name);
	buf_add_u8(out, (uint8_t)id->n_addresses);
	for (size_t i = 0; i < id->n_addresses; i++)
		add_text(out, id->addresses[i]);
	buf_add_lp(out, key, key_n);
	buf_add_lp(out, id->chain.data, id->chain.len);
	buf_add_lp(out, id->root.data, id->root.len);
	crypto_wipe(key, sizeof(key));
	if (buf_rc(out) == 0) {
		sha256(out->data + start, out->len - start, sum);
		buf_add(out, sum, sizeof(sum));
	}
	rc = buf_rc(out);
	return rc < 0 ? err_set(err, rc, "identity: %s", err_text(rc)) : 0;
}

static int damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, "identity: %s", what);
}

static int read_uuid(struct rd *r, struct uuid *out)
{
	size_t n;
	const void *data = rd_lp(r, UUID_SIZE, &n);

	if (!data || n != UUID_SIZE)
		return ERR_CORRUPT;
	memcpy(out->b, data, n);
	return 0;
}

/* A text of at most max bytes into room for one more. */
static int read_text(struct rd *r, size_t max, char *out)
{
	size_t n;
	const void *data = rd_lp(r, max, &n);

	if (!data || !text_is_utf8(data, n) || memchr(data, '\0', n) != NULL)
		return ERR_CORRUPT;
	memcpy(out, data, n);
	out[n] = '\0';
	return 0;
}

static int read_buf(struct rd *r, struct buf *out)
{
	size_t n;
	const void *data = rd_lp(r, out->max, &n);

	if (!data)
		return ERR_CORRUPT;
	buf_add(out, data, n);
	return buf_rc(out);
}

static int read_addresses(struct rd *r, struct sync_identity *id)
{
	size_t n = rd_u8(r);
	int rc = n >= 1 && n <= JOIN_CODE_ADDRESSES_MAX ? 0 : ERR_CORRUPT;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct address address;

		rc = read_text(r, JOIN_CODE_ADDRESS_MAX, id->addresses[i]);
		if (rc == 0 && address_parse(id->addresses[i], 0, &address, NULL) < 0)
			rc = ERR_CORRUPT;
	}
	id->n_addresses = n;
	return rc;
}

static int read_key(struct rd *r, struct sync_identity *id)
{
	size_t n;
	const void *data = rd_lp(r, CRYPTO_KEY_MAX, &n);
	int rc = data ? crypto_key_from_der(data, n, &id->key, NULL) : ERR_CORRUPT;

	return rc < 0 && rc != ERR_NOMEM ? ERR_CORRUPT : rc;
}

static int read_fields(struct rd *r, struct sync_identity *id)
{
	int rc = read_uuid(r, &id->machine);

	if (rc == 0)
		rc = read_uuid(r, &id->organisation);
	if (rc == 0)
		rc = read_text(r, JOIN_CODE_NAME_MAX, id->name);
	if (rc == 0)
		rc = read_addresses(r, id);
	if (rc == 0)
		rc = read_key(r, id);
	if (rc == 0)
		rc = read_buf(r, &id->chain);
	if (rc == 0)
		rc = read_buf(r, &id->root);
	return rc == 0 && (r->rc < 0 || r->left > 0) ? ERR_CORRUPT : rc;
}

/* The certificate is for this key and this machine. */
static int check_parts(const struct sync_identity *id, struct err *err)
{
	unsigned char hash[SHA256_SIZE];
	struct tls_identity leaf = {.certs = 0};
	int rc = tls_identity_parse(id->chain.data, id->chain.len, &leaf, err);

	if (rc == ERR_NOMEM)
		return rc;
	if (rc < 0)
		return damaged(err, "the certificates in it are not a chain");
	rc = crypto_key_id(id->key, hash, err);
	if (rc < 0)
		return rc;
	if (memcmp(hash, leaf.spki_hash, sizeof(hash)) != 0)
		return damaged(err, "the certificate in it is for another key");
	if (!leaf.has_machine || uuid_cmp(&leaf.machine, &id->machine) != 0)
		return damaged(err, "the certificate in it is for another machine");
	return 0;
}

static int check_envelope(const unsigned char *p, size_t n, struct err *err)
{
	unsigned char sum[SHA256_SIZE];

	if (n < MAGIC_SIZE + 1 + SHA256_SIZE || memcmp(p, MAGIC, MAGIC_SIZE) != 0)
		return damaged(err, "not an identity file");
	sha256(p, n - SHA256_SIZE, sum);
	if (memcmp(sum, p + n - SHA256_SIZE, SHA256_SIZE) != 0)
		return damaged(err, "the checksum is wrong");
	if (p[MAGIC_SIZE] != VERSION)
		return err_set(err, ERR_UNSUPPORTED, "identity: written by a newer version (%u)",
			       p[MAGIC_SIZE]);
	return 0;
}

int sync_identity_decode(const void *data, size_t n, struct sync_identity *out, struct err *err)
{
	const unsigned char *p = data;
	struct rd r;
	int rc;

	sync_identity_init(out);
	rc = check_envelope(p, n, err);
	if (rc < 0)
		return rc;
	rd_init(&r, p + MAGIC_SIZE + 1, n - MAGIC_SIZE - 1 - SHA256_SIZE);
	rc = read_fields(&r, out);
	if (rc == ERR_NOMEM)
		rc = err_nomem(err);
	else if (rc < 0)
		rc = damaged(err, "a field breaks its rule");
	else
		rc = check_parts(out, err);
	if (rc < 0) {
		sync_identity_deinit(out);
		sync_identity_init(out);
	}
	return rc;
}

/* --- file --- */

static void wipe(struct buf *b)
{
	if (b->data)
		crypto_wipe(b->data, b->cap);
	buf_deinit(b);
}

int sync_identity_save(const struct sync_identity *id, const char *path, struct err *err)
{
	struct buf bytes;
	int rc;

	buf_init(&bytes, SYNC_IDENTITY_MAX);
	/* At once, so that growing leaves no copies of the key behind. */
	if (!buf_reserve(&bytes, 8192 + id->chain.len + id->root.len))
		rc = err_nomem(err);
	else
		rc = sync_identity_encode(id, &bytes, err);
	if (rc == 0)
		rc = secret_write(path, bytes.data, bytes.len, err);
	wipe(&bytes);
	return rc;
}

int sync_identity_load(const char *path, struct sync_identity *out, struct err *err)
{
	struct err why = ERR_INIT;
	struct buf bytes;
	int rc;

	sync_identity_init(out);
	buf_init(&bytes, SYNC_IDENTITY_MAX);
	rc = secret_read(path, SYNC_IDENTITY_MAX, &bytes, &why);
	if (rc == ERR_LIMIT || rc == ERR_INVALID)
		rc = err_set(&why, ERR_CORRUPT, "identity: not an identity file");
	else if (rc == 0)
		rc = sync_identity_decode(bytes.data, bytes.len, out, &why);
	if (rc == ERR_CORRUPT)
		(void)err_set(err, rc, "%s: %s; remove the file and enrol this machine again", path,
			      why.text);
	else if (rc < 0)
		(void)err_set(err, rc, "%s", why.text);
	wipe(&bytes);
	return rc;
}
