/* Writing certificates; private to server/pki: shows the library's types. */
#ifndef ENVWARDEN_SERVER_PKI_CERT_WRITE_H
#define ENVWARDEN_SERVER_PKI_CERT_WRITE_H

#include "lib/base/crypto_mbedtls.h"
#include "server/pki/ca.h"

#define CERT_SUBJECT_MAX 128
#define CERT_NAMES_MAX 2048 /* bytes of the alternative names of one certificate in DER */

enum cert_usage {
	CERT_ROOT,
	CERT_SERVER,
	CERT_CLIENT
};

/* One subjectAltName. */
struct cert_name {
	enum {
		CERT_NAME_DNS = 2,
		CERT_NAME_URI = 6,
		CERT_NAME_IP = 7
	} kind; /* the tag's number */
	const void *data;
	size_t n;
};

struct cert_spec {
	enum cert_usage usage;
	const char *subject; /* "CN=..." */
	const struct cert_name *names;
	size_t n_names;
	const struct crypto_key *key; /* the public half counts */
	const char *issuer;
	const struct crypto_key *issuer_key;
	int64_t not_before_ms;
	int64_t not_after_ms; /* both are cut to whole seconds */
};

/* serial (may be NULL): the random one it was given. */
int cert_write(const struct cert_spec *spec, struct ca_cert *out,
	       unsigned char serial[CA_SERIAL_SIZE], struct err *err);

/* The names as the extension holds them, at the end of `room`; *der points to them. ERR_LIMIT. */
int cert_names_der(const struct cert_name *names, size_t n, unsigned char room[CERT_NAMES_MAX],
		   const unsigned char **der, size_t *der_n, struct err *err);

#endif
