#include "tests/server/api/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "lib/base/mem.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "proto/signed.h"
#include "server/db/db_admin.h"
#include "server/db/db_bundle.h"
#include "server/db/db_decision.h"
#include "server/db/db_exception.h"
#include "server/db/db_org.h"
#include "server/db/db_pool.h"
#include "server/db/db_request.h"
#include "server/pki/ca.h"
#include "server/pki/password.h"
#include "server/pki/signer.h"
#include "tests/server/db/store.h"

/* --- the server --- */

static void make_people(struct store *s)
{
	static const struct {
		const char *name;
		enum db_role role;
	} people[] = {{"ada", DB_ROLE_ADMIN}, {"olga", DB_ROLE_OPERATOR}, {"vic", DB_ROLE_VIEWER}};
	char hash[PASSWORD_HASH_MAX];
	size_t i;

	assert_int_equal(password_hash(WORLD_PASSWORD, hash, &s->err), 0);
	for (i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
		struct db_user user = {
			.name = people[i].name, .password = hash, .role = people[i].role};

		assert_int_equal(db_user_create(s->conn, &user, T0, &s->err), 0);
	}
}

/* A request and an exception whose ids are that of environment 11. */
static void make_lifts(struct store *s, struct uuid machine)
{
	struct db_request request = {.id = id_of(11),
				     .machine = machine,
				     .environment = id_of(11),
				     .user = "ana",
				     .reason = "I need it",
				     .case_code = "EW-ABCD",
				     .made_ms = T0,
				     .received_ms = T0};
	struct db_exception x = {.id = id_of(11),
				 .environment = id_of(12),
				 .rule = "old",
				 .package = "",
				 .owner = "",
				 .ticket = "",
				 .reason = "because",
				 .expires_ms = T0 + 86400000,
				 .granted_by = "ada"};
	struct db_reason reasons[] = {
		{.kind = "rule", .rule = "old", .action = ACTION_BLOCK, .package = "numpy 1.26.4"},
		{.kind = "rule",
		 .rule = "trial",
		 .action = ACTION_WARN,
		 .monitored = true,
		 .package = ""},
	};
	struct db_decision decision = {.machine = machine,
				       .environment = id_of(11),
				       .action = ACTION_BLOCK,
				       .case_code = "EW-ABCD",
				       .policy_version = 1,
				       .decided_ms = T0,
				       .received_ms = T0,
				       .reasons = reasons,
				       .n_reasons = 2};
	bool created;

	assert_int_equal(db_request_put(s->conn, &request, &created, &s->err), 0);
	assert_int_equal(db_exception_grant(s->conn, &x, T0, &s->err), 0);
	assert_int_equal(db_decision_put(s->conn, &decision, &s->err), 0);
}

static void make_fleet(struct store *s)
{
	static const char *const packages[] = {"numpy=1.26.4", "python=3.12.1", NULL};
	struct journal_writer one = {.machine = store_machine(s, 1), .epoch = id_of(101)};
	struct journal_writer two = {.machine = store_machine(s, 2), .epoch = id_of(102)};

	env_make(s, &one, 11, "/home/ana/envs/alpha", packages);
	env_make(s, &one, 12, "/home/ana/envs/beta", NULL);
	env_make(s, &one, 13, WORLD_HOSTILE, NULL);
	env_make(s, &two, 21, "/srv/envs/alpha", packages);
	make_lifts(s, one.machine);
}

static void make_store(struct world *w)
{
	struct store *s;
	void *state;

	assert_int_equal(store_setup(&state), 0);
	w->store = s = state;
	assert_int_equal(db_org_create(s->conn,
				       &(struct db_org){.id = id_of(9),
							.name = "Test",
							.contact = "ask@example.org",
							.when_agent_down = "last_decision",
							.created_ms = T0},
				       &s->err),
			 0);
	make_people(s);
	make_fleet(s);
	assert_int_equal(db_commit(s->conn, &s->err), 0);
	db_conn_close(s->conn); /* the pool's writer is the only one from here on */
	s->conn = NULL;
}

static void on_changed(void *ctx)
{
	struct world *w = ctx;

	atomic_fetch_add(&w->changed, 1);
}

static bool is_connected(void *ctx, const struct uuid *machine)
{
	struct world *w = ctx;
	struct uuid id = id_of((unsigned char)atomic_load(&w->connected));

	return uuid_cmp(&id, machine) == 0;
}

/* What the machine's state is, is not this API's business. */
static int export_set(struct db_conn *conn, const struct signer *signer, struct api_set *set,
		      struct err *err)
{
	(void)conn;
	(void)signer;
	(void)err;
	if (set->valid_ms == 0)
		set->valid_ms = 86400000;
	buf_adds(set->file, "file");
	set->status_version = 3;
	return 0;
}

static void put_root(struct world *w, const struct buf *root)
{
	const struct db_bundle bundle = {.role = ROLE_ROOT,
					 .version = 1,
					 .data = (unsigned char *)root->data,
					 .n = root->len,
					 .created_ms = T0};
	struct db_conn *conn;

	assert_int_equal(db_conn_open(w->store->db, true, &conn, NULL), 0);
	assert_int_equal(db_begin(conn, NULL), 0);
	assert_int_equal(db_bundle_put(conn, &bundle, NULL), 0);
	assert_int_equal(db_commit(conn, NULL), 0);
	db_conn_close(conn);
}

static void start_api(struct world *w)
{
	static const char *const hosts[] = {"127.0.0.1"};
	static const char *const agents[] = {"agents.example.org:8443"};
	struct db_pool_config pool = {.readers = 2, .queue_max = 64};
	struct api_config config = {.address = "127.0.0.1:0",
				    .clock = &w->clock.clock,
				    .agent_addresses = agents,
				    .n_agent_addresses = 1,
				    .status_changed = on_changed,
				    .connected = is_connected,
				    .ctx = w,
				    .connections_peer = 8};
	struct uuid org = id_of(9);
	char path[TMPDIR_PATH_MAX];
	struct err err = ERR_INIT;
	struct buf cert;
	struct buf key;
	int64_t now_ms = clock_system()->wall_ms(clock_system()); /* curl's idea of time */
	struct ca *ca;
	uint16_t port;

	buf_init(&cert, 65536);
	buf_init(&key, 65536);
	tmpdir_path(&w->dir, "pki", path);
	assert_int_equal(ca_create(path, &org, now_ms, &ca, &err), 0);
	tmpdir_path(&w->dir, "roles", path);
	{
		struct signer_org signer_org = {.id = org,
						.name = "Test",
						.contact = "",
						.when_agent_down = "last_decision"};
		struct buf root;

		buf_init(&root, 65536);
		assert_int_equal(signer_create(path, &signer_org, now_ms, &w->signer, &root, &err),
				 0);
		put_root(w, &root);
		buf_deinit(&root);
	}
	config.signer = w->signer;
	config.export_set = export_set;
	assert_int_equal(ca_admin_identity(ca, hosts, 1, now_ms, &err), 0);
	ca_root_spki_hash(ca, config.root_hash);
	ca_free(ca);
	tmpdir_path(&w->dir, "pki/admin.crt.pem", w->ca);
	tmpdir_path(&w->dir, "pki/admin.key.pem", path);
	assert_int_equal(files_read_whole(w->ca, 16384, &cert, &err), 0);
	assert_int_equal(files_read_whole(path, 16384, &key, &err), 0);
	assert_int_equal(db_pool_start(w->store->db, &pool, &w->pool, &err), 0);
	config.pool = w->pool;
	config.certificate = buf_cstr(&cert);
	config.key = buf_cstr(&key);
	assert_int_equal(api_start(&config, &w->api, &port, &err), 0);
	(void)snprintf(w->url, sizeof(w->url), "https://127.0.0.1:%u", port);
	buf_deinit(&cert);
	buf_deinit(&key);
}

int world_setup(void **state)
{
	struct world *w = mem_calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(curl_global_init(CURL_GLOBAL_DEFAULT), 0);
	tmpdir_make(&w->dir);
	clock_fixed_init(&w->clock, T0 + 1000);
	make_store(w);
	start_api(w);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;
	void *store = w->store;

	api_stop(w->api);
	db_pool_stop(w->pool);
	db_pool_free(w->pool);
	signer_free(w->signer);
	assert_int_equal(store_teardown(&store), 0);
	tmpdir_remove(&w->dir);
	curl_global_cleanup();
	mem_free(w);
	return 0;
}

void world_report(const struct world *w, unsigned char machine, uint64_t version)
{
	struct db_bundle_report report = {.machine = id_of(machine),
					  .role = "status",
					  .version = version,
					  .active = true,
					  .reason = "",
					  .at_ms = T0};
	struct db_conn *conn;

	assert_int_equal(db_conn_open(w->store->db, true, &conn, NULL), 0);
	assert_int_equal(db_begin(conn, NULL), 0);
	assert_int_equal(db_bundle_report_put(conn, &report, NULL), 0);
	assert_int_equal(db_commit(conn, NULL), 0);
	db_conn_close(conn);
}

/* --- the client --- */

static size_t take(char *data, size_t size, size_t n, void *ctx)
{
	buf_add(ctx, data, size * n);
	return buf_rc(ctx) == 0 ? size * n : 0;
}

void reply_deinit(struct reply *reply)
{
	json_decref(reply->json);
	buf_deinit(&reply->body);
	buf_deinit(&reply->headers);
}

struct reply world_call(const struct world *w, const char *method, const char *path,
			const char *token, const char *body, const char *header)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct reply reply = {0};
	CURL *curl = curl_easy_init();
	CURLcode rc;
	char text[4096];

	assert_non_null(curl);
	buf_init(&reply.body, 1U << 24);
	buf_init(&reply.headers, 1U << 16);
	(void)snprintf(text, sizeof(text), "%s/api/v1%s", w->url, path);
	curl_easy_setopt(curl, CURLOPT_URL, text);
	curl_easy_setopt(curl, CURLOPT_CAINFO, w->ca);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_NOBODY, strcmp(method, "HEAD") == 0 ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reply.headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	if (token) {
		(void)snprintf(text, sizeof(text), "Authorization: Bearer %s", token);
		headers = curl_slist_append(headers, text);
	}
	if (header)
		headers = curl_slist_append(headers, header);
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		headers = curl_slist_append(headers, "Expect:");
	}
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	rc = curl_easy_perform(curl);
	if (rc != CURLE_OK && rc != CURLE_SEND_ERROR && rc != CURLE_RECV_ERROR &&
	    rc != CURLE_GOT_NOTHING)
		fail_msg("%s %s: %s", method, path, curl_easy_strerror(rc));
	if (rc == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	(void)buf_cstr(&reply.headers);
	reply.json = json_loads(buf_cstr(&reply.body), 0, NULL);
	return reply;
}

char *world_login(const struct world *w, const char *user)
{
	struct reply reply;
	char body[256];
	char *token;

	(void)snprintf(body, sizeof(body), "{\"user\":\"%s\",\"password\":\"" WORLD_PASSWORD "\"}",
		       user);
	reply = world_call(w, "POST", "/tokens", NULL, body, NULL);
	assert_int_equal(reply.status, 201);
	token = mem_strdup(json_string_value(json_object_get(reply.json, "token")));
	reply_deinit(&reply);
	return token;
}

void world_env_id(unsigned char n, char out[37])
{
	struct uuid id = id_of(n);

	uuid_format(&id, out);
}
