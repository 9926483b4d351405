#include "server/db/db_machine.h"

#include "server/db/db_outbox.h"
#include "server/db/sql.h"

static int info_check(const struct db_machine_info *info, struct err *err)
{
	int rc = sql_check_text("hostname", info->hostname, DB_TEXT_MAX, err);

	if (rc == 0)
		rc = sql_check_text("platform", info->platform, DB_TEXT_MAX, err);
	if (rc == 0)
		rc = sql_check_text("os", info->os, DB_TEXT_MAX, err);
	if (rc == 0)
		rc = sql_check_text("agent version", info->agent_version, DB_TEXT_MAX, err);
	return rc;
}

static struct sql_arg id_hash_arg(const struct db_machine_info *info)
{
	return info->machine_id_hash ? ARG_BLOB(info->machine_id_hash, SHA256_SIZE) : ARG_NULL;
}

int db_machine_insert(struct db_conn *conn, const struct db_machine_new *m, int64_t now_ms,
		      struct err *err)
{
	struct arena arena;
	const char *labels;
	int rc;

	arena_init(&arena, 65536);
	rc = info_check(&m->info, err);
	if (rc == 0 && uuid_is_zero(&m->id))
		rc = err_set(err, ERR_INVALID, "machine: no id");
	if (rc == 0)
		rc = sql_labels_join(&m->labels, &arena, &labels, err);
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "INSERT INTO machine (uuid, hostname, platform, os, agent_version,"
			     " machine_id_hash, labels, state, ephemeral, clone_suspected,"
			     " join_code, created_ms, last_seen_ms, key_hash, serial,"
			     " not_after_ms, status_version, timestamp_version)"
			     " VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, $9, $10, $10, $11,"
			     " $12, $13, 1, 0)",
			     ARG_UUID(&m->id), ARG_TEXT(m->info.hostname),
			     ARG_TEXT(m->info.platform), ARG_TEXT(m->info.os),
			     ARG_TEXT(m->info.agent_version), id_hash_arg(&m->info),
			     ARG_TEXT(labels), ARG_INT(m->ephemeral), ARG_REF(m->join_code),
			     ARG_INT(now_ms), ARG_BLOB(m->cert.key_hash, SHA256_SIZE),
			     ARG_BLOB(m->cert.serial, DB_SERIAL_SIZE),
			     ARG_INT(m->cert.not_after_ms));
	arena_deinit(&arena);
	return rc;
}

static int wishes_text(const struct db_labels *wishes, struct arena *arena, const char **out,
		       struct err *err)
{
	struct db_labels valid;

	if (sql_labels_valid(wishes, arena, &valid) < 0)
		return err_nomem(err);
	return sql_labels_join(&valid, arena, out, err);
}

int db_machine_seen(struct db_conn *conn, const struct uuid *id, const struct db_machine_info *info,
		    int64_t now_ms, struct err *err)
{
	const char *wishes;
	struct arena arena;
	int rc;

	if (!info)
		return SQL_MUST(conn, "machine", err,
				"UPDATE machine SET last_seen_ms = $1 WHERE uuid = $2",
				ARG_INT(now_ms), ARG_UUID(id));
	arena_init(&arena, 65536);
	rc = info_check(info, err);
	if (rc == 0)
		rc = wishes_text(&info->wishes, &arena, &wishes, err);
	if (rc == 0)
		rc = SQL_MUST(conn, "machine", err,
			      "UPDATE machine SET last_seen_ms = $1, hostname = $2, platform = $3,"
			      " os = $4, agent_version = $5,"
			      " machine_id_hash = coalesce($6, machine_id_hash), wishes = $7"
			      " WHERE uuid = $8",
			      ARG_INT(now_ms), ARG_TEXT(info->hostname), ARG_TEXT(info->platform),
			      ARG_TEXT(info->os), ARG_TEXT(info->agent_version), id_hash_arg(info),
			      ARG_TEXT(wishes), ARG_UUID(id));
	arena_deinit(&arena);
	return rc;
}

int db_machine_set_cert(struct db_conn *conn, const struct uuid *id,
			const struct db_machine_cert *cert, struct err *err)
{
	return SQL_MUST(conn, "machine", err,
			"UPDATE machine SET key_hash = $1, serial = $2, not_after_ms = $3"
			" WHERE uuid = $4",
			ARG_BLOB(cert->key_hash, SHA256_SIZE),
			ARG_BLOB(cert->serial, DB_SERIAL_SIZE), ARG_INT(cert->not_after_ms),
			ARG_UUID(id));
}

int db_machine_set_continuity(struct db_conn *conn, const struct uuid *id,
			      const unsigned char token[DB_CONTINUITY_SIZE], struct err *err)
{
	return SQL_MUST(conn, "machine", err,
			"UPDATE machine SET continuity_previous = continuity, continuity = $1"
			" WHERE uuid = $2",
			ARG_BLOB(token, DB_CONTINUITY_SIZE), ARG_UUID(id));
}

int db_machine_taken_back(struct db_conn *conn, const struct uuid *id, struct err *err)
{
	return SQL_MUST(conn, "machine", err, "UPDATE machine SET restored = 0 WHERE uuid = $1",
			ARG_UUID(id));
}

int db_machine_suspect_clone(struct db_conn *conn, const struct uuid *id, struct err *err)
{
	return SQL_MUST(conn, "machine", err,
			"UPDATE machine SET clone_suspected = 1 WHERE uuid = $1", ARG_UUID(id));
}

int db_machine_set_state(struct db_conn *conn, const struct uuid *id, enum db_machine_state state,
			 int64_t now_ms, struct err *err)
{
	int rc = SQL_MUST(conn, "machine", err, "UPDATE machine SET state = $1 WHERE uuid = $2",
			  ARG_INT(state), ARG_UUID(id));

	return rc < 0 ? rc : db_outbox_add(conn, DB_OUTBOX_MACHINE, id, now_ms, err);
}

int db_machine_set_labels(struct db_conn *conn, const struct uuid *id,
			  const struct db_labels *labels, int64_t now_ms, struct err *err)
{
	struct arena arena;
	const char *text;
	int rc;

	arena_init(&arena, 65536);
	rc = sql_labels_join(labels, &arena, &text, err);
	if (rc == 0)
		rc = SQL_MUST(conn, "machine", err,
			      "UPDATE machine SET labels = $1, status_version = status_version + 1"
			      " WHERE uuid = $2",
			      ARG_TEXT(text), ARG_UUID(id));
	if (rc == 0)
		rc = db_outbox_add(conn, DB_OUTBOX_STATUS, id, now_ms, err);
	arena_deinit(&arena);
	return rc;
}

/* Versions a machine claims to hold can be anything; sums must not overflow the store's integers.
 */
static int version_check(uint64_t held, struct err *err)
{
	return held < (uint64_t)INT64_MAX / 2
		       ? 0
		       : err_set(err, ERR_LIMIT, "version held: out of range");
}

int db_machine_next_timestamp(struct db_conn *conn, const struct uuid *id, uint64_t held,
			      uint64_t *version, struct err *err)
{
	int64_t next = 0;
	bool found = false;
	int rc = version_check(held, err);

	if (rc == 0)
		rc = SQL_GET_INT(conn, &next, &found, err,
				 "UPDATE machine SET timestamp_version ="
				 " CASE WHEN timestamp_version < $1 THEN $1"
				 " ELSE timestamp_version END + 1"
				 " WHERE uuid = $2 RETURNING timestamp_version",
				 ARG_INT(held), ARG_UUID(id));
	if (rc == 0 && !found)
		rc = err_set(err, ERR_NOTFOUND, "no such machine");
	if (rc == 0)
		*version = (uint64_t)next;
	return rc;
}

int db_machine_raise_status(struct db_conn *conn, const struct uuid *id, uint64_t held,
			    struct err *err)
{
	int rc = version_check(held, err);

	if (rc == 0)
		rc = SQL_MUST(conn, "machine", err,
			      "UPDATE machine SET status_version ="
			      " CASE WHEN status_version <= $1 THEN $1 + 1"
			      " ELSE status_version END WHERE uuid = $2",
			      ARG_INT(held), ARG_UUID(id));
	return rc;
}
