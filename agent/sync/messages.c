/* What the server says, each kind where it may stand; and Hello, Welcome, Error. */
#include <string.h>

#include "agent/sync/sync_impl.h"
#include "lib/base/log.h"
#include "proto/convert.h"

#define PROTOCOL_VERSION 1

/* --- hello and welcome --- */

static void hello_send(struct sync *sync, const struct sync_position *at)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Hello hello = ENVWARDEN__SYNC__HELLO__INIT;
	Envwarden__Sync__MachineInfo info;
	Envwarden__Bundle__Held held[ARRAY_SIZE(at->held)], *list[ARRAY_SIZE(at->held)];

	CHECK(at->n_held <= ARRAY_SIZE(held));
	for (size_t i = 0; i < at->n_held; i++) {
		envwarden__bundle__held__init(&held[i]);
		held[i].role = wire_text(at->held[i].role);
		held[i].version = at->held[i].version;
		held[i].hash = wire_bytes(at->held[i].hash, sizeof(at->held[i].hash));
		list[i] = &held[i];
	}
	client_machine_to_wire(&sync->machine, &info);
	info.labels = (char **)(uintptr_t)at->labels;
	info.n_labels = at->n_labels;
	hello.protocol = PROTOCOL_VERSION;
	hello.info = &info;
	hello.epoch = wire_bytes(at->epoch.b, sizeof(at->epoch.b));
	hello.head = at->head;
	hello.head_hash = wire_bytes(at->head_hash, sizeof(at->head_hash));
	if (at->has_continuity)
		hello.continuity = wire_bytes(at->continuity, sizeof(at->continuity));
	hello.held = list;
	hello.n_held = at->n_held;
	envelope.kind_case = CLIENT_KIND(HELLO);
	envelope.hello = &hello;
	if (sync_send(sync, &envelope))
		sync_await(sync, ANSWER_WELCOME);
}

/*
 * Not while the owner still works for the last connection: what it stores then belongs into the
 * position, and its late answer must not be taken for one to a question of this connection.
 */
void hello_try(struct sync *sync)
{
	struct sync_position at;

	if (sync->open != 0 || sync_awaits(sync, ANSWER_WELCOME))
		return;
	sync->ops->position(sync->ctx, &at);
	hello_send(sync, &at);
}

static void on_welcome(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	if (!sync_answered(sync, ANSWER_WELCOME)) {
		sync_lose(sync, ERR_PROTOCOL, "the server welcomed before it was greeted");
		return;
	}
	buf_clear(&sync->timestamp);
	buf_add(&sync->timestamp, e->welcome->timestamp.data, e->welcome->timestamp.len);
	if (buf_rc(&sync->timestamp) < 0) {
		sync_lose(sync, buf_rc(&sync->timestamp), "%s", err_text(buf_rc(&sync->timestamp)));
		return;
	}
	sync_set_state(sync, SYNC_WELCOMING);
	sync_ask(sync, QUESTION_WELCOME);
	sync->ops->welcome(sync->ctx, e->welcome);
}

static void tell_timestamp(struct sync *sync)
{
	struct buf timestamp = sync->timestamp;

	buf_init(&sync->timestamp, LIMIT_SMALL_SIGNED);
	if (timestamp.len > 0)
		sync->ops->timestamp(sync->ctx, timestamp.data, timestamp.len);
	buf_deinit(&timestamp);
}

static void go_live(struct sync *sync)
{
	upload_reset(sync);
	sync->no_decisions = false;
	sync_set_state(sync, SYNC_LIVE);
	sync->ops->state(sync->ctx, true, sync->server, "");
	if (sync->state == SYNC_LIVE)
		tell_timestamp(sync);
	renew_if_due(sync);
}

void sync_welcome_stored(struct sync *sync, int rc)
{
	sync->open &= ~(unsigned)QUESTION_WELCOME;
	if (sync->state == SYNC_WELCOMING && rc == 0)
		go_live(sync);
	else if (sync->state == SYNC_WELCOMING)
		sync_lose(sync, rc, "the server's welcome could not be stored: %s", err_text(rc));
	sync_settle(sync);
}

/* --- what is told beside the journal --- */

bool sync_decisions(struct sync *sync, const Envwarden__Sync__DecisionReport *report)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;

	envelope.kind_case = CLIENT_KIND(DECISION_REPORT);
	envelope.decision_report = (Envwarden__Sync__DecisionReport *)(uintptr_t)report;
	if (sync->state != SYNC_LIVE || sync->no_decisions || sync_awaits(sync, ANSWER_DECISIONS) ||
	    !sync_send(sync, &envelope))
		return false;
	sync_await(sync, ANSWER_DECISIONS);
	sync_settle(sync);
	return true;
}

bool sync_exception_request(struct sync *sync, const Envwarden__Sync__ExceptionRequest *request)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;

	envelope.kind_case = CLIENT_KIND(EXCEPTION_REQUEST);
	envelope.exception_request = (Envwarden__Sync__ExceptionRequest *)(uintptr_t)request;
	return sync->state == SYNC_LIVE && !sync->no_decisions && sync_send(sync, &envelope);
}

/* --- the rest --- */

/* While the Welcome is being stored, the newer timestamp takes the place of the Welcome's. */
static void on_push(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	buf_clear(&sync->timestamp);
	buf_add(&sync->timestamp, e->push->timestamp.data, e->push->timestamp.len);
	if (buf_rc(&sync->timestamp) < 0)
		buf_clear(&sync->timestamp); /* the next one, or the next Welcome, tells it again */
	else if (sync->state == SYNC_LIVE)
		tell_timestamp(sync);
}

static void on_need(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	upload_on_need(sync, e->package_need);
}

static void on_ack(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	upload_on_ack(sync, e->ack);
}

static void on_chunk(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	download_on_chunk(sync, e->bundle_chunk);
}

static void on_renewed(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	renew_on_reply(sync, e->renew_reply);
}

static void on_decisions_acked(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	if (!sync_answered(sync, ANSWER_DECISIONS))
		sync_lose(sync, ERR_PROTOCOL, "the server acknowledged decisions it was not told");
	else if (sync->ops->decisions_acked)
		sync->ops->decisions_acked(sync->ctx, e->decision_ack->number);
}

static void on_pong(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	(void)e;
	(void)sync_answered(sync, ANSWER_PONG);
}

/* The server answers in order: an Error is about the oldest thing it owes us. */
static void on_error(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	enum answer about = sync->n_awaited > 0 ? sync->awaited[0] : ANSWER_COUNT;
	const Envwarden__Sync__Error *error = e->error;
	char text[LIMIT_TEXT];

	client_words(error->text, "the server refused without a reason", text, sizeof(text));
	if (about == ANSWER_BUNDLE && error->code == ERR_NOTFOUND) {
		(void)sync_answered(sync, ANSWER_BUNDLE);
		download_refused(sync);
		return;
	}
	/* Restored from a backup, it lost definitions that it had. */
	if (about == ANSWER_ACK && error->code == ERR_NOTFOUND && sync->ops->packages_lost)
		sync->ops->packages_lost(sync->ctx);
	if (sync->state == SYNC_HELLO)
		sync->renewal.first = error->code == ERR_EXPIRED || error->code == ERR_PERM;
	if (error->code == ERR_PERM || error->code == ERR_EXPIRED)
		ticket_drop(sync);
	sync->retry_after_ms = error->retry_after_ms;
	sync_lose(sync, ERR_CLOSED, "%s", text);
}

static void on_unsupported(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	(void)e;
	/* The one kind that servers of the version before do not know. */
	if (sync_answered(sync, ANSWER_DECISIONS))
		sync->no_decisions = true;
	else if (sync->n_awaited > 0)
		sync_lose(sync, ERR_UNSUPPORTED,
			  "the organisation's server is too old for this agent");
}

static void answer_unsupported(struct sync *sync)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Unsupported unsupported = ENVWARDEN__SYNC__UNSUPPORTED__INIT;

	envelope.kind_case = CLIENT_KIND(UNSUPPORTED);
	envelope.unsupported = &unsupported;
	(void)sync_send(sync, &envelope); /* without room it stays unsaid */
}

#define IN(state) (1u << SYNC_##state)
#define IN_ANY (IN(RENEWING) | IN(HELLO) | IN(WELCOMING) | IN(LIVE))

static const struct {
	Envwarden__Sync__Envelope__KindCase kind;
	unsigned states;
	void (*handle)(struct sync *sync, const Envwarden__Sync__Envelope *e);
} kinds[] = {
	{CLIENT_KIND(WELCOME), IN(HELLO), on_welcome},
	{CLIENT_KIND(PACKAGE_NEED), IN(LIVE), on_need},
	{CLIENT_KIND(ACK), IN(LIVE), on_ack},
	{CLIENT_KIND(PUSH), IN(WELCOMING) | IN(LIVE), on_push},
	{CLIENT_KIND(BUNDLE_CHUNK), IN(LIVE), on_chunk},
	{CLIENT_KIND(RENEW_REPLY), IN(RENEWING) | IN(LIVE), on_renewed},
	{CLIENT_KIND(PONG), IN_ANY, on_pong},
	{CLIENT_KIND(DECISION_ACK), IN(LIVE), on_decisions_acked},
	{CLIENT_KIND(ERROR), IN_ANY, on_error},
	{CLIENT_KIND(UNSUPPORTED), IN_ANY, on_unsupported},
};

static void dispatch(struct sync *sync, const Envwarden__Sync__Envelope *e)
{
	if (e->kind_case == ENVWARDEN__SYNC__ENVELOPE__KIND__NOT_SET) {
		answer_unsupported(sync);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].kind == e->kind_case && (kinds[i].states & 1u << sync->state) != 0) {
			kinds[i].handle(sync, e);
			return;
		}
	}
	sync_lose(sync, ERR_PROTOCOL, "the server sent a message that has no place here (%d)",
		  (int)e->kind_case);
}

void sync_message(struct sync *sync, const void *payload, size_t n)
{
	Envwarden__Sync__Envelope *e;
	struct err err = ERR_INIT;

	if (codec_unpack_sync(payload, n, &sync->arena, &e, &err) < 0)
		sync_lose(sync, err.code, "a message of the server is not good: %s", err.text);
	else
		dispatch(sync, e);
	arena_reset(&sync->arena);
}
