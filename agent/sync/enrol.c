#include "agent/sync/enrol.h"

#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "agent/sync/client.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/net/conn.h"
#include "lib/net/dialer.h"
#include "lib/net/tls_identity.h"
#include "proto/codec.h"
#include "proto/convert.h"
#include "proto/limits.h"
#include "proto/signed.h"

#define PASSES 2 /* through the addresses */
#define PAUSE_MS 1000

/*
 * One address after the other: dialling (a dialer for it alone) -> talking (the connection) ->
 * the next address, or the end. Ending: something still closes, then done() is called.
 */
enum enrol_state {
	ENROL_DIALLING,
	ENROL_TALKING,
	ENROL_ENDING
};

struct enrol {
	uv_loop_t *loop;
	struct join_code code;
	struct address proxy;
	bool has_proxy;
	int64_t now_ms;	     /* wall clock at the start */
	uint64_t started_ms; /* loop time then */
	enrol_done_cb done;
	void *ctx;

	enum enrol_state state;
	unsigned pending; /* timer, dialers, connection */
	uv_timer_t timer; /* of all of it */
	struct dialer *dialer;
	struct conn *conn;
	struct tls_context *tls;
	struct client_machine machine;
	struct arena arena;
	size_t tries;	/* addresses tried so far, over both passes */
	bool asked;	/* Enrol went out */
	struct err why; /* the most telling failure so far; at the end, the outcome */
	struct sync_identity identity;
};

static void try_next(struct enrol *e);

static int64_t now(void *ctx)
{
	const struct enrol *e = ctx;

	return e->now_ms + (int64_t)(uv_now(e->loop) - e->started_ms);
}

static const char *address_of(const struct enrol *e)
{
	return e->code.addresses[(e->tries - 1) % e->code.n_addresses];
}

/* --- the end --- */

static void enrol_free(struct enrol *e)
{
	tls_context_free(e->tls);
	arena_deinit(&e->arena);
	sync_identity_deinit(&e->identity);
	crypto_wipe(&e->code, sizeof(e->code));
	mem_free(e);
}

/* The identity outlives the enrolment for the length of the call. */
static void finish(struct enrol *e)
{
	struct sync_identity identity = e->identity;
	struct err why = e->why;
	enrol_done_cb done = e->done;
	void *ctx = e->ctx;

	sync_identity_init(&e->identity);
	enrol_free(e);
	done(ctx, why.code, why.code == 0 ? &identity : NULL, &why);
	sync_identity_deinit(&identity);
}

static void release(struct enrol *e)
{
	if (--e->pending == 0)
		finish(e);
}

static void on_timer_closed(uv_handle_t *handle)
{
	release(handle->data);
}

/* The outcome is in why. */
static void end(struct enrol *e)
{
	if (e->state == ENROL_ENDING)
		return;
	e->state = ENROL_ENDING;
	if (e->conn)
		conn_stop(e->conn);
	if (e->dialer)
		dialer_stop(e->dialer);
	uv_close((uv_handle_t *)&e->timer, on_timer_closed);
}

static void end_with(struct enrol *e, const struct err *why)
{
	if (e->state == ENROL_ENDING)
		return;
	e->why = *why;
	end(e);
}

void enrol_stop(struct enrol *enrol)
{
	struct err why = ERR_INIT;

	(void)err_set(&why, ERR_CANCELED, "the enrolment was stopped");
	end_with(enrol, &why);
}

/* What a server is says more than that another one was not reached. */
static int weight(int code)
{
	switch (code) {
	case 0:
		return 0;
	case ERR_VERIFY:
		return 3;
	case ERR_EXPIRED:
		return 2;
	default:
		return 1;
	}
}

static void note_failure(struct enrol *e, const struct err *why)
{
	if (weight(why->code) > weight(e->why.code))
		e->why = *why;
}

static void on_timeout(uv_timer_t *timer)
{
	struct enrol *e = timer->data;

	if (e->asked)
		(void)err_set(&e->why, ERR_TIMEOUT,
			      "the server at %s took too long to answer; the join code may be used "
			      "up by this: try it once more, else ask for a new one",
			      address_of(e));
	else if (e->why.code == 0)
		(void)err_set(&e->why, ERR_TIMEOUT,
			      "the organisation's server at %s did not answer in time: check the "
			      "network, firewalls and the proxy, and try again",
			      address_of(e));
	end(e);
}

/* --- the answer --- */

static int take_certificate(struct enrol *e, const Envwarden__Sync__EnrolReply *reply,
			    struct err *err)
{
	struct sync_identity *id = &e->identity;
	unsigned char key_id[SHA256_SIZE];
	struct tls_identity leaf = {.certs = 0};
	char when[CLOCK_TEXT_MAX];
	int rc = client_chain(reply->chain, reply->n_chain, &id->chain, err);

	if (rc == 0)
		rc = tls_identity_parse(id->chain.data, id->chain.len, &leaf, err);
	if (rc == 0)
		rc = crypto_key_id(id->key, key_id, err);
	if (rc < 0)
		return rc;
	if (!crypto_equal(leaf.root_spki_hash, e->code.root_hash, SHA256_SIZE))
		return err_set(err, ERR_VERIFY, "the certificate is not of this organisation");
	if (!crypto_equal(leaf.spki_hash, key_id, SHA256_SIZE))
		return err_set(err, ERR_VERIFY, "the certificate is for another key");
	if (!leaf.has_machine || uuid_cmp(&leaf.machine, &id->machine) != 0)
		return err_set(err, ERR_VERIFY, "the certificate is for another machine");
	if (leaf.not_after_ms > now(e))
		return 0;
	clock_format(now(e), when);
	return err_set(err, ERR_EXPIRED,
		       "by this machine's clock (%s) the new certificate has expired already: set "
		       "the clock, then ask for a new join code",
		       when);
}

/* The roots, step by step from the first one that is there; the last is kept. */
static int take_roots(struct enrol *e, const Envwarden__Sync__EnrolReply *reply, struct err *err)
{
	struct root_info root;
	const ProtobufCBinaryData *last;
	int rc;

	if (reply->n_roots == 0)
		return err_set(err, ERR_INVALID, "no root");
	last = &reply->roots[reply->n_roots - 1];
	rc = root_first(reply->roots[0].data, reply->roots[0].len, &root, err);
	for (size_t i = 1; i < reply->n_roots && rc == 0; i++)
		rc = root_step(&root, reply->roots[i].data, reply->roots[i].len, &root, err);
	if (rc == 0 && uuid_cmp(&root.organisation, &e->code.organisation) != 0)
		rc = err_set(err, ERR_VERIFY, "a root of another organisation");
	if (rc == 0)
		rc = root_current(&root, now(e), err);
	if (rc < 0)
		return rc;
	buf_add(&e->identity.root, last->data, last->len);
	return buf_rc(&e->identity.root) < 0 ? err_set(err, buf_rc(&e->identity.root), "root: %s",
						       err_text(buf_rc(&e->identity.root)))
					     : 0;
}

static void take_names(struct enrol *e, const Envwarden__Sync__EnrolReply *reply)
{
	struct sync_identity *id = &e->identity;
	const char *name = reply->name;

	if (name[0] == '\0' || strlen(name) > JOIN_CODE_NAME_MAX)
		name = e->code.name;
	(void)snprintf(id->name, sizeof(id->name), "%s", name);
	id->organisation = e->code.organisation;
	memcpy(id->addresses, e->code.addresses, sizeof(id->addresses));
	id->n_addresses = e->code.n_addresses;
}

static int take_reply(struct enrol *e, const Envwarden__Sync__EnrolReply *reply, struct err *err)
{
	struct uuid organisation;
	int rc = 0;

	uuid_from_wire(&reply->organisation, &organisation);
	uuid_from_wire(&reply->machine, &e->identity.machine);
	if (uuid_cmp(&organisation, &e->code.organisation) != 0)
		rc = err_set(err, ERR_VERIFY, "it is another organisation's");
	if (rc == 0)
		rc = take_certificate(e, reply, err);
	if (rc == 0)
		rc = take_roots(e, reply, err);
	if (rc == 0)
		take_names(e, reply);
	return rc;
}

static void on_reply(struct enrol *e, const Envwarden__Sync__EnrolReply *reply)
{
	struct err why = ERR_INIT;
	struct err text = ERR_INIT;

	if (take_reply(e, reply, &why) == 0) {
		e->why = ERR_INIT;
		end(e);
		return;
	}
	(void)err_set(&text, why.code, "the answer of the server at %s is not good: %s",
		      address_of(e), why.text);
	end_with(e, why.code == ERR_NOMEM ? &why : &text);
}

static void on_refused(struct enrol *e, const Envwarden__Sync__Error *error)
{
	struct err why = ERR_INIT;
	char text[ERR_TEXT_MAX - 64];

	client_words(error->text,
		     "the organisation's server does not accept this join code: it is wrong, was "
		     "used up or has expired; ask your administrator for a new one",
		     text, sizeof(text));
	/* A code of another peer's is not taken on trust: it must be a failure. */
	(void)err_set(&why, error->code < 0 ? error->code : ERR_PERM, "%s", text);
	if (error->retry_after_ms > 0)
		(void)err_set(&why, ERR_BUSY, "%s (try again in %u s)", text,
			      (unsigned)(error->retry_after_ms / 1000 + 1));
	end_with(e, &why);
}

static void on_nonsense(struct enrol *e, const char *what)
{
	struct err why = ERR_INIT;

	(void)err_set(&why, ERR_PROTOCOL,
		      "the server at %s does not answer as this agent understands: %s; is its "
		      "version much older or newer than this one (%s)?",
		      address_of(e), what, ENVWARDEN_VERSION);
	end_with(e, &why);
}

static void on_frame(struct conn *conn, const void *payload, size_t n, void *ctx)
{
	struct enrol *e = ctx;
	Envwarden__Sync__Envelope *message;
	struct err err = ERR_INIT;

	(void)conn;
	if (codec_unpack_sync(payload, n, &e->arena, &message, &err) == ERR_NOMEM)
		end_with(e, &err);
	else if (err.code < 0)
		on_nonsense(e, err.text);
	else if (message->kind_case == CLIENT_KIND(ENROL_REPLY))
		on_reply(e, message->enrol_reply);
	else if (message->kind_case == CLIENT_KIND(ERROR))
		on_refused(e, message->error);
	else
		on_nonsense(e, "another kind of message than asked for");
	arena_reset(&e->arena);
}

/* --- the question --- */

static int send_enrol(struct enrol *e, struct err *err)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Enrol message = ENVWARDEN__SYNC__ENROL__INIT;
	Envwarden__Sync__MachineInfo info;
	struct buf csr;
	int rc;

	buf_init(&csr, LIMIT_CSR);
	rc = tls_identity_csr(e->identity.key, &csr, err);
	if (rc < 0)
		goto out;
	client_machine_to_wire(&e->machine, &info);
	message.secret = wire_bytes(e->code.secret, sizeof(e->code.secret));
	message.csr = wire_bytes(csr.data, csr.len);
	message.machine = &info;
	envelope.kind_case = CLIENT_KIND(ENROL);
	envelope.enrol = &message;
	rc = client_send(e->conn, &envelope, err);
out:
	buf_deinit(&csr);
	return rc;
}

static void on_ready(struct conn *conn, void *ctx)
{
	struct enrol *e = ctx;
	struct err err = ERR_INIT;

	(void)conn;
	if (send_enrol(e, &err) < 0)
		end_with(e, &err);
	else
		e->asked = true;
}

/* --- connections --- */

/* What went wrong with one server, in words that say what to do. */
static void explain(struct enrol *e, int rc, const char *reason, struct err *out)
{
	const char *at = address_of(e);
	char when[CLOCK_TEXT_MAX];

	clock_format(now(e), when);
	if (e->asked)
		(void)err_set(
			out, rc,
			"the connection to %s was lost before its answer came (%s); the join "
			"code may be used up by this: try it once more, else ask for a new one",
			at, reason);
	else if (rc == ERR_VERIFY)
		(void)err_set(
			out, rc,
			"the server at %s is not the one this join code is for: %s; check the "
			"address with your administrator",
			at, reason);
	else if (rc == ERR_EXPIRED)
		(void)err_set(out, rc,
			      "by this machine's clock (%s) %s: set the clock if it is wrong, else "
			      "tell your administrator",
			      when, reason);
	else
		(void)err_set(out, rc,
			      "the server at %s could not be spoken to: %s; check that it is the "
			      "agent port and that nothing in between breaks TLS",
			      at, reason);
}

static void on_closed(void *ctx, int rc, const char *reason)
{
	struct enrol *e = ctx;
	struct err why = ERR_INIT;

	e->conn = NULL;
	if (e->state == ENROL_ENDING) {
		release(e);
		return;
	}
	e->pending--;
	explain(e, rc, reason, &why);
	if (e->asked || rc == ERR_NOMEM) {
		end_with(e, &why);
		return;
	}
	note_failure(e, &why);
	if (e->dialer) /* still closes, and goes on when it has */
		e->state = ENROL_DIALLING;
	else
		try_next(e);
}

static const struct conn_callbacks conn_callbacks = {
	.on_ready = on_ready, .on_frame = on_frame, .on_closed = on_closed};

static void on_connected(struct dialer *dialer, uv_tcp_t *tcp, const struct address *address,
			 void *ctx)
{
	struct enrol *e = ctx;
	struct err err = ERR_INIT;

	(void)address;
	dialer_stop(dialer);
	if (conn_start(&(struct conn_config){.context = e->tls,
					     .callbacks = &conn_callbacks,
					     .ctx = e,
					     .frame_max = LIMIT_SYNC_FRAME},
		       tcp, &e->conn, &err) < 0) {
		end_with(e, &err);
		return;
	}
	e->pending++;
	e->state = ENROL_TALKING;
}

static void on_failed(struct dialer *dialer, const struct err *why, int64_t next_ms, void *ctx)
{
	struct enrol *e = ctx;
	struct err text = ERR_INIT;

	(void)next_ms;
	(void)err_set(&text, ERR_UNREACHABLE,
		      "%s; check the network, firewalls and the proxy, and try again", why->text);
	note_failure(e, &text);
	dialer_stop(dialer);
}

/* Of an address that failed, or after a connection was handed over. */
static void on_dialer_stopped(void *ctx)
{
	struct enrol *e = ctx;

	e->dialer = NULL;
	if (e->state == ENROL_ENDING) {
		release(e);
		return;
	}
	e->pending--;
	if (e->state == ENROL_DIALLING)
		try_next(e);
}

static const struct dialer_callbacks dialer_callbacks = {
	.on_connected = on_connected, .on_failed = on_failed, .on_stopped = on_dialer_stopped};

static int dial(struct enrol *e, struct err *err)
{
	struct address address;
	struct dialer_config config = {.loop = e->loop,
				       .addresses = &address,
				       .addresses_n = 1,
				       .proxy = e->has_proxy ? &e->proxy : NULL,
				       .callbacks = &dialer_callbacks,
				       .ctx = e};
	int rc;

	if (e->tries >= e->code.n_addresses) /* again: what was in the way may pass */
		config.first_delay_ms = PAUSE_MS;
	e->tries++;
	rc = address_parse(address_of(e), CLIENT_DEFAULT_PORT, &address, err);
	if (rc == 0)
		rc = dialer_start(&config, &e->dialer, err);
	if (rc < 0)
		return rc;
	e->pending++;
	e->state = ENROL_DIALLING;
	return 0;
}

/* A server that is the wrong one stays so: only what was not reached is tried again. */
static void try_next(struct enrol *e)
{
	struct err err = ERR_INIT;

	if (e->tries == PASSES * e->code.n_addresses ||
	    (e->tries >= e->code.n_addresses && weight(e->why.code) > 1))
		end(e);
	else if (dial(e, &err) < 0)
		end_with(e, &err);
}

/* --- the start --- */

static int make_context(struct enrol *e, struct err *err)
{
	char name[CLIENT_SERVER_NAME_MAX];
	struct tls_client_config config = {.root_spki_hash = e->code.root_hash,
					   .server_name = name,
					   .now_ms = now,
					   .now_ctx = e};

	client_server_name(&e->code.organisation, name);
	return tls_context_new_client(&config, &e->tls, err);
}

static int enrol_fill(struct enrol *e, const struct enrol_config *config, struct err *err)
{
	int rc = client_proxy(config->proxy, &e->proxy, &e->has_proxy, err);

	if (rc == 0)
		rc = client_machine_get(&e->machine, err);
	if (rc == 0)
		rc = crypto_key_new(&e->identity.key, err);
	if (rc == 0)
		rc = make_context(e, err);
	if (rc == 0)
		rc = dial(e, err);
	return rc;
}

int enrol_start(const struct enrol_config *config, struct enrol **out, struct err *err)
{
	struct enrol *e = mem_calloc(1, sizeof(*e));
	int rc;

	if (!e)
		return err_nomem(err);
	CHECK(config->code->n_addresses > 0);
	e->loop = config->loop;
	e->code = *config->code;
	e->now_ms = config->now_ms;
	e->started_ms = uv_now(e->loop);
	e->done = config->done;
	e->ctx = config->ctx;
	arena_init(&e->arena, LIMIT_SYNC_MEMORY);
	sync_identity_init(&e->identity);
	rc = enrol_fill(e, config, err);
	if (rc < 0) {
		enrol_free(e);
		return rc;
	}
	CHECK(uv_timer_init(e->loop, &e->timer) == 0);
	e->timer.data = e;
	e->pending++;
	uv_timer_start(&e->timer, on_timeout, (uint64_t)config->timeout_ms, 0);
	*out = e;
	return 0;
}
