#include "server/db/sqlite.h"

#include <stddef.h>

/* Schema 3: policies, exceptions, unlock codes, and what agents decided. */
const char *const sqlite_003[] = {
	"ALTER TABLE machine ADD COLUMN unlock_key BLOB", /* NULL: none was needed yet */
	"ALTER TABLE bundle ADD COLUMN hash BLOB",	  /* of data; NULL: stored before */
	/* package specs, each between line feeds */
	"ALTER TABLE env_status ADD COLUMN fixed_specs TEXT NOT NULL DEFAULT ''",

	"CREATE TABLE policy ("
	" version INTEGER PRIMARY KEY," /* of its signed bundle, too */
	" source TEXT NOT NULL,"
	" author TEXT NOT NULL,"
	" note TEXT NOT NULL,"
	" rules INTEGER NOT NULL,"
	" exceptions INTEGER NOT NULL,"
	" created_ms INTEGER NOT NULL"
	") STRICT",

	"CREATE TABLE exception ("
	" id INTEGER PRIMARY KEY,"
	" uuid BLOB NOT NULL UNIQUE,"
	" environment BLOB,"			       /* on every machine that has it */
	" machine_id INTEGER REFERENCES machine (id)," /* or all of one machine */
	" rule TEXT NOT NULL,"			       /* '' = any */
	" package TEXT NOT NULL,"
	" owner TEXT NOT NULL,"
	" ticket TEXT NOT NULL,"
	" reason TEXT NOT NULL,"
	" expires_ms INTEGER NOT NULL,"
	" request BLOB," /* it answers */
	" granted_by TEXT NOT NULL,"
	" granted_ms INTEGER NOT NULL,"
	" revoked_by TEXT NOT NULL,"
	" revoked_ms INTEGER NOT NULL"
	") STRICT",
	"CREATE INDEX exception_by_environment ON exception (environment)",
	"CREATE INDEX exception_by_machine ON exception (machine_id)",

	"CREATE TABLE exception_request ("
	" id INTEGER PRIMARY KEY,"
	" machine_id INTEGER NOT NULL REFERENCES machine (id),"
	" uuid BLOB NOT NULL," /* made by the agent */
	" environment BLOB NOT NULL,"
	" user TEXT NOT NULL,"
	" reason TEXT NOT NULL,"
	" case_code TEXT NOT NULL,"
	" made_ms INTEGER NOT NULL,"
	" received_ms INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"
	" answer TEXT NOT NULL,"
	" answered_by TEXT NOT NULL,"
	" answered_ms INTEGER NOT NULL,"
	" UNIQUE (machine_id, uuid)"
	") STRICT",
	"CREATE INDEX exception_request_by_uuid ON exception_request (uuid)",
	"CREATE INDEX exception_request_by_state ON exception_request (state, id)",

	"CREATE TABLE unlock_code ("
	" machine_id INTEGER NOT NULL REFERENCES machine (id),"
	" serial INTEGER NOT NULL,"
	" environment BLOB NOT NULL,"
	" expires_ms INTEGER NOT NULL,"
	" lifts_status INTEGER NOT NULL,"
	" reason TEXT NOT NULL,"
	" issued_by TEXT NOT NULL,"
	" issued_ms INTEGER NOT NULL,"
	" revoked_by TEXT NOT NULL,"
	" revoked_ms INTEGER NOT NULL,"
	" PRIMARY KEY (machine_id, serial)"
	") STRICT, WITHOUT ROWID",

	/* The newest decision told of each environment, which may be ahead of the journal. */
	"CREATE TABLE decision ("
	" machine_id INTEGER NOT NULL REFERENCES machine (id),"
	" environment BLOB NOT NULL,"
	" action INTEGER NOT NULL,"
	" case_code TEXT NOT NULL,"
	" policy_version INTEGER NOT NULL,"
	" status_version INTEGER NOT NULL,"
	" decided_ms INTEGER NOT NULL,"
	" received_ms INTEGER NOT NULL,"
	" checks INTEGER NOT NULL,"
	" warnings INTEGER NOT NULL,"
	" refusals INTEGER NOT NULL,"
	" runs_after_block INTEGER NOT NULL,"
	" deferred_until_ms INTEGER NOT NULL,"
	" unlocked_serial INTEGER NOT NULL,"
	" PRIMARY KEY (machine_id, environment)"
	") STRICT, WITHOUT ROWID",
	"CREATE INDEX decision_by_case ON decision (case_code)",

	/* What each reason has done to it, now (lifted_ms = 0) and before. */
	"CREATE TABLE evidence ("
	" machine_id INTEGER NOT NULL REFERENCES machine (id),"
	" environment BLOB NOT NULL,"
	" monitored INTEGER NOT NULL,"
	" kind TEXT NOT NULL,"
	" rule TEXT NOT NULL,"
	" action INTEGER NOT NULL,"
	" package TEXT NOT NULL,"
	" packages INTEGER NOT NULL,"
	" since_ms INTEGER NOT NULL,"
	" lifted_ms INTEGER NOT NULL,"
	" warnings INTEGER NOT NULL,"
	" refusals INTEGER NOT NULL,"
	" runs_after_block INTEGER NOT NULL,"
	" PRIMARY KEY (machine_id, environment, monitored, kind, rule)"
	") STRICT, WITHOUT ROWID",
	"CREATE INDEX evidence_by_rule ON evidence (kind, rule)",
	NULL,
};
