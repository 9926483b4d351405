#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "proto/join_code.h"
#include "tests/server/api/world.h"

static struct world *world;
static char *ada;
static char *olga;
static char *vic;

static int setup(void **state)
{
	assert_int_equal(world_setup(state), 0);
	world = *state;
	ada = world_login(world, "ada");
	olga = world_login(world, "olga");
	vic = world_login(world, "vic");
	return 0;
}

static int teardown(void **state)
{
	mem_free(ada);
	mem_free(olga);
	mem_free(vic);
	return world_teardown(state);
}

static struct reply get(const char *path, const char *token)
{
	return world_call(world, "GET", path, token, NULL, NULL);
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	return text;
}

/* The call is refused with a problem document whose detail has the words. */
static void refused(const char *method, const char *path, const char *token, const char *body,
		    long status, const char *words)
{
	struct reply r = world_call(world, method, path, token, body, NULL);

	if (r.status != status)
		fail_msg("%s %s: %ld instead of %ld: %s", method, path, r.status, status,
			 buf_cstr(&r.body));
	assert_non_null(strstr(r.headers.data, "application/problem+json"));
	assert_int_equal(json_integer_value(json_object_get(r.json, "status")), status);
	if (!strstr(text_at(r.json, "detail"), words))
		fail_msg("%s %s: \"%s\" does not say \"%s\"", method, path,
			 text_at(r.json, "detail"), words);
	reply_deinit(&r);
}

static void test_auth(void **state)
{
	char wrong[] = "ewt_0000000000000000000000000000000000000000000000000000000000000000";
	struct reply bad;
	struct reply unknown;
	struct reply r;
	char *token;

	(void)state;
	refused("GET", "/environments", NULL, NULL, 401, "token is needed");
	refused("GET", "/environments", "hello", NULL, 401, "no token");
	refused("GET", "/environments", wrong, NULL, 401, "unknown, revoked or expired");
	bad = world_call(world, "POST", "/tokens", NULL,
			 "{\"user\":\"ada\",\"password\":\"not the password\"}", NULL);
	unknown = world_call(world, "POST", "/tokens", NULL,
			     "{\"user\":\"nobody\",\"password\":\"not the password\"}", NULL);
	assert_int_equal(bad.status, 401);
	assert_int_equal(unknown.status, 401);
	assert_string_equal(buf_cstr(&bad.body), buf_cstr(&unknown.body));
	reply_deinit(&bad);
	reply_deinit(&unknown);

	token = world_login(world, "vic");
	r = get("/machines", token);
	assert_int_equal(r.status, 200);
	reply_deinit(&r);
	r = world_call(world, "DELETE", "/tokens/current", token, NULL, NULL);
	assert_int_equal(r.status, 204);
	assert_int_equal(r.body.len, 0);
	reply_deinit(&r);
	refused("GET", "/machines", token, NULL, 401, "unknown, revoked or expired");
	mem_free(token);
}

static void test_roles(void **state)
{
	static const char *const status = "{\"status\":\"warn\"}";
	char path[128];
	char id[37];

	(void)state;
	world_env_id(11, id);
	(void)snprintf(path, sizeof(path), "/environments/%s/status", id);
	refused("PUT", path, vic, status, 403, "viewer");
	refused("PATCH", "/organisation", olga, "{\"logging\":true}", 403, "operator");
	refused("POST", "/join-codes", olga, "{}", 403, "operator");
	refused("POST", "/machines/0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a/export", olga, "{}", 403,
		"operator");
	refused("GET", "/audit", olga, NULL, 403, "operator");
}

static void test_refusals(void **state)
{
	char *huge = mem_calloc(1, API_BODY_MAX + 2);
	char path[128];
	char id[37];
	struct reply r;

	(void)state;
	world_env_id(11, id);
	(void)snprintf(path, sizeof(path), "/environments/%s/status", id);
	refused("GET", "/nothing", ada, NULL, 404, "/nothing");
	refused("PUT", "/organisation", ada, "{}", 405, "GET, HEAD, PATCH");
	refused("GET", "/environments?hello=1", ada, NULL, 400, "unknown parameter \"hello\"");
	refused("GET", "/environments?limit=0", ada, NULL, 400, "limit");
	refused("GET", "/environments?limit=1001", ada, NULL, 400, "limit");
	refused("GET", "/environments?limit=1&limit=2", ada, NULL, 400, "repeated");
	refused("GET", "/environments?after=1.2", ada, NULL, 400, "after");
	refused("GET", "/environments?after=1.2.c3", ada, NULL, 400, "after");
	refused("GET", "/environments?q=%ff", ada, NULL, 400, "malformed");
	refused("GET", "/environments?q=a%00b", ada, NULL, 400, "malformed");
	refused("GET", "/environments?status=bad", ada, NULL, 400, "status");
	refused("GET", "/history?since=yesterday", ada, NULL, 400, "since");
	refused("GET", "/history?machine=x", ada, NULL, 400, "machine");
	refused("PUT", path, ada, "", 400, "body");
	refused("PUT", path, ada, "{\"status\":\"warn\"", 400, "body");
	refused("PUT", path, ada, "{\"status\":\"warn\"} x", 400, "body");
	refused("PUT", path, ada, "[]", 400, "not a JSON object");
	refused("PUT", path, ada, "{}", 400, "\"status\" is missing");
	refused("PUT", path, ada, "{\"status\":1}", 400, "status: not a text");
	refused("PUT", path, ada, "{\"status\":\"bad\"}", 400, "neither ok, warn nor block");
	refused("PUT", path, ada, "{\"status\":\"warn\",\"x\":1}", 400, "unknown member \"x\"");
	refused("PUT", path, ada, "{\"status\":\"warn\",\"status\":\"ok\"}", 400, "twice");
	refused("PUT", path, ada, "{\"status\":\"warn\",\"message\":\"a\\u0000b\"}", 400,
		"message");
	refused("PUT", path, ada, "{\"status\":\"warn\",\"until\":\"soon\"}", 400, "until");
	refused("PUT", path, ada, "{\"status\":\"warn\",\"until\":\"2001-01-01T00:00:00Z\"}", 400,
		"past");
	refused("PUT", path, ada, "{\"status\":\"ok\",\"message\":\"x\"}", 400, "ok");
	refused("PATCH", "/organisation", ada, "{\"when_agent_down\":\"panic\"}", 400, "");
	memset(huge, ' ', API_BODY_MAX + 1);
	refused("PUT", path, ada, huge, 413, "65536");
	/* The same without a length said beforehand. */
	r = world_call(world, "PUT", path, ada, huge, "Transfer-Encoding: chunked");
	assert_int_equal(r.status, 413);
	reply_deinit(&r);
	mem_free(huge);
	/* So large that nobody waits for its end. */
	huge = mem_calloc(1, 8 * API_BODY_MAX);
	memset(huge, ' ', 8 * API_BODY_MAX - 1);
	r = world_call(world, "PUT", path, ada, huge, NULL);
	assert_true(r.status == 0 || r.status == 413);
	reply_deinit(&r);
	r = world_call(world, "PUT", path, ada, huge, "Transfer-Encoding: chunked");
	assert_true(r.status == 0 || r.status == 413);
	reply_deinit(&r);
	mem_free(huge);
}

static void test_long_header(void **state)
{
	char *header = mem_calloc(1, 3 * API_HEADERS_MAX);
	struct reply r;

	(void)state;
	memset(header, 'x', 3 * API_HEADERS_MAX - 1);
	memcpy(header, "X-Long: ", 8);
	r = world_call(world, "GET", "/machines", ada, NULL, header);
	assert_true(r.status == 0 || (r.status >= 400 && r.status <= 499));
	reply_deinit(&r);
	r = get("/machines", ada); /* and goes on serving */
	assert_int_equal(r.status, 200);
	reply_deinit(&r);
	mem_free(header);
}

static void test_paging(void **state)
{
	static const char *const orders[] = {"name", "change"};
	char path[512];
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		char seen[1024] = "";
		size_t n = 0;

		(void)snprintf(path, sizeof(path), "/environments?limit=1&order=%s", orders[i]);
		for (;;) {
			struct reply r = get(path, vic);
			json_t *list = json_object_get(r.json, "environments");
			const char *next = json_string_value(json_object_get(r.json, "next"));
			const char *id;

			assert_int_equal(r.status, 200);
			if (json_array_size(list) > 0) {
				id = text_at(json_array_get(list, 0), "id");
				assert_null(strstr(seen, id));
				(void)snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen),
					       "%s ", id);
				n++;
			}
			if (next)
				(void)snprintf(path, sizeof(path),
					       "/environments?limit=1&order=%s&after=%s", orders[i],
					       next);
			reply_deinit(&r);
			if (!next)
				break;
		}
		assert_int_equal(n, 4);
	}
}

static void test_filters(void **state)
{
	static const struct {
		const char *query;
		size_t n;
	} cases[] = {
		{"", 4},
		{"?q=ALPHA", 2},
		{"?q=alpha&machine=host-1", 1},
		{"?machine=nobody", 0},
		{"?machine=02020202-0202-0202-0202-020202020202", 1},
		{"?user=ana", 4},
		{"?user=bob", 0},
		{"?platform=linux-64", 4},
		{"?package=numpy", 2},
		{"?package=numpy&version=9", 0},
		{"?status=block", 0},
		{"?shown=deleted", 0},
		{"?shown=all", 4},
	};
	char path[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply r;

		(void)snprintf(path, sizeof(path), "/environments%s", cases[i].query);
		r = get(path, vic);
		assert_int_equal(r.status, 200);
		assert_string_equal(text_at(r.json, "schema"), "envwarden.list/1");
		if (json_array_size(json_object_get(r.json, "environments")) != cases[i].n)
			fail_msg("%s: %s", path, buf_cstr(&r.body));
		reply_deinit(&r);
	}
}

static void test_environment(void **state)
{
	char path[128];
	char header[128];
	char id[37];
	struct reply r;
	const char *etag;

	(void)state;
	world_env_id(11, id);
	(void)snprintf(path, sizeof(path), "/environments/%s", id);
	r = get(path, vic);
	assert_int_equal(r.status, 200);
	assert_string_equal(text_at(json_object_get(r.json, "environment"), "prefix"),
			    "/home/ana/envs/alpha");
	assert_non_null(strstr(r.headers.data, "X-Content-Type-Options: nosniff"));
	assert_non_null(strstr(r.headers.data, "Content-Security-Policy: default-src 'none'"));
	etag = strstr(r.headers.data, "ETag: ");
	assert_non_null(etag);
	(void)snprintf(header, sizeof(header), "If-None-Match: %.34s", etag + strlen("ETag: "));
	reply_deinit(&r);
	r = world_call(world, "GET", path, vic, NULL, header);
	assert_int_equal(r.status, 304);
	assert_int_equal(r.body.len, 0);
	reply_deinit(&r);
	r = world_call(world, "HEAD", path, vic, NULL, NULL);
	assert_int_equal(r.status, 200);
	reply_deinit(&r);

	(void)snprintf(path, sizeof(path), "/environments/%s/packages", id);
	r = get(path, vic);
	assert_int_equal(json_array_size(json_object_get(r.json, "packages")), 2);
	reply_deinit(&r);
	(void)snprintf(path, sizeof(path), "/environments/%s/history", id);
	r = get(path, vic);
	assert_int_equal(json_array_size(json_object_get(r.json, "changes")), 1);
	reply_deinit(&r);
	r = get("/history?limit=3", vic);
	assert_int_equal(json_array_size(json_object_get(r.json, "changes")), 3);
	assert_non_null(json_object_get(r.json, "next"));
	reply_deinit(&r);
	world_env_id(99, id);
	(void)snprintf(path, sizeof(path), "/environments/%s", id);
	refused("GET", path, vic, NULL, 404, "no such environment");
}

static void test_status(void **state)
{
	int before = atomic_load(&world->changed);
	json_t *env;
	json_t *set;
	json_t *entry;
	char path[128];
	char body[512];
	char one[37];
	char two[37];
	struct reply r;

	(void)state;
	world_env_id(11, one);
	world_env_id(12, two);
	(void)snprintf(path, sizeof(path), "/environments/%s/status", one);
	r = world_call(world, "PUT", path, olga,
		       "{\"status\":\"block\",\"message\":\"Not this one.\",\"until\":\"fixed\"}",
		       NULL);
	assert_int_equal(r.status, 200);
	env = json_object_get(r.json, "environment");
	set = json_object_get(env, "status_set");
	assert_string_equal(text_at(env, "status"), "block");
	assert_string_equal(text_at(set, "message"), "Not this one.");
	assert_string_equal(text_at(set, "until"), "fixed");
	assert_string_equal(text_at(set, "by"), "olga");
	assert_int_equal(atomic_load(&world->changed), before + 1);
	reply_deinit(&r);

	/* All or none: the unknown one takes the known one's change back. */
	(void)snprintf(body, sizeof(body),
		       "{\"environments\":[\"%s\",\"99999999-9999-4999-8999-999999999999\"],"
		       "\"status\":\"warn\"}",
		       two);
	refused("POST", "/environments/status", olga, body, 404, "99999999-9999");
	assert_int_equal(atomic_load(&world->changed), before + 1);
	r = get("/environments?status=warn", vic);
	assert_int_equal(json_array_size(json_object_get(r.json, "environments")), 0);
	reply_deinit(&r);

	(void)snprintf(body, sizeof(body), "{\"environments\":[\"%s\",\"%s\"],\"status\":\"ok\"}",
		       one, two);
	r = world_call(world, "POST", "/environments/status", olga, body, NULL);
	assert_int_equal(r.status, 200);
	assert_int_equal(json_array_size(json_object_get(r.json, "environments")), 2);
	reply_deinit(&r);

	r = get("/audit?what=status.", ada);
	assert_int_equal(json_array_size(json_object_get(r.json, "entries")), 3);
	entry = json_array_get(json_object_get(r.json, "entries"), 2);
	assert_string_equal(text_at(entry, "who"), "olga");
	assert_non_null(strstr(text_at(entry, "target"), one));
	assert_non_null(strstr(text_at(entry, "detail"), "Not this one."));
	reply_deinit(&r);
}

static void is_delivered(const char *path, bool connected, bool delivered)
{
	struct reply r = get(path, vic);
	json_t *env = json_object_get(r.json, "environment");

	assert_int_equal(r.status, 200);
	assert_int_equal(json_is_true(json_object_get(env, "connected")), connected);
	assert_int_equal(json_is_true(json_object_get(env, "status_delivered")), delivered);
	reply_deinit(&r);
}

/* Whether a status has come where it is to hold; runs with whatever versions there are by now. */
static void test_delivery(void **state)
{
	char path[128];
	char put[128];
	char id[37];
	struct reply r;

	(void)state;
	world_env_id(21, id);
	(void)snprintf(path, sizeof(path), "/environments/%s", id);
	(void)snprintf(put, sizeof(put), "/environments/%s/status", id);
	is_delivered(path, false, false);
	world_report(world, 2, 1000);
	is_delivered(path, false, true);
	world_report(world, 2, 1);
	r = world_call(world, "PUT", put, olga, "{\"status\":\"warn\"}", NULL);
	assert_false(json_is_true(
		json_object_get(json_object_get(r.json, "environment"), "status_delivered")));
	reply_deinit(&r);
	atomic_store(&world->connected, 2);
	is_delivered(path, true, false);
	world_report(world, 2, 1000);
	is_delivered(path, true, true);
	r = get("/machines?q=host-2", vic);
	assert_true(json_is_true(json_object_get(
		json_array_get(json_object_get(r.json, "machines"), 0), "connected")));
	reply_deinit(&r);
	r = get("/machines?q=host-1", vic);
	assert_false(json_is_true(json_object_get(
		json_array_get(json_object_get(r.json, "machines"), 0), "connected")));
	reply_deinit(&r);
	atomic_store(&world->connected, 0);
	r = world_call(world, "PUT", put, olga, "{\"status\":\"ok\"}", NULL);
	assert_int_equal(r.status, 200);
	reply_deinit(&r);
}

static void test_organisation(void **state)
{
	int before = atomic_load(&world->changed);
	struct reply r = world_call(world, "PATCH", "/organisation", ada,
				    "{\"logging\":true,\"contact\":\"new@example.org\"}", NULL);

	(void)state;
	assert_int_equal(r.status, 200);
	reply_deinit(&r);
	assert_int_equal(atomic_load(&world->changed), before + 1);
	r = get("/organisation", vic);
	assert_true(json_is_true(json_object_get(r.json, "logging")));
	assert_string_equal(text_at(r.json, "contact"), "new@example.org");
	assert_string_equal(text_at(r.json, "when_agent_down"), "last_decision");
	reply_deinit(&r);
	r = get("/audit?what=organisation.set&who=ada", ada);
	assert_int_equal(json_array_size(json_object_get(r.json, "entries")), 1);
	reply_deinit(&r);
}

static void test_join_code(void **state)
{
	struct reply r = world_call(
		world, "POST", "/join-codes", ada,
		"{\"uses\":3,\"hours\":2,\"labels\":[\"finance\"],\"ephemeral\":true}", NULL);
	struct join_code code;
	const char *text;

	(void)state;
	assert_int_equal(r.status, 201);
	text = text_at(r.json, "code");
	assert_int_equal(join_code_parse(text, strlen(text), &code, NULL), 0);
	assert_string_equal(code.name, "Test");
	assert_int_equal(code.n_addresses, 1);
	assert_string_equal(code.addresses[0], "agents.example.org:8443");
	reply_deinit(&r);
	refused("POST", "/join-codes", ada, "{\"labels\":[\"no good\"]}", 400, "");
	refused("POST", "/join-codes", ada, "{\"uses\":0}", 400, "uses");
}

/* The last one: afterwards nobody logs in for a while. */
static void test_login_limit(void **state)
{
	struct reply r;
	int i;

	(void)state;
	for (i = 0; i < 40; i++) {
		r = world_call(world, "POST", "/tokens", NULL,
			       "{\"user\":\"eve\",\"password\":\"guess\"}", NULL);
		if (r.status == 429)
			break;
		assert_int_equal(r.status, 401);
		reply_deinit(&r);
	}
	assert_in_range(i, 5, 12);
	assert_non_null(strstr(r.headers.data, "Retry-After: "));
	reply_deinit(&r);
	r = get("/audit?what=login.failed&who=eve", ada);
	assert_int_equal(json_array_size(json_object_get(r.json, "entries")), i);
	reply_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auth),	    cmocka_unit_test(test_roles),
		cmocka_unit_test(test_refusals),    cmocka_unit_test(test_long_header),
		cmocka_unit_test(test_paging),	    cmocka_unit_test(test_filters),
		cmocka_unit_test(test_environment), cmocka_unit_test(test_status),
		cmocka_unit_test(test_delivery),    cmocka_unit_test(test_organisation),
		cmocka_unit_test(test_join_code),   cmocka_unit_test(test_login_limit),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
