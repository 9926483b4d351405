#include "server/db/sqlite.h"

#include <stddef.h>

/* Schema 6: servers that were restored from a backup; policies that are signed elsewhere. */
const char *const sqlite_006[] = {
	/* the next Hello is good whatever token it brings */
	"ALTER TABLE machine ADD COLUMN restored INTEGER NOT NULL DEFAULT 0",
	/* no policy below: agents hold newer ones */
	"ALTER TABLE organisation ADD COLUMN policy_min INTEGER NOT NULL DEFAULT 0",

	"CREATE TABLE restore ("
	" epoch INTEGER PRIMARY KEY," /* of the server: 1 = never restored, so from 2 on */
	" unknown_from_ms INTEGER NOT NULL,"
	" unknown_until_ms INTEGER NOT NULL"
	") STRICT",

	/* Policies whose bodies went out to be signed. */
	"CREATE TABLE policy_draft ("
	" body_hash BLOB PRIMARY KEY,"
	" version INTEGER NOT NULL,"
	" source TEXT NOT NULL,"
	" author TEXT NOT NULL,"
	" note TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL"
	") STRICT",
	NULL,
};
