#include "lib/net/tls_identity.h"

#include <string.h>

#include <mbedtls/x509_csr.h>

#include "lib/base/crypto_mbedtls.h"
#include "lib/net/tls_cert.h"

int tls_identity_csr(const struct crypto_key *key, struct buf *out, struct err *err)
{
	unsigned char der[TLS_CSR_MAX];
	mbedtls_x509write_csr csr;
	int rc;

	mbedtls_x509write_csr_init(&csr);
	mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
	mbedtls_x509write_csr_set_key(&csr, crypto_key_pk(key));
	rc = mbedtls_x509write_csr_set_subject_name(&csr, TLS_CSR_SUBJECT);
	if (rc == 0)
		rc = mbedtls_x509write_csr_der(&csr, der, sizeof(der), crypto_rng, NULL);
	mbedtls_x509write_csr_free(&csr);
	if (rc < 0)
		return crypto_error(err, ERR_INTERNAL, rc, "certificate request");
	buf_add(out, der + sizeof(der) - rc, (size_t)rc); /* written at the end of the room */
	if (buf_rc(out) < 0)
		return err_set(err, buf_rc(out), "certificate request: %s", err_text(buf_rc(out)));
	return 0;
}

struct chain_check {
	int top; /* highest depth seen */
};

/* Times are not judged here; everything else must hold. */
static int on_verified(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct chain_check *check = ctx;

	(void)crt;
	if (depth > check->top)
		check->top = depth;
	*flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
	return 0;
}

/*
 * Trusting the last certificate, the library must come from the first to it, and through all of
 * them: it only looks for a signer further along, so that fixes the order too.
 */
static int check_signatures(mbedtls_x509_crt *crt, size_t certs, struct err *err)
{
	struct chain_check check = {0};
	uint32_t flags = 0;
	int rc = mbedtls_x509_crt_verify_with_profile(crt, (mbedtls_x509_crt *)tls_cert_last(crt),
						      NULL, &mbedtls_x509_crt_profile_suiteb, NULL,
						      &flags, on_verified, &check);

	if (rc != 0 || (size_t)check.top + 1 != certs)
		return err_set(err, ERR_VERIFY, "certificates of the chain do not sign each other");
	return 0;
}

static int identity_fill(mbedtls_x509_crt *crt, size_t n, struct tls_identity *out, struct err *err)
{
	const mbedtls_x509_crt *root = tls_cert_last(crt);
	struct tls_identity id = {0};
	int rc;

	for (const mbedtls_x509_crt *c = crt; c; c = c->next)
		id.certs++;
	rc = check_signatures(crt, id.certs, err);
	if (rc < 0)
		return rc;
	if (crt->pk_raw.len > sizeof(id.spki))
		return err_set(err, ERR_INVALID, "certificate: its key is not of the P-256 kind");
	memcpy(id.spki, crt->pk_raw.p, crt->pk_raw.len);
	id.spki_n = crt->pk_raw.len;
	tls_cert_spki_hash(crt, id.spki_hash);
	tls_cert_spki_hash(root, id.root_spki_hash);
	id.root_offset = n - root->raw.len;
	id.not_before_ms = tls_cert_ms(&crt->valid_from);
	id.not_after_ms = tls_cert_ms(&crt->valid_to);
	id.has_machine = tls_cert_machine(crt, &id.machine);
	*out = id;
	return 0;
}

int tls_identity_parse(const void *chain, size_t n, struct tls_identity *out, struct err *err)
{
	mbedtls_x509_crt crt;
	int rc;

	mbedtls_x509_crt_init(&crt);
	rc = tls_cert_parse_chain(&crt, chain, n, err);
	if (rc == 0)
		rc = identity_fill(&crt, n, out, err);
	mbedtls_x509_crt_free(&crt);
	return rc;
}
