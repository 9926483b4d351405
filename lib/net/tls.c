#include "lib/net/tls.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/tls_cert.h"
#include "lib/net/tls_internal.h"

/* Header, nonce, tag and then some, of one record. */
#define RECORD_EXTRA 64
/* Memory kept in an empty buffer; more is given back, since most connections are idle. */
#define KEEP_BYTES 1024

/* --- memory in the place of a socket --- */

static int on_send(void *ctx, const unsigned char *data, size_t n)
{
	struct tls *tls = ctx;

	buf_add(&tls->out, data, n);
	return buf_rc(&tls->out) < 0 ? MBEDTLS_ERR_SSL_ALLOC_FAILED : (int)n;
}

static int on_receive(void *ctx, unsigned char *data, size_t n)
{
	struct tls *tls = ctx;
	size_t left = tls->in.len - tls->in_at;

	if (left == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (n > left)
		n = left;
	memcpy(data, tls->in.data + tls->in_at, n);
	tls->in_at += n;
	if (tls->in_at == tls->in.len) {
		tls->in_at = 0;
		if (tls->in.cap > KEEP_BYTES)
			buf_deinit(&tls->in);
		buf_clear(&tls->in);
	}
	return (int)n;
}

struct buf *tls_out(struct tls *tls)
{
	return &tls->out;
}

/* --- life --- */

static int tls_setup(struct tls *tls, struct err *err)
{
	int rc = mbedtls_ssl_setup(&tls->ssl, &tls->context->conf);

	if (rc == 0 && !tls->context->is_server)
		rc = mbedtls_ssl_set_hostname(&tls->ssl, tls->context->server_name);
	if (rc == MBEDTLS_ERR_SSL_ALLOC_FAILED)
		return err_nomem(err);
	if (rc != 0)
		return crypto_error(err, ERR_INTERNAL, rc, "TLS");
	mbedtls_ssl_set_verify(&tls->ssl, tls_verify, tls);
	mbedtls_ssl_set_bio(&tls->ssl, tls, on_send, on_receive, NULL);
	return 0;
}

int tls_new(struct tls_context *context, struct tls **out, struct err *err)
{
	struct tls *tls = mem_calloc(1, sizeof(*tls));
	int rc;

	if (!tls)
		return err_nomem(err);
	tls->context = context;
	context->holders++;
	buf_init(&tls->in, TLS_IN_MAX);
	buf_init(&tls->out, SIZE_MAX); /* tls_write keeps the bound, alerts always fit */
	mbedtls_ssl_init(&tls->ssl);
	rc = tls_setup(tls, err);
	if (rc < 0) {
		tls_free(tls);
		return rc;
	}
	*out = tls;
	return 0;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	mbedtls_ssl_free(&tls->ssl);
	buf_deinit(&tls->in);
	buf_deinit(&tls->out);
	tls_context_free(tls->context);
	mem_free(tls);
}

enum tls_state tls_state(const struct tls *tls)
{
	return tls->state;
}

/* --- errors --- */

/* RFC 5246 7.2, for the alerts that tell a person something. */
static const char *alert_text(unsigned char alert)
{
	switch (alert) {
	case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
		return "it finds our certificate expired";
	case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
	case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
	case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
	case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
	case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
		return "it does not accept our certificate";
	case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
		return "it speaks no TLS version that we do";
	case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
		return "no common cipher";
	default:
		return "TLS alert";
	}
}

static int describe(const struct tls *tls, int rc, struct err *err)
{
	unsigned char alert;

	switch (rc) {
	case MBEDTLS_ERR_SSL_ALLOC_FAILED:
		return err_nomem(err);
	case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
		return err_set(err, ERR_CLOSED, "closed by the peer");
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		alert = tls->ssl.MBEDTLS_PRIVATE(in_msg)[1];
		return err_set(err, ERR_PROTOCOL, "refused by the peer: %s (%u)", alert_text(alert),
			       (unsigned)alert);
	default:
		return crypto_error(err, ERR_PROTOCOL, rc, "TLS");
	}
}

/* The connection is over: what the library said, unless the verifier knew better. */
static int fail(struct tls *tls, int rc, struct err *err)
{
	tls->state = rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? TLS_CLOSED : TLS_FAILED;
	return describe(tls, rc, err);
}

static int not_open(const struct tls *tls, struct err *err)
{
	if (tls->state == TLS_CLOSED)
		return err_set(err, ERR_CLOSED, "closed by the peer");
	return err_set(err, ERR_INVALID, "TLS is not open");
}

/* --- handshake --- */

static int finish_handshake(struct tls *tls, struct err *err)
{
	int rc = tls_verify_done(tls, err);

	if (rc < 0) {
		mbedtls_ssl_send_alert_message(&tls->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
					       MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
		tls->state = TLS_FAILED;
		return rc;
	}
	tls->state = TLS_OPEN;
	return 0;
}

int tls_handshake(struct tls *tls, struct err *err)
{
	struct err why = ERR_INIT;
	int rc;

	if (tls->state != TLS_HANDSHAKE)
		return tls->state == TLS_OPEN ? 0 : not_open(tls, err);
	tls->why = &why;
	rc = mbedtls_ssl_handshake(&tls->ssl);
	tls->why = NULL;
	if (rc == MBEDTLS_ERR_SSL_WANT_READ)
		return 0;
	if (rc == 0)
		return finish_handshake(tls, err);
	rc = fail(tls, rc, err);
	if (why.code != 0 && rc != ERR_NOMEM) {
		tls->state = TLS_FAILED;
		return err_set(err, why.code, "%s", why.text);
	}
	return rc;
}

int tls_feed(struct tls *tls, const void *data, size_t n, struct err *err)
{
	int rc;

	if (tls->state == TLS_CLOSED || tls->state == TLS_FAILED)
		return not_open(tls, err);
	if (n > TLS_IN_MAX - (tls->in.len - tls->in_at))
		return err_set(err, ERR_LIMIT, "too many bytes unread");
	buf_consume(&tls->in, tls->in_at);
	tls->in_at = 0;
	buf_add(&tls->in, data, n);
	rc = buf_rc(&tls->in);
	if (rc < 0) {
		tls->state = TLS_FAILED;
		return err_set(err, rc, "TLS: %s", err_text(rc));
	}
	return tls_handshake(tls, err);
}

/* --- data --- */

static bool fits(const struct tls *tls, size_t n)
{
	int part = mbedtls_ssl_get_max_out_record_payload(&tls->ssl);
	size_t records = part > 0 ? n / (size_t)part + 1 : n;

	return n <= TLS_OUT_MAX && tls->out.len <= TLS_OUT_MAX - n &&
	       records * RECORD_EXTRA <= TLS_OUT_MAX - n - tls->out.len;
}

int tls_write(struct tls *tls, const void *data, size_t n, struct err *err)
{
	const unsigned char *p = data;

	if (tls->state != TLS_OPEN)
		return not_open(tls, err);
	if (!fits(tls, n))
		return err_set(err, ERR_LIMIT, "too many bytes unsent");
	while (n > 0) {
		int rc = mbedtls_ssl_write(&tls->ssl, p, n);

		if (rc <= 0)
			return fail(tls, rc, err);
		p += rc;
		n -= (size_t)rc;
	}
	return 0;
}

int tls_read(struct tls *tls, void *data, size_t cap, size_t *n, struct err *err)
{
	int rc;

	if (tls->state != TLS_OPEN)
		return not_open(tls, err);
	rc = mbedtls_ssl_read(&tls->ssl, data, cap);
	if (rc == MBEDTLS_ERR_SSL_WANT_READ) {
		*n = 0;
		return 0;
	}
	if (rc <= 0)
		return fail(tls, rc == 0 ? MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY : rc, err);
	*n = (size_t)rc;
	return 0;
}

void tls_close_notify(struct tls *tls)
{
	if (tls->state == TLS_OPEN || tls->state == TLS_CLOSED)
		mbedtls_ssl_close_notify(&tls->ssl);
	tls->state = TLS_FAILED;
}

/* --- the peer --- */

int tls_peer(const struct tls *tls, struct tls_peer *out, struct err *err)
{
	const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&tls->ssl);
	uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);
	struct tls_peer peer = {.class = TLS_PEER_NONE};

	if (tls->state != TLS_OPEN)
		return not_open(tls, err);
	if (crt) {
		peer.resumed = !tls->verified;
		peer.has_machine = tls_cert_machine(crt, &peer.machine);
		peer.not_after_ms = tls_cert_ms(&crt->valid_to);
		tls_cert_spki_hash(crt, peer.spki_hash);
		peer.class = TLS_PEER_GOOD;
		if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) ||
		    tls_now(tls->context) > peer.not_after_ms)
			peer.class = TLS_PEER_EXPIRED;
	}
	*out = peer;
	return 0;
}

/* --- sessions of a client --- */

static void mark_session(const mbedtls_ssl_session *session, struct session_marks *out)
{
	sha256(session->MBEDTLS_PRIVATE(ticket), session->MBEDTLS_PRIVATE(ticket_len), out->ticket);
	sha256(session->MBEDTLS_PRIVATE(master), sizeof(session->MBEDTLS_PRIVATE(master)),
	       out->secret);
}

/*
 * A server that could not use the ticket, and gave no new one, leaves the old ticket in the
 * library's new session: they would never fit each other.
 */
static bool has_stale_ticket(const struct tls *tls, const mbedtls_ssl_session *session)
{
	struct session_marks marks;

	mark_session(session, &marks);
	return memcmp(marks.ticket, tls->offered.ticket, SHA256_SIZE) == 0 &&
	       memcmp(marks.secret, tls->offered.secret, SHA256_SIZE) != 0;
}

int tls_session_export(const struct tls *tls, struct buf *out, struct err *err)
{
	unsigned char data[TLS_SESSION_MAX - SHA256_SIZE];
	mbedtls_ssl_session session;
	size_t n;
	int rc;

	CHECK(!tls->context->is_server);
	if (tls->state != TLS_OPEN)
		return not_open(tls, err);
	mbedtls_ssl_session_init(&session);
	rc = mbedtls_ssl_get_session(&tls->ssl, &session);
	if (rc != 0) {
		rc = describe(tls, rc, err);
		goto out;
	}
	if (session.MBEDTLS_PRIVATE(ticket_len) == 0 || has_stale_ticket(tls, &session)) {
		rc = err_set(err, ERR_NOTFOUND, "the server gave no session ticket");
		goto out;
	}
	rc = mbedtls_ssl_session_save(&session, data, sizeof(data), &n);
	if (rc != 0) {
		rc = err_set(err, ERR_LIMIT, "the session is too long to keep");
		goto out;
	}
	buf_add(out, tls->context->binding, SHA256_SIZE);
	buf_add(out, data, n);
	rc = buf_rc(out);
	if (rc < 0)
		err_set(err, rc, "session: %s", err_text(rc));
out:
	crypto_wipe(data, sizeof(data));
	mbedtls_ssl_session_free(&session);
	return rc;
}

int tls_session_import(struct tls *tls, const void *data, size_t n, struct err *err)
{
	const unsigned char *p = data;
	mbedtls_ssl_session session;
	int rc;

	CHECK(!tls->context->is_server);
	if (n < SHA256_SIZE || n > TLS_SESSION_MAX ||
	    !crypto_equal(p, tls->context->binding, SHA256_SIZE))
		return err_set(err, ERR_STALE, "session was made under another identity");
	mbedtls_ssl_session_init(&session);
	rc = mbedtls_ssl_session_load(&session, p + SHA256_SIZE, n - SHA256_SIZE);
	if (rc == 0)
		rc = mbedtls_ssl_set_session(&tls->ssl, &session);
	if (rc == 0)
		mark_session(&session, &tls->offered);
	mbedtls_ssl_session_free(&session);
	if (rc == MBEDTLS_ERR_SSL_ALLOC_FAILED)
		return err_nomem(err);
	if (rc != 0)
		return err_set(err, ERR_STALE, "session can't be read by this version");
	return 0;
}
