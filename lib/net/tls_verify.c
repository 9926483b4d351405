/*
 * Judges the peer's certificates. The library checks signatures, names and constraints, and calls
 * here for each certificate from the root down; times are ours to judge, because only the caller
 * knows which time to trust.
 */
#include <string.h>

#include <mbedtls/oid.h>

#include "lib/base/clock.h"
#include "lib/net/tls_cert.h"
#include "lib/net/tls_internal.h"

#define TIME_FLAGS ((uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE))

int64_t tls_now(const struct tls_context *context)
{
	return context->now_ms(context->now_ctx);
}

static uint32_t judge_time(const struct tls_context *context, const mbedtls_x509_crt *crt)
{
	int64_t now = tls_now(context);

	if (now > tls_cert_ms(&crt->valid_to))
		return MBEDTLS_X509_BADCERT_EXPIRED;
	/* A client's time is a lower bound: "not yet" proves nothing there. */
	if (context->is_server && now < tls_cert_ms(&crt->valid_from))
		return MBEDTLS_X509_BADCERT_FUTURE;
	return 0;
}

/* While enrolling, the top of the chain is trusted if its key is the one the join code names. */
static uint32_t judge_pinned_root(const struct tls_context *context, const mbedtls_x509_crt *crt,
				  uint32_t flags)
{
	unsigned char hash[SHA256_SIZE];

	tls_cert_spki_hash(crt, hash);
	if (crypto_equal(hash, context->root_spki_hash, sizeof(hash)))
		flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_NOT_TRUSTED;
	return flags;
}

/* What a leaf must say for its part, beyond what every chain needs. */
static uint32_t judge_leaf(const struct tls_context *context, const mbedtls_x509_crt *crt)
{
	const char *usage = context->is_server ? MBEDTLS_OID_CLIENT_AUTH : MBEDTLS_OID_SERVER_AUTH;
	struct uuid machine;
	uint32_t flags = 0;

	if (mbedtls_x509_crt_check_extended_key_usage(crt, usage, strlen(usage)) != 0)
		flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
	if (context->is_server && !tls_cert_machine(crt, &machine))
		flags |= MBEDTLS_X509_BADCERT_OTHER;
	return flags;
}

static const char *whose(const struct tls_context *context)
{
	return context->is_server ? "the machine's certificate" : "the server's certificate";
}

int tls_expired(const mbedtls_x509_crt *crt, const char *who, struct err *err)
{
	char when[CLOCK_TEXT_MAX];

	clock_format(tls_cert_ms(&crt->valid_to), when);
	return err_set(err, ERR_EXPIRED, "%s expired on %s", who, when);
}

static int describe(const struct tls_context *context, const mbedtls_x509_crt *leaf, uint32_t flags,
		    struct err *err)
{
	static const struct {
		uint32_t flag;
		const char *text;
	} reasons[] = {
		{MBEDTLS_X509_BADCERT_NOT_TRUSTED, "is not signed by this organisation"},
		{MBEDTLS_X509_BADCERT_CN_MISMATCH, "is for another name"},
		{MBEDTLS_X509_BADCERT_EXT_KEY_USAGE, "is not meant for this purpose"},
		{MBEDTLS_X509_BADCERT_KEY_USAGE, "is not meant for this purpose"},
		{MBEDTLS_X509_BADCERT_OTHER, "names no machine"},
		{MBEDTLS_X509_BADCERT_FUTURE, "is not valid yet"},
	};
	const char *who = whose(context);

	if ((flags & ~(uint32_t)MBEDTLS_X509_BADCERT_EXPIRED) == 0)
		return tls_expired(leaf, who, err);
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (flags & reasons[i].flag)
			return err_set(err, ERR_VERIFY, "%s %s", who, reasons[i].text);
	}
	return err_set(err, ERR_VERIFY, "%s is not acceptable (flags 0x%lx)", who,
		       (unsigned long)flags);
}

/* An expired machine may come in, to renew; whoever asks tls_peer sees it. */
static bool acceptable(const struct tls_context *context, uint32_t flags)
{
	if (context->is_server)
		flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_EXPIRED;
	return flags == 0;
}

int tls_verify(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls *tls = ctx;
	const struct tls_context *context = tls->context;
	bool top = !tls->verified;

	tls->verified = true;
	*flags = (*flags & ~TIME_FLAGS) | judge_time(context, crt);
	if (top && context->pinned)
		*flags = judge_pinned_root(context, crt, *flags);
	if (depth == 0)
		*flags |= judge_leaf(context, crt);
	tls->verify_flags |= *flags;
	if (depth > 0 || acceptable(context, tls->verify_flags))
		return 0;
	describe(context, crt, tls->verify_flags, tls->why);
	/* A refusal that optional verification does not forgive. */
	return MBEDTLS_ERR_X509_FATAL_ERROR;
}

int tls_verify_done(struct tls *tls, struct err *err)
{
	const struct tls_context *context = tls->context;
	const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&tls->ssl);
	uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);

	if (!crt)
		return context->is_server
			       ? 0
			       : err_set(err, ERR_VERIFY, "the server showed no certificate");
	/* The library's own checks of usage and curve come after our callback and are forgiven
	 * where verification is optional. */
	if (!acceptable(context, flags))
		return describe(context, crt, flags, err);
	if (!context->is_server && judge_time(context, crt) != 0) /* resumed */
		return tls_expired(crt, whose(context), err);
	return 0;
}
