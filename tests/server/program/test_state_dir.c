#include "server/state_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/tmpdir.h"

static void test_open(void **state)
{
	struct server_config config;
	struct err err = ERR_INIT;
	struct tmpdir dir;
	struct arena arena;

	(void)state;
	tmpdir_make(&dir);
	arena_init(&arena, 1 << 20);
	assert_int_equal(state_open(dir.path, &arena, &config, &err), ERR_NOTFOUND);
	assert_non_null(strstr(err.text, "envwarden-server init"));
	tmpdir_write_text(&dir, STATE_CONFIG, "readers = 3\nnonsense\n");
	assert_int_equal(state_open(dir.path, &arena, &config, &err), ERR_INVALID);
	assert_non_null(strstr(err.text, STATE_CONFIG ": line 2: "));
	tmpdir_write_text(&dir, STATE_CONFIG, "readers = 3\n");
	assert_int_equal(state_open(dir.path, &arena, &config, &err), 0);
	assert_int_equal(config.readers, 3);
	arena_deinit(&arena);
	tmpdir_remove(&dir);
}

static void test_addresses(void **state)
{
	struct address out[JOIN_CODE_ADDRESSES_MAX], listening;
	struct server_config config;

	(void)state;
	config_init(&config);
	/* A wildcard cannot be dialled. */
	assert_int_equal(state_public_addresses(&config, NULL, out), 1);
	assert_string_not_equal(out[0].host, "0.0.0.0");
	assert_int_equal(out[0].port, CONFIG_AGENT_PORT);
	/* Where it listens counts more than where it was told to. */
	assert_int_equal(address_parse("192.0.2.1:5000", 0, &listening, NULL), 0);
	assert_int_equal(state_public_addresses(&config, &listening, out), 1);
	assert_string_equal(out[0].host, "192.0.2.1");
	assert_int_equal(out[0].port, 5000);
	/* What people set counts most. */
	assert_int_equal(config_set(&config, "public_address", "a.example.org:1", NULL), 0);
	assert_int_equal(config_set(&config, "public_address", "b.example.org:2", NULL), 0);
	assert_int_equal(state_public_addresses(&config, &listening, out), 2);
	assert_string_equal(out[1].host, "b.example.org");
}

static void test_listening(void **state)
{
	struct address agent = {.host = "::1", .port = 7}, admin = {.host = "127.0.0.1", .port = 8},
		       read;
	char path[TMPDIR_PATH_MAX];
	struct tmpdir dir;

	(void)state;
	tmpdir_make(&dir);
	tmpdir_path(&dir, STATE_LISTENING, path);
	assert_false(state_listening(dir.path, &read));
	assert_int_equal(state_write_listening(path, &agent, &admin, NULL), 0);
	assert_true(state_listening(dir.path, &read));
	assert_string_equal(read.host, "::1");
	assert_int_equal(read.port, 7);
	tmpdir_write_text(&dir, STATE_LISTENING, "admin=1.2.3.4:5\n");
	assert_false(state_listening(dir.path, &read));
	tmpdir_write_text(&dir, STATE_LISTENING, "");
	assert_false(state_listening(dir.path, &read));
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_listening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
