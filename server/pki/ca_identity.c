/* The server's own identities: made, kept in the state folder, renewed. */
#include <stdio.h>
#include <string.h>

#include <mbedtls/pem.h>
#include <mbedtls/x509_crt.h>
#include <uv.h>

#include "lib/base/buf.h"
#include "lib/net/tls_identity.h"
#include "platform/files.h"
#include "platform/secret.h"
#include "server/pki/ca_impl.h"

#define HOST_MAX 253 /* bytes of a host name */
#define PEM_MAX (4 * CA_CERT_MAX)

void ca_server_name(const struct uuid *org, char out[CA_SERVER_NAME_MAX])
{
	int n = snprintf(out, CA_SERVER_NAME_MAX, "server.");

	for (size_t i = 0; i < UUID_SIZE; i++)
		n += snprintf(out + n, CA_SERVER_NAME_MAX - (size_t)n, "%02x", org->b[i]);
	(void)snprintf(out + n, CA_SERVER_NAME_MAX - (size_t)n, ".envwarden.internal");
}

void ca_identity_wipe(struct ca_identity *identity)
{
	crypto_wipe(identity, sizeof(*identity));
}

/* What a stored certificate still is. */
enum held {
	HELD_NONE, /* missing, damaged, of another authority, of another key, or over */
	HELD_DUE,  /* good, but near its end */
	HELD_GOOD
};

static enum held cert_state(const struct ca *ca, const struct ca_cert *cert,
			    const struct crypto_key *key, int64_t now_ms)
{
	unsigned char chain[2 * CA_CERT_MAX], hash[SHA256_SIZE];
	struct tls_identity id;

	memcpy(chain, cert->der, cert->n);
	memcpy(chain + cert->n, ca->root.der, ca->root.n);
	if (tls_identity_parse(chain, cert->n + ca->root.n, &id, NULL) < 0 || id.certs != 2 ||
	    crypto_key_id(key, hash, NULL) < 0 || memcmp(hash, id.spki_hash, SHA256_SIZE) != 0 ||
	    id.not_after_ms <= now_ms)
		return HELD_NONE;
	return id.not_after_ms - now_ms < CA_RENEW_DAYS * CA_DAY_MS ? HELD_DUE : HELD_GOOD;
}

/* Without the authority's key one goes on with what is still valid. */
static bool is_enough(const struct ca *ca, enum held held)
{
	return held == HELD_GOOD || (held == HELD_DUE && !ca->key);
}

/* The extension's bytes are a function of the names: they are in the certificate or they differ. */
static bool has_names(const struct ca_cert *cert, const struct cert_name *names, size_t n)
{
	unsigned char room[CERT_NAMES_MAX];
	const unsigned char *der;
	size_t der_n;

	if (cert_names_der(names, n, room, &der, &der_n, NULL) < 0)
		return false;
	for (size_t i = 0; i + der_n <= cert->n; i++) {
		if (memcmp(cert->der + i, der, der_n) == 0)
			return true;
	}
	return false;
}

/* --- the agent port --- */

static int server_make(const struct ca *ca, const struct cert_name *name, int64_t now_ms,
		       struct crypto_key **key, struct ca_cert *cert, struct err *err)
{
	char path[CA_PATH_MAX];
	struct cert_spec spec = {.usage = CERT_SERVER,
				 .subject = "CN=envwarden server",
				 .names = name,
				 .n_names = 1};
	struct crypto_key *fresh = NULL;
	struct ca_cert made;
	int rc = crypto_key_new(&fresh, err);

	if (rc < 0)
		return rc;
	spec.key = fresh;
	rc = ca_sign(ca, &spec, now_ms, CA_SERVER_DAYS, &made, NULL, err);
	/* Cut in between, the new key does not fit the old certificate, and both are made again. */
	if (rc == 0)
		rc = ca_key_write(ca->dir, "server.key", fresh, err);
	if (rc == 0)
		rc = ca_path(ca->dir, "server.crt", path, err);
	if (rc == 0)
		rc = files_atomic_write(path, made.der, made.n, 0644, err);
	if (rc < 0) {
		crypto_key_free(fresh);
		return rc;
	}
	crypto_key_free(*key);
	*key = fresh;
	*cert = made;
	return 0;
}

/* Missing and damaged are HELD_NONE; what a person must mend is an error. */
static int server_held(const struct ca *ca, const struct cert_name *name, int64_t now_ms,
		       struct crypto_key **key, struct ca_cert *cert, enum held *held,
		       struct err *err)
{
	int rc = ca_key_read(ca->dir, "server.key", key, err);

	*held = HELD_NONE;
	if (rc == ERR_NOTFOUND || rc == ERR_INVALID)
		return 0;
	if (rc == 0)
		rc = ca_cert_read(ca->dir, "server.crt", cert, err);
	if (rc == ERR_NOTFOUND || rc == ERR_CORRUPT || rc == ERR_LIMIT)
		return 0;
	if (rc == 0 && has_names(cert, name, 1))
		*held = cert_state(ca, cert, *key, now_ms);
	return rc;
}

int ca_server_identity(const struct ca *ca, const struct uuid *org, int64_t now_ms,
		       struct ca_identity *out, struct err *err)
{
	char host[CA_SERVER_NAME_MAX];
	struct cert_name name = {.kind = CERT_NAME_DNS, .data = host};
	struct crypto_key *key = NULL;
	struct ca_cert cert = {.n = 0};
	enum held held;
	int rc;

	ca_server_name(org, host);
	name.n = strlen(host);
	rc = server_held(ca, &name, now_ms, &key, &cert, &held, err);
	if (rc == 0 && !is_enough(ca, held))
		rc = server_make(ca, &name, now_ms, &key, &cert, err);
	if (rc == 0)
		rc = crypto_key_to_der(key, out->key, sizeof(out->key), &out->key_n, err);
	if (rc == 0)
		out->cert = cert;
	crypto_key_free(key);
	return rc;
}

/* --- the admin port --- */

static bool is_host(const char *host)
{
	size_t n = strlen(host);

	for (size_t i = 0; i < n; i++) {
		char c = host[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '.'))
			return false;
	}
	return n > 0 && n <= HOST_MAX;
}

struct admin_names {
	struct cert_name names[CA_HOSTS_MAX];
	unsigned char addresses[CA_HOSTS_MAX][16];
	size_t n;
};

static int names_fill(const char *const *hosts, size_t n, struct admin_names *out, struct err *err)
{
	if (n == 0 || n > CA_HOSTS_MAX)
		return err_set(err, ERR_INVALID, "admin certificate: wants 1 to %d hosts",
			       CA_HOSTS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct cert_name *name = &out->names[i];

		if (uv_inet_pton(AF_INET, hosts[i], out->addresses[i]) == 0)
			*name = (struct cert_name){CERT_NAME_IP, out->addresses[i], 4};
		else if (uv_inet_pton(AF_INET6, hosts[i], out->addresses[i]) == 0)
			*name = (struct cert_name){CERT_NAME_IP, out->addresses[i], 16};
		else if (is_host(hosts[i]))
			*name = (struct cert_name){CERT_NAME_DNS, hosts[i], strlen(hosts[i])};
		else
			return err_set(err, ERR_INVALID,
				       "admin certificate: host %zu is no name and no address",
				       i + 1);
	}
	out->n = n;
	return 0;
}

/* A file of PEM -> the first thing in it; false for missing and damaged alike. */
static bool admin_read(const struct ca *ca, struct crypto_key **key, struct ca_cert *cert)
{
	char path[CA_PATH_MAX];
	mbedtls_x509_crt crt;
	mbedtls_pem_context pem;
	struct buf text;
	size_t used;
	bool ok = false;

	mbedtls_x509_crt_init(&crt);
	mbedtls_pem_init(&pem);
	buf_init(&text, PEM_MAX + 1);
	if (ca_path(ca->dir, "admin.crt.pem", path, NULL) < 0 ||
	    files_read_whole(path, PEM_MAX - 1, &text, NULL) < 0 ||
	    mbedtls_x509_crt_parse(&crt, (const unsigned char *)buf_cstr(&text), text.len + 1) <
		    0 ||
	    crt.raw.len == 0 || crt.raw.len > CA_CERT_MAX)
		goto out;
	memcpy(cert->der, crt.raw.p, crt.raw.len);
	cert->n = crt.raw.len;
	buf_clear(&text);
	if (ca_path(ca->dir, "admin.key.pem", path, NULL) < 0 ||
	    secret_read(path, PEM_MAX - 1, &text, NULL) < 0 ||
	    mbedtls_pem_read_buffer(&pem, "-----BEGIN EC PRIVATE KEY-----",
				    "-----END EC PRIVATE KEY-----",
				    (const unsigned char *)buf_cstr(&text), NULL, 0, &used) != 0)
		goto out;
	ok = crypto_key_from_der(pem.MBEDTLS_PRIVATE(buf), pem.MBEDTLS_PRIVATE(buflen), key,
				 NULL) == 0;
out:
	if (text.data)
		crypto_wipe(text.data, text.cap);
	buf_deinit(&text);
	mbedtls_pem_free(&pem);
	mbedtls_x509_crt_free(&crt);
	return ok;
}

static int pem_add(struct buf *out, const char *begin, const char *end, const unsigned char *der,
		   size_t n, struct err *err)
{
	unsigned char text[2 * CA_CERT_MAX];
	size_t len;
	int rc = mbedtls_pem_write_buffer(begin, end, der, n, text, sizeof(text), &len);

	if (rc == 0)
		buf_add(out, text, len - 1); /* without the '\0' */
	crypto_wipe(text, sizeof(text));
	if (rc != 0)
		return crypto_error(err, ERR_INTERNAL, rc, "write PEM");
	return buf_rc(out) < 0 ? err_nomem(err) : 0;
}

static int admin_write(const struct ca *ca, const struct crypto_key *key,
		       const struct ca_cert *cert, struct err *err)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----\n";
	static const char end[] = "-----END CERTIFICATE-----\n";
	unsigned char der[CRYPTO_KEY_MAX];
	char path[CA_PATH_MAX];
	struct buf text;
	size_t n;
	int rc = crypto_key_to_der(key, der, sizeof(der), &n, err);

	buf_init(&text, PEM_MAX);
	if (rc == 0)
		rc = pem_add(&text, "-----BEGIN EC PRIVATE KEY-----\n",
			     "-----END EC PRIVATE KEY-----\n", der, n, err);
	if (rc == 0)
		rc = ca_path(ca->dir, "admin.key.pem", path, err);
	if (rc == 0)
		rc = secret_write(path, text.data, text.len, err);
	if (text.data)
		crypto_wipe(text.data, text.cap);
	buf_clear(&text);
	if (rc == 0)
		rc = pem_add(&text, begin, end, cert->der, cert->n, err);
	if (rc == 0)
		rc = pem_add(&text, begin, end, ca->root.der, ca->root.n, err);
	if (rc == 0)
		rc = ca_path(ca->dir, "admin.crt.pem", path, err);
	if (rc == 0)
		rc = files_atomic_write(path, text.data, text.len, 0644, err);
	crypto_wipe(der, sizeof(der));
	buf_deinit(&text);
	return rc;
}

int ca_admin_identity(const struct ca *ca, const char *const *hosts, size_t n, int64_t now_ms,
		      struct err *err)
{
	struct admin_names names = {.n = 0};
	struct cert_spec spec = {.usage = CERT_SERVER, .subject = "CN=envwarden admin"};
	struct crypto_key *key = NULL;
	struct ca_cert cert;
	int rc = names_fill(hosts, n, &names, err);

	if (rc < 0)
		return rc;
	if (admin_read(ca, &key, &cert) && has_names(&cert, names.names, names.n) &&
	    is_enough(ca, cert_state(ca, &cert, key, now_ms)))
		goto out;
	crypto_key_free(key);
	key = NULL;
	rc = crypto_key_new(&key, err);
	if (rc < 0)
		goto out;
	spec.names = names.names;
	spec.n_names = names.n;
	spec.key = key;
	rc = ca_sign(ca, &spec, now_ms, CA_SERVER_DAYS, &cert, NULL, err);
	if (rc == 0)
		rc = admin_write(ca, key, &cert, err);
out:
	crypto_key_free(key);
	return rc;
}
