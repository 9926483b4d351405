#include "server/db/sqlite.h"

#include <stddef.h>

/* When environments were last used, as their machines tell; 0 = not known. */
const char *const sqlite_004[] = {
	"ALTER TABLE env ADD COLUMN last_used_ms INTEGER NOT NULL DEFAULT 0",
	NULL,
};
