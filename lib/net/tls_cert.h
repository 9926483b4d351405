/* What lib/net/tls* read from certificates. Private to them: shows the library's types. */
#ifndef ENVWARDEN_LIB_NET_TLS_CERT_H
#define ENVWARDEN_LIB_NET_TLS_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mbedtls/x509_crt.h>

#include "lib/base/crypto_mbedtls.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"

/* Certificates one after the other into *crt (initialised, empty); errors as tls_identity_parse. */
int tls_cert_parse_chain(mbedtls_x509_crt *crt, const void *chain, size_t n, struct err *err);

const mbedtls_x509_crt *tls_cert_last(const mbedtls_x509_crt *crt);

int64_t tls_cert_ms(const mbedtls_x509_time *t); /* UTC milliseconds */

/* The machine the certificate names; false if it names none, or more than one. */
bool tls_cert_machine(const mbedtls_x509_crt *crt, struct uuid *out);

void tls_cert_spki_hash(const mbedtls_x509_crt *crt, unsigned char out[SHA256_SIZE]);

#endif
