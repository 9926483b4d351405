#include "server/db/db_policy.h"

#include <inttypes.h>

#include "proto/signed.h"
#include "server/db/db_bundle.h"
#include "server/db/db_machine.h"
#include "server/db/db_outbox.h"
#include "server/db/sql.h"

#define COLUMNS "version, author, note, rules, exceptions, created_ms"

static int policy_read_row(struct sql_rows *rows, struct arena *arena, struct db_policy *out)
{
	out->version = (uint64_t)sql_int(rows, 0);
	out->author = sql_text(rows, 1, arena);
	out->note = sql_text(rows, 2, arena);
	out->rules = sql_int(rows, 3);
	out->exceptions = sql_int(rows, 4);
	out->created_ms = sql_int(rows, 5);
	out->source = "";
	return out->author && out->note ? 0 : ERR_NOMEM;
}

int db_policy_next(struct db_conn *conn, uint64_t *version, struct err *err)
{
	int64_t newest = 0;
	bool found;
	int rc = SQL_GET_INT(conn, &newest, &found, err,
			     "SELECT coalesce(max(v), 0) FROM (SELECT max(version) AS v FROM policy"
			     " UNION ALL SELECT max(version) FROM bundle WHERE role = $1"
			     " UNION ALL SELECT policy_min - 1 FROM organisation"
			     " WHERE policy_min > 0) AS held",
			     ARG_TEXT(ROLE_POLICY));

	if (rc == 0)
		*version = (uint64_t)newest + 1;
	return rc;
}

int db_policy_verify(struct db_conn *conn, const void *data, size_t n, uint64_t *version,
		     struct err *err)
{
	struct signed_check check = {.min_version = 1};
	Envwarden__Bundle__Body *body;
	struct root_info root;
	struct db_bundle newest;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	rc = db_bundle_get(conn, ROLE_ROOT, NULL, 0, &arena, &newest, err);
	if (rc == 0)
		rc = root_first(newest.data, newest.n, &root, err);
	if (rc < 0)
		goto out;
	check.keys = root_role(&root, ROLE_POLICY);
	rc = check.keys ? signed_verify(data, n, &check, &arena, &body, err)
			: err_set(err, ERR_VERIFY, "the root lists no keys for policies");
	if (rc == 0 && body->content_case != ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY)
		rc = err_set(err, ERR_INVALID, "it is no policy");
	if (rc == 0 && version)
		*version = body->version;
out:
	arena_deinit(&arena);
	return rc;
}

int db_policy_raise(struct db_conn *conn, uint64_t min, struct err *err)
{
	return SQL_RUN(conn, NULL, err,
		       "UPDATE organisation SET policy_min = $1 WHERE policy_min < $1",
		       ARG_INT(min));
}

static int policy_check_texts(const struct db_policy *p, struct err *err)
{
	int rc = sql_check_text("policy", p->source, DB_POLICY_SOURCE_MAX, err);

	if (rc == 0)
		rc = sql_check_text("author", p->author, DB_TEXT_MAX, err);
	return rc == 0 ? sql_check_text("note", p->note, DB_TEXT_MAX, err) : rc;
}

int db_policy_put(struct db_conn *conn, const struct db_policy *p, struct err *err)
{
	uint64_t next = 0;
	int rc = policy_check_texts(p, err);

	if (rc == 0)
		rc = db_policy_next(conn, &next, err);
	if (rc == 0 && p->version != next)
		rc = err_set(err, ERR_STALE, "policy %" PRIu64 ": the next is %" PRIu64, p->version,
			     next);
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "INSERT INTO policy (version, source, author, note, rules,"
			     " exceptions, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			     ARG_INT(p->version), ARG_TEXT(p->source), ARG_TEXT(p->author),
			     ARG_TEXT(p->note), ARG_INT(p->rules), ARG_INT(p->exceptions),
			     ARG_INT(p->created_ms));
	return rc < 0 ? rc : db_outbox_add(conn, DB_OUTBOX_POLICY, NULL, p->created_ms, err);
}

int db_policy_get(struct db_conn *conn, uint64_t version, struct arena *arena,
		  struct db_policy *out, struct err *err)
{
	struct db_policy policy;
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " COLUMNS ", source FROM policy WHERE $1 = 0 OR version = $1"
			  " ORDER BY version DESC LIMIT 1",
			  ARG_INT(version));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0) {
		rc = policy_read_row(rows, arena, &policy);
		policy.source = sql_text(rows, 6, arena);
		if (rc < 0 || !policy.source)
			rc = err_nomem(err);
	} else if (rc == 0) {
		rc = err_set(err, ERR_NOTFOUND, version ? "no such policy" : "there is no policy");
	}
	sql_close(rows);
	if (rc == 0)
		*out = policy;
	return rc;
}

/* --- drafts --- */

#define DRAFTS_MAX 16

int db_policy_draft_put(struct db_conn *conn, const unsigned char hash[SHA256_SIZE],
			const struct db_policy *p, struct err *err)
{
	uint64_t next = 0;
	int rc = policy_check_texts(p, err);

	if (rc == 0)
		rc = db_policy_next(conn, &next, err);
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err, "DELETE FROM policy_draft WHERE version < $1",
			     ARG_INT(next));
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "DELETE FROM policy_draft WHERE body_hash NOT IN (SELECT body_hash"
			     " FROM policy_draft ORDER BY created_ms DESC LIMIT $1)",
			     ARG_INT(DRAFTS_MAX - 1));
	if (rc == 0)
		rc = SQL_RUN(conn, NULL, err,
			     "INSERT INTO policy_draft (body_hash, version, source, author, note,"
			     " created_ms) VALUES ($1, $2, $3, $4, $5, $6)"
			     " ON CONFLICT (body_hash) DO NOTHING",
			     ARG_BLOB(hash, SHA256_SIZE), ARG_INT(p->version), ARG_TEXT(p->source),
			     ARG_TEXT(p->author), ARG_TEXT(p->note), ARG_INT(p->created_ms));
	return rc;
}

int db_policy_draft_get(struct db_conn *conn, const unsigned char hash[SHA256_SIZE],
			struct arena *arena, struct db_policy *out, struct err *err)
{
	struct db_policy policy = {.version = 0};
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT version, source, author, note, created_ms FROM policy_draft"
			  " WHERE body_hash = $1",
			  ARG_BLOB(hash, SHA256_SIZE));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0) {
		policy.version = (uint64_t)sql_int(rows, 0);
		policy.source = sql_text(rows, 1, arena);
		policy.author = sql_text(rows, 2, arena);
		policy.note = sql_text(rows, 3, arena);
		policy.created_ms = sql_int(rows, 4);
		rc = policy.source && policy.author && policy.note ? 0 : err_nomem(err);
	} else if (rc == 0) {
		rc = err_set(err, ERR_NOTFOUND, "no such draft");
	}
	sql_close(rows);
	if (rc == 0)
		*out = policy;
	return rc;
}

int db_policy_list(struct db_conn *conn, const struct db_cursor *after, size_t limit,
		   struct arena *arena, struct db_policy **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " COLUMNS " FROM policy WHERE version < $1"
			  " ORDER BY version DESC LIMIT $2",
			  ARG_INT(after && after->set ? after->id : INT64_MAX),
			  ARG_INT(sql_limit(limit)));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_policy *policy = sql_list_add(&list);

		if (!policy || policy_read_row(rows, arena, policy) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_policy *)list.items;
	*n = list.n;
	return 0;
}

int db_policy_delivery(struct db_conn *conn, uint64_t version, struct db_delivery *out,
		       struct err *err)
{
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT count(*),"
			  " count(CASE WHEN r.active = 1 AND r.version >= $1 THEN 1 END),"
			  " count(CASE WHEN r.active = 0 AND r.version >= $1 THEN 1 END)"
			  " FROM machine m LEFT JOIN bundle_report r"
			  " ON r.machine_id = m.id AND r.role = $2 WHERE m.state = $3",
			  ARG_INT(version), ARG_TEXT(ROLE_POLICY), ARG_INT(DB_MACHINE_ACTIVE));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0) {
		*out = (struct db_delivery){.machines = sql_int(rows, 0),
					    .active = sql_int(rows, 1),
					    .refused = sql_int(rows, 2)};
		rc = 0;
	}
	sql_close(rows);
	return rc;
}
