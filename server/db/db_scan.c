#include "server/db/db_scan.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "server/db/db_apply.h"
#include "server/db/db_exception.h"
#include "server/db/db_package_read.h"
#include "server/db/sql.h"

#define PACKAGES_MEMORY (64U << 20)
#define BUCKETS 65536

/* Packages by their row; when their memory is used up, all are forgotten. */
struct known {
	int64_t id;
	struct package package;
	struct known *next;
};

struct db_scan {
	int64_t after; /* the last environment's row */
	struct arena arena;
	struct known *buckets[BUCKETS];
};

int db_scan_new(struct db_scan **out, struct err *err)
{
	struct db_scan *scan = mem_calloc(1, sizeof(*scan));

	if (!scan)
		return err_nomem(err);
	arena_init(&scan->arena, PACKAGES_MEMORY);
	*out = scan;
	return 0;
}

void db_scan_free(struct db_scan *scan)
{
	if (!scan)
		return;
	arena_deinit(&scan->arena);
	mem_free(scan);
}

static void forget(struct db_scan *scan)
{
	arena_deinit(&scan->arena);
	arena_init(&scan->arena, PACKAGES_MEMORY);
	memset(scan->buckets, 0, sizeof(scan->buckets));
}

static int package_get(struct db_conn *conn, struct db_scan *scan, int64_t id,
		       const struct package **out, struct err *err)
{
	struct known **bucket = &scan->buckets[(uint64_t)id % BUCKETS];
	struct known *k = *bucket;
	struct sql_rows *rows = NULL;
	int rc;

	while (k && k->id != id)
		k = k->next;
	if (k) {
		*out = &k->package;
		return 0;
	}
	rc = SQL_OPEN(conn, &rows, err, "SELECT " PACKAGE_COLUMNS PACKAGE_FROM " WHERE p.id = $1",
		      ARG_INT(id));
	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	k = arena_calloc(&scan->arena, 1, sizeof(*k));
	if (rc > 0)
		rc = k && package_read(rows, 0, &scan->arena, &k->package) == 0 ? 0
										: err_nomem(err);
	else if (rc == 0)
		rc = err_set(err, ERR_CORRUPT, "store: a package is missing");
	sql_close(rows);
	if (rc < 0)
		return rc;
	k->id = id;
	k->next = *bucket;
	*bucket = k;
	*out = &k->package;
	return 0;
}

/* --- one environment --- */

#define COLUMNS                                                                                    \
	"e.id, e.uuid, m.uuid, m.hostname, m.labels, e.path, e.name, e.user, e.platform, e.tool, " \
	"e.made_ms, e.package_count, s.action, s.message, s.until_ms, s.until_fixed, "             \
	"s.fixed_specs, e.last_used_ms, d.action, d.deferred_until_ms, d.case_code"

static int env_take(struct sql_rows *rows, struct arena *arena, int64_t now_ms,
		    struct db_scan_env *out)
{
	struct policy_facts *f = &out->facts;
	struct status_entry *s = &out->status;
	const char *labels = sql_text(rows, 4, arena);
	const char *specs = sql_text(rows, 16, arena);
	enum action decided = (enum action)sql_int(rows, 18);
	struct db_labels split;

	sql_uuid(rows, 1, &f->environment);
	sql_uuid(rows, 2, &out->machine);
	out->hostname = sql_text(rows, 3, arena);
	f->path = sql_text(rows, 5, arena);
	f->name = sql_text(rows, 6, arena);
	f->user = sql_text(rows, 7, arena);
	f->platform = sql_text(rows, 8, arena);
	f->tool = sql_text(rows, 9, arena);
	f->created_ms = sql_int(rows, 10);
	f->last_used_ms = sql_int(rows, 17);
	s->environment = f->environment;
	s->action = (enum action)sql_int(rows, 12);
	s->message = sql_text(rows, 13, arena);
	s->until_ms = sql_int(rows, 14);
	s->until_fixed = sql_bool(rows, 15);
	out->has_status = s->action != ACTION_ALLOW && (s->until_ms == 0 || s->until_ms > now_ms);
	out->deferred_case = sql_text(rows, 20, arena);
	/* Where it is blocked although there is one, that is for reasons it does not have now. */
	if (decided == ACTION_WARN && sql_int(rows, 19) > now_ms)
		out->deferred_until_ms = sql_int(rows, 19);
	if (!labels || !specs || !out->deferred_case || !out->hostname || !f->path || !f->name ||
	    !f->user || !f->platform || !f->tool || !s->message ||
	    sql_labels_split(labels, arena, &split) < 0 ||
	    status_specs_split(specs, arena, &s->fixed_specs, &s->n_fixed_specs) < 0)
		return ERR_NOMEM;
	f->labels = (struct texts_list){split.items, split.n};
	return 0;
}

static int cmp_packages(const void *a, const void *b)
{
	const struct policy_package *p = a;
	const struct policy_package *q = b;

	return package_cmp(p->package, q->package);
}

static int packages_get(struct db_conn *conn, struct db_scan *scan, int64_t row, size_t count,
			struct arena *arena, struct policy_facts *f, struct err *err)
{
	size_t cap = count < POLICY_PACKAGES_MAX ? count : POLICY_PACKAGES_MAX;
	struct policy_package *list = arena_calloc(arena, cap + 1, sizeof(*list));
	struct sql_rows *rows = NULL;
	size_t n = 0;
	int rc = list ? SQL_OPEN(conn, &rows, err, "SELECT pkg_id FROM env_pkg WHERE env_id = $1",
				 ARG_INT(row))
		      : err_nomem(err);

	while (rc >= 0 && n < cap && (rc = sql_next(rows, err)) > 0)
		rc = package_get(conn, scan, sql_int(rows, 0), &list[n++].package, err);
	sql_close(rows);
	if (rc < 0)
		return rc;
	if (n > 1)
		qsort(list, n, sizeof(*list), cmp_packages);
	f->packages = list;
	f->n_packages = n;
	return 0;
}

static int exceptions_get(struct db_conn *conn, struct db_scan_env *env, int64_t now_ms,
			  struct arena *arena, struct err *err)
{
	struct exception *list = NULL;
	int rc = db_exception_of_machine(conn, &env->machine, now_ms, arena, &list, &env->n_granted,
					 err);

	env->granted = list;
	return rc;
}

int db_scan_next(struct db_conn *conn, struct db_scan *scan, int64_t now_ms, size_t limit,
		 struct arena *arena, struct db_scan_env **out, size_t *n, struct err *err)
{
	struct db_scan_env *list = arena_calloc(arena, limit + 1, sizeof(*list));
	struct sql_rows *rows = NULL;
	int64_t excepted = 0;
	size_t got = 0;
	bool found;
	int rc = list ? 0 : err_nomem(err);

	if (scan->arena.used > PACKAGES_MEMORY / 2)
		forget(scan);
	if (rc == 0)
		rc = SQL_GET_INT(conn, &excepted, &found, err,
				 "SELECT count(*) FROM exception WHERE revoked_ms = 0"
				 " AND expires_ms > $1",
				 ARG_INT(now_ms));
	if (rc == 0)
		rc = SQL_OPEN(conn, &rows, err,
			      "SELECT " COLUMNS " FROM env e JOIN machine m ON m.id = e.machine_id"
			      " LEFT JOIN env_status s ON s.env_id = e.id"
			      " LEFT JOIN decision d ON d.machine_id = e.machine_id"
			      " AND d.environment = e.uuid"
			      " WHERE e.deleted = 0 AND e.id > $1 ORDER BY e.id LIMIT $2",
			      ARG_INT(scan->after), ARG_INT(sql_limit(limit)));
	while (rc >= 0 && got < limit && (rc = sql_next(rows, err)) > 0) {
		struct db_scan_env *env = &list[got++];
		int64_t row = sql_int(rows, 0), count = sql_int(rows, 11);

		rc = env_take(rows, arena, now_ms, env) < 0 ? err_nomem(err) : 0;
		if (rc == 0)
			rc = packages_get(conn, scan, row, (size_t)count, arena, &env->facts, err);
		if (rc == 0 && excepted > 0)
			rc = exceptions_get(conn, env, now_ms, arena, err);
		if (rc == 0)
			scan->after = row;
	}
	sql_close(rows);
	if (rc < 0)
		return rc;
	*out = list;
	*n = got;
	return 0;
}
