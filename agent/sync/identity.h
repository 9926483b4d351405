/*
 * Who this agent is to the org server: what enrolment gave it, kept as one secret file that is
 * replaced as a whole, so that an agent is either enrolled or not. Any thread.
 *
 * File: "EWID", version (1 byte), then each field with its length in front: machine, organisation,
 * name, number of addresses (1 byte) and these, key (DER), chain, root; then the SHA-256 of all
 * before it. The checksum tells damage from other causes; it is no protection: that is the file's
 * mode (platform/secret.h).
 */
#ifndef ENVWARDEN_AGENT_SYNC_IDENTITY_H
#define ENVWARDEN_AGENT_SYNC_IDENTITY_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"
#include "proto/join_code.h"

#define SYNC_IDENTITY_MAX (128 * 1024) /* bytes of the file */

struct sync_identity {
	struct uuid machine;
	struct uuid organisation;
	char name[JOIN_CODE_NAME_MAX + 1];
	char addresses[JOIN_CODE_ADDRESSES_MAX][JOIN_CODE_ADDRESS_MAX + 1];
	size_t n_addresses;
	struct crypto_key *key;
	struct buf chain; /* DER, leaf first, root last */
	struct buf root;  /* the newest root role (bundle.Signed) at enrolment */
};

void sync_identity_init(struct sync_identity *id);
void sync_identity_deinit(struct sync_identity *id); /* wipes */

int sync_identity_save(const struct sync_identity *id, const char *path, struct err *err);
/*
 * ERR_NOTFOUND: not enrolled; ERR_CORRUPT: damaged, or its parts do not belong together;
 * ERR_UNSUPPORTED: written by a newer version; ERR_PERM. *out initialised and empty on failure.
 */
int sync_identity_load(const char *path, struct sync_identity *out, struct err *err);

/* The file's bytes. Decoding checks the checksum and that key, chain and machine belong together;
 * errors and *out as for loading. Encoded bytes are a secret: the caller wipes them. */
int sync_identity_encode(const struct sync_identity *id, struct buf *out, struct err *err);
int sync_identity_decode(const void *data, size_t n, struct sync_identity *out, struct err *err);

#endif
