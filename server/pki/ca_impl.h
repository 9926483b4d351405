/* The authority's insides; private to server/pki. */
#ifndef ENVWARDEN_SERVER_PKI_CA_IMPL_H
#define ENVWARDEN_SERVER_PKI_CA_IMPL_H

#include "server/pki/cert_write.h"

#define CA_PATH_MAX 4096
#define CA_DAY_MS INT64_C(86400000)
#define CA_BACKDATE_MS INT64_C(3600000) /* for peers whose clocks are behind */

struct ca {
	char dir[CA_PATH_MAX];
	char subject[CERT_SUBJECT_MAX];
	struct crypto_key *key; /* NULL: kept elsewhere */
	struct ca_cert root;
	unsigned char spki_hash[SHA256_SIZE];
};

/* "<dir>/<name>"; ERR_LIMIT. */
int ca_path(const char *dir, const char *name, char out[CA_PATH_MAX], struct err *err);
/* A file's contents as a certificate: ERR_NOTFOUND, ERR_LIMIT. */
int ca_cert_read(const char *dir, const char *name, struct ca_cert *out, struct err *err);
int ca_key_read(const char *dir, const char *name, struct crypto_key **out, struct err *err);
int ca_key_write(const char *dir, const char *name, const struct crypto_key *key, struct err *err);

/* Signs with the root's key and name, for `days` from now. ERR_PERM: the key is not here. */
int ca_sign(const struct ca *ca, struct cert_spec *spec, int64_t now_ms, int64_t days,
	    struct ca_cert *out, unsigned char serial[CA_SERIAL_SIZE], struct err *err);

#endif
