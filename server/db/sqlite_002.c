#include "server/db/sqlite.h"

#include <stddef.h>

/* Changes that stand for a range of their journal (docs/formats.md, folds). */
const char *const sqlite_002[] = {
	"ALTER TABLE change ADD COLUMN first_seq INTEGER NOT NULL DEFAULT 0", /* 0: itself alone */
	"ALTER TABLE change ADD COLUMN folded INTEGER NOT NULL DEFAULT 0",
	NULL,
};
