#include "server/api/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/api/login_rate.h"
#include "server/api/token.h"

#define ID "0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b"

static void test_find(void **state)
{
	static const struct {
		const char *method;
		const char *path;
		enum route_match match;
		const char *found; /* or what is allowed */
	} cases[] = {
		{"GET", "/api/v1/environments", ROUTE_FOUND, "/environments"},
		{"HEAD", "/api/v1/environments", ROUTE_FOUND, "/environments"},
		{"GET", "/api/v1/environments/" ID, ROUTE_FOUND, "/environments/{id}"},
		{"GET", "/api/v1/environments/" ID "/packages", ROUTE_FOUND,
		 "/environments/{id}/packages"},
		{"PUT", "/api/v1/environments/" ID "/status", ROUTE_FOUND,
		 "/environments/{id}/status"},
		{"POST", "/api/v1/environments/status", ROUTE_FOUND, "/environments/status"},
		{"GET", "/api/v1/environments/status", ROUTE_NO_METHOD, "POST"},
		{"DELETE", "/api/v1/organisation", ROUTE_NO_METHOD, "GET, HEAD, PATCH"},
		{"get", "/api/v1/organisation", ROUTE_NO_METHOD, "GET, HEAD, PATCH"},
		{"GET", "/api/v1/environments/", ROUTE_NO_PATH, ""},
		{"GET", "/api/v1/environments/" ID "/", ROUTE_NO_PATH, ""},
		{"GET", "/api/v1/environments/" ID "0", ROUTE_NO_PATH, ""},
		{"GET", "/api/v1/environments/not-an-id-not-an-id-not-an-id-not-an-", ROUTE_NO_PATH,
		 ""},
		{"GET", "/api/v10/environments", ROUTE_NO_PATH, ""},
		{"GET", "/api/v1", ROUTE_NO_PATH, ""},
		{"GET", "", ROUTE_NO_PATH, ""},
	};
	char allow[ROUTE_METHODS_MAX];
	const struct route *route;
	struct uuid id;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(route_find(cases[i].method, cases[i].path, &route, &id, allow),
				 cases[i].match);
		if (cases[i].match == ROUTE_FOUND)
			assert_string_equal(route->path, cases[i].found);
		else
			assert_string_equal(allow, cases[i].found);
	}
}

/* What changes something is never open to viewers, and answers by a known status. */
static void test_table(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < routes_n; i++) {
		const struct route *r = &routes[i];

		assert_in_range(r->status, 200, 299);
		assert_true(r->read || r->write);
		if (r->body)
			assert_true(strcmp(r->method, "GET") != 0 &&
				    strcmp(r->method, "DELETE") != 0);
		assert_true(strcmp(r->method, "GET") != 0 || !r->write);
		if (r->write && strcmp(r->method, "DELETE") != 0 && r->access != ROUTE_OPEN)
			assert_true(r->access >= ROUTE_OPERATOR);
		if (r->access == ROUTE_OPEN)
			assert_string_equal(r->path, "/tokens");
	}
}

static void test_token(void **state)
{
	unsigned char made[SHA256_SIZE];
	unsigned char read[SHA256_SIZE];
	char text[TOKEN_TEXT_MAX];

	(void)state;
	token_make(text, made);
	assert_int_equal(strlen(text), TOKEN_TEXT_MAX - 1);
	assert_int_equal(token_hash(text, read), 0);
	assert_memory_equal(made, read, sizeof(made));
	text[TOKEN_TEXT_MAX - 2] = 'x';
	assert_int_equal(token_hash(text, read), ERR_INVALID);
	assert_int_equal(token_hash("ewt_", read), ERR_INVALID);
	assert_int_equal(token_hash("", read), ERR_INVALID);
}

static void test_login_rate(void **state)
{
	static struct login_rate rate;
	int64_t wait;
	char name[8] = "user-a";
	int i;

	(void)state;
	login_rate_init(&rate);
	for (i = 0; i < LOGIN_ACCOUNT_BURST; i++)
		assert_int_equal(login_rate_take(&rate, "ada", "10.0.0.1", 1000), 0);
	wait = login_rate_take(&rate, "ada", "10.0.0.2", 1000);
	assert_in_range(wait, 1, LOGIN_ACCOUNT_MS);
	/* Others are not kept from theirs, and waiting helps. */
	assert_int_equal(login_rate_take(&rate, "eve", "10.0.0.1", 1000), 0);
	assert_int_equal(login_rate_take(&rate, "ada", "10.0.0.2", 1000 + wait), 0);
	assert_int_not_equal(login_rate_take(&rate, "ada", "10.0.0.2", 1000 + wait), 0);
	login_rate_forgive(&rate, "ada");
	assert_int_equal(login_rate_take(&rate, "ada", "10.0.0.2", 1000 + wait), 0);
	/* One address and many accounts. */
	for (i = 0; i < LOGIN_ADDRESS_BURST; i++) {
		name[5] = (char)('a' + i % 26);
		name[6] = (char)('a' + i / 26);
		assert_int_equal(login_rate_take(&rate, name, "10.0.0.3", 50000), 0);
	}
	assert_int_not_equal(login_rate_take(&rate, "fresh", "10.0.0.3", 50000), 0);
	assert_int_equal(login_rate_take(&rate, "fresh", "10.0.0.4", 50000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_login_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
