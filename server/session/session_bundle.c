/* What goes down: bundles in chunks, as fast as the agent takes them; and what became of them. */
#include <string.h>

#include "proto/convert.h"
#include "proto/limits.h"
#include "proto/signed.h"
#include "server/db/db_bundle.h"
#include "server/session/session_impl.h"

int bundle_run(struct db_conn *conn, struct task *task, struct err *err)
{
	const Envwarden__Sync__BundleRequest *request = task->message->bundle_request;
	bool own = strcmp(request->role, ROLE_STATUS) == 0;
	struct db_bundle bundle;
	int rc;

	task->arena.max += LIMIT_BUNDLE;
	rc = db_bundle_get(conn, request->role, own ? &task->machine : NULL, request->version,
			   &task->arena, &bundle, err);
	if (rc == ERR_NOTFOUND)
		return err_set(err, rc, "%.*s bundle: this version is not here (any more)",
			       LIMIT_ROLE, request->role);
	if (rc == 0 && request->offset > bundle.n)
		rc = err_set(err, ERR_INVALID, "bundle: it ends before this offset");
	if (rc < 0)
		return rc;
	task->bundle = bundle.data;
	task->bundle_n = bundle.n;
	task->bundle_version = bundle.version;
	return 0;
}

static int chunk_send(struct session *session, size_t n)
{
	const struct task *task = session->sending;
	const Envwarden__Sync__BundleRequest *request = task->message->bundle_request;
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__BundleChunk chunk = ENVWARDEN__SYNC__BUNDLE_CHUNK__INIT;

	chunk.role = request->role;
	chunk.version = task->bundle_version;
	chunk.offset = session->sent;
	chunk.total = task->bundle_n;
	chunk.data = wire_bytes((const char *)task->bundle + session->sent, n);
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_BUNDLE_CHUNK;
	envelope.bundle_chunk = &chunk;
	return session_send(session, &envelope);
}

void bundle_send(struct session *session)
{
	struct task *task = session->sending;
	int rc = 0;

	if (!task || session->stopping)
		return; /* freed with the connection */
	do {
		size_t left = task->bundle_n - session->sent;
		size_t n = left < LIMIT_BUNDLE_CHUNK ? left : LIMIT_BUNDLE_CHUNK;

		rc = chunk_send(session, n);
		if (rc == 0)
			session->sent += n;
	} while (rc == 0 && session->sent < task->bundle_n);
	if (rc == ERR_LIMIT)
		return; /* the queue is full: on_drain comes here again */
	session->sending = NULL;
	task_free(task);
	if (rc < 0)
		session_stop(session);
	else
		conn_resume(session->conn);
}

int report_run(struct db_conn *conn, struct task *task, struct err *err)
{
	const Envwarden__Sync__BundleReport *report = task->message->bundle_report;

	return db_bundle_report_put(conn,
				    &(struct db_bundle_report){.machine = task->machine,
							       .role = report->role,
							       .version = report->version,
							       .active = report->active,
							       .reason = report->reason,
							       .at_ms = task->now_ms},
				    err);
}
