/*
 * Explicit statuses: what an admin set on one environment. They reach a machine in its status
 * bundle, whose wanted version is the machine's status_version; every change here raises it.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_STATUS_H
#define ENVWARDEN_SERVER_DB_DB_STATUS_H

#include "lib/base/uuid.h"
#include "lib/policy/decision.h"
#include "server/db/db.h"

/*
 * Sets it on an environment, on every machine that reports the id; ACTION_ALLOW removes it. Each of
 * these machines gets a new status version and a DB_OUTBOX_STATUS row. ERR_NOTFOUND; ERR_INVALID;
 * ERR_LIMIT (message over DECISION_MESSAGE_MAX). With until_fixed the specs must be given.
 */
int db_status_set(struct db_conn *conn, const struct status_entry *status, const char *set_by,
		  int64_t now_ms, struct err *err);

/*
 * What a machine's status bundle carries, by environment id: statuses of its environments that are
 * not deleted and whose end is not past.
 */
int db_status_list(struct db_conn *conn, const struct uuid *machine, int64_t now_ms,
		   struct arena *arena, struct status_entry **out, size_t *n, struct err *err);

#endif
