#include "agent/local/internal.h"
#include "proto/codec.h"
#include "proto/limits.h"

static void unsupported(struct local_call *call)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__Unsupported nothing = ENVWARDEN__LOCAL__UNSUPPORTED__INIT;

	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_UNSUPPORTED;
	answer.unsupported = &nothing;
	local_call_end(call, &answer);
}

/* Kinds of newer versions, kinds that only answer, and requests without a handler. */
#define HANDLE(kind, member)                                                                       \
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_##kind:                                              \
		if (!handlers->member)                                                             \
			break;                                                                     \
		handlers->member(ctx, call, envelope->member);                                     \
		return

static void handle(struct local *local, struct local_call *call,
		   const Envwarden__Local__Envelope *envelope)
{
	const struct local_handlers *handlers = &local->handlers;
	void *ctx = local->ctx;

	switch (envelope->kind_case) {
		HANDLE(CHECK, check);
		HANDLE(LIST, list);
		HANDLE(SHOW, show);
		HANDLE(HISTORY, history);
		HANDLE(PACKAGES_AT, packages_at);
		HANDLE(DIFF, diff);
		HANDLE(SENT, sent);
		HANDLE(RECORD, record);
		HANDLE(STATUS, status);
		HANDLE(ENROLL, enroll);
		HANDLE(REPORT, report);
		HANDLE(DEFER, defer);
		HANDLE(UNLOCK, unlock);
		HANDLE(IMPORT, import);
		HANDLE(EXCEPTION_ASK, exception_ask);
		HANDLE(EXCEPTION_STATES, exception_states);
		HANDLE(REPAIR, repair);
	default:
		break;
	}
	unsupported(call);
}

/* Pieces get no answers of their own; those that come too late are of no interest any more. */
static bool is_piece(const Envwarden__Local__Envelope *envelope)
{
	switch (envelope->kind_case) {
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_CHUNK:
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_END:
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_IMPORT_CHUNK:
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_IMPORT_END:
		return true;
	default:
		return false;
	}
}

static void handle_piece(struct conn *conn, const Envwarden__Local__Envelope *envelope)
{
	struct local_call *call = call_of_piece(conn, envelope->id);

	if (call)
		call->piece(call, envelope);
}

int dispatch(struct conn *conn, const void *payload, size_t n)
{
	struct local *local = conn->local;
	Envwarden__Local__Envelope *envelope;
	struct local_call *call;
	int rc = codec_unpack_local(payload, n, &local->arena, &envelope, NULL);

	if (rc == 0 && is_piece(envelope)) {
		handle_piece(conn, envelope);
	} else if (rc == 0) {
		rc = call_new(conn, envelope->id, &call);
		if (rc == 0)
			handle(local, call, envelope);
	}
	arena_reset(&local->arena);
	return rc;
}
