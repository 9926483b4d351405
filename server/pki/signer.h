/*
 * The role keys (docs/formats.md, signed state) and what is signed with them. One file a role in
 * the state folder (role-<name>.key, DER, readable by this account alone); init makes all of them
 * with threshold 1 and root version 1. A key file taken away (root and policy may be kept offline)
 * only makes that role's signatures fail with ERR_PERM.
 *
 * Versions come from the store and bytes go back to it; nothing is kept here but the keys. Any
 * thread, many at a time.
 */
#ifndef ENVWARDEN_SERVER_PKI_SIGNER_H
#define ENVWARDEN_SERVER_PKI_SIGNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "lib/policy/policy.h"

#define SIGNER_TIMESTAMP_MS INT64_C(86400000)	   /* a timestamp is valid for a day */
#define SIGNER_ROOT_MS (INT64_C(3650) * 86400000)  /* key hygiene: 10 years */
#define SIGNER_POLICY_MS (INT64_C(365) * 86400000) /* key hygiene */
#define SIGNER_STATUS_MS (INT64_C(365) * 86400000) /* key hygiene; freshness is timestamp's */

struct signer; /* opaque */

struct signer_org {
	struct uuid id;
	const char *name;
	bool logging;
	const char *contact;
	const char *when_agent_down; /* last_decision | allow | block */
};

/* Makes every role's key in the folder (made if missing) and appends the Signed bytes of root
 * version 1 to `root`. ERR_EXISTS: there are keys already. */
int signer_create(const char *dir, const struct signer_org *org, int64_t now_ms,
		  struct signer **out, struct buf *root, struct err *err);
/* ERR_NOTFOUND: neither status nor timestamp key is there. */
int signer_load(const char *dir, struct signer **out, struct err *err);
void signer_free(struct signer *signer); /* wipes; NULL is fine */

/* One machine's status bundle, appended to out as Signed bytes. */
struct signer_status {
	struct uuid machine;
	uint64_t version;
	const struct status_entry *statuses;
	size_t n_statuses;
	const char *const *labels;
	size_t n_labels;
	const struct exception *exceptions; /* granted */
	size_t n_exceptions;
	const unsigned char *unlock_key; /* UNLOCK_KEY_SIZE bytes, NULL none */
	const unsigned char *revoked;	 /* serials of unlock codes, 4 bytes each */
	size_t revoked_n;		 /* bytes */
	const struct signer_request *requests;
	size_t n_requests;
};
/* What became of a member's request. */
struct signer_request {
	struct uuid id;
	uint32_t state; /* enum db_request_state */
	const char *message;
	struct uuid exception; /* zero = none */
	int64_t until_ms;
};
int signer_sign_status(const struct signer *signer, const struct signer_org *org,
		       const struct signer_status *status, int64_t now_ms, struct buf *out,
		       struct err *err);

/*
 * A policy, as the bundle every machine gets, appended to out as Signed bytes. ERR_PERM: the policy
 * key is not here. ERR_LIMIT: larger than a bundle may be.
 */
int signer_sign_policy(const struct signer *signer, const struct policy *policy, uint64_t version,
		       int64_t now_ms, struct buf *out, struct err *err);

/* The same without a signature, to be signed elsewhere (`root sign`). Needs no key. */
int signer_draft_policy(const struct policy *policy, uint64_t version, int64_t now_ms,
			struct buf *out, struct err *err);

/* What a timestamp names: the newest version of a role and the hash of its Signed message. */
struct signer_held {
	const char *role;
	uint64_t version;
	unsigned char hash[SHA256_SIZE];
};
struct signer_timestamp {
	struct uuid machine;
	uint64_t version;
	const struct signer_held *held;
	size_t n_held;
	int64_t now_ms;
	int64_t valid_ms; /* SIGNER_TIMESTAMP_MS, but in air-gap files */
};
int signer_sign_timestamp(const struct signer *signer, const struct signer_timestamp *timestamp,
			  struct buf *out, struct err *err);

#endif
