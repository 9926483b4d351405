/* One side's settings. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/tls_cert.h"
#include "lib/net/tls_identity.h"
#include "lib/net/tls_internal.h"

static const int suites[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			     MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, 0};

/* What 3.x says in other words. */
#if MBEDTLS_VERSION_MAJOR < 3
static void conf_protocol(mbedtls_ssl_config *conf)
{
	static const mbedtls_ecp_group_id groups[] = {
		MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_NONE};
	static const int hashes[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_NONE};

	mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3,
				     MBEDTLS_SSL_MINOR_VERSION_3);
	mbedtls_ssl_conf_max_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3,
				     MBEDTLS_SSL_MINOR_VERSION_3);
	mbedtls_ssl_conf_curves(conf, groups);
	mbedtls_ssl_conf_sig_hashes(conf, hashes);
}
#else
static void conf_protocol(mbedtls_ssl_config *conf)
{
	static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
					  MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
					  MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
	static const uint16_t algs[] = {MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
					MBEDTLS_TLS1_3_SIG_NONE};

	mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_groups(conf, groups);
	mbedtls_ssl_conf_sig_algs(conf, algs);
}
#endif

static int context_new(bool is_server, tls_now_cb now_ms, void *now_ctx, struct tls_context **out,
		       struct err *err)
{
	struct tls_context *c = mem_calloc(1, sizeof(*c));
	int rc;

	CHECK(now_ms);
	if (!c) {
		err_nomem(err);
		return ERR_NOMEM;
	}
	c->holders = 1;
	c->is_server = is_server;
	c->now_ms = now_ms;
	c->now_ctx = now_ctx;
	mbedtls_ssl_config_init(&c->conf);
	mbedtls_x509_crt_init(&c->own);
	mbedtls_x509_crt_init(&c->roots);
	rc = mbedtls_ssl_config_defaults(&c->conf,
					 is_server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
					 MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
	if (rc != 0) { /* it only allocates */
		tls_context_free(c);
		err_nomem(err);
		return ERR_NOMEM;
	}
	conf_protocol(&c->conf);
	mbedtls_ssl_conf_ciphersuites(&c->conf, suites);
	mbedtls_ssl_conf_cert_profile(&c->conf, &mbedtls_x509_crt_profile_suiteb);
	mbedtls_ssl_conf_rng(&c->conf, crypto_rng, NULL);
	mbedtls_ssl_conf_legacy_renegotiation(&c->conf, MBEDTLS_SSL_LEGACY_BREAK_HANDSHAKE);
#ifdef MBEDTLS_SSL_RENEGOTIATION
	mbedtls_ssl_conf_renegotiation(&c->conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
	*out = c;
	return 0;
}

void tls_context_free(struct tls_context *context)
{
	if (!context || --context->holders > 0)
		return;
	mbedtls_ssl_config_free(&context->conf);
	mbedtls_x509_crt_free(&context->own);
	mbedtls_x509_crt_free(&context->roots);
	crypto_key_free(context->key);
	mem_free(context->server_name);
	crypto_wipe(context, sizeof(*context));
	mem_free(context);
}

/* Our own copy of the key: the caller's may go. */
static int key_copy(const struct crypto_key *key, struct crypto_key **out, struct err *err)
{
	unsigned char der[CRYPTO_KEY_MAX];
	size_t n;
	int rc = crypto_key_to_der(key, der, sizeof(der), &n, err);

	if (rc == 0)
		rc = crypto_key_from_der(der, n, out, err);
	crypto_wipe(der, sizeof(der));
	return rc;
}

static int set_own(struct tls_context *c, const void *chain, size_t n, const struct crypto_key *key,
		   struct err *err)
{
	unsigned char key_id[SHA256_SIZE], cert_id[SHA256_SIZE];
	int rc = tls_cert_parse_chain(&c->own, chain, n, err);

	if (rc == 0)
		rc = key_copy(key, &c->key, err);
	if (rc == 0)
		rc = crypto_key_id(c->key, key_id, err);
	if (rc < 0)
		return rc;
	tls_cert_spki_hash(&c->own, cert_id);
	if (!crypto_equal(key_id, cert_id, sizeof(key_id)))
		return err_set(err, ERR_INVALID, "certificate is not for this key");
	rc = mbedtls_ssl_conf_own_cert(&c->conf, &c->own, crypto_key_pk(c->key));
	return rc == 0 ? 0 : crypto_error(err, ERR_INTERNAL, rc, "own certificate");
}

static int set_root(struct tls_context *c, const void *root, size_t n, struct err *err)
{
	int rc = tls_cert_parse_chain(&c->roots, root, n, err);

	if (rc < 0) {
		err_context(err, "root");
		return rc;
	}
	if (c->roots.next)
		return err_set(err, ERR_INVALID, "more than one root certificate");
	mbedtls_ssl_conf_ca_chain(&c->conf, &c->roots, NULL);
	return 0;
}

/* A stored session is good only for the same server name, root and own certificate. */
static void bind_sessions(struct tls_context *c)
{
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, c->server_name, strlen(c->server_name) + 1);
	if (c->pinned)
		sha256_update(&h, c->root_spki_hash, sizeof(c->root_spki_hash));
	else
		sha256_update(&h, c->roots.raw.p, c->roots.raw.len);
	if (c->key)
		sha256_update(&h, c->own.raw.p, c->own.raw.len);
	sha256_final(&h, c->binding);
}

static int client_fill(struct tls_context *c, const struct tls_client_config *config,
		       struct err *err)
{
	int rc = 0;

	c->server_name = mem_strdup(config->server_name);
	if (!c->server_name)
		return err_nomem(err);
	c->pinned = config->root_spki_hash != NULL;
	if (c->pinned)
		memcpy(c->root_spki_hash, config->root_spki_hash, sizeof(c->root_spki_hash));
	else
		rc = set_root(c, config->root, config->root_n, err);
	if (rc == 0 && config->chain)
		rc = set_own(c, config->chain, config->chain_n, config->key, err);
	if (rc < 0)
		return rc;
	/* Without a root the library refuses "required"; our verifier refuses in both. */
	mbedtls_ssl_conf_authmode(&c->conf, c->pinned ? MBEDTLS_SSL_VERIFY_OPTIONAL
						      : MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_session_tickets(&c->conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
	rc = mbedtls_ssl_conf_max_frag_len(&c->conf, MBEDTLS_SSL_MAX_FRAG_LEN_4096);
	if (rc != 0)
		return crypto_error(err, ERR_INTERNAL, rc, "TLS");
	bind_sessions(c);
	return 0;
}

int tls_context_new_client(const struct tls_client_config *config, struct tls_context **out,
			   struct err *err)
{
	struct tls_context *c = NULL;
	int rc;

	CHECK((config->root != NULL) != (config->root_spki_hash != NULL));
	CHECK((config->chain != NULL) == (config->key != NULL));
	rc = context_new(false, config->now_ms, config->now_ctx, &c, err);
	if (rc == 0)
		rc = client_fill(c, config, err);
	if (rc < 0)
		goto out;
	*out = c;
	c = NULL;
out:
	tls_context_free(c);
	return rc;
}

static int server_fill(struct tls_context *c, const struct tls_server_config *config,
		       struct err *err)
{
	int64_t life = config->ticket_lifetime_ms;
	int rc = set_own(c, config->chain, config->chain_n, config->key, err);

	if (rc == 0)
		rc = set_root(c, config->client_root, config->client_root_n, err);
	if (rc < 0)
		return rc;
	if (life <= 0 || life > TLS_TICKET_LIFETIME_MAX_MS)
		life = TLS_TICKET_LIFETIME_MAX_MS;
	c->ticket_lifetime_ms = life;
	mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
	mbedtls_ssl_conf_cert_req_ca_list(&c->conf, MBEDTLS_SSL_CERT_REQ_CA_LIST_DISABLED);
	mbedtls_ssl_conf_session_tickets_cb(&c->conf, tls_ticket_write, tls_ticket_parse, c);
	return 0;
}

int tls_context_new_server(const struct tls_server_config *config, struct tls_context **out,
			   struct err *err)
{
	struct tls_context *c = NULL;
	int rc = context_new(true, config->now_ms, config->now_ctx, &c, err);

	if (rc == 0)
		rc = server_fill(c, config, err);
	if (rc < 0)
		goto out;
	*out = c;
	c = NULL;
out:
	tls_context_free(c);
	return rc;
}

void tls_context_set_ticket_keys(struct tls_context *context, const struct tls_ticket_key *keys,
				 size_t n)
{
	CHECK(context->is_server && n <= TLS_TICKET_KEYS_MAX);
	crypto_wipe(context->ticket_keys, sizeof(context->ticket_keys));
	if (n > 0)
		memcpy(context->ticket_keys, keys, n * sizeof(*keys));
	context->ticket_keys_n = n;
}
