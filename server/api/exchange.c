#include "server/api/exchange.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "server/api/answer.h"
#include "server/api/api_impl.h"
#include "server/api/request.h"
#include "server/api/route.h"
#include "server/api/token.h"
#include "server/db/db_pool.h"

#define QUERY_MAX 64			/* parameters */
#define DISCARD_MAX (4 * API_BODY_MAX)	/* of a refused body before the connection is closed */
#define TOKEN_USED_EACH_MS (10 * 60000) /* how exact "last used" is */
#define PEER_MAX 64

enum stage {
	RECEIVING, /* the rest of the request is to come */
	WORKING,   /* suspended */
	READY,	   /* the answer stands in `response` */
};

struct exchange {
	struct api *api;
	struct MHD_Connection *connection;
	enum stage stage;
	struct request request;
	size_t received;
	bool large;	    /* counted as such */
	bool authenticated; /* by an earlier step */
	char peer[PEER_MAX];
	char allow[ROUTE_METHODS_MAX];
	unsigned char token_hash[SHA256_SIZE];
	struct db_job job;
	uv_work_t work;
	struct exchange *next; /* waiting for the thread pool */
	struct MHD_Response *response;
	unsigned status;
};

/* --- life --- */

/* IPv6 clients own a /64: that is what counts as one address. */
static void peer_text(struct MHD_Connection *connection, char out[PEER_MAX])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *addr = info ? info->client_addr : NULL;
	struct sockaddr_in6 v6;

	(void)snprintf(out, PEER_MAX, "unknown");
	if (!addr)
		return;
	if (addr->sa_family == AF_INET) {
		(void)uv_ip4_name((const struct sockaddr_in *)(const void *)addr, out, PEER_MAX);
	} else if (addr->sa_family == AF_INET6) {
		memcpy(&v6, addr, sizeof(v6));
		if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
			memset(v6.sin6_addr.s6_addr + 8, 0, 8);
		(void)uv_ip6_name(&v6, out, PEER_MAX);
	}
}

static struct exchange *exchange_new(struct api *api, struct MHD_Connection *connection)
{
	const struct clock *clock = api->config.clock;
	struct exchange *x = mem_calloc(1, sizeof(*x));
	struct request *r;

	if (!x)
		return NULL;
	r = &x->request;
	x->api = api;
	x->connection = connection;
	peer_text(connection, x->peer);
	buf_init(&r->body, API_BODY_MAX);
	buf_init(&r->out, REQUEST_ANSWER_MAX);
	arena_init(&r->arena, REQUEST_MEMORY);
	json_writer_init(&r->json, &r->out);
	r->config = &api->config;
	r->login_rate = &api->login_rate;
	r->peer = x->peer;
	r->who = "";
	r->now_ms = clock->wall_ms(clock);
	r->mono_ms = clock->mono_ms(clock);
	return x;
}

/* Bodies and answers may hold passwords and tokens. */
static void wipe(struct buf *b)
{
	if (b->data)
		crypto_wipe(b->data, b->cap);
	buf_deinit(b);
}

void exchange_completed(void *cls, struct MHD_Connection *connection, void **state,
			enum MHD_RequestTerminationCode code)
{
	struct exchange *x = *state;

	(void)cls;
	(void)connection;
	(void)code;
	if (!x)
		return;
	CHECK(x->stage != WORKING);
	x->api->large -= x->large;
	if (x->request.release)
		x->request.release(&x->request);
	if (x->response)
		MHD_destroy_response(x->response);
	wipe(&x->request.body);
	wipe(&x->request.out);
	arena_deinit(&x->request.arena);
	mem_free(x);
	*state = NULL;
}

/* --- answering --- */

/* The answer is made; a suspended connection goes on with it. */
static void ready(struct exchange *x, int rc)
{
	struct api *api = x->api;
	bool working = x->stage == WORKING;
	struct answer_extra extra = {
		.allow = x->allow,
		.if_none_match = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND,
							     MHD_HTTP_HEADER_IF_NONE_MATCH),
	};

	x->response = answer_make(&x->request, rc, &extra, &x->status);
	x->stage = READY;
	if (!working)
		return;
	MHD_resume_connection(x->connection);
	api->resumed = true;
	api_worked(api);
}

static enum MHD_Result answer(struct exchange *x)
{
	/* Without memory for an answer the connection ends. */
	return x->response ? MHD_queue_response(x->connection, x->status, x->response) : MHD_NO;
}

/* --- the steps --- */

static void finish(struct exchange *x, int rc)
{
	const struct api_config *config = x->request.config;

	if (rc == 0 && !x->request.problem && x->request.route->notify && config->status_changed)
		config->status_changed(config->ctx);
	ready(x, rc);
}

static int on_writer(struct db_conn *conn, struct db_job *job)
{
	struct request *r = &container_of(job, struct exchange, job)->request;

	return r->route->write(conn, r);
}

static void on_written(struct db_job *job, int rc)
{
	finish(container_of(job, struct exchange, job), rc);
}

static void go_write(struct exchange *x)
{
	int rc;

	if (!x->request.route->write) {
		finish(x, 0);
		return;
	}
	x->job.work = on_writer;
	x->job.done = on_written;
	rc = db_pool_write(x->api->port, &x->job);
	if (rc < 0)
		finish(x, rc);
}

static void compute_next(struct api *api);

static void on_computer(uv_work_t *work)
{
	struct request *r = &container_of(work, struct exchange, work)->request;

	/* A failure is kept in err, which was clean: steps before it succeeded. */
	(void)r->route->compute(r);
}

static void on_computed(uv_work_t *work, int status)
{
	struct exchange *x = container_of(work, struct exchange, work);
	struct api *api = x->api;

	(void)status;
	api->computing--;
	compute_next(api);
	if (x->request.err.code < 0)
		finish(x, x->request.err.code);
	else
		go_write(x);
}

static void compute_next(struct api *api)
{
	struct exchange *x = api->waiting;

	if (!x || api->computing == API_COMPUTING_MAX)
		return;
	api->waiting = x->next;
	if (!api->waiting)
		api->waiting_end = &api->waiting;
	api->n_waiting--;
	api->computing++;
	CHECK(uv_queue_work(&api->loop, &x->work, on_computer, on_computed) == 0);
}

static void go_compute(struct exchange *x)
{
	struct api *api = x->api;

	if (!x->request.route->compute) {
		go_write(x);
		return;
	}
	if (api->n_waiting == API_WAITING_MAX) {
		finish(x, err_set(&x->request.err, ERR_BUSY, "too many logins at the moment"));
		return;
	}
	x->next = NULL;
	*api->waiting_end = x;
	api->waiting_end = &x->next;
	api->n_waiting++;
	compute_next(api);
}

/* --- who asks --- */

static int authenticate(struct db_conn *conn, struct exchange *x)
{
	struct request *r = &x->request;
	const char *refusal = "the token is unknown, revoked or expired";
	int rc = db_token_find(conn, x->token_hash, r->now_ms, &r->arena, &r->token, &r->err);
	struct buf who;

	if (rc == ERR_NOTFOUND || rc == ERR_EXPIRED)
		return request_refuse(r, MHD_HTTP_UNAUTHORIZED, ERR_PERM, "%s", refusal);
	if (rc < 0)
		return rc;
	if ((int)r->token.role < (int)r->route->access)
		return err_set(&r->err, ERR_PERM, "the role \"%s\" may not do this",
			       db_role_name(r->token.role));
	buf_init(&who, 2 * DB_TEXT_MAX);
	buf_addf(&who, "%s%s", r->token.kind == DB_TOKEN_API ? "token:" : "", r->token.name);
	r->who = arena_strdup(&r->arena, buf_cstr(&who));
	rc = r->who ? buf_rc(&who) : err_nomem(&r->err);
	buf_deinit(&who);
	return rc;
}

/* "Last used" is written apart from requests that only read. */
struct token_used {
	struct db_job job;
	int64_t id;
	int64_t now_ms;
};

static int token_used_work(struct db_conn *conn, struct db_job *job)
{
	struct token_used *used = container_of(job, struct token_used, job);

	return db_token_used(conn, used->id, used->now_ms, NULL);
}

static void token_used_done(struct db_job *job, int rc)
{
	/* It may have been revoked since; another failure will be met by who needs the store. */
	(void)rc;
	mem_free(container_of(job, struct token_used, job));
}

static void note_use(struct exchange *x)
{
	const struct request *r = &x->request;
	struct token_used *used;

	if (r->token.id == 0 || r->now_ms - r->token.last_used_ms < TOKEN_USED_EACH_MS)
		return;
	used = mem_calloc(1, sizeof(*used));
	if (!used)
		return;
	used->job.work = token_used_work;
	used->job.done = token_used_done;
	used->id = r->token.id;
	used->now_ms = r->now_ms;
	if (db_pool_write(x->api->port, &used->job) < 0)
		mem_free(used);
}

static int on_reader(struct db_conn *conn, struct db_job *job)
{
	struct exchange *x = container_of(job, struct exchange, job);
	struct request *r = &x->request;
	int rc = r->route->access == ROUTE_OPEN || x->authenticated ? 0 : authenticate(conn, x);

	x->authenticated = rc == 0;
	if (rc == 0 && r->route->read)
		rc = r->route->read(conn, r);
	return rc;
}

static void read_over(struct exchange *x)
{
	note_use(x);
	x->request.err = ERR_INIT;
	go_compute(x);
}

static void on_read(struct db_job *job, int rc)
{
	struct exchange *x = container_of(job, struct exchange, job);

	if (rc > 0) {
		rc = db_pool_read(x->api->port, &x->job);
		if (rc == 0)
			return;
	}
	if (rc < 0)
		finish(x, rc);
	else
		read_over(x);
}

static int take_token(struct exchange *x)
{
	static const char scheme[] = "Bearer ";
	const char *text = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_AUTHORIZATION);
	struct request *r = &x->request;

	if (r->route->access == ROUTE_OPEN)
		return 0;
	if (!text || strncmp(text, scheme, strlen(scheme)) != 0)
		return request_refuse(r, MHD_HTTP_UNAUTHORIZED, ERR_PERM,
				      "a token is needed: Authorization: Bearer ewt_...");
	if (token_hash(text + strlen(scheme), x->token_hash) < 0)
		return request_refuse(r, MHD_HTTP_UNAUTHORIZED, ERR_PERM, "this is no token");
	return 0;
}

/* --- receiving --- */

struct query_walk {
	struct request *request;
	int rc;
};

static enum MHD_Result take_pair(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_n,
				 const char *value, size_t value_n)
{
	struct query_walk *walk = cls;
	struct request *r = walk->request;
	struct request_pair *pair;

	(void)kind;
	if (r->n_query == QUERY_MAX || !text_is_utf8(key, key_n) || strlen(key) != key_n ||
	    (value && (!text_is_utf8(value, value_n) || strlen(value) != value_n))) {
		walk->rc = err_set(&r->err, ERR_INVALID, "the query is malformed");
		return MHD_NO;
	}
	if (!route_knows_query(r->route, key) || request_query(r, key)) {
		walk->rc = err_set(&r->err, ERR_INVALID, "%s parameter \"%s\"",
				   request_query(r, key) ? "repeated" : "unknown", key);
		return MHD_NO;
	}
	pair = &r->query[r->n_query];
	pair->name = arena_strdup(&r->arena, key);
	pair->value = arena_strdup(&r->arena, value ? value : "");
	if (!pair->name || !pair->value) {
		walk->rc = err_nomem(&r->err);
		return MHD_NO;
	}
	r->n_query++;
	return MHD_YES;
}

static int take_query(struct exchange *x)
{
	struct query_walk walk = {.request = &x->request};

	x->request.query = arena_calloc(&x->request.arena, QUERY_MAX, sizeof(*x->request.query));
	if (!x->request.query)
		return err_nomem(&x->request.err);
	(void)MHD_get_connection_values_n(x->connection, MHD_GET_ARGUMENT_KIND, take_pair, &walk);
	return walk.rc;
}

static size_t body_max(const struct exchange *x)
{
	return x->large ? API_LARGE_MAX : API_BODY_MAX;
}

/* A refused body is read and thrown away, up to here; then the connection is closed. */
static size_t discard_max(const struct exchange *x)
{
	return DISCARD_MAX + body_max(x);
}

static int too_large(struct exchange *x)
{
	return request_refuse(&x->request, MHD_HTTP_CONTENT_TOO_LARGE, ERR_LIMIT,
			      "bodies may have %zu bytes", body_max(x));
}

/* Large bodies take their turn. */
static int admit_large(struct exchange *x)
{
	struct api *api = x->api;

	if (!x->request.route->large)
		return 0;
	if (api->large == API_LARGE_N)
		return err_set(&x->request.err, ERR_BUSY, "too many policies at the moment");
	api->large++;
	x->large = true;
	x->request.body.max = API_LARGE_MAX;
	return 0;
}

/* Whether the body is said to be so large that it will not even be discarded. */
static bool hopeless(struct exchange *x)
{
	const char *text = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_CONTENT_LENGTH);
	unsigned long long n;

	return text && (text_to_u64(text, strlen(text), &n) < 0 || n > discard_max(x));
}

static int find_route(struct exchange *x, const char *method, const char *url)
{
	struct request *r = &x->request;

	switch (route_find(method, url, &r->route, &r->id, x->allow)) {
	case ROUTE_FOUND:
		return 0;
	case ROUTE_NO_METHOD:
		return request_refuse(r, MHD_HTTP_METHOD_NOT_ALLOWED, ERR_UNSUPPORTED,
				      "%s takes %s", url, x->allow);
	case ROUTE_NO_PATH:
		break;
	}
	return request_refuse(r, MHD_HTTP_NOT_FOUND, ERR_NOTFOUND, "there is no %s", url);
}

static enum MHD_Result open_exchange(struct api *api, struct MHD_Connection *connection,
				     const char *url, const char *method, void **state)
{
	struct exchange *x = exchange_new(api, connection);
	int rc;

	if (!x)
		return MHD_NO;
	*state = x;
	rc = find_route(x, method, url);
	if (rc == 0)
		rc = take_token(x);
	if (rc == 0)
		rc = admit_large(x);
	if (hopeless(x)) {
		ready(x, too_large(x));
		return answer(x);
	}
	if (rc == 0)
		rc = take_query(x);
	if (rc == 0 && api->stopping)
		rc = err_set(&x->request.err, ERR_CANCELED, "the server is stopping");
	if (rc < 0)
		ready(x, rc); /* answered when the rest of the request is here */
	return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *x, const char *upload, size_t *n)
{
	x->received += *n;
	if (x->received > discard_max(x))
		return MHD_NO;
	if (x->stage == RECEIVING) {
		buf_add(&x->request.body, upload, *n);
		if (buf_rc(&x->request.body) == ERR_LIMIT)
			ready(x, too_large(x));
		else if (buf_rc(&x->request.body) < 0)
			ready(x, err_nomem(&x->request.err));
	}
	*n = 0;
	return MHD_YES;
}

static enum MHD_Result start_work(struct exchange *x)
{
	struct request *r = &x->request;
	int rc = r->route->begin ? r->route->begin(r) : 0;

	if (rc < 0) {
		ready(x, rc);
		return answer(x);
	}
	x->stage = WORKING;
	x->api->working++;
	MHD_suspend_connection(x->connection);
	x->job.work = on_reader;
	x->job.done = on_read;
	rc = db_pool_read(x->api->port, &x->job);
	if (rc < 0)
		finish(x, rc);
	return MHD_YES;
}

enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *connection, const char *url,
				const char *method, const char *version, const char *upload,
				size_t *upload_n, void **state)
{
	struct exchange *x = *state;

	(void)version;
	if (!x)
		return open_exchange(cls, connection, url, method, state);
	if (*upload_n > 0)
		return take_body(x, upload, upload_n);
	return x->stage == READY ? answer(x) : start_work(x);
}
