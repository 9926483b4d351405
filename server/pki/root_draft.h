/*
 * The next root, from the newest one and what shall be other: made here, signed wherever the keys
 * are (signed_add), published by `envwarden-server root publish`. Pure.
 */
#ifndef ENVWARDEN_SERVER_PKI_ROOT_DRAFT_H
#define ENVWARDEN_SERVER_PKI_ROOT_DRAFT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "proto/signed.h"

/* ERR_NOTFOUND: no such role; ERR_INVALID: listed already; ERR_LIMIT. */
int root_draft_add(struct root_info *root, const char *role, const struct crypto_key *key,
		   struct err *err);
/* By the key's id in hex, or the beginning of it (8 digits and more). ERR_NOTFOUND, ERR_INVALID. */
int root_draft_remove(struct root_info *root, const char *role, const char *id, struct err *err);
int root_draft_threshold(struct root_info *root, const char *role, uint32_t threshold,
			 struct err *err);

/*
 * Appends the Signed of the root after `root`, without signatures: one version higher, valid for
 * SIGNER_ROOT_MS from now. ERR_INVALID: a threshold is 0 or more than the keys of its role.
 */
int root_draft_make(const struct root_info *root, int64_t now_ms, struct buf *out, struct err *err);

#endif
