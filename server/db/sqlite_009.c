#include "server/db/sqlite.h"

#include <stddef.h>

/* Whether an unlock code was used. */
const char *const sqlite_009[] = {
	/* when the server first heard of it; 0: it has not */
	"ALTER TABLE unlock_code ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0",
	NULL,
};
