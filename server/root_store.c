#include "server/root_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "platform/clock.h"
#include "server/db/db_admin.h"
#include "server/db/db_bundle.h"
#include "server/db/db_org.h"
#include "server/pki/role_key.h"
#include "server/state_dir.h"

#define MEMORY (DB_BUNDLE_MAX + (1U << 20))

/* --- opening --- */

static int newest_root(struct root_store *store, struct db_bundle *out, struct err *err)
{
	int rc = db_bundle_get(store->conn, ROLE_ROOT, NULL, 0, &store->arena, out, err);

	return rc < 0 ? rc : root_first(out->data, out->n, &store->root, err);
}

static int lock_take(struct root_store *store, struct err *err)
{
	char path[PATHS_MAX];
	int rc = paths_join(path, store->dir, STATE_LOCK, err);

	if (rc == 0)
		rc = files_lock_take(path, &store->lock, err);
	if (rc == ERR_BUSY && err)
		(void)err_context(err, "stop the server first, it has the keys in memory");
	return rc;
}

int root_store_open(struct root_store *store, const char *dir, bool change, struct err *err)
{
	struct server_config config;
	struct db_bundle root;
	char path[PATHS_MAX];
	int rc;

	*store = (struct root_store){.dir = dir};
	arena_init(&store->arena, MEMORY);
	rc = state_open(dir, &store->arena, &config, err);
	if (rc == 0 && change)
		rc = lock_take(store, err);
	if (rc == 0)
		rc = state_database(dir, path, err);
	if (rc == 0)
		rc = db_open(path, &store->db, err);
	if (rc == 0)
		rc = db_conn_open(store->db, change, &store->conn, err);
	return rc == 0 ? newest_root(store, &root, err) : rc;
}

void root_store_close(struct root_store *store)
{
	db_conn_close(store->conn);
	db_close(store->db);
	files_lock_free(store->lock);
	arena_deinit(&store->arena);
}

/* --- publishing --- */

struct publishing {
	struct root_store *store;
	const struct root_key_file *files;
	size_t n_files;
	struct buf bytes;
	struct root_info next;
	bool again; /* it is the newest one already */
	int64_t now_ms;
};

/* Whether the role's key here, or the one that comes along, is one of the root's. */
static int key_check(const struct publishing *p, const char *role, struct err *err)
{
	const struct role_keys *keys = root_role(&p->next, role);
	struct crypto_key *key = NULL;
	unsigned char id[SHA256_SIZE];
	bool listed = false;
	int rc = ERR_NOTFOUND;

	for (size_t i = 0; i < p->n_files && rc == ERR_NOTFOUND; i++) {
		if (strcmp(p->files[i].role, role) == 0)
			rc = role_key_load(p->files[i].path, &key, err);
	}
	if (rc == ERR_NOTFOUND)
		rc = role_key_read(p->store->dir, role, &key, err);
	if (rc == 0)
		rc = crypto_key_id(key, id, err);
	crypto_key_free(key);
	if (rc < 0)
		return rc;
	for (size_t i = 0; keys && i < keys->n_keys; i++)
		listed |= memcmp(keys->keys[i].id, id, SHA256_SIZE) == 0;
	if (!listed || keys->threshold != 1)
		return err_set(err, ERR_INVALID,
			       "with this root the server could not sign as %s any more: %s", role,
			       listed ? "it has one key, and more would be needed"
				      : "its key is not listed (give the new one with --key)");
	return 0;
}

static int next_check(struct publishing *p, struct err *err)
{
	struct db_bundle newest;
	int rc = newest_root(p->store, &newest, err);

	if (rc < 0)
		return rc;
	p->again = newest.n == p->bytes.len && memcmp(newest.data, p->bytes.data, newest.n) == 0;
	if (p->again)
		p->next = p->store->root;
	else
		rc = root_step(&p->store->root, p->bytes.data, p->bytes.len, &p->next, err);
	if (rc == 0 && p->next.version > LIMIT_ROOTS)
		rc = err_set(err, ERR_LIMIT, "no more than %d roots", LIMIT_ROOTS);
	if (rc == 0)
		rc = root_current(&p->next, p->now_ms, err);
	if (rc == 0)
		rc = key_check(p, ROLE_STATUS, err);
	return rc == 0 ? key_check(p, ROLE_TIMESTAMP, err) : rc;
}

static int keys_install(const struct publishing *p, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->n_files; i++) {
		struct crypto_key *key = NULL;

		rc = role_key_load(p->files[i].path, &key, err);
		if (rc == 0)
			rc = role_key_write(p->store->dir, p->files[i].role, key, err);
		crypto_key_free(key);
	}
	return rc;
}

/* 0 = the policy there is, if any, stands under the new root. */
static int policy_check(const struct publishing *p, uint64_t *min, struct err *err)
{
	struct signed_check check = {.keys = root_role(&p->next, ROLE_POLICY), .min_version = 1};
	Envwarden__Bundle__Body *body;
	struct db_bundle policy;
	struct arena arena;
	int rc = db_bundle_get(p->store->conn, ROLE_POLICY, NULL, 0, &p->store->arena, &policy,
			       NULL);

	*min = 0;
	if (rc < 0)
		return rc == ERR_NOTFOUND ? 0 : err_set(err, rc, "policy: %s", err_text(rc));
	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	if (!check.keys || signed_verify(policy.data, policy.n, &check, &arena, &body, NULL) < 0)
		*min = policy.version + 1;
	arena_deinit(&arena);
	return 0;
}

/* In one transaction. Setting the organisation to what it is has every status signed anew. */
static int store_next(struct publishing *p, struct err *err)
{
	struct db_conn *conn = p->store->conn;
	struct db_org org;
	char target[24];
	int rc = db_begin(conn, err);

	if (rc < 0)
		return rc;
	(void)snprintf(target, sizeof(target), "%" PRIu64, p->next.version);
	rc = db_bundle_put(conn,
			   &(struct db_bundle){.role = ROLE_ROOT,
					       .version = p->next.version,
					       .data = (unsigned char *)p->bytes.data,
					       .n = p->bytes.len,
					       .created_ms = p->now_ms},
			   err);
	if (rc == 0)
		rc = db_org_get(conn, &p->store->arena, &org, err);
	if (rc == 0)
		rc = db_org_set(conn, &org, p->now_ms, err);
	if (rc == 0)
		rc = db_audit_append(conn,
				     &(struct db_audit){.at_ms = p->now_ms,
							.who = "system",
							.what = "root.published",
							.target = target,
							.detail = ""},
				     err);
	if (rc < 0) {
		db_rollback(conn);
		return rc;
	}
	return db_commit(conn, err);
}

int root_store_publish(struct root_store *store, const char *path, const struct root_key_file *keys,
		       size_t n_keys, uint64_t *version, uint64_t *policy_min, struct err *err)
{
	const struct clock *clock = clock_system();
	struct publishing p = {
		.store = store, .files = keys, .n_files = n_keys, .now_ms = clock->wall_ms(clock)};
	int rc;

	buf_init(&p.bytes, LIMIT_SMALL_SIGNED + 1);
	rc = files_read_whole(path, LIMIT_SMALL_SIGNED, &p.bytes, err);
	if (rc == 0)
		rc = next_check(&p, err);
	if (rc == 0)
		rc = policy_check(&p, policy_min, err);
	/* Keys first: without the root they are refused by every agent, which harms nothing, and
	 * the same command goes on from there. */
	if (rc == 0)
		rc = keys_install(&p, err);
	if (rc == 0 && !p.again)
		rc = store_next(&p, err);
	if (rc == 0) {
		store->root = p.next;
		*version = p.next.version;
	}
	buf_deinit(&p.bytes);
	return rc;
}
