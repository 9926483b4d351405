/* Package rows as several queries of this folder read them. */
#ifndef ENVWARDEN_SERVER_DB_DB_PACKAGE_READ_H
#define ENVWARDEN_SERVER_DB_DB_PACKAGE_READ_H

#include "server/db/db_package.h"
#include "server/db/sql.h"

/* The package itself: 13 columns of p (package), pn (package_name) and ch (channel). */
#define PACKAGE_COLUMNS                                                                            \
	"p.manager, pn.name, p.version, p.build, p.build_number, ch.url, p.subdir, p.license, "    \
	"p.url, p.size, p.sha256, p.md5, p.built_ms"
#define PACKAGE_COLUMNS_N 13
#define PACKAGE_FROM                                                                               \
	" FROM package p JOIN package_name pn ON pn.id = p.name_id"                                \
	" JOIN channel ch ON ch.id = p.channel_id"

/* And with it the rest of a struct db_package. */
#define PACKAGE_ROW_COLUMNS PACKAGE_COLUMNS ", p.id, p.def_key, p.env_count, p.first_seen_ms"
#define PACKAGE_ROW_COLUMNS_N 17

/* From column c on; ERR_NOMEM. */
int package_read(struct sql_rows *rows, int c, struct arena *arena, struct package *out);
int package_row_read(struct sql_rows *rows, struct arena *arena, struct db_package *out);

#endif
