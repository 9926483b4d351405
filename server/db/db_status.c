#include "server/db/db_status.h"

#include <stdio.h>

#include "lib/base/json.h"
#include "server/db/db_admin.h"
#include "server/db/db_apply.h"
#include "server/db/db_outbox.h"
#include "server/db/sql.h"

#define SPECS_MAX (STATUS_SPECS_MAX * (STATUS_SPEC_MAX + 1) + 2)

int machine_bump(struct db_conn *conn, const struct uuid *machine, int64_t now_ms, struct err *err)
{
	int rc = SQL_RUN(conn, NULL, err,
			 "UPDATE machine SET status_version = status_version + 1 WHERE uuid = $1",
			 ARG_UUID(machine));

	return rc < 0 ? rc : db_outbox_add(conn, DB_OUTBOX_STATUS, machine, now_ms, err);
}

struct status_setting {
	const char *who;
	int64_t now_ms;
};

static int row_set(struct db_conn *conn, int64_t env, const struct status_entry *s,
		   const char *specs, const struct status_setting *by, struct err *err)
{
	if (s->action == ACTION_ALLOW)
		return SQL_RUN(conn, NULL, err, "DELETE FROM env_status WHERE env_id = $1",
			       ARG_INT(env));
	return SQL_RUN(conn, NULL, err,
		       "INSERT INTO env_status (env_id, action, message, until_ms, until_fixed,"
		       " set_by, set_at_ms, fixed_specs) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
		       " ON CONFLICT (env_id) DO UPDATE SET action = excluded.action,"
		       " message = excluded.message, until_ms = excluded.until_ms,"
		       " until_fixed = excluded.until_fixed, set_by = excluded.set_by,"
		       " set_at_ms = excluded.set_at_ms, fixed_specs = excluded.fixed_specs",
		       ARG_INT(env), ARG_INT(s->action), ARG_TEXT(s->message), ARG_INT(s->until_ms),
		       ARG_INT(s->until_fixed), ARG_TEXT(by->who), ARG_INT(by->now_ms),
		       ARG_TEXT(specs));
}

struct target {
	int64_t env;
	struct uuid machine;
};

/* The rows an id stands for, gathered before any of them is written. */
static int targets_get(struct db_conn *conn, const struct uuid *environment, struct sql_list *out,
		       struct err *err)
{
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT e.id, m.uuid FROM env e JOIN machine m ON m.id = e.machine_id"
			  " WHERE e.uuid = $1",
			  ARG_UUID(environment));

	if (rc < 0)
		return rc;
	while ((rc = sql_next(rows, err)) > 0) {
		struct target *target = sql_list_add(out);

		if (!target) {
			rc = err_nomem(err);
			break;
		}
		target->env = sql_int(rows, 0);
		sql_uuid(rows, 1, &target->machine);
	}
	sql_close(rows);
	return rc == 0 && out->n == 0 ? err_set(err, ERR_NOTFOUND, "no such environment") : rc;
}

int machine_bump_all(struct db_conn *conn, const struct uuid *environment, int64_t now_ms,
		     struct err *err)
{
	struct arena arena;
	struct sql_list list;
	const struct target *targets;
	int rc;

	arena_init(&arena, SIZE_MAX);
	sql_list_init(&list, &arena, sizeof(*targets));
	rc = targets_get(conn, environment, &list, err);
	targets = (const struct target *)list.items;
	for (size_t i = 0; i < list.n && rc == 0; i++)
		rc = machine_bump(conn, &targets[i].machine, now_ms, err);
	arena_deinit(&arena);
	return rc;
}

/* The specs as one text, each between line feeds. */
static int specs_join(const struct status_entry *s, struct buf *out, struct err *err)
{
	if (s->until_fixed != (s->n_fixed_specs > 0))
		return err_set(err, ERR_INVALID,
			       "until fixed: it must be said which packages are the cause");
	if (s->n_fixed_specs > STATUS_SPECS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d specs", STATUS_SPECS_MAX);
	for (size_t i = 0; i < s->n_fixed_specs; i++) {
		int rc = sql_check_text("spec", s->fixed_specs[i], STATUS_SPEC_MAX, err);

		if (rc < 0)
			return rc;
		if (!*s->fixed_specs[i] || strchr(s->fixed_specs[i], '\n'))
			return err_set(err, ERR_INVALID, "spec: empty, or of several lines");
		buf_addf(out, "%s%s\n", i == 0 ? "\n" : "", s->fixed_specs[i]);
	}
	return buf_rc(out) < 0 ? err_nomem(err) : 0;
}

int db_status_set(struct db_conn *conn, const struct status_entry *status, const char *set_by,
		  int64_t now_ms, struct err *err)
{
	struct arena arena;
	struct sql_list list;
	struct buf specs;
	const struct target *targets;
	int rc = sql_check_text("message", status->message, DECISION_MESSAGE_MAX, err);

	arena_init(&arena, SIZE_MAX);
	buf_init(&specs, SPECS_MAX);
	sql_list_init(&list, &arena, sizeof(*targets));
	if (rc == 0)
		rc = sql_check_text("set by", set_by, DB_TEXT_MAX, err);
	if (rc == 0 && (status->action > ACTION_BLOCK || status->until_ms < 0))
		rc = err_set(err, ERR_INVALID, "status: unknown action or end");
	if (rc == 0)
		rc = specs_join(status, &specs, err);
	if (rc == 0)
		rc = targets_get(conn, &status->environment, &list, err);
	targets = (const struct target *)list.items;
	for (size_t i = 0; i < list.n && rc == 0; i++) {
		rc = row_set(conn, targets[i].env, status, buf_cstr(&specs),
			     &(struct status_setting){set_by, now_ms}, err);
		if (rc == 0)
			rc = machine_bump(conn, &targets[i].machine, now_ms, err);
	}
	buf_deinit(&specs);
	arena_deinit(&arena);
	return rc;
}

int status_specs_split(const char *text, struct arena *arena, const char *const **out, size_t *n)
{
	struct db_labels lines;
	int rc = sql_labels_split(text, arena, &lines);

	if (rc < 0)
		return rc;
	*out = lines.items;
	*n = lines.n;
	return 0;
}

int db_status_list(struct db_conn *conn, const struct uuid *machine, int64_t now_ms,
		   struct arena *arena, struct status_entry **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT e.uuid, s.action, s.message, s.until_ms, s.until_fixed,"
			  " s.fixed_specs"
			  " FROM env_status s JOIN env e ON e.id = s.env_id"
			  " WHERE e.machine_id = (SELECT id FROM machine WHERE uuid = $1)"
			  " AND e.deleted = 0 AND (s.until_ms = 0 OR s.until_ms > $2)"
			  " ORDER BY e.uuid",
			  ARG_UUID(machine), ARG_INT(now_ms));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct status_entry *s = sql_list_add(&list);
		const char *specs = NULL;

		if (s) {
			sql_uuid(rows, 0, &s->environment);
			s->action = (enum action)sql_int(rows, 1);
			s->message = sql_text(rows, 2, arena);
			s->until_ms = sql_int(rows, 3);
			s->until_fixed = sql_bool(rows, 4);
			specs = sql_text(rows, 5, arena);
		}
		if (!s || !s->message || !specs ||
		    status_specs_split(specs, arena, &s->fixed_specs, &s->n_fixed_specs) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct status_entry *)list.items;
	*n = list.n;
	return 0;
}

/* The audit log says whose status it was, and what of. */
static int inherit_audit(struct db_conn *conn, const struct apply_machine *machine, int64_t env,
			 const struct change *c, int64_t now_ms, struct err *err)
{
	char target[UUID_TEXT_MAX + 16], id[UUID_TEXT_MAX], who[UUID_TEXT_MAX + 8];
	int64_t action = 0;
	struct json_writer w;
	struct buf detail;
	bool found;
	int rc = SQL_GET_INT(conn, &action, &found, err,
			     "SELECT action FROM env_status WHERE env_id = $1", ARG_INT(env));

	if (rc < 0)
		return rc;
	uuid_format(&c->environment, id);
	(void)snprintf(target, sizeof(target), "environment:%s", id);
	uuid_format(&machine->id, id);
	(void)snprintf(who, sizeof(who), "machine:%s", id);
	buf_init(&detail, DB_AUDIT_DETAIL_MAX);
	json_writer_init(&w, &detail);
	json_begin_object(&w);
	json_kv_str(&w, "status", action_status_name((enum action)action));
	json_kv_str(&w, "prefix", c->prefix);
	if (!uuid_is_zero(&c->cloned_from)) {
		uuid_format(&c->cloned_from, id);
		json_kv_str(&w, "cloned_from", id);
	}
	json_end_object(&w);
	rc = buf_rc(&detail);
	if (rc == 0)
		rc = db_audit_append(conn,
				     &(struct db_audit){.at_ms = now_ms,
							.who = who,
							.what = "status.inherited",
							.target = target,
							.detail = buf_cstr(&detail)},
				     err);
	buf_deinit(&detail);
	return rc;
}

int status_inherit(struct db_conn *conn, const struct apply_machine *machine, int64_t env,
		   const struct change *c, int64_t now_ms, struct err *err)
{
	int64_t changed = 0;
	int rc;

	if (c->kind != CHANGE_CREATED && c->kind != CHANGE_CLONED)
		return 0;
	rc = SQL_RUN(
		conn, &changed, err,
		"INSERT INTO env_status (env_id, action, message, until_ms, until_fixed,"
		" set_by, set_at_ms, fixed_specs)"
		" SELECT $1, s.action, s.message, s.until_ms, s.until_fixed, s.set_by, $2,"
		" s.fixed_specs"
		" FROM env_status s JOIN env e ON e.id = s.env_id"
		" WHERE e.machine_id = $3 AND e.id <> $1"
		" AND (s.until_ms = 0 OR s.until_ms > $2)"
		/* Environments without a package are alike, and no copies for that. */
		" AND (e.uuid = $4 OR (e.digest = $5 AND e.package_count > 0 AND s.action = $6))"
		" ORDER BY CASE WHEN e.uuid = $4 THEN 0 ELSE 1 END, e.id LIMIT 1"
		" ON CONFLICT (env_id) DO NOTHING",
		ARG_INT(env), ARG_INT(now_ms), ARG_INT(machine->row), ARG_UUID(&c->cloned_from),
		c->has_digest ? ARG_BLOB(c->digest, SHA256_SIZE) : ARG_NULL, ARG_INT(ACTION_BLOCK));
	if (rc < 0 || changed == 0)
		return rc;
	rc = inherit_audit(conn, machine, env, c, now_ms, err);
	return rc < 0 ? rc : machine_bump(conn, &machine->id, now_ms, err);
}
