#include "proto/signed.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/compiler.h"

#define DOMAIN "envwarden-v1" /* with its '\0' */

/* --- the bytes a key signs ------------------------------------------------------------------- */

static int signed_bytes(const char *role, const void *body, size_t n, struct buf *out,
			struct err *err)
{
	buf_add(out, DOMAIN, sizeof(DOMAIN));
	buf_add(out, role, strlen(role) + 1);
	buf_add_lp(out, body, n);
	return buf_rc(out) < 0 ? err_set(err, buf_rc(out), "%s", err_text(buf_rc(out))) : 0;
}

#define SIGNED_BYTES_MAX (LIMIT_BUNDLE + 64)

/* --- making ---------------------------------------------------------------------------------- */

/* One signature with its room. */
struct signature {
	Envwarden__Bundle__Signature wire;
	unsigned char key_id[SHA256_SIZE];
	unsigned char bytes[CRYPTO_SIG_MAX];
};

static int sign_by(const struct signed_by *by, const struct buf *message, struct signature *out,
		   struct err *err)
{
	size_t n = 0;
	int rc = by->sign(by->ctx, message->data, message->len, out->bytes, &n, err);

	if (rc < 0)
		return rc;
	memcpy(out->key_id, by->key_id, SHA256_SIZE);
	envwarden__bundle__signature__init(&out->wire);
	out->wire.key_id = (ProtobufCBinaryData){sizeof(out->key_id), out->key_id};
	out->wire.signature = (ProtobufCBinaryData){n, out->bytes};
	return 0;
}

static int sign_plainly(const void *key, const void *data, size_t n,
			unsigned char sig[CRYPTO_SIG_MAX], size_t *sig_n, struct err *err)
{
	return crypto_sign(key, data, n, sig, CRYPTO_SIG_MAX, sig_n, err);
}

static int sign_one(const struct crypto_key *key, const struct buf *message, struct signature *out,
		    struct err *err)
{
	struct signed_by by = {.sign = sign_plainly, .ctx = key};
	int rc = crypto_key_id(key, by.key_id, err);

	return rc < 0 ? rc : sign_by(&by, message, out, err);
}

/* A body on its way: packed, and as the bytes that are signed. */
struct making {
	struct buf packed;
	struct buf message;
};

static int making_begin(struct making *m, const Envwarden__Bundle__Body *body, struct err *err)
{
	int rc;

	buf_init(&m->packed, LIMIT_BUNDLE);
	buf_init(&m->message, SIGNED_BYTES_MAX);
	rc = codec_pack_body(body, &m->packed, err);
	return rc < 0 ? rc
		      : signed_bytes(body->role, m->packed.data, m->packed.len, &m->message, err);
}

static int making_end(struct making *m, const Envwarden__Bundle__Body *body,
		      struct signature *signatures, size_t n, struct buf *out, struct err *err)
{
	Envwarden__Bundle__Signed wire = ENVWARDEN__BUNDLE__SIGNED__INIT;
	Envwarden__Bundle__Signature *list[LIMIT_ROLE_KEYS];

	for (size_t i = 0; i < n; i++)
		list[i] = &signatures[i].wire;
	wire.role = body->role;
	wire.body = (ProtobufCBinaryData){m->packed.len, (uint8_t *)m->packed.data};
	wire.signatures = list;
	wire.n_signatures = n;
	return codec_pack_signed(&wire, out, err);
}

static void making_deinit(struct making *m)
{
	buf_deinit(&m->message);
	buf_deinit(&m->packed);
}

int signed_make(const Envwarden__Bundle__Body *body, const struct crypto_key *const *keys,
		size_t n_keys, struct buf *out, struct err *err)
{
	struct signature signatures[LIMIT_ROLE_KEYS];
	struct making m;
	int rc;

	if (n_keys > LIMIT_ROLE_KEYS)
		return err_set(err, ERR_LIMIT, "more than %d keys", LIMIT_ROLE_KEYS);
	rc = making_begin(&m, body, err);
	for (size_t i = 0; rc == 0 && i < n_keys; i++)
		rc = sign_one(keys[i], &m.message, &signatures[i], err);
	if (rc == 0)
		rc = making_end(&m, body, signatures, n_keys, out, err);
	making_deinit(&m);
	return rc;
}

int signed_make_by(const Envwarden__Bundle__Body *body, const struct signed_by *by, struct buf *out,
		   struct err *err)
{
	struct signature signature;
	struct making m;
	int rc = making_begin(&m, body, err);

	if (rc == 0)
		rc = sign_by(by, &m.message, &signature, err);
	if (rc == 0)
		rc = making_end(&m, body, &signature, 1, out, err);
	making_deinit(&m);
	return rc;
}

/* The signatures there are, but for the key's own, and the fresh one. */
static int add_signature(Envwarden__Bundle__Signed *wire, struct signature *fresh,
			 Envwarden__Bundle__Signature *list[LIMIT_ROLE_KEYS], struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < wire->n_signatures; i++) {
		if (memcmp(wire->signatures[i]->key_id.data, fresh->key_id, SHA256_SIZE) != 0)
			list[n++] = wire->signatures[i];
	}
	if (n == LIMIT_ROLE_KEYS)
		return err_set(err, ERR_LIMIT, "more than %d signatures", LIMIT_ROLE_KEYS);
	list[n++] = &fresh->wire;
	wire->signatures = list;
	wire->n_signatures = n;
	return 0;
}

int signed_add(const void *data, size_t n, const struct crypto_key *key, struct buf *out,
	       struct err *err)
{
	Envwarden__Bundle__Signature *list[LIMIT_ROLE_KEYS];
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *body;
	struct signature fresh;
	struct arena arena;
	struct buf message;
	int rc;

	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	buf_init(&message, SIGNED_BYTES_MAX);
	rc = codec_unpack_signed(data, n, &arena, &wire, err);
	if (rc == 0)
		rc = codec_unpack_body(wire->body.data, wire->body.len, &arena, &body, err);
	if (rc == 0 && strcmp(body->role, wire->role) != 0)
		rc = err_set(err, ERR_INVALID, "%s: the body is another role's", wire->role);
	if (rc == 0)
		rc = signed_bytes(wire->role, wire->body.data, wire->body.len, &message, err);
	if (rc == 0)
		rc = sign_one(key, &message, &fresh, err);
	if (rc == 0)
		rc = add_signature(wire, &fresh, list, err);
	if (rc == 0)
		rc = codec_pack_signed(wire, out, err);
	buf_deinit(&message);
	arena_deinit(&arena);
	return rc;
}

/* --- checking -------------------------------------------------------------------------------- */

/*
 * Whether any of the signatures is a good one of this key. Memory that runs out is told apart from
 * a bad signature: the one is over at the next try.
 */
static int key_signed(const struct role_key *role_key, const Envwarden__Bundle__Signed *wire,
		      const struct buf *message, bool *good)
{
	struct crypto_key *key = NULL;
	int rc = crypto_key_from_spki(role_key->spki, role_key->spki_n, &key, NULL);

	*good = false;
	for (size_t i = 0; rc == 0 && !*good && i < wire->n_signatures; i++) {
		const Envwarden__Bundle__Signature *sig = wire->signatures[i];

		*good = memcmp(sig->key_id.data, role_key->id, SHA256_SIZE) == 0 &&
			crypto_verify(key, message->data, message->len, sig->signature.data,
				      sig->signature.len) == 0;
	}
	crypto_key_free(key);
	return rc == ERR_NOMEM ? rc : 0;
}

/* Counts keys, not signatures: one key signing twice is one. */
static int verify_threshold(const Envwarden__Bundle__Signed *wire, const struct role_keys *keys,
			    struct err *err)
{
	struct buf message;
	uint32_t count = 0;
	int rc;

	CHECK(keys->threshold > 0);
	buf_init(&message, SIGNED_BYTES_MAX);
	rc = signed_bytes(keys->role, wire->body.data, wire->body.len, &message, err);
	for (size_t i = 0; rc == 0 && count < keys->threshold && i < keys->n_keys; i++) {
		bool good;

		rc = key_signed(&keys->keys[i], wire, &message, &good);
		if (rc < 0)
			err_nomem(err);
		count += good;
	}
	if (rc == 0 && count < keys->threshold)
		rc = err_set(err, ERR_VERIFY,
			     "%s: %" PRIu32 " good signature%s, and %" PRIu32 " %s needed",
			     keys->role, count, count == 1 ? "" : "s", keys->threshold,
			     keys->threshold == 1 ? "is" : "are");
	buf_deinit(&message);
	return rc;
}

static int check_header(const Envwarden__Bundle__Body *body, const struct signed_check *check,
			struct err *err)
{
	const char *role = check->keys->role;

	if (strcmp(body->role, role) != 0)
		return err_set(err, ERR_INVALID, "%s: the body is another role's", role);
	if (body->version == 0)
		return err_set(err, ERR_INVALID, "%s: no version", role);
	if (body->version < check->min_version)
		return err_set(err, ERR_STALE, "%s: version %" PRIu64 ", held is %" PRIu64, role,
			       body->version, check->min_version);
	if (body->expires_ms <= check->now_ms)
		return err_set(err, ERR_EXPIRED, "%s: version %" PRIu64 " is expired", role,
			       body->version);
	return 0;
}

int signed_verify(const void *data, size_t n, const struct signed_check *check, struct arena *arena,
		  Envwarden__Bundle__Body **body, struct err *err)
{
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *found;
	int rc = codec_unpack_signed(data, n, arena, &wire, err);

	if (rc == 0 && strcmp(wire->role, check->keys->role) != 0)
		rc = err_set(err, ERR_INVALID, "%s: signed for another role", check->keys->role);
	if (rc == 0)
		rc = verify_threshold(wire, check->keys, err);
	if (rc == 0)
		rc = codec_unpack_body(wire->body.data, wire->body.len, arena, &found, err);
	if (rc == 0)
		rc = check_header(found, check, err);
	if (rc == 0)
		*body = found;
	return rc;
}
