/*
 * restore: a backup of the database becomes the one that is served. What agents hold is newer than
 * it, so it has to be told that it is a backup: db_restore.h. Everything is done to a copy, which
 * takes the old one's place when it is whole (exchange.h); the old one is kept beside it. Cut short
 * anywhere, it can be run again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/paths.h"
#include "proto/signed.h"
#include "server/command.h"
#include "server/db/db_bundle.h"
#include "server/db/db_org.h"
#include "server/db/db_policy.h"
#include "server/db/db_restore.h"
#include "server/exchange.h"
#include "server/options.h"
#include "server/pki/ca.h"
#include "server/pki/role_key.h"
#include "server/state_dir.h"

#define COPY STATE_DATABASE ".restoring"
#define MEMORY (1U << 20)

struct restoring {
	const char *dir;
	const char *from; /* NULL: the database in the folder is the backup */
	struct arena arena;
	struct files_lock *lock;
	char place[PATHS_MAX]; /* of the database */
	char copy[PATHS_MAX];
	int64_t now_ms;
	struct db_restored done;
	uint64_t root;	     /* its version */
	uint64_t policy;     /* 0 = there is none */
	bool policy_key;     /* is here */
	bool keys_are_older; /* the root does not list those of this folder */
};

/* --- the backup --- */

static bool same_file(const char *path, const uv_stat_t *as)
{
	uv_fs_t req;
	bool same = uv_fs_stat(NULL, &req, path, NULL) == 0 && req.statbuf.st_dev == as->st_dev &&
		    req.statbuf.st_ino == as->st_ino;

	uv_fs_req_cleanup(&req);
	return same;
}

/* What is read from is neither written to nor removed, by whatever name it is given. */
static int backup_check(const struct restoring *r, struct err *err)
{
	uv_fs_t req;
	int rc = uv_fs_stat(NULL, &req, r->from, NULL);
	uv_stat_t stat = req.statbuf;

	uv_fs_req_cleanup(&req);
	if (rc < 0)
		return err_set(err, rc == UV_ENOENT ? ERR_NOTFOUND : ERR_IO, "copy %s: %s", r->from,
			       uv_strerror(rc));
	if ((stat.st_mode & S_IFMT) != S_IFREG)
		return err_set(err, ERR_INVALID, "%s: not a regular file", r->from);
	if (same_file(r->place, &stat))
		return err_set(err, ERR_INVALID,
			       "%s is this folder's database itself; if the folder is the backup, "
			       "leave out --from",
			       r->from);
	if (same_file(r->copy, &stat))
		return err_set(err, ERR_INVALID,
			       "%s is what a restore left that was cut short; give the backup, or "
			       "move this elsewhere first",
			       r->from);
	return 0;
}

/* --- marking --- */

static bool key_listed(const struct restoring *r, const struct root_info *root, const char *role)
{
	const struct role_keys *keys = root_role(root, role);
	unsigned char id[SHA256_SIZE];
	struct crypto_key *key = NULL;
	bool listed = false;

	if (keys && role_key_read(r->dir, role, &key, NULL) == 0 &&
	    crypto_key_id(key, id, NULL) == 0)
		for (size_t i = 0; i < keys->n_keys; i++)
			listed |= memcmp(keys->keys[i].id, id, SHA256_SIZE) == 0;
	crypto_key_free(key);
	return listed;
}

static int look(struct restoring *r, struct db_conn *conn, struct err *err)
{
	struct db_bundle bundle = {.version = 0};
	struct root_info root = {.version = 0};
	int rc = db_bundle_get(conn, ROLE_ROOT, NULL, 0, &r->arena, &bundle, err);

	if (rc == 0)
		rc = root_first(bundle.data, bundle.n, &root, err);
	if (rc < 0)
		return rc;
	r->root = root.version;
	r->keys_are_older =
		!key_listed(r, &root, ROLE_STATUS) || !key_listed(r, &root, ROLE_TIMESTAMP);
	r->policy_key = key_listed(r, &root, ROLE_POLICY);
	rc = db_bundle_head(conn, ROLE_POLICY, NULL, &bundle, NULL);
	r->policy = rc == 0 ? bundle.version : 0;
	return rc == ERR_NOTFOUND ? 0 : rc;
}

/* Whose it is: the certificate of the folder's authority tells the organisation's id. */
static int owner_check(struct restoring *r, struct db_conn *conn, struct err *err)
{
	struct ca *ca = NULL;
	struct db_org org;
	int rc = db_org_get(conn, &r->arena, &org, err);

	if (rc == ERR_NOTFOUND)
		return err_set(err, ERR_INVALID, "this is no envwarden server's database");
	if (rc == 0)
		rc = ca_load(r->dir, &ca, err);
	if (rc == 0 && !ca_is_of(ca, &org.id))
		rc = err_set(err, ERR_INVALID,
			     "this is the database of another organisation's server");
	ca_free(ca);
	return rc;
}

static int mark(struct restoring *r, const char *path, struct err *err)
{
	struct db_conn *conn = NULL;
	struct db *db = NULL;
	int rc = db_open(path, &db, err);

	if (rc == 0)
		rc = db_conn_open(db, true, &conn, err);
	if (rc == 0)
		rc = db_check(conn, err);
	if (rc == 0)
		rc = owner_check(r, conn, err);
	if (rc == 0)
		rc = look(r, conn, err);
	if (rc == 0)
		rc = db_begin(conn, err);
	if (rc == 0)
		rc = db_restore(conn, r->now_ms, &r->done, err);
	if (rc == 0)
		rc = db_commit(conn, err);
	else if (conn)
		db_rollback(conn);
	db_conn_close(conn);
	db_close(db);
	return rc;
}

/* --- the whole --- */

static int restore_copy(struct restoring *r, struct err *err)
{
	int rc = backup_check(r, err);

	if (rc < 0)
		return rc;
	rc = exchange_remove(r->copy, err); /* of a try that was cut short */
	if (rc == 0)
		rc = exchange_copy(r->from, r->copy, err);
	if (rc == 0)
		rc = mark(r, r->copy, err);
	if (rc == 0)
		rc = exchange_take(r->copy, r->place, r->now_ms / 1000, err);
	if (rc < 0)
		(void)exchange_remove(r->copy, NULL);
	return rc;
}

static int restore(struct restoring *r, struct err *err)
{
	struct server_config config;
	char lock[PATHS_MAX];
	int rc = state_open(r->dir, &r->arena, &config, err);

	if (rc == 0)
		rc = paths_join(lock, r->dir, STATE_LOCK, err);
	if (rc == 0)
		rc = paths_join(r->place, r->dir, STATE_DATABASE, err);
	if (rc == 0)
		rc = paths_join(r->copy, r->dir, COPY, err);
	if (rc < 0)
		return rc;
	rc = files_lock_take(lock, &r->lock, err);
	if (rc == ERR_BUSY)
		return err_context(err, "stop the server first");
	if (rc == 0 && r->from)
		return restore_copy(r, err);
	if (rc == 0)
		rc = state_database(r->dir, r->place, err);
	return rc < 0 ? rc : mark(r, r->place, err);
}

static void report(const struct restoring *r)
{
	char from[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];

	clock_format(r->done.unknown_from_ms, from);
	clock_format(r->now_ms, until);
	printf("restored: the server's epoch is %" PRId64 "\n"
	       "not known here: what administrators did from %s to %s\n"
	       "%" PRId64
	       " machines are taken back when they connect; their journals are told again\n"
	       "voided: %" PRId64 " join codes, %" PRId64 " API tokens, all unlock codes\n",
	       r->done.epoch, from, until, r->done.machines, r->done.join_codes, r->done.tokens);
	if (r->keys_are_older)
		printf("root %" PRIu64 " does not list this folder's keys: publish the roots made "
		       "since, before serving\n",
		       r->root);
	if (!r->policy_key)
		printf("the policy key is not here: if agents hold a newer policy than %" PRIu64
		       ", the audit log says what it must be re-signed as\n",
		       r->policy);
}

int cmd_restore(int argc, char **argv, struct err *err)
{
	const struct clock *clock = clock_system();
	struct restoring r = {.now_ms = clock->wall_ms(clock)};
	const struct option options[] = {
		{"--state-dir", .text = &r.dir, .required = true},
		{"--from", .text = &r.from},
	};
	int rc = options_parse(options, ARRAY_SIZE(options), argc, argv, err);

	if (rc < 0)
		return rc;
	arena_init(&r.arena, DB_BUNDLE_MAX + MEMORY);
	rc = restore(&r, err);
	if (rc == 0)
		report(&r);
	files_lock_free(r.lock);
	arena_deinit(&r.arena);
	return rc;
}
