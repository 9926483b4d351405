/*
 * The machine's certificate: renewed for the same key at two thirds of its life, or first thing
 * when it has expired, which is all the server hears from such a machine.
 */
#include <string.h>

#include "agent/sync/sync_impl.h"
#include "lib/base/log.h"
#include "lib/net/tls_identity.h"
#include "proto/convert.h"

#define DAY_MS (24 * 60 * 60 * UINT64_C(1000))

/*
 * By trusted time, or by the server's word: an agent that slept for long may not know how late it
 * is before the server has told it.
 */
bool renew_expired(const struct sync *sync)
{
	return sync->renewal.first || sync->ops->trusted_ms(sync->ctx) > sync->renewal.not_after_ms;
}

void renew_send(struct sync *sync)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Renew renew = ENVWARDEN__SYNC__RENEW__INIT;
	struct err err = ERR_INIT;
	struct buf csr;

	buf_init(&csr, LIMIT_CSR);
	if (tls_identity_csr(sync->config.identity->key, &csr, &err) < 0) {
		sync_lose(sync, err.code, "%s", err.text);
		goto out;
	}
	renew.csr = wire_bytes(csr.data, csr.len);
	envelope.kind_case = CLIENT_KIND(RENEW);
	envelope.renew = &renew;
	if (!sync_send(sync, &envelope))
		goto out;
	sync->renewal.first = false;
	sync->renewal.tried = true;
	sync->renewal.tried_ms = uv_now(sync->loop);
	sync_await(sync, ANSWER_RENEW);
out:
	buf_deinit(&csr);
}

/* Looked at with each connect and ping; tried once a day. */
void renew_if_due(struct sync *sync)
{
	const struct renewal *r = &sync->renewal;

	if (sync->state != SYNC_LIVE || sync_awaits(sync, ANSWER_RENEW) ||
	    sync->ops->trusted_ms(sync->ctx) < r->due_ms)
		return;
	if (!r->tried || uv_now(sync->loop) - r->tried_ms >= DAY_MS)
		renew_send(sync);
}

static int check_chain(const struct sync *sync, const struct buf *chain, struct err *err)
{
	const struct sync_identity *mine = sync->config.identity;
	unsigned char key_id[SHA256_SIZE];
	struct tls_identity was = {.certs = 0}, is = {.certs = 0};
	int rc = tls_identity_parse(chain->data, chain->len, &is, err);

	if (rc == 0)
		rc = tls_identity_parse(mine->chain.data, mine->chain.len, &was, err);
	if (rc == 0)
		rc = crypto_key_id(mine->key, key_id, err);
	if (rc < 0)
		return rc;
	if (memcmp(is.spki_hash, key_id, sizeof(key_id)) != 0)
		return err_set(err, ERR_VERIFY, "it is for another key");
	if (!is.has_machine || uuid_cmp(&is.machine, &mine->machine) != 0)
		return err_set(err, ERR_VERIFY, "it is for another machine");
	if (chain->len - is.root_offset != mine->chain.len - was.root_offset ||
	    memcmp(chain->data + is.root_offset, mine->chain.data + was.root_offset,
		   chain->len - is.root_offset) != 0)
		return err_set(err, ERR_VERIFY, "it is not signed by this organisation");
	if (is.not_after_ms <= sync->ops->trusted_ms(sync->ctx))
		return err_set(err, ERR_EXPIRED, "it has expired already");
	return 0;
}

void renew_on_reply(struct sync *sync, const Envwarden__Sync__RenewReply *reply)
{
	struct err err = ERR_INIT;
	struct buf chain;
	int rc;

	if (!sync_answered(sync, ANSWER_RENEW)) {
		sync_lose(sync, ERR_PROTOCOL, "the server sent a certificate nobody asked for");
		return;
	}
	buf_init(&chain, TLS_CHAIN_MAX);
	rc = client_chain(reply->chain, reply->n_chain, &chain, &err);
	if (rc == 0)
		rc = check_chain(sync, &chain, &err);
	if (rc < 0) {
		sync_lose(sync, rc, "the renewed certificate is not good: %s", err.text);
		goto out;
	}
	sync->ops->renewed(sync->ctx, chain.data, chain.len);
	ticket_drop(sync); /* it is of the old certificate */
	if (sync_use_identity(sync, &err) < 0)
		log_error("sync", "renewed certificate not in use", LOG_ERR(&err));
	if (sync->state == SYNC_RENEWING) {
		sync->hurry = true;
		sync_lose(sync, ERR_EXPIRED, "the certificate was renewed: connecting anew");
	}
out:
	buf_deinit(&chain);
}
