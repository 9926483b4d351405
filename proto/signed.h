/*
 * Signed state (docs/formats.md): roles, their keys, and what makes a signed body good.
 *
 *   role      "root", "policy", "advisories", "status", "timestamp"
 *   root      the body that lists every role's keys and threshold, its own included
 *   Signed    role, body bytes, signatures; each over "envwarden-v1\0" role "\0" lp(body)
 *
 * A body is verified before it is parsed. Codes tell the causes apart, and callers report them:
 *   ERR_VERIFY   too few good signatures of distinct keys of the role
 *   ERR_STALE    a version lower than asked for
 *   ERR_EXPIRED  past its `expires` at the trusted time
 *   ERR_INVALID, ERR_LIMIT   malformed, another role's, breaks a rule
 * Any thread.
 */
#ifndef ENVWARDEN_PROTO_SIGNED_H
#define ENVWARDEN_PROTO_SIGNED_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "proto/codec.h"
#include "proto/limits.h"

#define ROLE_ROOT "root"
#define ROLE_POLICY "policy"
#define ROLE_ADVISORIES "advisories"
#define ROLE_STATUS "status"
#define ROLE_TIMESTAMP "timestamp"

struct role_key {
	unsigned char id[SHA256_SIZE]; /* SHA-256 of the SPKI */
	unsigned char spki[CRYPTO_SPKI_MAX];
	size_t spki_n;
};

struct role_keys {
	char role[LIMIT_ROLE + 1];
	uint32_t threshold;		       /* 1 to n_keys */
	struct role_key keys[LIMIT_ROLE_KEYS]; /* distinct ids */
	size_t n_keys;
};

/* A root, copied out of the message it came in: plain data, kept as long as one likes. */
struct root_info {
	struct uuid organisation;
	char name[LIMIT_WORD + 1];
	uint64_t version;
	int64_t created_ms;
	int64_t expires_ms;
	struct role_keys roles[LIMIT_ROLES]; /* distinct; "root" is always there */
	size_t n_roles;
};

/* The keys of a role, NULL if the root does not list it. */
const struct role_keys *root_role(const struct root_info *root, const char *role);

/* Appends a key by its public half; ERR_LIMIT, ERR_INVALID (there already), a key error. */
int role_keys_add(struct role_keys *keys, const struct crypto_key *key, struct err *err);

/*
 * Packs the body, signs it with each of the keys under the body's own role, and appends the packed
 * Signed. The keys are not compared with any root.
 */
int signed_make(const Envwarden__Bundle__Body *body, const struct crypto_key *const *keys,
		size_t n_keys, struct buf *out, struct err *err);

/* A key that makes its signatures by other means than crypto_sign; any thread, many at a time. */
struct signed_by {
	unsigned char key_id[SHA256_SIZE];
	int (*sign)(const void *ctx, const void *data, size_t n, unsigned char sig[CRYPTO_SIG_MAX],
		    size_t *sig_n, struct err *err);
	const void *ctx;
};
/* signed_make with this one key. */
int signed_make_by(const Envwarden__Bundle__Body *body, const struct signed_by *by, struct buf *out,
		   struct err *err);

/*
 * Appends the packed Signed with one more signature (or the key's renewed), as when keys lie on
 * different machines. Nothing is verified: the body need only be of the role it is signed for.
 */
int signed_add(const void *data, size_t n, const struct crypto_key *key, struct buf *out,
	       struct err *err);

struct signed_check {
	const struct role_keys *keys; /* also says which role it must be */
	uint64_t min_version;	      /* the version held; an equal one is good */
	int64_t now_ms;		      /* trusted time */
};

/*
 * Checks a packed Signed and unpacks its body into the arena (where it lives). The signatures come
 * first, then the body's own role, version and expiry.
 */
int signed_verify(const void *data, size_t n, const struct signed_check *check, struct arena *arena,
		  Envwarden__Bundle__Body **body, struct err *err);

/*
 * The first root of an organisation, as it comes in the enrolment answer: nothing but the
 * connection it came over vouches for it. It must be signed by its own threshold. A later version
 * may be the first one seen.
 */
int root_first(const void *data, size_t n, struct root_info *out, struct err *err);

/*
 * The step from one root to the next: version exactly one higher, same organisation, signed by the
 * thresholds of both. ERR_STALE for a version held or older. Expiry is not looked at, since only
 * the last of a series counts: root_current. `out` may be `held`.
 */
int root_step(const struct root_info *held, const void *data, size_t n, struct root_info *out,
	      struct err *err);

/* 0, or ERR_EXPIRED at that trusted time. */
int root_current(const struct root_info *root, int64_t now_ms, struct err *err);

/* The body of a root; texts and keys are borrowed from it. ERR_NOMEM. */
int root_to_body(const struct root_info *root, struct arena *arena, Envwarden__Bundle__Body **out);

/* Copies the root in a body out; ERR_INVALID if it breaks a rule (keys, thresholds, roles). */
int root_from_body(const Envwarden__Bundle__Body *body, struct root_info *out, struct err *err);

#endif
