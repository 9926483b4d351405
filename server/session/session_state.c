/* The signed state of the session's machine, step by step (state.h). */
#include <string.h>

#include "proto/convert.h"
#include "proto/signed.h"
#include "server/pki/signer.h"
#include "server/session/session_impl.h"
#include "server/session/state.h"

#define TRIES_MAX 4 /* another session of the machine may be quicker, a few times */

/* What Hello says it holds; nothing when the task is a push. */
static struct state_held held_of(const struct task *task)
{
	struct state_held held = {.status_version = 0};
	const Envwarden__Sync__Hello *hello;

	if (!task->message || task->message->kind_case != ENVWARDEN__SYNC__ENVELOPE__KIND_HELLO)
		return held;
	hello = task->message->hello;
	for (size_t i = 0; i < hello->n_held; i++) {
		const Envwarden__Bundle__Held *h = hello->held[i];

		if (strcmp(h->role, ROLE_STATUS) == 0) {
			held.status_version = h->version;
			hash_from_wire(&h->hash, held.status_hash);
		} else if (strcmp(h->role, ROLE_POLICY) == 0) {
			held.policy_version = h->version;
			hash_from_wire(&h->hash, held.policy_hash);
		} else if (strcmp(h->role, ROLE_TIMESTAMP) == 0) {
			held.timestamp_version = h->version;
		}
	}
	return held;
}

static int store_run(struct db_conn *conn, struct task *task, struct err *err)
{
	int rc = state_store(conn, task->state, err);

	if (rc != ERR_STALE || ++task->tries == TRIES_MAX)
		return rc;
	task->err = ERR_INIT;
	task->next = state_run;
	task->next_writes = true;
	return 0;
}

static int sign_run(struct db_conn *conn, struct task *task, struct err *err)
{
	int rc = state_sign(task->state, task->config->signer, SIGNER_TIMESTAMP_MS, err);

	(void)conn;
	if (rc == 0)
		rc = task->answer(task, state_timestamp(task->state), err);
	if (rc == 0 && state_made(task->state)) {
		task->next = store_run;
		task->next_writes = true;
	}
	return rc;
}

int state_run(struct db_conn *conn, struct task *task, struct err *err)
{
	struct state_held held = held_of(task);
	struct state *state;
	int rc = state_prepare(conn, &task->machine, &held, task->now_ms, &state, err);

	if (rc < 0)
		return rc;
	state_free(task->state);
	task->state = state;
	task->next = sign_run;
	task->next_writes = false;
	return 0;
}
