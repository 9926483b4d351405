#include "lib/net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		const char *host; /* NULL = malformed */
		uint16_t port;
		const char *again; /* formatted */
	} cases[] = {
		{"example.org:443", "example.org", 443, "example.org:443"},
		{"example.org", "example.org", 7443, "example.org:7443"},
		{"192.0.2.1:0", "192.0.2.1", 0, "192.0.2.1:0"},
		{"[2001:db8::1]:65535", "2001:db8::1", 65535, "[2001:db8::1]:65535"},
		{"[::1]", "::1", 7443, "[::1]:7443"},
		{"2001:db8::1", "2001:db8::1", 7443, "[2001:db8::1]:7443"},
		{"fe80::1%eth0", "fe80::1%eth0", 7443, "[fe80::1%eth0]:7443"},
		{"", NULL, 0, NULL},
		{":443", NULL, 0, NULL},
		{"[]:1", NULL, 0, NULL},
		{"[::1", NULL, 0, NULL},
		{"[::1]443", NULL, 0, NULL},
		{"host:", NULL, 0, NULL},
		{"host:65536", NULL, 0, NULL},
		{"host:-1", NULL, 0, NULL},
		{"host:+1", NULL, 0, NULL},
		{"host:4 3", NULL, 0, NULL},
		{"ho st:1", NULL, 0, NULL},
		{"host\r\nX:1", NULL, 0, NULL},
		{"h\xc3\xb6st", NULL, 0, NULL},
		{"http://host", NULL, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[ADDRESS_TEXT_MAX];
		struct address a = {.port = 1};
		struct err err = ERR_INIT;
		int rc = address_parse(cases[i].text, 7443, &a, &err);

		if (!cases[i].host) {
			if (rc != ERR_INVALID || err.code != rc || a.port != 1)
				fail_msg("\"%s\": %d", cases[i].text, rc);
			continue;
		}
		if (rc != 0)
			fail_msg("\"%s\": %s", cases[i].text, err.text);
		assert_string_equal(a.host, cases[i].host);
		assert_int_equal(a.port, cases[i].port);
		address_format(&a, text);
		assert_string_equal(text, cases[i].again);
	}
}

static void test_longest(void **state)
{
	char text[ADDRESS_HOST_MAX + 1];
	struct address a;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[ADDRESS_HOST_MAX] = '\0';
	assert_int_equal(address_parse(text, 1, &a, NULL), ERR_INVALID);
	text[ADDRESS_HOST_MAX - 1] = '\0';
	assert_int_equal(address_parse(text, 1, &a, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
