#include "server/db/db_apply.h"

#include "lib/base/text.h"
#include "server/db/sql.h"

/* The last part of a path. */
static const char *base_name(const char *path, const char *platform, size_t *n)
{
	const char *separators = text_starts(platform, "win-") ? "/\\" : "/";
	size_t end = strlen(path), start;

	while (end > 1 && strchr(separators, path[end - 1]))
		end--;
	start = end;
	while (start > 0 && !strchr(separators, path[start - 1]))
		start--;
	*n = end - start;
	return path + start;
}

/* Agents' clocks may be ahead; the order of lists must not be theirs to decide. */
static int64_t shown_time(const struct change *change, int64_t now_ms)
{
	return change->time_ms < now_ms ? change->time_ms : now_ms;
}

static int env_insert(struct db_conn *conn, int64_t machine, const struct change *c, int64_t now_ms,
		      int64_t *env, struct err *err)
{
	bool found;

	return SQL_GET_INT(conn, env, &found, err,
			   "INSERT INTO env (uuid, machine_id, path, name, user, uid, platform,"
			   " tool, deleted, archived, package_count, created_ms, last_change_ms,"
			   " cloned_from)"
			   " VALUES ($1, $2, '', '', '', -1, '', '', 0, 0, 0, $3, $3, $4)"
			   " RETURNING id",
			   ARG_UUID(&c->environment), ARG_INT(machine),
			   ARG_INT(shown_time(c, now_ms)),
			   uuid_is_zero(&c->cloned_from) ? ARG_NULL : ARG_UUID(&c->cloned_from));
}

int env_apply_row(struct db_conn *conn, const struct apply_machine *machine,
		  const struct change *change, int64_t now_ms, int64_t *env, struct err *err)
{
	bool found = false;
	int rc = SQL_GET_INT(conn, env, &found, err,
			     "SELECT id FROM env WHERE uuid = $1 AND machine_id = $2",
			     ARG_UUID(&change->environment), ARG_INT(machine->row));

	if (rc == 0 && !found)
		rc = env_insert(conn, machine->row, change, now_ms, env, err);
	return rc;
}

/* --- links to packages --- */

static int count_add(struct db_conn *conn, int64_t package, int delta, struct err *err)
{
	return SQL_RUN(conn, NULL, err,
		       "UPDATE package SET env_count = env_count + $1 WHERE id = $2",
		       ARG_INT(delta), ARG_INT(package));
}

static int link_clear(struct db_conn *conn, int64_t env, struct err *err)
{
	int rc = SQL_RUN(conn, NULL, err,
			 "UPDATE package SET env_count = env_count - 1"
			 " WHERE id IN (SELECT pkg_id FROM env_pkg WHERE env_id = $1)",
			 ARG_INT(env));

	return rc < 0 ? rc
		      : SQL_RUN(conn, NULL, err, "DELETE FROM env_pkg WHERE env_id = $1",
				ARG_INT(env));
}

static int link_remove(struct db_conn *conn, int64_t env, const struct apply_package *p,
		       struct err *err)
{
	int64_t changed = 0;
	int rc = SQL_RUN(conn, &changed, err,
			 "DELETE FROM env_pkg WHERE env_id = $1 AND pkg_id = $2", ARG_INT(env),
			 ARG_INT(p->id));

	return rc < 0 || changed == 0 ? rc : count_add(conn, p->id, -1, err);
}

static int link_add(struct db_conn *conn, int64_t env, const struct apply_package *p,
		    struct err *err)
{
	int64_t changed = 0;
	int rc = SQL_RUN(conn, &changed, err,
			 "INSERT INTO env_pkg (env_id, pkg_id, requested) VALUES ($1, $2, $3)"
			 " ON CONFLICT (env_id, pkg_id) DO NOTHING",
			 ARG_INT(env), ARG_INT(p->id), ARG_INT(p->requested));

	if (rc < 0)
		return rc;
	if (changed)
		return count_add(conn, p->id, 1, err);
	return SQL_RUN(conn, NULL, err,
		       "UPDATE env_pkg SET requested = $1 WHERE env_id = $2 AND pkg_id = $3",
		       ARG_INT(p->requested), ARG_INT(env), ARG_INT(p->id));
}

/*
 * A change that tells the whole content, whatever was believed before. "recreated" does not: when
 * nobody saw the old one go, it tells what differs from it.
 */
static bool is_whole(enum change_kind kind)
{
	return kind == CHANGE_CREATED || kind == CHANGE_CLONED;
}

static int links_apply(struct db_conn *conn, int64_t env, enum change_kind kind,
		       const struct apply_packages *packages, struct err *err)
{
	int rc = 0;

	if (is_whole(kind) || kind == CHANGE_DELETED)
		rc = link_clear(conn, env, err);
	if (kind == CHANGE_DELETED)
		return rc;
	for (size_t i = 0; i < packages->n_removed && rc == 0; i++)
		rc = link_remove(conn, env, &packages->removed[i], err);
	for (size_t i = 0; i < packages->n_added && rc == 0; i++)
		rc = link_add(conn, env, &packages->added[i], err);
	return rc;
}

int env_apply(struct db_conn *conn, int64_t env, const struct change *c,
	      const struct apply_packages *packages, int64_t now_ms, struct err *err)
{
	size_t name_n;
	const char *name = base_name(c->prefix, c->platform, &name_n);
	int rc = links_apply(conn, env, c->kind, packages, err);

	if (rc < 0)
		return rc;
	return SQL_RUN(conn, NULL, err,
		       "UPDATE env SET path = $1, name = $2,"
		       " user = CASE $3 WHEN '' THEN user ELSE $3 END,"
		       " uid = CASE $4 WHEN -1 THEN uid ELSE $4 END,"
		       " platform = CASE $5 WHEN '' THEN platform ELSE $5 END,"
		       " tool = CASE $6 WHEN '' THEN tool ELSE $6 END,"
		       " deleted = $7, digest = $8,"
		       " last_change_ms = CASE WHEN last_change_ms < $9 THEN $9"
		       " ELSE last_change_ms END,"
		       " package_count = (SELECT count(*) FROM env_pkg WHERE env_id = $10)"
		       " WHERE id = $10",
		       ARG_TEXT(c->prefix),
		       ((struct sql_arg){.type = SQL_TEXT, .data = name, .n = name_n}),
		       ARG_TEXT(c->owner.name), ARG_INT(c->owner.uid), ARG_TEXT(c->platform),
		       ARG_TEXT(c->tool), ARG_INT(c->kind == CHANGE_DELETED),
		       c->has_digest ? ARG_BLOB(c->digest, SHA256_SIZE) : ARG_NULL,
		       ARG_INT(shown_time(c, now_ms)), ARG_INT(env));
}
