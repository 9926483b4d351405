#include "server/db/sqlite.h"

#include <stddef.h>

/* When packages were built, as their records tell; 0 = not known. */
const char *const sqlite_005[] = {
	"ALTER TABLE package ADD COLUMN built_ms INTEGER NOT NULL DEFAULT 0",
	NULL,
};
