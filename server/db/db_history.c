#include "server/db/db_journal.h"
#include "server/db/db_package_read.h"
#include "server/db/sql.h"

#define COLUMNS                                                                                    \
	"c.id, m.uuid, m.hostname, j.epoch, c.seq, c.time_ms, c.received_ms, c.kind, e.uuid, "     \
	"c.prefix, c.from_prefix, c.cloned_from, c.actor, c.actor_uid, c.actor_how, c.owner, "     \
	"c.owner_uid, c.owner_how, c.platform, c.tool, c.command, c.detail, c.self_reported, "     \
	"c.seen_at_start, c.digest, c.hash, c.first_seq, c.folded"
#define FROM                                                                                       \
	" FROM change c JOIN journal j ON j.id = c.journal_id"                                     \
	" JOIN machine m ON m.id = c.machine_id LEFT JOIN env e ON e.id = c.env_id"

static int change_read(struct sql_rows *rows, struct arena *arena, struct db_change *out)
{
	struct change *c = &out->change;

	out->id = sql_int(rows, 0);
	sql_uuid(rows, 1, &out->machine);
	out->hostname = sql_text(rows, 2, arena);
	sql_uuid(rows, 3, &c->epoch);
	c->seq = (uint64_t)sql_int(rows, 4);
	c->time_ms = sql_int(rows, 5);
	out->received_ms = sql_int(rows, 6);
	c->kind = (enum change_kind)sql_int(rows, 7);
	sql_uuid(rows, 8, &c->environment);
	c->prefix = sql_text(rows, 9, arena);
	c->from_prefix = sql_text(rows, 10, arena);
	sql_uuid(rows, 11, &c->cloned_from);
	c->actor.name = sql_text(rows, 12, arena);
	c->actor.uid = sql_int(rows, 13);
	c->actor.how = sql_text(rows, 14, arena);
	c->owner.name = sql_text(rows, 15, arena);
	c->owner.uid = sql_int(rows, 16);
	c->owner.how = sql_text(rows, 17, arena);
	c->platform = sql_text(rows, 18, arena);
	c->tool = sql_text(rows, 19, arena);
	c->command = sql_text(rows, 20, arena);
	c->detail = sql_text(rows, 21, arena);
	c->self_reported = sql_bool(rows, 22);
	c->seen_at_start = sql_bool(rows, 23);
	c->has_digest = sql_fixed(rows, 24, c->digest, SHA256_SIZE);
	(void)sql_fixed(rows, 25, out->hash, SHA256_SIZE);
	c->first_seq = (uint64_t)sql_int(rows, 26);
	c->folded = (uint64_t)sql_int(rows, 27);
	return out->hostname && c->prefix && c->from_prefix && c->actor.name && c->actor.how &&
			       c->owner.name && c->owner.how && c->platform && c->tool &&
			       c->command && c->detail
		       ? 0
		       : ERR_NOMEM;
}

static int packages_read(struct db_conn *conn, int64_t change, bool added, struct arena *arena,
			 struct package_list *out, struct err *err)
{
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " PACKAGE_COLUMNS ", cp.requested" PACKAGE_FROM
			  " JOIN change_pkg cp ON cp.pkg_id = p.id"
			  " WHERE cp.change_id = $1 AND cp.added = $2",
			  ARG_INT(change), ARG_INT(added));

	if (rc < 0)
		return rc;
	sql_list_init(&list, arena, sizeof(*out->items));
	while ((rc = sql_next(rows, err)) > 0) {
		struct package *package = sql_list_add(&list);

		if (!package || package_read(rows, 0, arena, package) < 0) {
			rc = err_nomem(err);
			break;
		}
		package->requested = sql_bool(rows, PACKAGE_COLUMNS_N);
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	out->items = (struct package *)list.items;
	out->n = list.n;
	package_list_sort(out);
	return 0;
}

static void filter_where(struct sql_query *q, const struct db_history_filter *f)
{
	if (f->environment)
		SQL_WHERE(q, "c.env_id IN (SELECT id FROM env WHERE uuid = ?)",
			  ARG_UUID(f->environment));
	if (f->machine)
		SQL_WHERE(q, "c.machine_id = (SELECT id FROM machine WHERE uuid = ?)",
			  ARG_UUID(f->machine));
	if (f->since_ms)
		SQL_WHERE(q, "c.time_ms >= ?", ARG_INT(f->since_ms));
	if (f->until_ms)
		SQL_WHERE(q, "c.time_ms < ?", ARG_INT(f->until_ms));
}

int db_history(struct db_conn *conn, const struct db_history_filter *filter,
	       const struct db_cursor *after, size_t limit, struct arena *arena,
	       struct db_change **out, size_t *n, struct err *err)
{
	struct sql_query q;
	struct sql_rows *rows = NULL;
	struct sql_list list;
	struct db_change *changes;
	int rc;

	sql_query_init(&q, "SELECT " COLUMNS FROM);
	filter_where(&q, filter);
	if (after && after->set)
		SQL_WHERE(&q, "c.id < ?", ARG_INT(after->id));
	SQL_END(&q, " ORDER BY c.id DESC LIMIT ?", ARG_INT(sql_limit(limit)));
	sql_list_init(&list, arena, sizeof(**out));
	rc = sql_query_open(conn, &q, &rows, err);
	while (rc >= 0 && (rc = sql_next(rows, err)) > 0) {
		struct db_change *change = sql_list_add(&list);

		if (!change || change_read(rows, arena, change) < 0)
			rc = err_nomem(err);
	}
	sql_close(rows);
	sql_query_deinit(&q);
	changes = (struct db_change *)list.items;
	for (size_t i = 0; i < list.n && rc == 0; i++) {
		rc = packages_read(conn, changes[i].id, true, arena, &changes[i].change.added, err);
		if (rc == 0)
			rc = packages_read(conn, changes[i].id, false, arena,
					   &changes[i].change.removed, err);
	}
	if (rc < 0)
		return rc;
	*out = changes;
	*n = list.n;
	return 0;
}
