#include "lib/net/http_connect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct address server = {.host = "example.org", .port = 7443};

static void test_request(void **state)
{
	static const struct address v6 = {.host = "2001:db8::1", .port = 1};
	static const struct {
		const struct address *to;
		const char *credentials;
		const char *want;
	} cases[] = {
		{&server, NULL,
		 "CONNECT example.org:7443 HTTP/1.1\r\nHost: example.org:7443\r\n\r\n"},
		{&v6, NULL, "CONNECT [2001:db8::1]:1 HTTP/1.1\r\nHost: [2001:db8::1]:1\r\n\r\n"},
		{&server, "a:b",
		 "CONNECT example.org:7443 HTTP/1.1\r\nHost: example.org:7443\r\n"
		 "Proxy-Authorization: Basic YTpi\r\n\r\n"},
		{&server, "ab:c",
		 "CONNECT example.org:7443 HTTP/1.1\r\nHost: example.org:7443\r\n"
		 "Proxy-Authorization: Basic YWI6Yw==\r\n\r\n"},
		{&server, "us\xff:?>",
		 "CONNECT example.org:7443 HTTP/1.1\r\nHost: example.org:7443\r\n"
		 "Proxy-Authorization: Basic dXP/Oj8+\r\n\r\n"},
		{&server, "\xff:abc",
		 "CONNECT example.org:7443 HTTP/1.1\r\nHost: example.org:7443\r\n"
		 "Proxy-Authorization: Basic /zphYmM=\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf b;

		buf_init(&b, 1024);
		assert_int_equal(http_connect_request(cases[i].to, cases[i].credentials, &b, NULL),
				 0);
		assert_string_equal(buf_cstr(&b), cases[i].want);
		buf_deinit(&b);
	}
}

static void test_bad_credentials(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(http_connect_request(&server, "a:b\r\nX: y", &b, NULL), ERR_INVALID);
	buf_deinit(&b);
}

static void test_answers(void **state)
{
	static const struct {
		const char *text;
		int rc;
		bool done;
	} cases[] = {
		{"", 0, false},
		{"HTTP/1.1 200 OK\r\n", 0, false},
		{"HTTP/1.1 200 OK\r\n\r", 0, false},
		{"HTTP/1.1 200 OK\r\n\r\n", 0, true},
		{"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n", 0, true},
		{"HTTP/1.1 204\r\n\r\n", 0, true},
		{"HTTP/1.1 407 Auth\r\n\r\n", ERR_PERM, false},
		{"HTTP/1.1 403 No\r\n\r\n", ERR_UNREACHABLE, false},
		{"HTTP/1.1 302 Go\r\n\r\n", ERR_UNREACHABLE, false},
		{"HTTP/1.1 100 Wait\r\n\r\n", ERR_UNREACHABLE, false},
		{"HTTP/2 200 OK\r\n\r\n", ERR_PROTOCOL, false},
		{"SSH-2.0-OpenSSH", ERR_PROTOCOL, false},
		{"x\r\n\r\n", ERR_PROTOCOL, false},
		{"HTTP/1.1 2x0 OK\r\n\r\n", ERR_PROTOCOL, false},
		{"HTTP/1.1 200 OK\r\n\r\nearly", ERR_PROTOCOL, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;
		bool done = false;
		int rc = http_connect_parse(cases[i].text, strlen(cases[i].text), &done, &err);

		if (rc != cases[i].rc || err.code != rc || done != cases[i].done)
			fail_msg("\"%s\": %d %d %s", cases[i].text, rc, done, err.text);
	}
}

static void test_endless_answer(void **state)
{
	static char text[HTTP_CONNECT_HEAD_MAX];
	bool done;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "HTTP/1.1 200 OK\r\nX: ", 20);
	assert_int_equal(http_connect_parse(text, sizeof(text) - 1, &done, NULL), 0);
	assert_false(done);
	assert_int_equal(http_connect_parse(text, sizeof(text), &done, NULL), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_bad_credentials),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_endless_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
