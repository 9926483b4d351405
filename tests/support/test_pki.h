/*
 * Certificates for tests, made as an organisation's server would: a root, servers, machines, and
 * such as nobody should make. Failures end the program: it is the test's set-up that is broken.
 */
#ifndef ENVWARDEN_TESTS_SUPPORT_TEST_PKI_H
#define ENVWARDEN_TESTS_SUPPORT_TEST_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/crypto.h"

#define TEST_CERT_MAX 1024
#define TEST_CHAIN_MAX (3 * TEST_CERT_MAX)

/* A certificate with its private key and everything up to the root, leaf first. */
struct test_cert {
	struct crypto_key *key;
	char subject[64]; /* "CN=..." */
	unsigned char chain[TEST_CHAIN_MAX];
	size_t chain_n;
	size_t leaf_n; /* the first certificate of it */
};

enum test_usage {
	TEST_USAGE_NONE,
	TEST_USAGE_CLIENT,
	TEST_USAGE_SERVER
};

struct test_cert_spec {
	const char *subject; /* "CN=..." */
	const char *dns;     /* NULL = none */
	const char *uri;     /* NULL = none */
	bool ca;
	enum test_usage usage;
	int64_t not_before_ms; /* whole seconds */
	int64_t not_after_ms;
};

/* With issuer NULL it signs itself. A fresh key. */
void test_cert_make(const struct test_cert_spec *spec, const struct test_cert *issuer,
		    struct test_cert *out);

/* The same for a public key that somebody else holds; out->key stays NULL. */
void test_cert_issue(const struct test_cert_spec *spec, const struct crypto_key *subject_key,
		     const struct test_cert *issuer, struct test_cert *out);
void test_cert_free(struct test_cert *cert);

/* The usual ones. machine: UUID text; the URI is made of it. */
void test_root_make(const char *subject, int64_t from_ms, int64_t to_ms, struct test_cert *out);
void test_server_make(const struct test_cert *root, const char *dns, int64_t from_ms, int64_t to_ms,
		      struct test_cert *out);
void test_machine_make(const struct test_cert *root, const char *machine, int64_t from_ms,
		       int64_t to_ms, struct test_cert *out);

#endif
