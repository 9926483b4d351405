#include "server/db/sqlite.h"

#include <stddef.h>

/* What agents tell beside changes: why an environment can't be seen as it should ("\n" and a line
 * each, "\n" at the end), and the labels a machine would like to have (as in machine.labels). */
const char *const sqlite_007[] = {
	"ALTER TABLE env ADD COLUMN notes TEXT NOT NULL DEFAULT ''",
	"ALTER TABLE env ADD COLUMN excluded INTEGER NOT NULL DEFAULT 0",
	"ALTER TABLE machine ADD COLUMN wishes TEXT NOT NULL DEFAULT ''",
	NULL,
};
