#include "server/pki/cert_write.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

#include "lib/base/clock.h"
#include "lib/base/compiler.h"

/* "20261122171742" */
static void format_time(int64_t ms, char out[16])
{
	char text[CLOCK_TEXT_MAX];

	clock_format(ms, text); /* 2026-11-22T17:17:42.123Z */
	(void)snprintf(out, 16, "%.4s%.2s%.2s%.2s%.2s%.2s", text, text + 5, text + 8, text + 11,
		       text + 14, text + 17);
}

/* Positive and of one size whatever the random bytes are. */
static void make_serial(unsigned char serial[CA_SERIAL_SIZE])
{
	crypto_random(serial, CA_SERIAL_SIZE);
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
}

static int set_serial(mbedtls_x509write_cert *crt, unsigned char serial[CA_SERIAL_SIZE])
{
#if MBEDTLS_VERSION_MAJOR < 3
	mbedtls_mpi mpi;
	int rc;

	mbedtls_mpi_init(&mpi);
	rc = mbedtls_mpi_read_binary(&mpi, serial, CA_SERIAL_SIZE);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_serial(crt, &mpi);
	mbedtls_mpi_free(&mpi);
	return rc;
#else
	return mbedtls_x509write_crt_set_serial_raw(crt, serial, CA_SERIAL_SIZE);
#endif
}

/* ASN.1 is written from the end to the front. */
static int write_element(unsigned char **p, unsigned char *start, unsigned char tag,
			 const void *data, size_t n)
{
	int rc = mbedtls_asn1_write_raw_buffer(p, start, data, n);

	if (rc >= 0)
		rc = mbedtls_asn1_write_len(p, start, n);
	if (rc >= 0)
		rc = mbedtls_asn1_write_tag(p, start, tag);
	return rc;
}

static int write_header(unsigned char **p, unsigned char *start, size_t n)
{
	int rc = mbedtls_asn1_write_len(p, start, n);

	if (rc >= 0)
		rc = mbedtls_asn1_write_tag(p, start,
					    MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
	return rc;
}

int cert_names_der(const struct cert_name *names, size_t n, unsigned char room[CERT_NAMES_MAX],
		   const unsigned char **der, size_t *der_n, struct err *err)
{
	unsigned char *end = room + CERT_NAMES_MAX, *p = end;
	int rc = 0;

	for (size_t i = n; i > 0 && rc >= 0; i--)
		rc = write_element(
			&p, room,
			(unsigned char)(MBEDTLS_ASN1_CONTEXT_SPECIFIC | (int)names[i - 1].kind),
			names[i - 1].data, names[i - 1].n);
	if (rc >= 0)
		rc = write_header(&p, room, (size_t)(end - p));
	if (rc < 0)
		return err_set(err, ERR_LIMIT, "the names of a certificate are too long");
	*der = p;
	*der_n = (size_t)(end - p);
	return 0;
}

static int set_names(mbedtls_x509write_cert *crt, const struct cert_spec *spec, struct err *err)
{
	unsigned char room[CERT_NAMES_MAX];
	const unsigned char *der;
	size_t n;
	int rc = cert_names_der(spec->names, spec->n_names, room, &der, &n, err);

	if (rc < 0)
		return rc;
	rc = mbedtls_x509write_crt_set_extension(crt, MBEDTLS_OID_SUBJECT_ALT_NAME,
						 MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
						 der, n);
	return rc == 0 ? 0 : crypto_error(err, ERR_INTERNAL, rc, "certificate names");
}

static int set_usage(mbedtls_x509write_cert *crt, enum cert_usage usage)
{
	const char *oid = usage == CERT_CLIENT ? MBEDTLS_OID_CLIENT_AUTH : MBEDTLS_OID_SERVER_AUTH;
	unsigned char room[32], *p = room + sizeof(room);
	int rc = mbedtls_x509write_crt_set_key_usage(
		crt, usage == CERT_ROOT ? MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN
					: MBEDTLS_X509_KU_DIGITAL_SIGNATURE);

	if (rc != 0 || usage == CERT_ROOT)
		return rc;
	CHECK(write_element(&p, room, MBEDTLS_ASN1_OID, oid, strlen(oid)) >= 0);
	CHECK(write_header(&p, room, (size_t)(room + sizeof(room) - p)) >= 0);
	return mbedtls_x509write_crt_set_extension(crt, MBEDTLS_OID_EXTENDED_KEY_USAGE,
						   MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE),
						   0, p, (size_t)(room + sizeof(room) - p));
}

static int fill(mbedtls_x509write_cert *crt, const struct cert_spec *spec,
		unsigned char serial[CA_SERIAL_SIZE])
{
	char from[16], to[16];
	bool root = spec->usage == CERT_ROOT;
	int rc;

	format_time(spec->not_before_ms, from);
	format_time(spec->not_after_ms, to);
	mbedtls_x509write_crt_set_version(crt, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(crt, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(crt, crypto_key_pk(spec->key));
	mbedtls_x509write_crt_set_issuer_key(crt, crypto_key_pk(spec->issuer_key));
	rc = set_serial(crt, serial);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_subject_name(crt, spec->subject);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_issuer_name(crt, spec->issuer);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_validity(crt, from, to);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_basic_constraints(crt, root, root ? 0 : -1);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_subject_key_identifier(crt);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_authority_key_identifier(crt);
	if (rc == 0)
		rc = set_usage(crt, spec->usage);
	return rc;
}

int cert_write(const struct cert_spec *spec, struct ca_cert *out,
	       unsigned char serial[CA_SERIAL_SIZE], struct err *err)
{
	unsigned char der[CA_CERT_MAX], number[CA_SERIAL_SIZE];
	mbedtls_x509write_cert crt;
	int n, rc;

	make_serial(number);
	mbedtls_x509write_crt_init(&crt);
	n = fill(&crt, spec, number);
	rc = n == 0 ? 0 : crypto_error(err, ERR_INTERNAL, n, "make a certificate");
	if (rc == 0 && spec->n_names > 0)
		rc = set_names(&crt, spec, err);
	if (rc < 0)
		goto out;
	n = mbedtls_x509write_crt_der(&crt, der, sizeof(der), crypto_rng, NULL);
	if (n < 0) {
		rc = crypto_error(err, ERR_INTERNAL, n, "sign a certificate");
		goto out;
	}
	memcpy(out->der, der + sizeof(der) - n, (size_t)n);
	out->n = (size_t)n;
	if (serial)
		memcpy(serial, number, sizeof(number));
out:
	mbedtls_x509write_crt_free(&crt);
	return rc;
}
