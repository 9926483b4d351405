#include "server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "tests/support/fault.h"

static int parse(const char *text, size_t n, struct server_config *config, struct arena *arena,
		 struct err *err)
{
	config_init(config);
	arena_init(arena, 1 << 20);
	return config_parse(text, n, arena, config, err);
}

static void test_values(void **state)
{
	static const char text[] = "# a comment\n\n"
				   "agent_address = 192.0.2.1:9000\r\n"
				   "\tadmin_address=[::1]\n"
				   "public_address = fleet.example.org\n"
				   "public_address = 192.0.2.7:443\n"
				   "log_level = debug\n"
				   "readers = 4";
	struct server_config config;
	struct arena arena;

	(void)state;
	assert_int_equal(parse(text, strlen(text), &config, &arena, NULL), 0);
	assert_string_equal(config.agent_address.host, "192.0.2.1");
	assert_int_equal(config.agent_address.port, 9000);
	assert_string_equal(config.admin_address.host, "::1");
	assert_int_equal(config.admin_address.port, CONFIG_ADMIN_PORT);
	assert_int_equal(config.n_public, 2);
	assert_string_equal(config.public_address[0].host, "fleet.example.org");
	assert_int_equal(config.public_address[0].port, CONFIG_AGENT_PORT);
	assert_int_equal(config.public_address[1].port, 443);
	assert_string_equal(config.log_level, "debug");
	assert_int_equal(config.readers, 4);
	arena_deinit(&arena);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *what;
	} cases[] = {
		{"readers = 2\nreeders = 3\n", ERR_INVALID, "line 2: unknown key \"reeders\""},
		{"\x1b[2J = 3\n", ERR_INVALID, "line 1: unknown key \"\\x1b[2J\""},
		{"readers\n", ERR_INVALID, "line 1: needs \"key = value\""},
		{"readers = 0\n", ERR_INVALID, "line 1: readers: needs a number from 1 to 16"},
		{"readers = many\n", ERR_INVALID, "line 1: readers: needs a number from 1 to 16"},
		{"log_level = loud\n", ERR_INVALID,
		 "line 1: log_level: error, warn, info or debug"},
		{"agent_address =\n", ERR_INVALID, "line 1: agent_address: "},
		{"admin_address = localhost:1\n", ERR_INVALID,
		 "line 1: admin_address: needs an IP address and port, not \"localhost:1\""},
		{"agent_address = host:99999\n", ERR_INVALID, "line 1: agent_address: "},
		{"log_level = \xff\n", ERR_INVALID,
		 "line 1: log_level: the value is not UTF-8 text"},
		{"public_address = a\npublic_address = b\npublic_address = c\n"
		 "public_address = d\npublic_address = e\n",
		 ERR_LIMIT, "line 5: public_address: more than 4"},
	};
	struct server_config config;
	struct arena arena;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(parse(cases[i].text, strlen(cases[i].text), &config, &arena, &err),
				 cases[i].rc);
		assert_memory_equal(err.text, cases[i].what, strlen(cases[i].what));
		arena_deinit(&arena);
	}
}

static void test_round_trip(void **state)
{
	struct server_config config, again;
	struct arena arena;
	struct buf first, second;

	(void)state;
	buf_init(&first, CONFIG_FILE_MAX);
	buf_init(&second, CONFIG_FILE_MAX);
	config_init(&config);
	assert_int_equal(config_set(&config, "public_address", "[2001:db8::1]:7000", NULL), 0);
	assert_int_equal(config_set(&config, "agent_address", "127.0.0.1:0", NULL), 0);
	config_print(&config, &first);
	assert_int_equal(parse(first.data, first.len, &again, &arena, NULL), 0);
	config_print(&again, &second);
	assert_string_equal(buf_cstr(&first), buf_cstr(&second));
	assert_non_null(strstr(buf_cstr(&first), "public_address = [2001:db8::1]:7000\n"));
	arena_deinit(&arena);
	buf_deinit(&first);
	buf_deinit(&second);
}

static int parse_again(void *ctx)
{
	struct server_config config;
	struct arena arena;
	int rc;

	rc = parse(ctx, strlen(ctx), &config, &arena, NULL);
	arena_deinit(&arena);
	return rc;
}

static void test_no_memory(void **state)
{
	char text[] = "log_level = debug\npublic_address = a\n";

	(void)state;
	assert_true(fault_each_alloc(parse_again, text, 1) >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
