#include "lib/net/tls_cert.h"

#include <string.h>

#include <mbedtls/asn1.h>

#include "lib/base/crypto.h"
#include "lib/net/tls_identity.h"

#define TAG_SAN_URI (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 6)

const mbedtls_x509_crt *tls_cert_last(const mbedtls_x509_crt *crt)
{
	while (crt->next)
		crt = crt->next;
	return crt;
}

int tls_cert_parse_chain(mbedtls_x509_crt *crt, const void *chain, size_t n, struct err *err)
{
	const unsigned char *p = chain;
	unsigned certs = 0;

	if (n == 0)
		return err_set(err, ERR_INVALID, "no certificate");
	if (n > TLS_CHAIN_MAX)
		return err_set(err, ERR_LIMIT, "certificate chain is over %d bytes", TLS_CHAIN_MAX);
	while (n > 0) {
		size_t size;
		int rc;

		if (certs++ == TLS_CHAIN_CERTS_MAX)
			return err_set(err, ERR_LIMIT, "over %d certificates in a chain",
				       TLS_CHAIN_CERTS_MAX);
		rc = mbedtls_x509_crt_parse_der(crt, p, n);
		if (rc != 0)
			return crypto_error(err, ERR_INVALID, rc, "certificate");
		size = tls_cert_last(crt)->raw.len;
		p += size;
		n -= size;
	}
	return 0;
}

/* Days since 1970-01-01 of a Gregorian date; years begin in March so that leap days come last. */
static int64_t days_since_1970(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = y / 400, of_era = y % 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int64_t tls_cert_ms(const mbedtls_x509_time *t)
{
	int64_t s = days_since_1970(t->year, t->mon, t->day) * 86400;

	return (s + t->hour * 3600 + t->min * 60 + t->sec) * 1000;
}

static bool read_machine_uri(const mbedtls_x509_buf *name, struct uuid *out)
{
	const size_t prefix = sizeof(TLS_MACHINE_URI) - 1;
	char text[UUID_TEXT_MAX];

	if (name->tag != TAG_SAN_URI || name->len != prefix + UUID_TEXT_MAX - 1 ||
	    memcmp(name->p, TLS_MACHINE_URI, prefix) != 0)
		return false;
	memcpy(text, name->p + prefix, UUID_TEXT_MAX - 1);
	text[UUID_TEXT_MAX - 1] = '\0';
	return uuid_parse(text, out) == 0;
}

bool tls_cert_machine(const mbedtls_x509_crt *crt, struct uuid *out)
{
	struct uuid found;
	unsigned n = 0;

	for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s; s = s->next) {
		if (s->buf.p && read_machine_uri(&s->buf, &found))
			n++;
	}
	if (n != 1)
		return false;
	*out = found;
	return true;
}

void tls_cert_spki_hash(const mbedtls_x509_crt *crt, unsigned char out[SHA256_SIZE])
{
	sha256(crt->pk_raw.p, crt->pk_raw.len, out);
}
