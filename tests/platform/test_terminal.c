#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "platform/terminal.h"

/*
 * Runs body in a process whose terminal is a fresh one; input is typed as soon as that shows
 * something. Gives what body returned, and what the terminal showed.
 */
static int on_terminal(int (*body)(void), const char *input, char *shown, size_t cap)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	size_t n = 0;
	int status = 0;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	pid_t child = fork();
	if (child == 0) {
		struct winsize size = {.ws_col = 123, .ws_row = 45};
		(void)setsid();
		int fd = open(ptsname(master), O_RDWR); /* becomes the controlling terminal */
		if (fd < 0 || ioctl(fd, TIOCSWINSZ, &size) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(90);
		_exit(body());
	}
	for (;;) { /* until the last process has closed its side (EIO) */
		ssize_t got = read(master, shown + n, cap - 1 - n);
		if (got <= 0)
			break;
		if (n == 0)
			assert_int_equal(write(master, input, strlen(input)), strlen(input));
		n += (size_t)got;
	}
	shown[n] = '\0';
	(void)close(master); /* hangs up on a child that still waits for an answer */
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* 0 = no, 1 = yes, 2 = error */
static int ask(bool default_yes)
{
	bool yes = false;
	int rc = terminal_ask("Proceed?", default_yes, &yes, NULL);
	return rc < 0 ? 2 : yes;
}

static int ask_default_yes(void)
{
	return ask(true);
}

static int ask_default_no(void)
{
	return ask(false);
}

static void answers(void **state)
{
	static const struct {
		const char *typed;
		int default_yes, default_no;
	} cases[] = {
		{"\n", 1, 0},		{"y\n", 1, 1},
		{"n\n", 0, 0},		{"YES\n", 1, 1},
		{"No\n", 0, 0},		{"what\ny\n", 1, 1},
		{"a\nb\nc\ny\n", 0, 0}, {"yesterday\n\n", 1, 0},
		{"\x04", 2, 2},		{"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\nn\n", 0, 0},
	};
	char shown[4096];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int yes = on_terminal(ask_default_yes, cases[i].typed, shown, sizeof(shown));
		assert_non_null(strstr(shown, "Proceed? [Y/n] "));
		int no = on_terminal(ask_default_no, cases[i].typed, shown, sizeof(shown));
		assert_non_null(strstr(shown, "Proceed? [y/N] "));
		if (yes != cases[i].default_yes || no != cases[i].default_no)
			fail_msg("case %zu: %d and %d", i, yes, no);
	}
}

static int facts(void)
{
	if (!terminal_is(TERMINAL_ERR) || terminal_width(TERMINAL_ERR) != 123)
		return 1;
	if (setenv("TERM", "xterm", 1) < 0 || unsetenv("NO_COLOR") < 0)
		return 2;
	if (!terminal_colour(TERMINAL_ERR))
		return 3;
	if (setenv("NO_COLOR", "", 1) < 0 || !terminal_colour(TERMINAL_ERR))
		return 4;
	if (setenv("NO_COLOR", "1", 1) < 0 || terminal_colour(TERMINAL_ERR))
		return 5;
	if (unsetenv("NO_COLOR") < 0 || setenv("TERM", "dumb", 1) < 0)
		return 6;
	return terminal_colour(TERMINAL_ERR) ? 7 : 0;
}

static int read_secret(void)
{
	char line[8];
	if (terminal_read_line("Code: ", true, line, sizeof(line), NULL) < 0)
		return 1;
	if (strcmp(line, "hunter2") != 0)
		return 2;
	if (terminal_read_line("Code: ", false, line, sizeof(line), NULL) != ERR_LIMIT)
		return 3;
	return 0;
}

static void reads_and_tells(void **state)
{
	char shown[4096];
	(void)state;
	assert_int_equal(on_terminal(facts, "", shown, sizeof(shown)), 0);
	assert_int_equal(on_terminal(read_secret, "hunter2\nfar too long\n", shown, sizeof(shown)),
			 0);
	assert_non_null(strstr(shown, "Code: "));
	assert_null(strstr(shown, "hunter2"));
}

/* No terminal at all: nobody is asked, and the caller knows. */
static void no_terminal(void **state)
{
	int status;
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		bool yes = true;
		(void)setsid();
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || terminal_is(TERMINAL_OUT) ||
		    terminal_width(TERMINAL_OUT) != 80 || terminal_colour(TERMINAL_OUT))
			_exit(1);
		_exit(terminal_ask("Proceed?", true, &yes, NULL) == ERR_NOTFOUND && yes ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(reads_and_tells),
		cmocka_unit_test(no_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
