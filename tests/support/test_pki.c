#include "tests/support/test_pki.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/crypto_mbedtls.h"

#define NAME_MAX_BYTES 100 /* so that DER lengths are one byte */

/* "20261122171742" */
static void format_time(int64_t ms, char out[16])
{
	char text[CLOCK_TEXT_MAX];

	clock_format(ms, text); /* 2026-11-22T17:17:42.123Z */
	snprintf(out, 16, "%.4s%.2s%.2s%.2s%.2s%.2s", text, text + 5, text + 8, text + 11,
		 text + 14, text + 17);
}

static size_t put(unsigned char *out, unsigned char tag, const void *data, size_t n)
{
	CHECK(n <= NAME_MAX_BYTES);
	out[0] = tag;
	out[1] = (unsigned char)n;
	memcpy(out + 2, data, n);
	return n + 2;
}

static void set_names(mbedtls_x509write_cert *crt, const struct test_cert_spec *spec)
{
	unsigned char names[2 * (NAME_MAX_BYTES + 2)], der[sizeof(names) + 3];
	size_t n = 0;

	if (spec->dns)
		n += put(names + n, MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2, spec->dns,
			 strlen(spec->dns));
	if (spec->uri)
		n += put(names + n, MBEDTLS_ASN1_CONTEXT_SPECIFIC | 6, spec->uri,
			 strlen(spec->uri));
	if (n == 0)
		return;
	CHECK(n < 128);
	der[0] = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
	der[1] = (unsigned char)n;
	memcpy(der + 2, names, n);
	CHECK(mbedtls_x509write_crt_set_extension(crt, MBEDTLS_OID_SUBJECT_ALT_NAME,
						  MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
						  der, n + 2) == 0);
}

static void set_usage(mbedtls_x509write_cert *crt, enum test_usage usage)
{
	const char *oid =
		usage == TEST_USAGE_CLIENT ? MBEDTLS_OID_CLIENT_AUTH : MBEDTLS_OID_SERVER_AUTH;
	unsigned char inner[32], der[34];
	size_t n;

	if (usage == TEST_USAGE_NONE)
		return;
	n = put(inner, MBEDTLS_ASN1_OID, oid, strlen(oid));
	n = put(der, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE, inner, n);
	CHECK(mbedtls_x509write_crt_set_extension(crt, MBEDTLS_OID_EXTENDED_KEY_USAGE,
						  MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE),
						  0, der, n) == 0);
}

static void set_serial(mbedtls_x509write_cert *crt)
{
	unsigned char serial[8];

	crypto_random(serial, sizeof(serial));
	serial[0] = (unsigned char)((serial[0] & 0x7f) | 1);
#if MBEDTLS_VERSION_MAJOR < 3
	{
		mbedtls_mpi mpi;

		mbedtls_mpi_init(&mpi);
		CHECK(mbedtls_mpi_read_binary(&mpi, serial, sizeof(serial)) == 0);
		CHECK(mbedtls_x509write_crt_set_serial(crt, &mpi) == 0);
		mbedtls_mpi_free(&mpi);
	}
#else
	CHECK(mbedtls_x509write_crt_set_serial_raw(crt, serial, sizeof(serial)) == 0);
#endif
}

static void append_chain(struct test_cert *out, const void *data, size_t n)
{
	CHECK(n <= sizeof(out->chain) - out->chain_n);
	memcpy(out->chain + out->chain_n, data, n);
	out->chain_n += n;
}

static void write_cert(const struct test_cert_spec *spec, const struct crypto_key *subject_key,
		       const char *issuer, const struct crypto_key *issuer_key,
		       struct test_cert *out)
{
	unsigned char der[TEST_CERT_MAX];
	char from[16], to[16];
	mbedtls_x509write_cert crt;
	int n;

	format_time(spec->not_before_ms, from);
	format_time(spec->not_after_ms, to);
	mbedtls_x509write_crt_init(&crt);
	mbedtls_x509write_crt_set_version(&crt, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(&crt, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(&crt, crypto_key_pk(subject_key));
	mbedtls_x509write_crt_set_issuer_key(&crt, crypto_key_pk(issuer_key));
	set_serial(&crt);
	CHECK(mbedtls_x509write_crt_set_subject_name(&crt, spec->subject) == 0);
	CHECK(mbedtls_x509write_crt_set_issuer_name(&crt, issuer) == 0);
	CHECK(mbedtls_x509write_crt_set_validity(&crt, from, to) == 0);
	CHECK(mbedtls_x509write_crt_set_basic_constraints(&crt, spec->ca, spec->ca ? 1 : -1) == 0);
	set_names(&crt, spec);
	set_usage(&crt, spec->usage);
	n = mbedtls_x509write_crt_der(&crt, der, sizeof(der), crypto_rng, NULL);
	CHECK(n > 0);
	mbedtls_x509write_crt_free(&crt);
	append_chain(out, der + sizeof(der) - n, (size_t)n);
	out->leaf_n = (size_t)n;
}

void test_cert_issue(const struct test_cert_spec *spec, const struct crypto_key *subject_key,
		     const struct test_cert *issuer, struct test_cert *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->subject, sizeof(out->subject), "%s", spec->subject);
	write_cert(spec, subject_key, issuer ? issuer->subject : spec->subject,
		   issuer ? issuer->key : subject_key, out);
	if (issuer)
		append_chain(out, issuer->chain, issuer->chain_n);
}

void test_cert_make(const struct test_cert_spec *spec, const struct test_cert *issuer,
		    struct test_cert *out)
{
	struct crypto_key *key = NULL;

	CHECK(crypto_key_new(&key, NULL) == 0);
	test_cert_issue(spec, key, issuer, out);
	out->key = key;
}

void test_cert_free(struct test_cert *cert)
{
	crypto_key_free(cert->key);
	cert->key = NULL;
}

void test_root_make(const char *subject, int64_t from_ms, int64_t to_ms, struct test_cert *out)
{
	test_cert_make(&(struct test_cert_spec){.subject = subject,
						.ca = true,
						.not_before_ms = from_ms,
						.not_after_ms = to_ms},
		       NULL, out);
}

void test_server_make(const struct test_cert *root, const char *dns, int64_t from_ms, int64_t to_ms,
		      struct test_cert *out)
{
	test_cert_make(&(struct test_cert_spec){.subject = "CN=envwarden server",
						.dns = dns,
						.usage = TEST_USAGE_SERVER,
						.not_before_ms = from_ms,
						.not_after_ms = to_ms},
		       root, out);
}

void test_machine_make(const struct test_cert *root, const char *machine, int64_t from_ms,
		       int64_t to_ms, struct test_cert *out)
{
	char uri[NAME_MAX_BYTES];

	snprintf(uri, sizeof(uri), "urn:envwarden:machine:%s", machine);
	test_cert_make(&(struct test_cert_spec){.subject = "CN=envwarden machine",
						.uri = uri,
						.usage = TEST_USAGE_CLIENT,
						.not_before_ms = from_ms,
						.not_after_ms = to_ms},
		       root, out);
}
