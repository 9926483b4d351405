/*
 * init: everything a new organisation needs, or nothing. It is built in a folder beside the one
 * asked for and moved there in the end.
 */
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "lib/base/base32.h"
#include "lib/base/crypto.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/paths.h"
#include "proto/signed.h"
#include "server/command.h"
#include "server/config.h"
#include "server/db/db_admin.h"
#include "server/db/db_bundle.h"
#include "server/db/db_org.h"
#include "server/options.h"
#include "server/pki/ca.h"
#include "server/pki/password.h"
#include "server/pki/signer.h"
#include "server/state_dir.h"

#define ADMIN "admin"
#define WHEN_AGENT_DOWN "last_decision"
#define PASSWORD_BYTES 15 /* 24 characters of base32 */

struct init {
	const char *dir; /* where it shall be */
	char temp[PATHS_MAX];
	const char *organisation;
	struct server_config config;
	struct uuid org;
	int64_t now_ms;
	char password[64];
	char password_hash[PASSWORD_HASH_MAX];
	struct buf root; /* role, version 1 */
};

/* --- pieces --- */

static int config_write(const struct init *init, struct err *err)
{
	char path[PATHS_MAX];
	struct buf text;
	int rc = paths_join(path, init->temp, STATE_CONFIG, err);

	buf_init(&text, CONFIG_FILE_MAX);
	config_print(&init->config, &text);
	if (rc == 0)
		rc = buf_rc(&text) < 0 ? err_nomem(err)
				       : files_atomic_write(path, text.data, text.len, 0600, err);
	buf_deinit(&text);
	return rc;
}

/* The root certificate alone, for tools: the last one of the admin certificate's chain. */
static int root_pem_write(const struct init *init, struct err *err)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	char path[PATHS_MAX];
	const char *last = NULL;
	struct buf text;
	int rc = paths_join(path, init->temp, STATE_ADMIN_CERT, err);

	buf_init(&text, 8 * CA_CERT_MAX);
	if (rc == 0)
		rc = files_read_whole(path, 4 * CA_CERT_MAX, &text, err);
	if (rc == 0) {
		for (const char *at = strstr(buf_cstr(&text), begin); at;
		     at = strstr(at + 1, begin))
			last = at;
		rc = last ? paths_join(path, init->temp, STATE_ROOT_PEM, err)
			  : err_set(err, ERR_CORRUPT, "%s: no certificate", path);
	}
	if (rc == 0)
		rc = files_atomic_write(path, last, strlen(last), 0644, err);
	buf_deinit(&text);
	return rc;
}

static int keys_make(struct init *init, struct err *err)
{
	const struct signer_org org = {.id = init->org,
				       .name = init->organisation,
				       .contact = "",
				       .when_agent_down = WHEN_AGENT_DOWN};
	struct ca *ca = NULL;
	struct signer *signer = NULL;
	struct ca_identity identity;
	/* `serve` makes another for the names the server then has. */
	const char *const hosts[] = {"localhost"};
	int rc = ca_create(init->temp, &init->org, init->now_ms, &ca, err);

	if (rc == 0)
		rc = ca_server_identity(ca, &init->org, init->now_ms, &identity, err);
	if (rc == 0) {
		ca_identity_wipe(&identity);
		rc = ca_admin_identity(ca, hosts, ARRAY_SIZE(hosts), init->now_ms, err);
	}
	if (rc == 0)
		rc = signer_create(init->temp, &org, init->now_ms, &signer, &init->root, err);
	signer_free(signer);
	ca_free(ca);
	return rc;
}

static int rows_make(struct db_conn *conn, const struct init *init, struct err *err)
{
	int rc = db_org_create(conn,
			       &(struct db_org){.id = init->org,
						.name = init->organisation,
						.contact = "",
						.when_agent_down = WHEN_AGENT_DOWN,
						.created_ms = init->now_ms},
			       err);

	if (rc == 0)
		rc = db_bundle_put(conn,
				   &(struct db_bundle){.role = ROLE_ROOT,
						       .version = 1,
						       .data = (unsigned char *)init->root.data,
						       .n = init->root.len,
						       .created_ms = init->now_ms},
				   err);
	if (rc == 0)
		rc = db_user_create(conn,
				    &(struct db_user){.name = ADMIN,
						      .password = init->password_hash,
						      .role = DB_ROLE_ADMIN},
				    init->now_ms, err);
	if (rc == 0)
		rc = db_audit_append(conn,
				     &(struct db_audit){.at_ms = init->now_ms,
							.who = "system",
							.what = "organisation.created",
							.target = init->organisation,
							.detail = ""},
				     err);
	return rc;
}

static int database_make(const struct init *init, struct err *err)
{
	char path[PATHS_MAX];
	struct db *db = NULL;
	struct db_conn *conn = NULL;
	int rc = paths_join(path, init->temp, STATE_DATABASE, err);

	if (rc == 0)
		rc = db_open(path, &db, err);
	if (rc == 0)
		rc = db_conn_open(db, true, &conn, err);
	if (rc == 0)
		rc = db_begin(conn, err);
	if (rc == 0) {
		rc = rows_make(conn, init, err);
		if (rc == 0)
			rc = db_commit(conn, err);
		else
			db_rollback(conn);
	}
	db_conn_close(conn);
	db_close(db);
	return rc;
}

static int password_make(struct init *init, struct err *err)
{
	unsigned char bytes[PASSWORD_BYTES];
	struct buf text;
	int rc;

	crypto_random(bytes, sizeof(bytes));
	buf_init(&text, sizeof(init->password) - 1);
	base32_encode(&text, bytes, sizeof(bytes));
	crypto_wipe(bytes, sizeof(bytes));
	rc = buf_rc(&text) < 0 ? err_nomem(err) : 0;
	if (rc == 0) {
		memcpy(init->password, text.data, text.len);
		crypto_wipe(text.data, text.len);
		rc = password_hash(init->password, init->password_hash, err);
	}
	buf_deinit(&text);
	return rc;
}

/* --- the folders --- */

/* The files of a folder that has no folders in it, then itself; as far as it goes. */
static void remove_flat(const char *dir)
{
	char path[PATHS_MAX];
	uv_fs_t list, req;
	uv_dirent_t entry;

	if (uv_fs_scandir(NULL, &list, dir, 0, NULL) >= 0) {
		while (uv_fs_scandir_next(&list, &entry) == 0) {
			if (paths_join(path, dir, entry.name, NULL) == 0)
				(void)files_remove(path, NULL);
		}
	}
	uv_fs_req_cleanup(&list);
	(void)uv_fs_rmdir(NULL, &req, dir, NULL);
	uv_fs_req_cleanup(&req);
}

/* Nothing is there yet, or an empty folder. */
static int target_check(const char *dir, struct err *err)
{
	uv_fs_t list;
	int n = uv_fs_scandir(NULL, &list, dir, 0, NULL);

	uv_fs_req_cleanup(&list);
	if (n == UV_ENOENT || n == 0)
		return 0;
	if (n < 0)
		return err_set(err, n, "%s: %s", dir, uv_strerror(n));
	return err_set(err, ERR_EXISTS, "%s: something is there already; nothing was changed", dir);
}

static int move_there(const struct init *init, struct err *err)
{
	uv_fs_t req;
	int rc = uv_fs_rename(NULL, &req, init->temp, init->dir, NULL);

	uv_fs_req_cleanup(&req);
	return rc < 0 ? err_set(err, rc, "%s: %s", init->dir, uv_strerror(rc)) : 0;
}

/* "<dir>.new-0123456789abcdef" */
static int temp_make(struct init *init, struct err *err)
{
	unsigned char random[8];
	struct buf path;
	size_t n = strlen(init->dir);
	int rc = 0;

	while (n > 1 && init->dir[n - 1] == '/')
		n--;
	crypto_random(random, sizeof(random));
	buf_init(&path, sizeof(init->temp) - 1);
	buf_add(&path, init->dir, n);
	buf_adds(&path, ".new-");
	buf_add_hex(&path, random, sizeof(random));
	if (buf_rc(&path) < 0)
		rc = err_set(err, ERR_LIMIT, "%.64s...: the path is too long", init->dir);
	else
		memcpy(init->temp, path.data, path.len);
	buf_deinit(&path);
	return rc < 0 ? rc : files_mkdir_private(init->temp, err);
}

static int build(struct init *init, struct err *err)
{
	int rc = password_make(init, err);

	if (rc == 0)
		rc = keys_make(init, err);
	if (rc == 0)
		rc = root_pem_write(init, err);
	if (rc == 0)
		rc = database_make(init, err);
	/* Last: what has it is whole (state_open). */
	if (rc == 0)
		rc = config_write(init, err);
	if (rc == 0)
		rc = move_there(init, err);
	return rc;
}

/* --- the command --- */

struct arguments {
	const char *dir;
	const char *organisation;
	const char *agent_address;
	const char *admin_address;
	struct option_values public_address;
};

static int config_make(const struct arguments *args, struct server_config *config, struct err *err)
{
	int rc = 0;

	config_init(config);
	if (args->agent_address)
		rc = config_set(config, "agent_address", args->agent_address, err);
	if (rc == 0 && args->admin_address)
		rc = config_set(config, "admin_address", args->admin_address, err);
	for (size_t i = 0; i < args->public_address.n && rc == 0; i++)
		rc = config_set(config, "public_address", args->public_address.items[i], err);
	return rc;
}

/* It goes into every join code, and is shown on terminals to whoever is about to join. */
static int organisation_check(const char *name, struct err *err)
{
	size_t n = strlen(name);
	struct buf shown;
	int rc = 0;

	buf_init(&shown, 16 * JOIN_CODE_NAME_MAX);
	if (n == 0 || n > JOIN_CODE_NAME_MAX)
		rc = err_set(err, ERR_USAGE, "--organisation: a name of 1 to %d bytes, not %zu",
			     JOIN_CODE_NAME_MAX, n);
	else if (!text_is_utf8(name, n))
		rc = err_set(err, ERR_USAGE, "--organisation: the name is not UTF-8");
	else
		text_escape(&shown, name, n);
	if (rc == 0 && buf_rc(&shown) < 0)
		rc = err_nomem(err);
	if (rc == 0 && shown.len != n)
		rc = err_set(err, ERR_USAGE,
			     "--organisation: the name has control or invisible characters: %s",
			     buf_cstr(&shown));
	buf_deinit(&shown);
	return rc;
}

static void tell(const struct init *init)
{
	char agent[ADDRESS_TEXT_MAX], admin[ADDRESS_TEXT_MAX];

	address_format(&init->config.agent_address, agent);
	address_format(&init->config.admin_address, admin);
	printf("Organisation \"%s\" is made in %s.\n"
	       "Agents are awaited on %s, the admin API is on %s (%s/%s).\n"
	       "Logging is off until an admin turns it on.\n"
	       "First password of user " ADMIN ": %s\n",
	       init->organisation, init->dir, agent, admin, init->dir, STATE_CONFIG,
	       init->password);
}

int cmd_init(int argc, char **argv, struct err *err)
{
	const struct clock *clock = clock_system();
	struct arguments args = {.dir = NULL};
	const struct option options[] = {
		{"--state-dir", .text = &args.dir, .required = true},
		{"--organisation", .text = &args.organisation, .required = true},
		{"--agent-address", .text = &args.agent_address},
		{"--admin-address", .text = &args.admin_address},
		{"--public-address", .list = &args.public_address},
	};
	struct init init = {.now_ms = clock->wall_ms(clock)};
	int rc = options_parse(options, ARRAY_SIZE(options), argc, argv, err);

	if (rc == 0)
		rc = organisation_check(args.organisation, err);
	if (rc == 0)
		rc = config_make(&args, &init.config, err);
	if (rc == 0)
		rc = target_check(args.dir, err);
	if (rc < 0)
		return rc;
	init.dir = args.dir;
	init.organisation = args.organisation;
	uuid_new(&init.org);
	buf_init(&init.root, LIMIT_SMALL_SIGNED);
	rc = temp_make(&init, err);
	if (rc == 0)
		rc = build(&init, err);
	if (rc < 0 && init.temp[0])
		remove_flat(init.temp);
	if (rc == 0)
		tell(&init);
	crypto_wipe(init.password, sizeof(init.password));
	buf_deinit(&init.root);
	return rc;
}
