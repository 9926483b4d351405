/*
 * serve: takes the state folder, opens everything in it, and starts the threads: agents' loop,
 * admin API, database. The main thread then waits for a signal.
 */
#include <signal.h>
#include <string.h>

#include <uv.h>

#include "lib/base/compiler.h"
#include "lib/base/crypto.h"
#include "lib/base/log.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/process.h"
#include "platform/secret.h"
#include "platform/sysinfo.h"
#include "server/agents.h"
#include "server/airgap.h"
#include "server/api/api.h"
#include "server/command.h"
#include "server/db/db_bundle.h"
#include "server/db/db_org.h"
#include "server/db/db_outbox.h"
#include "server/db/db_pool.h"
#include "server/options.h"
#include "server/pki/ca.h"
#include "server/pki/signer.h"
#include "server/state_dir.h"

#define QUEUE_MAX 65536 /* every session has one message there at most */
#define OPEN_FILES 1048576
#define PEM_MAX 65536
#define SETTINGS_MEMORY (1U << 20)

struct server {
	const char *dir;
	const char *ready_file;
	const struct clock *clock;
	struct arena arena; /* settings */
	struct server_config config;

	struct files_lock *lock;
	struct db *db;
	struct db_pool *pool;
	struct ca *ca;
	struct signer *signer;
	struct ca_identity identity;
	struct uuid org;
	uint64_t outbox;
	struct db_ticket_key tickets[2]; /* until the agents' port is open */
	size_t n_tickets;
	struct buf admin_cert; /* PEM */
	struct buf admin_key;

	struct agents *agents;
	struct api *api;
	struct address agent_address; /* where they really listen */
	struct address admin_address;
};

/* --- opening --- */

static int org_read(struct server *s, struct err *err)
{
	struct db_conn *conn = NULL;
	struct db_org org;
	int rc = db_conn_open(s->db, false, &conn, err);

	if (rc == 0)
		rc = db_org_get(conn, &s->arena, &org, err);
	if (rc == 0)
		rc = db_outbox_head(conn, &s->outbox, err);
	if (rc == 0)
		rc = db_ticket_keys(conn, s->tickets, &s->n_tickets, err);
	if (rc == 0)
		s->org = org.id;
	db_conn_close(conn);
	return rc;
}

static int database_open(struct server *s, struct err *err)
{
	char path[PATHS_MAX];
	int rc = state_database(s->dir, path, err);

	if (rc == 0)
		rc = db_open(path, &s->db, err);
	if (rc == 0)
		rc = org_read(s, err);
	if (rc == 0)
		rc = db_pool_start(s->db,
				   &(struct db_pool_config){.readers = (size_t)s->config.readers,
							    .queue_max = QUEUE_MAX},
				   &s->pool, err);
	if (rc < 0)
		(void)err_context(err, "database");
	return rc;
}

static void host_add(const char **hosts, size_t *n, const char *host)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(hosts[i], host) == 0)
			return;
	}
	if (*n < CA_HOSTS_MAX)
		hosts[(*n)++] = host;
}

/* A machine may call itself anything; a certificate takes only what a host may be called. */
static bool is_host_name(const char *name)
{
	return name[0] && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					    "0123456789.-")] == '\0';
}

/* By these names admins may reach the admin API. */
static size_t admin_hosts(const struct server *s, const struct sysinfo *info,
			  const char *hosts[CA_HOSTS_MAX])
{
	size_t n = 0;

	if (!address_is_wildcard(&s->config.admin_address))
		host_add(hosts, &n, s->config.admin_address.host);
	for (size_t i = 0; i < s->config.n_public; i++)
		host_add(hosts, &n, s->config.public_address[i].host);
	if (is_host_name(info->hostname))
		host_add(hosts, &n, info->hostname);
	host_add(hosts, &n, "localhost");
	host_add(hosts, &n, "127.0.0.1");
	host_add(hosts, &n, "::1");
	return n;
}

static int admin_pem_read(struct server *s, struct err *err)
{
	char path[PATHS_MAX];
	int rc = paths_join(path, s->dir, STATE_ADMIN_CERT, err);

	buf_init(&s->admin_cert, PEM_MAX + 1);
	buf_init(&s->admin_key, PEM_MAX + 1);
	if (rc == 0)
		rc = files_read_whole(path, PEM_MAX - 1, &s->admin_cert, err);
	if (rc == 0)
		rc = paths_join(path, s->dir, STATE_ADMIN_KEY, err);
	if (rc == 0)
		rc = secret_read(path, PEM_MAX - 1, &s->admin_key, err);
	return rc;
}

static int keys_open(struct server *s, struct err *err)
{
	const char *hosts[CA_HOSTS_MAX];
	int64_t now_ms = s->clock->wall_ms(s->clock);
	struct sysinfo info;
	int rc = ca_load(s->dir, &s->ca, err);

	if (rc == 0)
		rc = signer_load(s->dir, &s->signer, err);
	if (rc == 0)
		rc = ca_server_identity(s->ca, &s->org, now_ms, &s->identity, err);
	if (rc == 0)
		rc = sysinfo_get(&info, err);
	if (rc == 0)
		rc = ca_admin_identity(s->ca, hosts, admin_hosts(s, &info, hosts), now_ms, err);
	if (rc == 0)
		rc = admin_pem_read(s, err);
	if (rc < 0)
		(void)err_context(err, "keys");
	return rc;
}

static int state_take(struct server *s, struct err *err)
{
	char path[PATHS_MAX];
	int rc = paths_join(path, s->dir, STATE_LOCK, err);

	if (rc == 0)
		rc = files_lock_take(path, &s->lock, err);
	if (rc == 0)
		rc = database_open(s, err);
	return rc < 0 ? rc : keys_open(s, err);
}

/* --- listening --- */

/* A port that somebody has is for the admin to settle; `option` chooses another. */
static int say_taken(int rc, const char *option, struct err *err)
{
	struct err cause;

	if ((rc != UV_EADDRINUSE && rc != ERR_EXISTS) || !err)
		return rc;
	cause = *err;
	return err_set(err, rc, "%s; end what listens there or choose another with %s", cause.text,
		       option);
}

static int agents_listen(struct server *s, struct err *err)
{
	const struct hub_config config = {.pool = s->pool,
					  .ca = s->ca,
					  .signer = s->signer,
					  .identity = &s->identity,
					  .clock = s->clock,
					  .address = &s->config.agent_address,
					  .outbox_from = s->outbox,
					  .tickets = s->tickets,
					  .n_tickets = s->n_tickets};
	uint16_t port = 0;
	int rc = say_taken(agents_start(&config, &s->agents, &port, err), "--agent-address", err);

	crypto_wipe(s->tickets, sizeof(s->tickets));
	s->agent_address = s->config.agent_address;
	s->agent_address.port = port;
	return rc;
}

static bool is_connected(void *ctx, const struct uuid *machine)
{
	return agents_connected(ctx, machine);
}

static int api_listen(struct server *s, struct err *err)
{
	struct address public_address[JOIN_CODE_ADDRESSES_MAX];
	char texts[JOIN_CODE_ADDRESSES_MAX][ADDRESS_TEXT_MAX];
	const char *addresses[JOIN_CODE_ADDRESSES_MAX];
	char address[ADDRESS_TEXT_MAX];
	uint16_t port = 0;
	size_t n = state_public_addresses(&s->config, &s->agent_address, public_address);
	struct api_config config = {.pool = s->pool,
				    .clock = s->clock,
				    .address = address,
				    .certificate = buf_cstr(&s->admin_cert),
				    .key = buf_cstr(&s->admin_key),
				    .agent_addresses = addresses,
				    .n_agent_addresses = n,
				    .signer = s->signer,
				    .export_set = airgap_export,
				    .connected = is_connected,
				    .ctx = s->agents};
	int rc;

	for (size_t i = 0; i < n; i++) {
		address_format(&public_address[i], texts[i]);
		addresses[i] = texts[i];
	}
	address_format(&s->config.admin_address, address);
	ca_root_spki_hash(s->ca, config.root_hash);
	rc = say_taken(api_start(&config, &s->api, &port, err), "--admin-address", err);
	s->admin_address = s->config.admin_address;
	s->admin_address.port = port;
	return rc;
}

static int listening_tell(const struct server *s, struct err *err)
{
	char path[PATHS_MAX], agent[ADDRESS_TEXT_MAX], admin[ADDRESS_TEXT_MAX];
	int rc = paths_join(path, s->dir, STATE_LISTENING, err);

	if (rc == 0)
		rc = state_write_listening(path, &s->agent_address, &s->admin_address, err);
	if (rc == 0 && s->ready_file)
		rc = state_write_listening(s->ready_file, &s->agent_address, &s->admin_address,
					   err);
	if (rc < 0)
		return rc;
	address_format(&s->agent_address, agent);
	address_format(&s->admin_address, admin);
	log_info("server", "serving", LOG_STR("agents", agent), LOG_STR("admin", admin));
	return 0;
}

/* --- running --- */

static void on_signal(uv_signal_t *handle, int number)
{
	log_info("server", "ending", LOG_INT("signal", number));
	uv_stop(handle->loop);
}

/* Whoever is told that it serves may end it the next moment: signals are caught before that. */
static int tell_and_wait(struct server *s, uv_loop_t *loop, struct err *err)
{
	static const int numbers[] = {SIGTERM, SIGINT};
	uv_signal_t handles[ARRAY_SIZE(numbers)];
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		CHECK(uv_signal_init(loop, &handles[i]) == 0);
		CHECK(uv_signal_start(&handles[i], on_signal, numbers[i]) == 0);
	}
	rc = listening_tell(s, err);
	if (rc == 0)
		(void)uv_run(loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		uv_close((uv_handle_t *)&handles[i], NULL);
	(void)uv_run(loop, UV_RUN_DEFAULT);
	return rc;
}

static int serve(struct server *s, struct err *err)
{
	uv_loop_t loop;
	int rc = state_take(s, err);

	if (rc == 0)
		rc = agents_listen(s, err);
	if (rc == 0)
		rc = api_listen(s, err);
	if (rc < 0)
		return rc;
	rc = uv_loop_init(&loop);
	if (rc < 0)
		return err_set(err, rc, "make a loop: %s", uv_strerror(rc));
	rc = tell_and_wait(s, &loop, err);
	CHECK(uv_loop_close(&loop) == 0);
	return rc;
}

static void close_all(struct server *s)
{
	char path[PATHS_MAX];

	api_stop(s->api); /* first: it asks the other */
	agents_stop(s->agents);
	if (s->pool)
		db_pool_stop(s->pool);
	db_pool_free(s->pool);
	db_close(s->db);
	ca_identity_wipe(&s->identity);
	if (s->admin_key.data)
		crypto_wipe(s->admin_key.data, s->admin_key.len);
	buf_deinit(&s->admin_key);
	buf_deinit(&s->admin_cert);
	signer_free(s->signer);
	ca_free(s->ca);
	if (s->lock && paths_join(path, s->dir, STATE_LISTENING, NULL) == 0)
		(void)files_remove(path, NULL);
	files_lock_free(s->lock);
	arena_deinit(&s->arena);
}

static int settings(struct server *s, const char *agent_address, const char *admin_address,
		    struct err *err)
{
	const struct process_limits limits = {.open_files = OPEN_FILES, .no_core = true};
	enum log_level level = LOG_INFO;
	int rc = state_open(s->dir, &s->arena, &s->config, err);

	if (rc == 0 && agent_address)
		rc = config_set(&s->config, "agent_address", agent_address, err);
	if (rc == 0 && admin_address)
		rc = config_set(&s->config, "admin_address", admin_address, err);
	if (rc < 0)
		return rc;
	(void)log_level_parse(s->config.log_level, &level);
	log_setup(NULL, level);
	if (process_set_limits(&limits, NULL) < 0)
		log_warn("server", "limits were not set", LOG_INT("open_files", OPEN_FILES));
	return 0;
}

int cmd_serve(int argc, char **argv, struct err *err)
{
	const char *agent_address = NULL, *admin_address = NULL;
	struct server server = {.clock = clock_system()};
	const struct option options[] = {
		{"--state-dir", .text = &server.dir, .required = true},
		{"--agent-address", .text = &agent_address},
		{"--admin-address", .text = &admin_address},
		{"--ready-file", .text = &server.ready_file},
	};
	int rc = options_parse(options, ARRAY_SIZE(options), argc, argv, err);

	if (rc < 0)
		return rc;
	arena_init(&server.arena, SETTINGS_MEMORY);
	rc = settings(&server, agent_address, admin_address, err);
	if (rc == 0)
		rc = serve(&server, err);
	close_all(&server);
	return rc;
}
