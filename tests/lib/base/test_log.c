#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "tests/support/tmpdir.h"

static char last[10000];
static int lines;

static void keep(void *ctx, enum log_level level, const char *line)
{
	(void)level;
	assert_ptr_equal(ctx, &lines);
	lines++;
	snprintf(last, sizeof(last), "%s", line);
}

static struct clock_fixed noon;

static int set_up(void **state)
{
	(void)state;
	clock_fixed_init(&noon, INT64_C(1795367862123));
	log_setup(NULL, LOG_INFO);
	log_set_sink(keep, &lines);
	log_set_clock(&noon.clock);
	lines = 0;
	last[0] = '\0';
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	log_set_clock(NULL);
	return 0;
}

static void writes_fields(void **state)
{
	struct err err = ERR_INIT;
	(void)state;

	log_info("sync", "connected", LOG_STR("server", "a.example:7443"), LOG_INT("port", 1));
	assert_string_equal(last, "2026-11-22T17:17:42.123Z info  sync: connected "
				  "server=\"a.example:7443\" port=1");
	err_set(&err, ERR_IO, "disk");
	log_error("store", "failed", LOG_ERR(&err), LOG_NONE, LOG_STR("x", NULL));
	assert_string_equal(last,
			    "2026-11-22T17:17:42.123Z error store: failed error=\"disk\" x=\"\"");
	log_setup("agent", LOG_INFO);
	log_warn("a", "b", LOG_NONE);
	assert_string_equal(last, "2026-11-22T17:17:42.123Z warn  agent a: b");
}

static void data_cannot_forge(void **state)
{
	(void)state;
	log_info("g", "e", LOG_STR("k", "a\"b\\c\n2026 error\x1b[2J\xe2\x80\xae\xff"));
	assert_string_equal(last, "2026-11-22T17:17:42.123Z info  g: e "
				  "k=\"a\\\"b\\\\c\\x0a2026 error\\x1b[2J\\u{202e}\\xff\"");
}

static void levels_filter(void **state)
{
	enum log_level level = LOG_INFO;
	(void)state;

	log_debug("g", "e", LOG_NONE);
	assert_int_equal(lines, 0);
	log_setup(NULL, LOG_DEBUG);
	log_debug("g", "e", LOG_NONE);
	assert_int_equal(lines, 1);
	log_setup(NULL, LOG_ERROR);
	log_warn("g", "e", LOG_NONE);
	assert_int_equal(lines, 1);
	assert_int_equal(log_level_parse("warn", &level), 0);
	assert_int_equal(level, LOG_WARN);
	assert_int_equal(log_level_parse("WARN", &level), ERR_INVALID);
	assert_int_equal(level, LOG_WARN);
}

static void long_lines_are_cut(void **state)
{
	static char value[5000];
	(void)state;

	memset(value, '\n', sizeof(value) - 1);
	log_info("g", "e", LOG_STR("a", value), LOG_STR("b", value), LOG_INT("n", 1));
	assert_true(strlen(last) < 8300);
	assert_string_equal(last + strlen(last) - 4, " ...");
	memset(value, 'x', sizeof(value) - 1);
	log_info("g", "e", LOG_STR("a", value), LOG_INT("n", 1));
	assert_string_equal(last + strlen(last) - 12, "xxxx...\" n=1");
}

static void needs_no_memory(void **state)
{
	(void)state;
	mem_fail_after(0);
	log_info("g", "e", LOG_STR("k", "a\nb"));
	assert_true(mem_fail_pending());
	mem_fail_after(-1);
	assert_int_equal(lines, 1);
}

static void *log_many(void *ctx)
{
	for (int i = 0; i < 500; i++)
		log_info("thread", "line", LOG_STR("text", ctx), LOG_INT("n", i));
	return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
	static char texts[4][2] = {"a", "b", "c", "d"};
	char path[TMPDIR_PATH_MAX], line[256];
	int kept, count = 0;
	struct tmpdir dir;
	pthread_t threads[4];
	FILE *file;
	(void)state;

	tmpdir_make(&dir);
	tmpdir_path(&dir, "log", path);
	file = fopen(path, "a+");
	assert_non_null(file);
	kept = dup(STDERR_FILENO);
	assert_true(kept >= 0);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	log_set_sink(NULL, NULL);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, texts[i]), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(dup2(kept, STDERR_FILENO) >= 0);
	close(kept);
	rewind(file);
	for (; fgets(line, sizeof(line), file); count++) {
		char text;
		int n, end = 0;

		sscanf(line, "2026-11-22T17:17:42.123Z info  thread: line text=\"%c\" n=%d%n",
		       &text, &n, &end);
		assert_string_equal(line + end, "\n");
	}
	assert_int_equal(count, 2000);
	fclose(file);
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_fields, set_up, tear_down),
		cmocka_unit_test_setup_teardown(data_cannot_forge, set_up, tear_down),
		cmocka_unit_test_setup_teardown(levels_filter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_lines_are_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(needs_no_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(threads_do_not_mix_lines, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
