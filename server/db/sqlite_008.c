#include "server/db/sqlite.h"

#include <stddef.h>

/* Who ran what although it was blocked, and when environments were made. */
const char *const sqlite_008[] = {
	/* as its machine goes by it; 0: it does not know, or has not told */
	"ALTER TABLE env ADD COLUMN made_ms INTEGER NOT NULL DEFAULT 0",

	/*
	 * One row for an account's runs of an environment under one decision, as its agent counts
	 * them. When the first of them was is part of what names them: an agent that has forgotten
	 * what it counted begins another row.
	 */
	"CREATE TABLE ran ("
	" id INTEGER PRIMARY KEY,"
	" machine_id INTEGER NOT NULL REFERENCES machine (id),"
	" environment BLOB NOT NULL,"
	" uid INTEGER NOT NULL,"
	" case_code TEXT NOT NULL,"
	" first_ms INTEGER NOT NULL,"
	" last_ms INTEGER NOT NULL,"
	" user TEXT NOT NULL," /* '' unknown */
	" programs INTEGER NOT NULL,"
	" shells INTEGER NOT NULL,"
	" repairs INTEGER NOT NULL,"
	" reasons TEXT NOT NULL," /* \n, and for each "status\n" or "rule old-openssl\n" */
	" received_ms INTEGER NOT NULL,"
	" UNIQUE (machine_id, environment, uid, case_code, first_ms)"
	") STRICT",
	"CREATE INDEX ran_by_environment ON ran (environment, id)",
	NULL,
};
