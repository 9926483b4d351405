#include "server/pki/ca.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/net/tls_identity.h"
#include "platform/files.h"
#include "platform/secret.h"
#include "server/pki/ca_impl.h"

/* --- files --- */

int ca_path(const char *dir, const char *name, char out[CA_PATH_MAX], struct err *err)
{
	int n = snprintf(out, CA_PATH_MAX, "%s/%s", dir, name);

	return n > 0 && n < CA_PATH_MAX ? 0
					: err_set(err, ERR_LIMIT, "state folder: path too long");
}

int ca_cert_read(const char *dir, const char *name, struct ca_cert *out, struct err *err)
{
	char path[CA_PATH_MAX];
	struct buf data;
	int rc = ca_path(dir, name, path, err);

	buf_init(&data, CA_CERT_MAX + 1);
	if (rc == 0)
		rc = files_read_whole(path, CA_CERT_MAX, &data, err);
	if (rc == 0 && data.len == 0)
		rc = err_set(err, ERR_CORRUPT, "%s is empty", name);
	if (rc == 0) {
		memcpy(out->der, data.data, data.len);
		out->n = data.len;
	}
	buf_deinit(&data);
	return rc;
}

int ca_key_read(const char *dir, const char *name, struct crypto_key **out, struct err *err)
{
	char path[CA_PATH_MAX];
	struct buf data;
	int rc = ca_path(dir, name, path, err);

	buf_init(&data, CRYPTO_KEY_MAX + 1);
	if (rc == 0)
		rc = secret_read(path, CRYPTO_KEY_MAX, &data, err);
	if (rc == 0)
		rc = crypto_key_from_der(data.data, data.len, out, err);
	if (rc < 0 && rc != ERR_NOTFOUND && err)
		(void)err_context(err, "%s", name);
	if (data.data)
		crypto_wipe(data.data, data.len);
	buf_deinit(&data);
	return rc;
}

int ca_key_write(const char *dir, const char *name, const struct crypto_key *key, struct err *err)
{
	unsigned char der[CRYPTO_KEY_MAX];
	char path[CA_PATH_MAX];
	size_t n;
	int rc = ca_path(dir, name, path, err);

	if (rc == 0)
		rc = crypto_key_to_der(key, der, sizeof(der), &n, err);
	if (rc == 0)
		rc = secret_write(path, der, n, err);
	crypto_wipe(der, sizeof(der));
	return rc;
}

/* --- the authority --- */

static int subject_read(const struct ca_cert *root, char out[CERT_SUBJECT_MAX], struct err *err)
{
	mbedtls_x509_crt crt;
	int rc;

	mbedtls_x509_crt_init(&crt);
	rc = mbedtls_x509_crt_parse_der(&crt, root->der, root->n);
	if (rc == 0)
		rc = mbedtls_x509_dn_gets(out, CERT_SUBJECT_MAX, &crt.subject);
	mbedtls_x509_crt_free(&crt);
	return rc < 0 ? crypto_error(err, ERR_CORRUPT, rc, "ca.crt") : 0;
}

/* Everything but the folder and the key, from the certificate. */
static int root_take(struct ca *ca, struct err *err)
{
	struct tls_identity id;
	unsigned char mine[SHA256_SIZE];
	int rc = tls_identity_parse(ca->root.der, ca->root.n, &id, err);

	if (rc == 0)
		rc = subject_read(&ca->root, ca->subject, err);
	if (rc < 0) {
		if (err && rc != ERR_NOMEM)
			err->code = ERR_CORRUPT;
		return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
	}
	memcpy(ca->spki_hash, id.root_spki_hash, SHA256_SIZE);
	if (!ca->key)
		return 0;
	rc = crypto_key_id(ca->key, mine, err);
	if (rc == 0 && memcmp(mine, ca->spki_hash, SHA256_SIZE) != 0)
		rc = err_set(err, ERR_CORRUPT, "ca.key is not the key of ca.crt");
	return rc;
}

static int ca_new(const char *dir, struct ca **out, struct err *err)
{
	struct ca *ca = mem_calloc(1, sizeof(*ca));

	if (!ca)
		return err_nomem(err);
	if (strlen(dir) >= sizeof(ca->dir)) {
		mem_free(ca);
		return err_set(err, ERR_LIMIT, "state folder: path too long");
	}
	memcpy(ca->dir, dir, strlen(dir) + 1);
	*out = ca;
	return 0;
}

static void subject_of(const struct uuid *org, char out[CERT_SUBJECT_MAX])
{
	char hex[2 * UUID_SIZE + 1];

	for (size_t i = 0; i < UUID_SIZE; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", org->b[i]);
	(void)snprintf(out, CERT_SUBJECT_MAX, "CN=envwarden root %s", hex);
}

bool ca_is_of(const struct ca *ca, const struct uuid *org)
{
	char subject[CERT_SUBJECT_MAX];

	subject_of(org, subject);
	return strcmp(ca->subject, subject) == 0;
}

static int root_make(struct ca *ca, const struct uuid *org, int64_t now_ms, struct err *err)
{
	char path[CA_PATH_MAX];
	struct cert_spec spec = {.usage = CERT_ROOT, .subject = ca->subject};
	int rc = crypto_key_new(&ca->key, err);

	if (rc < 0)
		return rc;
	subject_of(org, ca->subject);
	spec.key = ca->key;
	rc = ca_sign(ca, &spec, now_ms, CA_ROOT_DAYS, &ca->root, NULL, err);
	if (rc == 0)
		rc = root_take(ca, err);
	/* The certificate last: without it there is no authority, and creating starts again. */
	if (rc == 0)
		rc = ca_key_write(ca->dir, "ca.key", ca->key, err);
	if (rc == 0)
		rc = ca_path(ca->dir, "ca.crt", path, err);
	if (rc == 0)
		rc = files_atomic_write(path, ca->root.der, ca->root.n, 0644, err);
	return rc;
}

int ca_create(const char *dir, const struct uuid *org, int64_t now_ms, struct ca **out,
	      struct err *err)
{
	struct ca *ca = NULL;
	int rc = ca_new(dir, &ca, err);

	if (rc == 0)
		rc = files_mkdir_private(dir, err);
	if (rc < 0)
		goto out;
	rc = ca_cert_read(dir, "ca.crt", &ca->root, NULL);
	if (rc != ERR_NOTFOUND) {
		rc = err_set(err, ERR_EXISTS, "there is an authority in %s", dir);
		goto out;
	}
	rc = root_make(ca, org, now_ms, err);
	if (rc < 0)
		goto out;
	*out = ca;
	ca = NULL;
out:
	ca_free(ca);
	return rc;
}

int ca_load(const char *dir, struct ca **out, struct err *err)
{
	struct ca *ca = NULL;
	int rc = ca_new(dir, &ca, err);

	if (rc == 0)
		rc = ca_cert_read(dir, "ca.crt", &ca->root, err);
	if (rc == 0) {
		rc = ca_key_read(dir, "ca.key", &ca->key, err);
		if (rc == ERR_INVALID)
			rc = err_set(err, ERR_CORRUPT, "ca.key is no private key");
		rc = rc == ERR_NOTFOUND ? 0 : rc; /* kept elsewhere */
	}
	if (rc == 0)
		rc = root_take(ca, err);
	if (rc < 0)
		goto out;
	*out = ca;
	ca = NULL;
out:
	ca_free(ca);
	return rc;
}

void ca_free(struct ca *ca)
{
	if (!ca)
		return;
	crypto_key_free(ca->key);
	mem_free(ca);
}

const struct ca_cert *ca_root(const struct ca *ca)
{
	return &ca->root;
}

void ca_root_spki_hash(const struct ca *ca, unsigned char out[SHA256_SIZE])
{
	memcpy(out, ca->spki_hash, SHA256_SIZE);
}

/* --- issuing --- */

int ca_sign(const struct ca *ca, struct cert_spec *spec, int64_t now_ms, int64_t days,
	    struct ca_cert *out, unsigned char serial[CA_SERIAL_SIZE], struct err *err)
{
	if (!ca->key)
		return err_set(err, ERR_PERM, "the authority's key (ca.key) is not here");
	spec->issuer = ca->subject;
	spec->issuer_key = ca->key;
	spec->not_before_ms = now_ms - CA_BACKDATE_MS;
	spec->not_after_ms = (now_ms + days * CA_DAY_MS) / 1000 * 1000;
	return cert_write(spec, out, serial, err);
}

/* The request's public key, if the request is one and signed by it. */
static int csr_key(const void *data, size_t n, struct crypto_key **out, struct err *err)
{
	unsigned char spki[CRYPTO_SPKI_MAX];
	struct crypto_key *key = NULL;
	mbedtls_x509_csr csr;
	int rc, len;

	if (n == 0 || n > CA_CSR_MAX)
		return err_set(err, ERR_INVALID, "request: wants 1 to %d bytes", CA_CSR_MAX);
	mbedtls_x509_csr_init(&csr);
	len = mbedtls_x509_csr_parse_der(&csr, data, n);
	if (len < 0) {
		rc = crypto_error(err, ERR_INVALID, len, "request");
		goto out;
	}
	len = mbedtls_pk_write_pubkey_der(&csr.pk, spki, sizeof(spki));
	if (len < 0 || csr.MBEDTLS_PRIVATE(sig_md) != MBEDTLS_MD_SHA256) {
		rc = err_set(err, ERR_INVALID, "request: wants a P-256 key and SHA-256");
		goto out;
	}
	rc = crypto_key_from_spki(spki + sizeof(spki) - len, (size_t)len, &key, err);
	if (rc == 0 && crypto_verify(key, csr.cri.p, csr.cri.len, csr.MBEDTLS_PRIVATE(sig).p,
				     csr.MBEDTLS_PRIVATE(sig).len) < 0)
		rc = err_set(err, ERR_VERIFY, "the request is not signed by its key");
	if (rc < 0)
		goto out;
	*out = key;
	key = NULL;
out:
	crypto_key_free(key);
	mbedtls_x509_csr_free(&csr);
	return rc;
}

int ca_issue_machine(const struct ca *ca, const void *csr, size_t n, const struct uuid *machine,
		     bool ephemeral, int64_t now_ms, struct ca_issued *out, struct err *err)
{
	char uri[sizeof(TLS_MACHINE_URI) + UUID_TEXT_MAX] = TLS_MACHINE_URI;
	struct cert_name name = {.kind = CERT_NAME_URI, .data = uri};
	struct cert_spec spec = {
		.usage = CERT_CLIENT, .subject = TLS_CSR_SUBJECT, .names = &name, .n_names = 1};
	struct ca_issued issued;
	struct crypto_key *key = NULL;
	int rc = csr_key(csr, n, &key, err);

	if (rc < 0)
		return rc;
	uuid_format(machine, uri + strlen(uri));
	name.n = strlen(uri);
	spec.key = key;
	rc = ca_sign(ca, &spec, now_ms, ephemeral ? CA_EPHEMERAL_DAYS : CA_MACHINE_DAYS,
		     &issued.cert, issued.serial, err);
	if (rc == 0)
		rc = crypto_key_id(key, issued.key_hash, err);
	issued.not_after_ms = spec.not_after_ms;
	if (rc == 0)
		*out = issued;
	crypto_key_free(key);
	return rc;
}
