#include "platform/run.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

static const char *const no_extra[] = {NULL};

static int run_shell(const char *script, const char *const *extra)
{
	const char *const words[] = {"/bin/sh", "-c", script, NULL};
	const struct run_command command = {.program = "/bin/sh", .words = words, .extra = extra};
	int status = -1;

	assert_int_equal(run_wait(&command, &status, NULL), 0);
	return status;
}

static void tells_how_it_ended(void **state)
{
	(void)state;
	assert_int_equal(run_shell("exit 0", no_extra), 0);
	assert_int_equal(run_shell("exit 7", no_extra), 7);
	assert_int_equal(run_shell("kill -9 $$", no_extra), 128 + 9);
}

static void words_arrive_as_they_are(void **state)
{
	const char *const words[] = {
		"/bin/sh", "-c", "test \"$1\" = \"a b;\n'\" && test \"$2\" = ''", "sh", "a b;\n'",
		"",	   NULL};
	const struct run_command command = {
		.program = "/bin/sh", .words = words, .extra = no_extra};
	int status = -1;

	(void)state;
	assert_int_equal(run_wait(&command, &status, NULL), 0);
	assert_int_equal(status, 0);
}

static void what_it_prints_goes_to_stderr(void **state)
{
	(void)state;
	assert_int_equal(run_shell("test /proc/self/fd/1 -ef /proc/self/fd/2", no_extra), 0);
}

static void variables_are_added_or_replaced(void **state)
{
	static const char *const extra[] = {"EW_RUN_A=new", "EW_RUN_B=2", NULL};

	(void)state;
	assert_int_equal(setenv("EW_RUN_A", "old", 1), 0);
	assert_int_equal(setenv("EW_RUN_C", "3", 1), 0);
	assert_int_equal(run_shell("test $EW_RUN_A$EW_RUN_B$EW_RUN_C = new23 && "
				   "test $(env | grep -c ^EW_RUN_A=) = 1",
				   extra),
			 0);
	assert_string_equal(getenv("EW_RUN_A"), "old");
}

/* What is typed ends the program, not us. */
static void interrupts_are_the_programs(void **state)
{
	struct sigaction now;

	(void)state;
	assert_int_equal(run_shell("kill -INT $PPID; kill -INT $$; exit 1", no_extra),
			 128 + SIGINT);
	assert_int_equal(sigaction(SIGINT, NULL, &now), 0);
	assert_true(now.sa_handler == SIG_DFL);
}

static void what_cannot_run_is_an_error(void **state)
{
	const char *const words[] = {"x", NULL};
	struct run_command command = {
		.program = "/no/such/program", .words = words, .extra = no_extra};
	int status = -1;

	(void)state;
	assert_true(run_wait(&command, &status, NULL) < 0);
	command.program = "/etc/passwd";
	assert_true(run_wait(&command, &status, NULL) < 0);
	assert_int_equal(status, -1);
	assert_true(run_is_program("/bin/sh"));
	assert_false(run_is_program("/etc/passwd"));
	assert_false(run_is_program("/bin"));
	assert_false(run_is_program("/no/such/program"));
}

static void is_found_in_absolute_folders(void **state)
{
	char out[PATHS_MAX];

	(void)state;
	assert_int_equal(setenv("PATH", "::.:bin:/no/such:/bin", 1), 0);
	assert_int_equal(run_find("sh", out, NULL), 0);
	assert_string_equal(out, "/bin/sh");
	assert_int_equal(run_find("no-such-program", out, NULL), ERR_NOTFOUND);
	assert_int_equal(setenv("PATH", ".:bin", 1), 0);
	assert_int_equal(run_find("sh", out, NULL), ERR_NOTFOUND);
	assert_int_equal(unsetenv("PATH"), 0);
	assert_int_equal(run_find("sh", out, NULL), ERR_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_how_it_ended),
		cmocka_unit_test(words_arrive_as_they_are),
		cmocka_unit_test(what_it_prints_goes_to_stderr),
		cmocka_unit_test(variables_are_added_or_replaced),
		cmocka_unit_test(interrupts_are_the_programs),
		cmocka_unit_test(what_cannot_run_is_an_error),
		cmocka_unit_test(is_found_in_absolute_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
