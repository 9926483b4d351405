#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "platform/sandbox.h"
#include "tests/support/tmpdir.h"

#define EXIT_UNSUPPORTED 99

static struct tmpdir tmp;

/* Each returns 0 when the sandbox does what it promises. They run inside of it. */

static int no_network(void)
{
	static const int domains[] = {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET};
	for (size_t i = 0; i < ARRAY_SIZE(domains); i++)
		if (socket(domains[i], SOCK_STREAM, 0) >= 0 || errno != EPERM)
			return 1 + (int)i;
	return 0;
}

static int local_sockets_stay(void)
{
	int pair[2];
	if (socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0)
		return 1;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? 2 : 0;
}

static int no_programs(void)
{
	(void)execl("/bin/true", "true", (char *)NULL);
	return errno == EPERM ? 0 : 1;
}

static int no_tracing(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return 0; /* the leak checker traces its own process */
#else
	errno = 0;
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == EPERM ? 0 : 1;
#endif
}

static int no_writing(void)
{
	char path[TMPDIR_PATH_MAX];
	char to[TMPDIR_PATH_MAX];
	tmpdir_path(&tmp, "new", path);
	if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != EACCES)
		return 1;
	tmpdir_path(&tmp, "file", path);
	if (open(path, O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return 2;
	tmpdir_path(&tmp, "moved", to);
	if (rename(path, to) == 0 || unlink(path) == 0 || mkdir(to, 0700) == 0)
		return 3;
	return symlink("x", to) == 0 ? 4 : 0;
}

static int reading_stays(void)
{
	char path[TMPDIR_PATH_MAX];
	char text[8] = {0};
	tmpdir_path(&tmp, "file", path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text)) != 4 || strcmp(text, "text") != 0)
		return 1;
	return close(fd);
}

static int thread_result = -1;

static void in_thread(void *arg)
{
	(void)arg;
	thread_result = no_network();
}

static int holds_for_threads(void)
{
	uv_thread_t thread;
	if (uv_thread_create(&thread, in_thread, NULL) != 0 || uv_thread_join(&thread) != 0)
		return 100;
	return thread_result;
}

static int no_new_rights(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1;
}

static void promises(void **state)
{
	static const struct {
		const char *what;
		int (*holds)(void);
	} cases[] = {
		{"no network", no_network},
		{"local sockets stay", local_sockets_stay},
		{"no programs", no_programs},
		{"no tracing", no_tracing},
		{"no writing", no_writing},
		{"reading stays", reading_stays},
		{"holds for threads", holds_for_threads},
		{"no new rights", no_new_rights},
	};
	(void)state;
	tmpdir_make(&tmp);
	tmpdir_write_text(&tmp, "file", "text");
	bool unsupported = false;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = 0;
		pid_t child = fork();
		if (child == 0) {
			struct err err = ERR_INIT;
			int rc = sandbox_reader(&err);
			if (rc == ERR_UNSUPPORTED)
				fprintf(stderr, "%s\n", err.text);
			_exit(rc == 0		      ? cases[i].holds()
			      : rc == ERR_UNSUPPORTED ? EXIT_UNSUPPORTED
						      : 98);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNSUPPORTED)
			unsupported = true;
		else if (status != 0)
			fail_msg("\"%s\" does not hold: status 0x%x", cases[i].what, status);
	}
	tmpdir_remove(&tmp);
	if (unsupported) {
		print_message("skipped: this kernel has not all of the sandbox\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(promises)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
