/*
 * The server's own certificate authority (docs/formats.md): an ECDSA P-256 root that signs the
 * server's certificates and, from signing requests, the machines'. Nothing an applicant writes into
 * a request goes into its certificate but the public key: subject and extensions are ours and of
 * constant size.
 *
 * The state folder (private to this account) holds, as DER unless said otherwise: ca.key, ca.crt,
 * server.key, server.crt, admin.key.pem and admin.crt.pem (leaf and root). Keys are readable by
 * this account alone; everything is written atomically. The root key may be taken away (ca.key
 * missing): the authority then loads, but issues nothing (ERR_PERM).
 *
 * Blocking; any thread, one at a time.
 */
#ifndef ENVWARDEN_SERVER_PKI_CA_H
#define ENVWARDEN_SERVER_PKI_CA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"

#define CA_SERIAL_SIZE 16
#define CA_CERT_MAX 4096 /* bytes of a certificate in DER */
#define CA_CSR_MAX 2048	 /* bytes of a request in DER */
#define CA_HOSTS_MAX 16	 /* names and addresses of an admin certificate */
#define CA_SERVER_NAME_MAX 80

#define CA_ROOT_DAYS 3650
#define CA_SERVER_DAYS 365
#define CA_RENEW_DAYS                                                                              \
	30 /* a server or admin certificate nearer to its end is made anew at start                \
	    */
#define CA_MACHINE_DAYS 30
#define CA_EPHEMERAL_DAYS 2

struct ca; /* the authority; opaque */

struct ca_cert {
	unsigned char der[CA_CERT_MAX];
	size_t n;
};

/* A new root in an empty state folder (made if missing). ERR_EXISTS: there is one already. */
int ca_create(const char *dir, const struct uuid *org, int64_t now_ms, struct ca **out,
	      struct err *err);
/* ERR_NOTFOUND: no root here; ERR_CORRUPT: unreadable, or key and certificate don't belong. */
int ca_load(const char *dir, struct ca **out, struct err *err);
void ca_free(struct ca *ca); /* wipes the key; NULL is fine */

const struct ca_cert *ca_root(const struct ca *ca);
/* SHA-256 of the root's SPKI: what join codes pin. */
void ca_root_spki_hash(const struct ca *ca, unsigned char out[SHA256_SIZE]);

/* Whether it was made for this organisation. */
bool ca_is_of(const struct ca *ca, const struct uuid *org);

/* "server.<org id as 32 hex digits>.envwarden.internal" */
void ca_server_name(const struct uuid *org, char out[CA_SERVER_NAME_MAX]);

/* A certificate with its private key, both in DER. */
struct ca_identity {
	struct ca_cert cert;
	unsigned char key[CRYPTO_KEY_MAX];
	size_t key_n;
};
void ca_identity_wipe(struct ca_identity *identity);

/* The agent port's identity from the state folder, made or renewed first when it is due. */
int ca_server_identity(const struct ca *ca, const struct uuid *org, int64_t now_ms,
		       struct ca_identity *out, struct err *err);

/*
 * The admin port's, for these host names and IP addresses: in the state
 * folder as PEM (admin.key.pem, admin.crt.pem), made or renewed when due or when the hosts differ.
 * ERR_INVALID: an empty list, over a limit, or a name with other characters than a host may have.
 */
int ca_admin_identity(const struct ca *ca, const char *const *hosts, size_t n, int64_t now_ms,
		      struct err *err);

struct ca_issued {
	struct ca_cert cert;
	unsigned char serial[CA_SERIAL_SIZE];
	unsigned char key_hash[SHA256_SIZE]; /* SHA-256 of the SPKI */
	int64_t not_after_ms;
};

/*
 * A client certificate for the key of a request (DER, at most CA_CSR_MAX bytes) that names the
 * machine by the URI urn:envwarden:machine:<uuid>. ERR_INVALID: not a request, or not a P-256 key;
 * ERR_VERIFY: not signed by its own key.
 */
int ca_issue_machine(const struct ca *ca, const void *csr, size_t n, const struct uuid *machine,
		     bool ephemeral, int64_t now_ms, struct ca_issued *out, struct err *err);

#endif
