/*
 * A machine's signed state as one file (proto/set_file.h), for machines that reach no server: what
 * Welcome and the bundles after it would bring, under one fresh timestamp.
 */
#ifndef ENVWARDEN_SERVER_AIRGAP_H
#define ENVWARDEN_SERVER_AIRGAP_H

#include "lib/base/err.h"
#include "server/api/api.h"

struct db_conn;
struct signer;

/*
 * In a write transaction, which it is part of. The timestamp is valid for set->valid_ms, which may
 * be as long as the policy's stale_after, and no longer than AIRGAP_LONGEST_MS; 0 = a day.
 * ERR_NOTFOUND: no such machine; ERR_PERM: it is retired or revoked; ERR_LIMIT: valid for too long,
 * or larger than a file may be.
 */
#define AIRGAP_LONGEST_MS (INT64_C(365) * 86400000)
int airgap_export(struct db_conn *conn, const struct signer *signer, struct api_set *set,
		  struct err *err);

#endif
