/* Environment rows as several queries of this folder read them. */
#ifndef ENVWARDEN_SERVER_DB_DB_ENV_READ_H
#define ENVWARDEN_SERVER_DB_DB_ENV_READ_H

#include "server/db/db_env.h"
#include "server/db/sql.h"

/* Of e (env), m (machine) and s (env_status, which may be missing); r is taken. */
#define ENV_COLUMNS                                                                                \
	"e.id, e.uuid, m.uuid, m.hostname, e.path, e.name, e.user, e.uid, e.platform, e.tool, "    \
	"e.deleted, e.archived, e.package_count, e.created_ms, e.last_change_ms, e.cloned_from, "  \
	"e.digest, s.action, s.message, s.until_ms, s.until_fixed, s.set_by, s.set_at_ms, "        \
	"s.fixed_specs, EXISTS (SELECT 1 FROM bundle_report r WHERE r.machine_id = m.id AND "      \
	"r.role = 'status'"                                                                        \
	" AND r.active = 1 AND r.version >= m.status_version), e.last_used_ms, "                   \
	"e.notes, e.excluded"
#define ENV_FROM                                                                                   \
	" FROM env e JOIN machine m ON m.id = e.machine_id"                                        \
	" LEFT JOIN env_status s ON s.env_id = e.id"

/* A status whose end is past at now_ms reads as none. ERR_NOMEM. */
int env_read(struct sql_rows *rows, struct arena *arena, int64_t now_ms, struct db_env *out);
/* All rows of an open statement, which is closed in any case. */
int env_read_all(struct sql_rows *rows, struct arena *arena, int64_t now_ms, struct db_env **out,
		 size_t *n, struct err *err);

#endif
