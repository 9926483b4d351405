#include "server/db/sqlite.h"

#include <stddef.h>

/* Schema 1. `one` columns hold tables to a single row. Enumerations are numbered in the headers. */
const char *const sqlite_001[] = {
	"CREATE TABLE organisation ("
	" one INTEGER PRIMARY KEY CHECK (one = 1),"
	" id BLOB NOT NULL,"
	" name TEXT NOT NULL,"
	" logging INTEGER NOT NULL,"
	" contact TEXT NOT NULL,"
	" when_agent_down TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL"
	") STRICT",

	"CREATE TABLE join_code ("
	" id INTEGER PRIMARY KEY,"
	" secret_hash BLOB NOT NULL UNIQUE,"
	" title TEXT NOT NULL,"
	" labels TEXT NOT NULL,"
	" uses INTEGER NOT NULL,"
	" uses_left INTEGER NOT NULL CHECK (uses_left >= 0),"
	" expires_ms INTEGER NOT NULL,"
	" voided_ms INTEGER NOT NULL,"
	" ephemeral INTEGER NOT NULL,"
	" created_by TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL"
	") STRICT",

	"CREATE TABLE machine ("
	" id INTEGER PRIMARY KEY,"
	" uuid BLOB NOT NULL UNIQUE,"
	" hostname TEXT NOT NULL,"
	" platform TEXT NOT NULL,"
	" os TEXT NOT NULL,"
	" agent_version TEXT NOT NULL,"
	" machine_id_hash BLOB,"
	" labels TEXT NOT NULL," /* each between line feeds */
	" state INTEGER NOT NULL,"
	" ephemeral INTEGER NOT NULL,"
	" clone_suspected INTEGER NOT NULL,"
	" join_code INTEGER REFERENCES join_code (id),"
	" created_ms INTEGER NOT NULL,"
	" last_seen_ms INTEGER NOT NULL,"
	" key_hash BLOB NOT NULL,"
	" serial BLOB NOT NULL,"
	" not_after_ms INTEGER NOT NULL,"
	" continuity BLOB,"
	" continuity_previous BLOB,"
	" status_version INTEGER NOT NULL,"
	" timestamp_version INTEGER NOT NULL"
	") STRICT",

	/* --- packages, once per fleet --- */

	"CREATE TABLE package_name ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL UNIQUE"
	") STRICT",

	"CREATE TABLE channel ("
	" id INTEGER PRIMARY KEY,"
	" url TEXT NOT NULL UNIQUE"
	") STRICT",

	"CREATE TABLE package ("
	" id INTEGER PRIMARY KEY,"
	" def_key BLOB NOT NULL UNIQUE,"
	" manager TEXT NOT NULL,"
	" name_id INTEGER NOT NULL REFERENCES package_name (id),"
	" version TEXT NOT NULL,"
	" build TEXT NOT NULL,"
	" build_number INTEGER NOT NULL,"
	" channel_id INTEGER NOT NULL REFERENCES channel (id),"
	" subdir TEXT NOT NULL,"
	" license TEXT NOT NULL,"
	" url TEXT NOT NULL,"
	" size INTEGER NOT NULL,"
	" sha256 BLOB,"
	" md5 BLOB,"
	" env_count INTEGER NOT NULL," /* live environments that have it */
	" first_seen_ms INTEGER NOT NULL"
	") STRICT",
	"CREATE INDEX package_by_name ON package (name_id)",

	/* --- environments, as the journals tell them --- */

	"CREATE TABLE env ("
	" id INTEGER PRIMARY KEY,"
	" uuid BLOB NOT NULL,"
	" machine_id INTEGER NOT NULL REFERENCES machine (id),"
	" path TEXT NOT NULL,"
	" name TEXT NOT NULL,"
	" user TEXT NOT NULL,"
	" uid INTEGER NOT NULL,"
	" platform TEXT NOT NULL,"
	" tool TEXT NOT NULL,"
	" deleted INTEGER NOT NULL,"
	" archived INTEGER NOT NULL,"
	" package_count INTEGER NOT NULL,"
	" created_ms INTEGER NOT NULL,"
	" last_change_ms INTEGER NOT NULL,"
	" cloned_from BLOB,"
	" digest BLOB,"
	" UNIQUE (uuid, machine_id)"
	") STRICT",
	"CREATE INDEX env_by_change ON env (last_change_ms, id)",
	"CREATE INDEX env_by_name ON env (name, id)",
	"CREATE INDEX env_by_machine ON env (machine_id, last_change_ms, id)",
	"CREATE INDEX env_by_user ON env (user, last_change_ms, id)",
	"CREATE INDEX env_by_platform ON env (platform, last_change_ms, id)",

	"CREATE TABLE env_pkg ("
	" env_id INTEGER NOT NULL REFERENCES env (id),"
	" pkg_id INTEGER NOT NULL REFERENCES package (id),"
	" requested INTEGER NOT NULL,"
	" PRIMARY KEY (env_id, pkg_id)"
	") STRICT, WITHOUT ROWID",
	"CREATE INDEX env_pkg_by_package ON env_pkg (pkg_id, env_id)",

	"CREATE TABLE env_status ("
	" env_id INTEGER PRIMARY KEY REFERENCES env (id),"
	" action INTEGER NOT NULL,"
	" message TEXT NOT NULL,"
	" until_ms INTEGER NOT NULL,"
	" until_fixed INTEGER NOT NULL,"
	" set_by TEXT NOT NULL,"
	" set_at_ms INTEGER NOT NULL"
	") STRICT",

	/* --- journals --- */

	"CREATE TABLE journal ("
	" id INTEGER PRIMARY KEY,"
	" machine_id INTEGER NOT NULL REFERENCES machine (id),"
	" epoch BLOB NOT NULL,"
	" head INTEGER NOT NULL,"
	" head_hash BLOB NOT NULL,"
	" UNIQUE (machine_id, epoch)"
	") STRICT",

	"CREATE TABLE change ("
	" id INTEGER PRIMARY KEY,"
	" journal_id INTEGER NOT NULL REFERENCES journal (id),"
	" seq INTEGER NOT NULL,"
	" machine_id INTEGER NOT NULL REFERENCES machine (id)," /* as in the journal */
	" env_id INTEGER REFERENCES env (id),"			/* NULL: a gap */
	" time_ms INTEGER NOT NULL,"
	" received_ms INTEGER NOT NULL,"
	" kind INTEGER NOT NULL,"
	" prefix TEXT NOT NULL,"
	" from_prefix TEXT NOT NULL,"
	" cloned_from BLOB,"
	" actor TEXT NOT NULL,"
	" actor_uid INTEGER NOT NULL,"
	" actor_how TEXT NOT NULL,"
	" owner TEXT NOT NULL,"
	" owner_uid INTEGER NOT NULL,"
	" owner_how TEXT NOT NULL,"
	" platform TEXT NOT NULL,"
	" tool TEXT NOT NULL,"
	" command TEXT NOT NULL,"
	" detail TEXT NOT NULL,"
	" self_reported INTEGER NOT NULL,"
	" seen_at_start INTEGER NOT NULL,"
	" digest BLOB,"
	" hash BLOB NOT NULL,"
	" UNIQUE (journal_id, seq)"
	") STRICT",
	"CREATE INDEX change_by_env ON change (env_id, id)",
	"CREATE INDEX change_by_machine ON change (machine_id, id)",

	"CREATE TABLE change_pkg ("
	" change_id INTEGER NOT NULL REFERENCES change (id),"
	" added INTEGER NOT NULL," /* 1 added, 0 removed */
	" pkg_id INTEGER NOT NULL REFERENCES package (id),"
	" requested INTEGER NOT NULL,"
	" PRIMARY KEY (change_id, added, pkg_id, requested)"
	") STRICT, WITHOUT ROWID",
	"CREATE INDEX change_pkg_by_package ON change_pkg (pkg_id, change_id)",

	/* --- signed state and sessions --- */

	"CREATE TABLE bundle ("
	" role TEXT NOT NULL,"
	" machine BLOB NOT NULL," /* zero = for all */
	" version INTEGER NOT NULL,"
	" data BLOB NOT NULL,"
	" created_ms INTEGER NOT NULL,"
	" PRIMARY KEY (role, machine, version)"
	") STRICT",

	"CREATE TABLE bundle_report ("
	" machine_id INTEGER NOT NULL REFERENCES machine (id),"
	" role TEXT NOT NULL,"
	" version INTEGER NOT NULL,"
	" active INTEGER NOT NULL,"
	" reason TEXT NOT NULL,"
	" at_ms INTEGER NOT NULL,"
	" PRIMARY KEY (machine_id, role)"
	") STRICT",

	"CREATE TABLE ticket_key ("
	" id INTEGER PRIMARY KEY,"
	" secret BLOB NOT NULL,"
	" created_ms INTEGER NOT NULL"
	") STRICT",

	/* --- administration --- */

	"CREATE TABLE admin_user ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL UNIQUE,"
	" password TEXT NOT NULL,"
	" role INTEGER NOT NULL,"
	" created_ms INTEGER NOT NULL"
	") STRICT",

	"CREATE TABLE token ("
	" id INTEGER PRIMARY KEY,"
	" secret_hash BLOB NOT NULL UNIQUE,"
	" kind INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" role INTEGER NOT NULL,"
	" created_by TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL,"
	" expires_ms INTEGER NOT NULL,"
	" last_used_ms INTEGER NOT NULL"
	") STRICT",
	"CREATE INDEX token_by_name ON token (kind, name)",

	"CREATE TABLE audit ("
	" id INTEGER PRIMARY KEY,"
	" at_ms INTEGER NOT NULL,"
	" who TEXT NOT NULL,"
	" what TEXT NOT NULL,"
	" target TEXT NOT NULL,"
	" detail TEXT NOT NULL"
	") STRICT",
	"CREATE INDEX audit_by_target ON audit (target, id)",

	"CREATE TABLE outbox ("
	" seq INTEGER PRIMARY KEY,"
	" kind INTEGER NOT NULL,"
	" machine BLOB NOT NULL,"
	" at_ms INTEGER NOT NULL"
	") STRICT",
	"CREATE TABLE outbox_head ("
	" one INTEGER PRIMARY KEY CHECK (one = 1),"
	" seq INTEGER NOT NULL"
	") STRICT",
	"INSERT INTO outbox_head (one, seq) VALUES (1, 0)",
	NULL,
};
