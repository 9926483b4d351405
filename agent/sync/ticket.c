/* The TLS session: saved after each handshake, so that the next one is cheap also after a restart.
 */
#include "agent/sync/sync_impl.h"
#include "lib/base/log.h"
#include "platform/files.h"
#include "platform/secret.h"

static void forget(struct sync *sync)
{
	if (sync->ticket.data)
		crypto_wipe(sync->ticket.data, sync->ticket.cap);
	buf_clear(&sync->ticket);
}

/* One that cannot be read is only a full handshake more. */
void ticket_load(struct sync *sync)
{
	struct err err = ERR_INIT;
	int rc;

	if (sync->ticket_path[0] == '\0')
		return;
	rc = secret_read(sync->ticket_path, TLS_SESSION_MAX, &sync->ticket, &err);
	if (rc == 0)
		return;
	forget(sync);
	if (rc != ERR_NOTFOUND)
		log_warn("sync", "session not resumed", LOG_ERR(&err));
}

/*
 * Written here on the loop, though it waits for the disk: it is a small file, at most once a
 * handshake, and the backoff keeps those rare.
 */
void ticket_save(struct sync *sync)
{
	struct err err = ERR_INIT;
	struct buf fresh;

	buf_init(&fresh, TLS_SESSION_MAX);
	if (tls_session_export(conn_tls(sync->conn), &fresh, &err) < 0) {
		buf_deinit(&fresh);
		return; /* the server gave none: the one before may still serve */
	}
	forget(sync);
	buf_deinit(&sync->ticket);
	sync->ticket = fresh;
	if (sync->ticket_path[0] != '\0' &&
	    secret_write(sync->ticket_path, sync->ticket.data, sync->ticket.len, &err) < 0)
		log_warn("sync", "session not kept", LOG_ERR(&err));
}

void ticket_drop(struct sync *sync)
{
	struct err err = ERR_INIT;

	forget(sync);
	if (sync->ticket_path[0] != '\0' && files_remove(sync->ticket_path, &err) < 0 &&
	    err.code != ERR_NOTFOUND)
		log_warn("sync", "session not forgotten", LOG_ERR(&err));
}
