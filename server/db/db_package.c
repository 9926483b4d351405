#include "server/db/db_package.h"

#include "server/db/db_package_read.h"
#include "server/db/sql.h"

int package_read(struct sql_rows *rows, int c, struct arena *arena, struct package *out)
{
	*out = (struct package){
		.manager = sql_text(rows, c, arena),
		.name = sql_text(rows, c + 1, arena),
		.version = sql_text(rows, c + 2, arena),
		.build = sql_text(rows, c + 3, arena),
		.build_number = sql_int(rows, c + 4),
		.channel = sql_text(rows, c + 5, arena),
		.subdir = sql_text(rows, c + 6, arena),
		.license = sql_text(rows, c + 7, arena),
		.url = sql_text(rows, c + 8, arena),
		.size = (uint64_t)sql_int(rows, c + 9),
	};
	out->built_ms = sql_int(rows, c + 12);
	out->has_sha256 = sql_fixed(rows, c + 10, out->sha256, SHA256_SIZE);
	out->has_md5 = sql_fixed(rows, c + 11, out->md5, sizeof(out->md5));
	return out->manager && out->name && out->version && out->build && out->channel &&
			       out->subdir && out->license && out->url
		       ? 0
		       : ERR_NOMEM;
}

int package_row_read(struct sql_rows *rows, struct arena *arena, struct db_package *out)
{
	out->id = sql_int(rows, PACKAGE_COLUMNS_N);
	(void)sql_fixed(rows, PACKAGE_COLUMNS_N + 1, out->key, PACKAGE_KEY_SIZE);
	out->env_count = sql_int(rows, PACKAGE_COLUMNS_N + 2);
	out->first_seen_ms = sql_int(rows, PACKAGE_COLUMNS_N + 3);
	return package_read(rows, 0, arena, &out->package);
}

static int package_check(const struct package *p, struct err *err)
{
	const struct {
		const char *what;
		const char *text;
		size_t max;
	} fields[] = {
		{"package manager", p->manager, PACKAGE_MANAGER_MAX},
		{"package name", p->name, PACKAGE_NAME_MAX},
		{"package version", p->version, PACKAGE_VERSION_MAX},
		{"package build", p->build, PACKAGE_BUILD_MAX},
		{"package channel", p->channel, PACKAGE_CHANNEL_MAX},
		{"package subdir", p->subdir, PACKAGE_SUBDIR_MAX},
		{"package license", p->license, PACKAGE_LICENSE_MAX},
		{"package url", p->url, PACKAGE_URL_MAX},
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fields) && rc == 0; i++)
		rc = sql_check_text(fields[i].what, fields[i].text, fields[i].max, err);
	if (rc == 0 && p->size > (uint64_t)INT64_MAX)
		rc = err_set(err, ERR_LIMIT, "package size: out of range");
	return rc;
}

/* The id of a text in one of the dictionaries, made when new. */
static int intern(struct db_conn *conn, const char *select, const char *insert, const char *text,
		  int64_t *id, struct err *err)
{
	bool found;
	int rc = SQL_GET_INT(conn, id, &found, err, select, ARG_TEXT(text));

	if (rc == 0 && !found)
		rc = SQL_GET_INT(conn, id, &found, err, insert, ARG_TEXT(text));
	return rc;
}

static int package_insert(struct db_conn *conn, const struct package *p,
			  const unsigned char key[PACKAGE_KEY_SIZE], int64_t now_ms, int64_t *id,
			  struct err *err)
{
	int64_t name = 0, channel = 0;
	bool found;
	int rc = package_check(p, err);

	if (rc == 0)
		rc = intern(conn, "SELECT id FROM package_name WHERE name = $1",
			    "INSERT INTO package_name (name) VALUES ($1) RETURNING id", p->name,
			    &name, err);
	if (rc == 0)
		rc = intern(conn, "SELECT id FROM channel WHERE url = $1",
			    "INSERT INTO channel (url) VALUES ($1) RETURNING id", p->channel,
			    &channel, err);
	if (rc < 0)
		return rc;
	return SQL_GET_INT(
		conn, id, &found, err,
		"INSERT INTO package (def_key, manager, name_id, version, build,"
		" build_number, channel_id, subdir, license, url, size, sha256, md5,"
		" env_count, first_seen_ms, built_ms)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, $14, $15)"
		" RETURNING id",
		ARG_BLOB(key, PACKAGE_KEY_SIZE), ARG_TEXT(p->manager), ARG_INT(name),
		ARG_TEXT(p->version), ARG_TEXT(p->build), ARG_INT(p->build_number),
		ARG_INT(channel), ARG_TEXT(p->subdir), ARG_TEXT(p->license), ARG_TEXT(p->url),
		ARG_INT(p->size), p->has_sha256 ? ARG_BLOB(p->sha256, SHA256_SIZE) : ARG_NULL,
		p->has_md5 ? ARG_BLOB(p->md5, sizeof(p->md5)) : ARG_NULL, ARG_INT(now_ms),
		ARG_INT(p->built_ms));
}

static int find_id(struct db_conn *conn, const unsigned char *key, int64_t *id, bool *found,
		   struct err *err)
{
	return SQL_GET_INT(conn, id, found, err, "SELECT id FROM package WHERE def_key = $1",
			   ARG_BLOB(key, PACKAGE_KEY_SIZE));
}

int db_package_put(struct db_conn *conn, const struct package *package, int64_t now_ms, int64_t *id,
		   bool *created, struct err *err)
{
	unsigned char key[PACKAGE_KEY_SIZE];
	bool found = false;
	int rc;

	package_def_key(package, key);
	rc = find_id(conn, key, id, &found, err);
	if (rc == 0 && !found)
		rc = package_insert(conn, package, key, now_ms, id, err);
	if (rc == 0 && created)
		*created = !found;
	return rc;
}

int db_package_get(struct db_conn *conn, const unsigned char key[PACKAGE_KEY_SIZE],
		   struct arena *arena, struct db_package *out, struct err *err)
{
	struct db_package package = {.id = 0};
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT " PACKAGE_ROW_COLUMNS PACKAGE_FROM " WHERE p.def_key = $1",
			  ARG_BLOB(key, PACKAGE_KEY_SIZE));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0)
		rc = package_row_read(rows, arena, &package) < 0 ? err_nomem(err) : 0;
	else if (rc == 0)
		rc = err_set(err, ERR_NOTFOUND, "no such package");
	sql_close(rows);
	if (rc == 0)
		*out = package;
	return rc;
}

int db_package_missing(struct db_conn *conn, const unsigned char *keys, size_t n,
		       unsigned char *missing, size_t *n_missing, struct err *err)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		const unsigned char *key = keys + i * PACKAGE_KEY_SIZE;
		int64_t id;
		bool found;
		int rc = find_id(conn, key, &id, &found, err);

		if (rc < 0)
			return rc;
		if (!found)
			memcpy(missing + PACKAGE_KEY_SIZE * out++, key, PACKAGE_KEY_SIZE);
	}
	*n_missing = out;
	return 0;
}

const struct package *db_dictionary_find(void *dictionary,
					 const unsigned char key[PACKAGE_KEY_SIZE])
{
	struct db_dictionary *d = dictionary;
	struct db_package *package = arena_calloc(d->arena, 1, sizeof(*package));
	int rc = package ? db_package_get(d->conn, key, d->arena, package, NULL) : ERR_NOMEM;

	if (rc < 0 && rc != ERR_NOTFOUND && d->rc == 0)
		d->rc = rc;
	return rc < 0 ? NULL : &package->package;
}

int db_package_list(struct db_conn *conn, const struct db_package_filter *filter,
		    const struct db_cursor *after, size_t limit, struct arena *arena,
		    struct db_package **out, size_t *n, struct err *err)
{
	struct sql_query q;
	struct sql_rows *rows = NULL;
	struct sql_list list;
	int rc;

	sql_query_init(&q, "SELECT " PACKAGE_ROW_COLUMNS PACKAGE_FROM);
	if (sql_given(filter->text))
		SQL_WHERE(&q, "lower(pn.name) LIKE ? ESCAPE '\\'",
			  sql_like(&q, "%", filter->text, "%"));
	if (sql_given(filter->name))
		SQL_WHERE(&q, "pn.name = ?", ARG_TEXT(filter->name));
	if (sql_given(filter->manager))
		SQL_WHERE(&q, "p.manager = ?", ARG_TEXT(filter->manager));
	if (after && after->set)
		SQL_WHERE(&q, "(pn.name, p.id) > (?, ?)", ARG_TEXT(after->text),
			  ARG_INT(after->id));
	SQL_END(&q, " ORDER BY pn.name, p.id LIMIT ?", ARG_INT(sql_limit(limit)));
	sql_list_init(&list, arena, sizeof(**out));
	rc = sql_query_open(conn, &q, &rows, err);
	if (rc < 0)
		goto out;
	while ((rc = sql_next(rows, err)) > 0) {
		struct db_package *package = sql_list_add(&list);

		if (!package || package_row_read(rows, arena, package) < 0) {
			rc = err_nomem(err);
			goto out;
		}
	}
	if (rc == 0) {
		*out = (struct db_package *)list.items;
		*n = list.n;
	}
out:
	sql_close(rows);
	sql_query_deinit(&q);
	return rc;
}
