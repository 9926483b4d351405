#include <string.h>

#include "agent/local/internal.h"
#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "platform/fd_pass.h"
#include "proto/codec.h"
#include "proto/limits.h"

int call_new(struct conn *conn, uint64_t id, struct local_call **out)
{
	struct local_call *call = mem_calloc(1, sizeof(*call));

	if (!call)
		return ERR_NOMEM;
	call->conn = conn;
	call->id = id;
	call->next = conn->calls;
	if (call->next)
		call->next->prev = call;
	conn->calls = call;
	conn->n_calls++;
	conn->peer->n_calls++;
	*out = call;
	return 0;
}

static void call_free(struct local_call *call)
{
	struct conn *conn = call->conn;

	if (conn->wants == call) {
		conn->wants = NULL;
		fd_pass_close(conn->passed);
		conn->passed = -1;
	}

	if (call->prev)
		call->prev->next = call->next;
	else
		conn->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	mem_free(call);
	conn->n_calls--;
	conn->peer->n_calls--;
	conn->active_at = uv_now(conn->local->loop);
	turns_next_of(conn->peer, conn->local);
	conn_wake(conn);
	conn_maybe_free(conn);
}

/* --- what handlers are told --- */

void calls_writable(struct conn *conn)
{
	struct local_call *call;

	/* Who asks again meanwhile has to wait for the next round. */
	for (call = conn->calls; call; call = call->next)
		call->due = call->writable != NULL;
	call = conn->calls;
	while (call) {
		void (*writable)(struct local_call *) = call->writable;

		if (!call->due || !writable) {
			call = call->next;
			continue;
		}
		call->due = false;
		call->writable = NULL;
		writable(call);
		call = conn->calls; /* it may have ended calls: begin again */
	}
}

void calls_closed(struct conn *conn)
{
	struct local_call *call;

	calls_writable(conn);
	call = conn->wants;
	if (call) {
		conn->wants = NULL;
		call->descriptor(call, ERR_CLOSED, -1);
	}
	call = conn->calls;
	while (call) {
		void (*closed)(struct local_call *) = call->closed;

		if (!closed) {
			call = call->next;
			continue;
		}
		call->closed = NULL;
		closed(call);
		call = conn->calls;
	}
}

void local_call_on_writable(struct local_call *call, void (*writable)(struct local_call *call))
{
	call->writable = writable;
	call->due = false;
	if (writable && conn_drained(call->conn))
		turns_add_ready(call->conn);
}

void local_call_on_closed(struct local_call *call, void (*closed)(struct local_call *call))
{
	call->closed = closed;
}

/* --- what comes after the request --- */

void local_call_on_piece(struct local_call *call, local_piece_cb piece)
{
	call->piece = piece;
}

struct local_call *call_of_piece(struct conn *conn, uint64_t id)
{
	struct local_call *call = conn->calls;

	while (call && (call->id != id || !call->piece))
		call = call->next;
	return call;
}

int local_call_want_descriptor(struct local_call *call, const char *prefix,
			       local_descriptor_cb done)
{
	Envwarden__Local__Envelope question = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__DescriptorWanted wanted = ENVWARDEN__LOCAL__DESCRIPTOR_WANTED__INIT;
	struct conn *conn = call->conn;
	int rc;

	if (conn->wants)
		return ERR_BUSY;
	wanted.prefix = (char *)(uintptr_t)prefix;
	question.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DESCRIPTOR_WANTED;
	question.descriptor_wanted = &wanted;
	rc = local_call_send(call, &question);
	if (rc < 0)
		return rc;
	call->descriptor = done;
	conn->wants = call;
	conn->wants_since = uv_now(conn->local->loop);
	conn_wake(conn);
	return 0;
}

void call_tell_descriptor(struct conn *conn)
{
	struct local_call *call = conn->wants;
	int fd = conn->passed;

	if (!call || fd < 0 || conn->closing)
		return;
	conn->wants = NULL;
	conn->passed = -1;
	call->descriptor(call, 0, fd);
}

/* --- what handlers ask --- */

bool local_call_closed(const struct local_call *call)
{
	return call->conn->closing;
}

uint32_t local_call_uid(const struct local_call *call)
{
	return call->conn->peer->uid;
}

void *local_call_data(const struct local_call *call)
{
	return call->data;
}

void local_call_set_data(struct local_call *call, void *data)
{
	call->data = data;
}

/* --- answers --- */

static int queue_answer(struct local_call *call, Envwarden__Local__Envelope *answer)
{
	struct conn *conn = call->conn;
	int rc;

	answer->id = call->id;
	rc = codec_pack_local(answer, &conn->out, NULL);
	if (buf_rc(&conn->out) < 0) { /* an answer is lost: the stream is of no use any more */
		conn_close(conn);
		return rc;
	}
	if (rc == 0 && !conn->in_turn)
		conn_flush(conn);
	return rc;
}

int local_call_send(struct local_call *call, Envwarden__Local__Envelope *answer)
{
	struct conn *conn = call->conn;

	if (conn->closing)
		return ERR_CLOSED;
	if (conn_unsent(conn) >= conn->local->limits.queue_bytes)
		return ERR_LIMIT;
	return queue_answer(call, answer);
}

static int queue_error(struct local_call *call, int code, const char *text)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__Error error = ENVWARDEN__LOCAL__ERROR__INIT;
	char cut[ERR_TEXT_MAX];
	size_t n = strlen(text);

	if (n >= sizeof(cut)) {
		n = sizeof(cut) - 1;
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--; /* not in the middle of a character */
	}
	memcpy(cut, text, n);
	cut[n] = '\0';
	error.code = code;
	error.text = cut;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ERROR;
	answer.error = &error;
	return queue_answer(call, &answer);
}

void local_call_end(struct local_call *call, Envwarden__Local__Envelope *answer)
{
	Envwarden__Local__Envelope end = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__End nothing = ENVWARDEN__LOCAL__END__INIT;
	int rc;

	if (!call->conn->closing) {
		end.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_END;
		end.end = &nothing;
		rc = queue_answer(call, answer ? answer : &end);
		if (rc < 0 && !call->conn->closing)
			(void)queue_error(call, ERR_INTERNAL, "the answer does not fit a message");
	}
	call_free(call);
}

void local_call_fail(struct local_call *call, int code, const char *text)
{
	if (!call->conn->closing && queue_error(call, code, text) < 0 && !call->conn->closing)
		(void)queue_error(call, code, err_text(code)); /* the text was not UTF-8 */
	call_free(call);
}
