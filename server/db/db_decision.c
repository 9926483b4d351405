#include "server/db/db_decision.h"

#include "proto/limits.h"
#include "server/db/db_apply.h"
#include "server/db/sql.h"

/* --- taking a report --- */

struct putting {
	struct db_conn *conn;
	const struct db_decision *d;
	int64_t machine;
	bool known; /* a decision about it is stored */
	struct db_counters before;
	struct db_counters grown;
	struct db_reason *reasons; /* one a rule */
	size_t n_reasons;
};

static int check(const struct db_decision *d, struct err *err)
{
	int rc = sql_check_text("case code", d->case_code, CASE_CODE_MAX, err);

	for (size_t i = 0; i < d->n_reasons && rc == 0; i++) {
		rc = sql_check_text("reason", d->reasons[i].kind, LIMIT_WORD, err);
		if (rc == 0)
			rc = sql_check_text("reason", d->reasons[i].rule, LIMIT_WORD, err);
		if (rc == 0)
			rc = sql_check_text("package", d->reasons[i].package,
					    DB_DECISION_PACKAGE_MAX, err);
	}
	return rc;
}

static bool same_rule(const struct db_reason *a, const struct db_reason *b)
{
	return a->monitored == b->monitored && strcmp(a->kind, b->kind) == 0 &&
	       strcmp(a->rule, b->rule) == 0;
}

/* One reason a rule: the first of them is the strongest. */
static int unite(struct putting *p, struct arena *arena, struct err *err)
{
	const struct db_decision *d = p->d;

	p->reasons = arena_calloc(arena, d->n_reasons + 1, sizeof(*p->reasons));
	if (!p->reasons)
		return err_nomem(err);
	for (size_t i = 0; i < d->n_reasons; i++) {
		const struct db_reason *reason = &d->reasons[i];
		size_t k = 0;

		while (k < p->n_reasons && !same_rule(&p->reasons[k], reason))
			k++;
		if (k == p->n_reasons)
			p->reasons[p->n_reasons++] = *reason;
		else
			p->reasons[k].packages += reason->packages;
	}
	return 0;
}

static int find(struct putting *p, struct err *err)
{
	struct sql_rows *rows = NULL;
	int64_t count = 0;
	bool found = false;
	int rc = SQL_GET_INT(p->conn, &p->machine, &found, err,
			     "SELECT id FROM machine WHERE uuid = $1", ARG_UUID(&p->d->machine));

	if (rc == 0 && !found)
		rc = err_set(err, ERR_NOTFOUND, "no such machine");
	if (rc == 0)
		rc = SQL_OPEN(p->conn, &rows, err,
			      "SELECT checks, warnings, refusals, runs_after_block FROM decision"
			      " WHERE machine_id = $1 AND environment = $2",
			      ARG_INT(p->machine), ARG_UUID(&p->d->environment));
	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	p->known = rc > 0;
	if (p->known)
		p->before = (struct db_counters){sql_int(rows, 0), sql_int(rows, 1),
						 sql_int(rows, 2), sql_int(rows, 3)};
	sql_close(rows);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = SQL_GET_INT(p->conn, &count, &found, err,
			 "SELECT count(*) FROM decision WHERE machine_id = $1",
			 ARG_INT(p->machine));
	return rc == 0 && count >= DB_DECISIONS_MAX
		       ? err_set(err, ERR_LIMIT, "decisions about more than %d environments",
				 DB_DECISIONS_MAX)
		       : rc;
}

/* Counters begin anew with an agent's store. */
static int64_t growth(int64_t before, int64_t now)
{
	return now >= before ? now - before : now;
}

/* What was counted since the last report goes to those who held; *n says how many did. */
static int count_for_holders(const struct putting *p, int64_t *n, struct err *err)
{
	const struct db_counters *g = &p->grown;

	*n = 0;
	if (g->warnings == 0 && g->refusals == 0 && g->runs_after_block == 0) {
		*n = 1;
		return 0;
	}
	return SQL_RUN(p->conn, n, err,
		       "UPDATE evidence SET"
		       " warnings = warnings + CASE action WHEN $1 THEN $2 ELSE 0 END,"
		       " refusals = refusals + CASE action WHEN $3 THEN $4 ELSE 0 END,"
		       " runs_after_block = runs_after_block"
		       " + CASE action WHEN $3 THEN $5 ELSE 0 END"
		       " WHERE machine_id = $6 AND environment = $7 AND monitored = 0"
		       " AND lifted_ms = 0",
		       ARG_INT(ACTION_WARN), ARG_INT(g->warnings), ARG_INT(ACTION_BLOCK),
		       ARG_INT(g->refusals), ARG_INT(g->runs_after_block), ARG_INT(p->machine),
		       ARG_UUID(&p->d->environment));
}

static int reason_put(const struct putting *p, const struct db_reason *r, struct err *err)
{
	/* Lifted a moment ago by this very report: it has held all the time. */
	return SQL_RUN(p->conn, NULL, err,
		       "INSERT INTO evidence (machine_id, environment, monitored, kind, rule,"
		       " action, package, packages, since_ms, lifted_ms, warnings, refusals,"
		       " runs_after_block) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, 0)"
		       " ON CONFLICT (machine_id, environment, monitored, kind, rule) DO UPDATE"
		       " SET action = excluded.action, package = excluded.package,"
		       " packages = excluded.packages, since_ms = CASE evidence.lifted_ms"
		       " WHEN -1 THEN evidence.since_ms ELSE excluded.since_ms END,"
		       " lifted_ms = 0",
		       ARG_INT(p->machine), ARG_UUID(&p->d->environment), ARG_INT(r->monitored),
		       ARG_TEXT(r->kind), ARG_TEXT(r->rule), ARG_INT(r->action),
		       ARG_TEXT(r->package), ARG_INT(r->packages), ARG_INT(p->d->received_ms));
}

/* Those that held are marked, those that hold are unmarked, the rest was lifted. */
static int reasons_put(const struct putting *p, struct err *err)
{
	int rc = SQL_RUN(p->conn, NULL, err,
			 "UPDATE evidence SET lifted_ms = -1"
			 " WHERE machine_id = $1 AND environment = $2 AND lifted_ms = 0",
			 ARG_INT(p->machine), ARG_UUID(&p->d->environment));

	for (size_t i = 0; i < p->n_reasons && rc == 0; i++)
		rc = reason_put(p, &p->reasons[i], err);
	if (rc == 0)
		rc = SQL_RUN(p->conn, NULL, err,
			     "UPDATE evidence SET lifted_ms = $1"
			     " WHERE machine_id = $2 AND environment = $3 AND lifted_ms = -1",
			     ARG_INT(p->d->received_ms), ARG_INT(p->machine),
			     ARG_UUID(&p->d->environment));
	return rc;
}

static int decision_write(const struct putting *p, struct err *err)
{
	const struct db_decision *d = p->d;

	return SQL_RUN(p->conn, NULL, err,
		       "INSERT INTO decision (machine_id, environment, action, case_code,"
		       " policy_version, status_version, decided_ms, received_ms, checks, warnings,"
		       " refusals, runs_after_block, deferred_until_ms, unlocked_serial)"
		       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
		       " ON CONFLICT (machine_id, environment) DO UPDATE SET"
		       " action = excluded.action, case_code = excluded.case_code,"
		       " policy_version = excluded.policy_version,"
		       " status_version = excluded.status_version,"
		       " decided_ms = excluded.decided_ms, received_ms = excluded.received_ms,"
		       " checks = excluded.checks, warnings = excluded.warnings,"
		       " refusals = excluded.refusals,"
		       " runs_after_block = excluded.runs_after_block,"
		       " deferred_until_ms = excluded.deferred_until_ms,"
		       " unlocked_serial = excluded.unlocked_serial",
		       ARG_INT(p->machine), ARG_UUID(&d->environment), ARG_INT(d->action),
		       ARG_TEXT(d->case_code), ARG_INT(d->policy_version),
		       ARG_INT(d->status_version), ARG_INT(d->decided_ms), ARG_INT(d->received_ms),
		       ARG_INT(d->counters.checks), ARG_INT(d->counters.warnings),
		       ARG_INT(d->counters.refusals), ARG_INT(d->counters.runs_after_block),
		       ARG_INT(d->deferred_until_ms), ARG_INT(d->unlocked_serial));
}

int db_decision_put(struct db_conn *conn, const struct db_decision *d, struct err *err)
{
	struct putting p = {.conn = conn, .d = d};
	struct arena arena;
	int64_t holders = 0;
	int rc = check(d, err);

	arena_init(&arena, SIZE_MAX);
	if (rc == 0)
		rc = unite(&p, &arena, err);
	if (rc == 0)
		rc = find(&p, err);
	if (rc < 0)
		goto out;
	p.grown = (struct db_counters){.checks = growth(p.before.checks, d->counters.checks),
				       .warnings = growth(p.before.warnings, d->counters.warnings),
				       .refusals = growth(p.before.refusals, d->counters.refusals),
				       .runs_after_block = growth(p.before.runs_after_block,
								  d->counters.runs_after_block)};
	rc = count_for_holders(&p, &holders, err);
	if (rc == 0)
		rc = reasons_put(&p, err);
	/* Nothing held before: it was for what holds now. */
	if (rc == 0 && holders == 0)
		rc = count_for_holders(&p, &holders, err);
	if (rc == 0)
		rc = decision_write(&p, err);
out:
	arena_deinit(&arena);
	return rc;
}

int decision_end(struct db_conn *conn, int64_t machine, const struct uuid *environment,
		 int64_t now_ms, struct err *err)
{
	int rc = SQL_RUN(conn, NULL, err,
			 "DELETE FROM decision WHERE machine_id = $1 AND environment = $2",
			 ARG_INT(machine), ARG_UUID(environment));

	return rc < 0 ? rc
		      : SQL_RUN(conn, NULL, err,
				"UPDATE evidence SET lifted_ms = $1"
				" WHERE machine_id = $2 AND environment = $3 AND lifted_ms = 0",
				ARG_INT(now_ms), ARG_INT(machine), ARG_UUID(environment));
}

/* --- reading --- */

/* 10 columns of v (evidence), from c on. */
#define REASON_COLUMNS                                                                             \
	"v.monitored, v.kind, v.rule, v.action, v.package, v.packages, v.since_ms, v.lifted_ms, "  \
	"v.warnings, v.refusals, v.runs_after_block"

static int reason_read(struct sql_rows *rows, int c, struct arena *arena, struct db_reason *out)
{
	out->monitored = sql_bool(rows, c);
	out->kind = sql_text(rows, c + 1, arena);
	out->rule = sql_text(rows, c + 2, arena);
	out->action = (enum action)sql_int(rows, c + 3);
	out->package = sql_text(rows, c + 4, arena);
	out->packages = sql_int(rows, c + 5);
	out->since_ms = sql_int(rows, c + 6);
	out->lifted_ms = sql_int(rows, c + 7);
	out->counters.warnings = sql_int(rows, c + 8);
	out->counters.refusals = sql_int(rows, c + 9);
	out->counters.runs_after_block = sql_int(rows, c + 10);
	return out->kind && out->rule && out->package ? 0 : ERR_NOMEM;
}

static int reasons_get(struct db_conn *conn, int64_t machine, const struct uuid *environment,
		       struct arena *arena, struct db_decision *out, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " REASON_COLUMNS " FROM evidence v WHERE v.machine_id = $1"
			  " AND v.environment = $2 AND v.lifted_ms = 0"
			  " ORDER BY v.monitored, v.action DESC, v.kind DESC, v.rule",
			  ARG_INT(machine), ARG_UUID(environment));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(*out->reasons));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_reason *reason = sql_list_add(&list);

		if (!reason || reason_read(rows, 0, arena, reason) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	out->reasons = (const struct db_reason *)list.items;
	out->n_reasons = list.n;
	return 0;
}

int db_decision_get(struct db_conn *conn, const struct uuid *machine,
		    const struct uuid *environment, struct arena *arena, struct db_decision *out,
		    struct err *err)
{
	struct db_decision d = {.machine = *machine, .environment = *environment};
	struct sql_rows *rows = NULL;
	int64_t row = 0;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT machine_id, action, case_code, policy_version, status_version,"
			  " decided_ms, received_ms, checks, warnings, refusals, runs_after_block,"
			  " deferred_until_ms, unlocked_serial FROM decision"
			  " WHERE machine_id = (SELECT id FROM machine WHERE uuid = $1)"
			  " AND environment = $2",
			  ARG_UUID(machine), ARG_UUID(environment));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0) {
		row = sql_int(rows, 0);
		d.action = (enum action)sql_int(rows, 1);
		d.case_code = sql_text(rows, 2, arena);
		d.policy_version = (uint64_t)sql_int(rows, 3);
		d.status_version = (uint64_t)sql_int(rows, 4);
		d.decided_ms = sql_int(rows, 5);
		d.received_ms = sql_int(rows, 6);
		d.counters = (struct db_counters){sql_int(rows, 7), sql_int(rows, 8),
						  sql_int(rows, 9), sql_int(rows, 10)};
		d.deferred_until_ms = sql_int(rows, 11);
		d.unlocked_serial = (uint32_t)sql_int(rows, 12);
		rc = d.case_code ? 0 : err_nomem(err);
	} else if (rc == 0) {
		rc = err_set(err, ERR_NOTFOUND, "no decision was reported");
	}
	sql_close(rows);
	if (rc == 0)
		rc = reasons_get(conn, row, environment, arena, &d, err);
	if (rc == 0)
		*out = d;
	return rc;
}

/* --- evidence --- */

int db_evidence_rules(struct db_conn *conn, struct arena *arena, struct db_rule_evidence **out,
		      size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = sql_open(
		conn, &rows, err,
		"SELECT v.kind, v.rule, v.monitored,"
		" count(CASE v.lifted_ms WHEN 0 THEN 1 END),"
		" count(CASE WHEN v.lifted_ms = 0 AND v.action = 2 THEN 1 END),"
		" count(DISTINCT CASE v.lifted_ms WHEN 0 THEN e.user END),"
		" count(CASE WHEN v.lifted_ms <> 0 THEN 1 END),"
		" sum(v.warnings), sum(v.refusals), sum(v.runs_after_block), min(v.since_ms)"
		" FROM evidence v LEFT JOIN env e"
		" ON e.uuid = v.environment AND e.machine_id = v.machine_id"
		" GROUP BY v.kind, v.rule, v.monitored ORDER BY v.kind, v.rule, v.monitored",
		NULL, 0);

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_rule_evidence *r = sql_list_add(&list);

		if (r) {
			r->kind = sql_text(rows, 0, arena);
			r->rule = sql_text(rows, 1, arena);
			r->monitored = sql_bool(rows, 2);
			r->environments = sql_int(rows, 3);
			r->blocked = sql_int(rows, 4);
			r->users = sql_int(rows, 5);
			r->lifted = sql_int(rows, 6);
			r->counters.warnings = sql_int(rows, 7);
			r->counters.refusals = sql_int(rows, 8);
			r->counters.runs_after_block = sql_int(rows, 9);
			r->first_ms = sql_int(rows, 10);
		}
		if (!r || !r->kind || !r->rule) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_rule_evidence *)list.items;
	*n = list.n;
	return 0;
}

static int env_evidence_read(struct sql_rows *rows, struct arena *arena,
			     struct db_env_evidence *out)
{
	sql_uuid(rows, 0, &out->machine);
	sql_uuid(rows, 1, &out->environment);
	out->hostname = sql_text(rows, 2, arena);
	out->prefix = sql_text(rows, 3, arena);
	out->user = sql_text(rows, 4, arena);
	return out->hostname && out->prefix && out->user ? reason_read(rows, 5, arena, &out->reason)
							 : ERR_NOMEM;
}

int db_evidence_environments(struct db_conn *conn, const char *kind, const char *rule,
			     const struct db_cursor *after, size_t limit, struct arena *arena,
			     struct db_env_evidence **out, size_t *n, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT m.uuid, v.environment, m.hostname, e.path, e.user,"
			  " " REASON_COLUMNS " FROM evidence v JOIN machine m"
			  " ON m.id = v.machine_id LEFT JOIN env e ON e.uuid = v.environment"
			  " AND e.machine_id = v.machine_id WHERE v.kind = $1 AND v.rule = $2"
			  " ORDER BY v.machine_id, v.environment, v.monitored LIMIT $3 OFFSET $4",
			  ARG_TEXT(kind), ARG_TEXT(rule), ARG_INT(sql_limit(limit)),
			  ARG_INT(after && after->set ? after->num : 0));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(**out));
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_env_evidence *e = sql_list_add(&list);

		if (!e || env_evidence_read(rows, arena, e) < 0) {
			rc = err_nomem(err);
			break;
		}
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = (struct db_env_evidence *)list.items;
	*n = list.n;
	return 0;
}
