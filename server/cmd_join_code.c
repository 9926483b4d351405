/* join-code create: works beside a server that runs; both only need the database. */
#include <stdio.h>
#include <string.h>

#include "lib/base/crypto.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "server/command.h"
#include "server/db/db_admin.h"
#include "server/db/db_org.h"
#include "server/options.h"
#include "server/pki/ca.h"
#include "server/state_dir.h"

#define MEMORY (1U << 20)
#define USES_MAX 1000000
#define EXPIRES_MAX_MS (INT64_C(366) * 86400000)

struct arguments {
	const char *dir;
	const char *uses;
	const char *expires;
	const char *labels;
	bool ephemeral;
	struct option_values addresses;
};

static int uses_parse(const char *text, int64_t *out, struct err *err)
{
	long long n;

	if (text_to_i64(text, strlen(text), &n) < 0 || n < 1 || n > USES_MAX)
		return err_set(err, ERR_USAGE, "--uses: needs a number from 1 to %d", USES_MAX);
	*out = n;
	return 0;
}

/* "30m", "12h", "1d" */
static int expires_parse(const char *text, int64_t *out, struct err *err)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'m', 60000}, {'h', 3600000}, {'d', 86400000}};
	size_t n = strlen(text);
	long long count;

	for (size_t i = 0; n > 1 && i < ARRAY_SIZE(units); i++) {
		if (text[n - 1] != units[i].unit || text_to_i64(text, n - 1, &count) < 0)
			continue;
		if (count >= 1 && count <= EXPIRES_MAX_MS / units[i].ms) {
			*out = count * units[i].ms;
			return 0;
		}
	}
	return err_set(err, ERR_USAGE, "--expires: needs a time like 30m, 12h or 1d, up to 366d");
}

static int labels_parse(const char *text, struct arena *arena, struct db_labels *out,
			struct err *err)
{
	const char **items = arena_calloc(arena, DB_LABELS_MAX, sizeof(*items));

	if (!items)
		return err_nomem(err);
	out->items = items;
	while (*text) {
		size_t n = strcspn(text, ",");

		if (out->n == DB_LABELS_MAX)
			return err_set(err, ERR_USAGE, "--labels: more than %d", DB_LABELS_MAX);
		items[out->n] = arena_strndup(arena, text, n);
		if (!items[out->n])
			return err_nomem(err);
		out->n += n > 0;
		text += n + (text[n] == ',');
	}
	return 0;
}

/* Where the agent is to dial: as told here, or as the server's settings have it. */
static int addresses_fill(const struct arguments *args, const struct server_config *config,
			  struct join_code *code, struct err *err)
{
	struct address addresses[JOIN_CODE_ADDRESSES_MAX];
	struct address last;
	bool known;
	int rc = 0;

	if (args->addresses.n > JOIN_CODE_ADDRESSES_MAX)
		return err_set(err, ERR_USAGE, "--address: more than %d", JOIN_CODE_ADDRESSES_MAX);
	code->n_addresses = args->addresses.n;
	for (size_t i = 0; i < args->addresses.n && rc == 0; i++)
		rc = address_parse(args->addresses.items[i], CONFIG_AGENT_PORT, &addresses[i], err);
	if (rc < 0) {
		(void)err_context(err, "--address");
		return ERR_USAGE;
	}
	if (code->n_addresses == 0) {
		known = state_listening(args->dir, &last);
		code->n_addresses = state_public_addresses(config, known ? &last : NULL, addresses);
	}
	for (size_t i = 0; i < code->n_addresses; i++) {
		char text[ADDRESS_TEXT_MAX];

		address_format(&addresses[i], text);
		if (strlen(text) > JOIN_CODE_ADDRESS_MAX || addresses[i].port == 0)
			return err_set(err, ERR_USAGE,
				       "where agents shall dial is not known (%.64s); tell it with "
				       "--address HOST:PORT",
				       text);
		memcpy(code->addresses[i], text, strlen(text) + 1);
	}
	return 0;
}

/* --- the store's part --- */

static int store(struct db_conn *conn, const struct join_code *code, struct db_join_code *row,
		 struct err *err)
{
	unsigned char hash[SHA256_SIZE];
	char target[24];
	int64_t id = 0;
	int rc = db_begin(conn, err);

	if (rc < 0)
		return rc;
	sha256(code->secret, sizeof(code->secret), hash);
	rc = db_join_create(conn, hash, row, &id, err);
	(void)snprintf(target, sizeof(target), "%lld", (long long)id);
	if (rc == 0)
		rc = db_audit_append(conn,
				     &(struct db_audit){.at_ms = row->created_ms,
							.who = "system",
							.what = "join_code.created",
							.target = target,
							.detail = ""},
				     err);
	if (rc < 0) {
		db_rollback(conn);
		return rc;
	}
	return db_commit(conn, err);
}

static int database_use(const char *dir, struct join_code *code, struct db_join_code *row,
			struct arena *arena, struct err *err)
{
	char path[PATHS_MAX];
	struct db *db = NULL;
	struct db_conn *conn = NULL;
	struct db_org org;
	int rc = state_database(dir, path, err);

	if (rc == 0)
		rc = db_open(path, &db, err);
	if (rc == 0)
		rc = db_conn_open(db, true, &conn, err);
	if (rc == 0)
		rc = db_org_get(conn, arena, &org, err);
	if (rc == 0) {
		code->organisation = org.id;
		(void)snprintf(code->name, sizeof(code->name), "%s", org.name);
		rc = store(conn, code, row, err);
	}
	db_conn_close(conn);
	db_close(db);
	return rc;
}

static int root_hash_read(const char *dir, struct join_code *code, struct err *err)
{
	struct ca *ca = NULL;
	int rc = ca_load(dir, &ca, err);

	if (rc == 0)
		ca_root_spki_hash(ca, code->root_hash);
	ca_free(ca);
	return rc;
}

static int code_print(const struct join_code *code, struct err *err)
{
	struct buf text;
	int rc;

	buf_init(&text, 65536);
	rc = join_code_format(code, &text, err);
	if (rc == 0)
		printf("%s\n", buf_cstr(&text));
	if (text.data)
		crypto_wipe(text.data, text.len);
	buf_deinit(&text);
	return rc;
}

static int create(const struct arguments *args, struct db_join_code *row, struct arena *arena,
		  struct err *err)
{
	struct server_config config;
	struct join_code code;
	int rc = state_open(args->dir, arena, &config, err);

	memset(&code, 0, sizeof(code));
	if (rc == 0)
		rc = addresses_fill(args, &config, &code, err);
	if (rc == 0)
		rc = root_hash_read(args->dir, &code, err);
	crypto_random(code.secret, sizeof(code.secret));
	if (rc == 0)
		rc = database_use(args->dir, &code, row, arena, err);
	if (rc == 0)
		rc = code_print(&code, err);
	crypto_wipe(&code, sizeof(code));
	return rc;
}

int cmd_join_code(int argc, char **argv, struct err *err)
{
	const struct clock *clock = clock_system();
	struct arguments args = {.dir = NULL};
	const struct option options[] = {
		{"--state-dir", .text = &args.dir, .required = true},
		{"--uses", .text = &args.uses},
		{"--expires", .text = &args.expires},
		{"--labels", .text = &args.labels},
		{"--ephemeral", .flag = &args.ephemeral},
		{"--address", .list = &args.addresses},
	};
	struct db_join_code row = {
		.title = "", .created_by = "system", .created_ms = clock->wall_ms(clock)};
	struct arena arena;
	int rc;

	if (argc < 1 || strcmp(argv[0], "create") != 0)
		return err_set(err, ERR_USAGE, "join-code: what to do? \"create\" is all there is");
	rc = options_parse(options, ARRAY_SIZE(options), argc - 1, argv + 1, err);
	if (rc < 0)
		return rc;
	arena_init(&arena, MEMORY);
	row.ephemeral = args.ephemeral;
	rc = uses_parse(args.uses ? args.uses : "1", &row.uses, err);
	if (rc == 0)
		rc = expires_parse(args.expires ? args.expires : "1d", &row.expires_ms, err);
	row.expires_ms += row.created_ms;
	if (rc == 0)
		rc = labels_parse(args.labels ? args.labels : "", &arena, &row.labels, err);
	if (rc == 0)
		rc = create(&args, &row, &arena, err);
	arena_deinit(&arena);
	return rc;
}
