#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "platform/process.h"

/* --- what the child does, started as this same program --- */

static int child_echo(void)
{
	char text[16] = {0};
	ssize_t n = read(PROCESS_FD_FIRST, text, sizeof(text));
	if (n <= 0 || write(PROCESS_FD_FIRST + 1, text, (size_t)n) != n)
		return 1;
	sigset_t blocked;
	if (sigprocmask(SIG_BLOCK, NULL, &blocked) < 0 || sigismember(&blocked, SIGTERM))
		return 2;
	if (signal(SIGPIPE, SIG_DFL) != SIG_DFL)
		return 3;
	return fcntl(PROCESS_FD_FIRST + 2, F_GETFD) < 0 ? 7 : 4; /* nothing else came along */
}

static int child_wait(const char *parent)
{
	long long pid;
	if (text_to_i64(parent, strlen(parent), &pid) < 0 || process_end_with_parent(pid, NULL) < 0)
		return 1;
	if (write(PROCESS_FD_FIRST, "r", 1) != 1)
		return 2;
	for (;;)
		(void)pause();
}

/* --- the tests --- */

static int64_t spawn(const char *what, const int *fds, size_t n)
{
	char parent[24];
	snprintf(parent, sizeof(parent), "%lld", (long long)process_id());
	const char *const args[] = {"test_process", what, parent, NULL};
	int64_t pid = 0;
	assert_int_equal(process_spawn_self(args, fds, n, &pid, NULL), 0);
	assert_true(pid > 0);
	return pid;
}

static struct process_end reap(void)
{
	struct process_end end;
	int rc;
	while ((rc = process_reap(&end)) == ERR_BUSY)
		(void)poll(NULL, 0, 1);
	assert_int_equal(rc, 0);
	return end;
}

static void spawns_and_inherits(void **state)
{
	int a[2], b[2];
	char text[16] = {0};
	struct process_end end;
	(void)state;
	assert_int_equal(process_reap(&end), ERR_NOTFOUND);
	assert_int_equal(process_pair(a, NULL), 0);
	assert_int_equal(process_pair(b, NULL), 0);
	assert_true(fcntl(a[0], F_GETFD) & FD_CLOEXEC);

	sigset_t mask, before;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &before); /* neither this nor the ignored one is handed on */
	(void)signal(SIGPIPE, SIG_IGN);
	/* numbers that cross each other's targets */
	int low = fcntl(a[1], F_DUPFD_CLOEXEC, PROCESS_FD_FIRST);
	const int fds[] = {a[1], b[1]};
	int64_t pid = spawn("echo", fds, 2);
	sigprocmask(SIG_SETMASK, &before, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	assert_int_equal(write(a[0], "ping", 4), 4);
	assert_int_equal(read(b[0], text, sizeof(text)), 4);
	assert_string_equal(text, "ping");
	end = reap();
	assert_int_equal(end.pid, pid);
	assert_int_equal(end.exit_code, 7);
	assert_int_equal(end.signal, 0);
	process_close(low);
	for (int i = 0; i < 2; i++) {
		process_close(a[i]);
		process_close(b[i]);
	}
	process_close(-1);
}

/* Numbers handed over in the opposite order of where they lie. */
static void crossed_numbers(void **state)
{
	int a[2], b[2];
	char text[16] = {0};
	(void)state;
	assert_int_equal(process_pair(a, NULL), 0);
	assert_int_equal(process_pair(b, NULL), 0);
	int first = fcntl(a[1], F_DUPFD_CLOEXEC, 40);
	assert_int_equal(dup3(b[1], PROCESS_FD_FIRST + 20, O_CLOEXEC), PROCESS_FD_FIRST + 20);
	const int fds[] = {first, PROCESS_FD_FIRST + 20};
	(void)spawn("echo", fds, 2);
	assert_int_equal(write(a[0], "x", 1), 1);
	assert_int_equal(read(b[0], text, sizeof(text)), 1);
	assert_int_equal(reap().exit_code, 7);
	process_close(first);
	process_close(PROCESS_FD_FIRST + 20);
	for (int i = 0; i < 2; i++) {
		process_close(a[i]);
		process_close(b[i]);
	}
}

static void signals(void **state)
{
	int pair[2];
	char c;
	(void)state;
	assert_int_equal(process_pair(pair, NULL), 0);
	int64_t pid = spawn("wait", &pair[1], 1);
	struct process_end end;
	assert_int_equal(read(pair[0], &c, 1), 1);
	assert_int_equal(process_reap(&end), ERR_BUSY);
	assert_int_equal(process_signal(pid, PROCESS_TERMINATE, NULL), 0);
	end = reap();
	assert_int_equal(end.pid, pid);
	assert_int_equal(end.signal, SIGTERM);
	assert_int_equal(end.exit_code, -1);
	assert_int_equal(process_signal(pid, PROCESS_KILL, NULL), ERR_NOTFOUND);
	process_close(pair[0]);
	process_close(pair[1]);
}

/* A supervisor is killed; its child must not live on. */
static void ends_with_parent(void **state)
{
	int pair[2];
	char c;
	(void)state;
	assert_int_equal(process_pair(pair, NULL), 0);
	pid_t supervisor = fork();
	if (supervisor == 0) {
		char parent[24];
		int64_t pid;
		snprintf(parent, sizeof(parent), "%ld", (long)getpid());
		const char *const args[] = {"test_process", "wait", parent, NULL};
		if (process_spawn_self(args, &pair[1], 1, &pid, NULL) < 0)
			_exit(1);
		for (;;)
			(void)pause();
	}
	process_close(pair[1]);
	assert_int_equal(read(pair[0], &c, 1), 1);
	assert_int_equal(kill(supervisor, SIGKILL), 0);
	assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
	struct pollfd p = {.fd = pair[0], .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(read(pair[0], &c, 1), 0); /* its end closed with it */
	process_close(pair[0]);
	struct err err = ERR_INIT;
	pid_t late = fork();
	if (late == 0)
		_exit(process_end_with_parent(1 << 30, &err) == ERR_CANCELED ? 0 : 1);
	int status;
	assert_int_equal(waitpid(late, &status, 0), late);
	assert_int_equal(status, 0);
}

/* Runs in a process of its own, as what it gives up can't be had back; 0 = as it should be. */
static int in_child(int (*body)(void))
{
	int status = 0;
	pid_t child = fork();
	if (child == 0)
		_exit(body());
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static int drop_all(void)
{
	if (process_drop_rights(false, NULL) < 0 || process_can_read_all())
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	/* Of this thread alone: libc aborts where a sanitizer's own thread is still allowed to. */
	if (geteuid() != 1 && syscall(SYS_setresuid, 1, 1, 1) == 0)
		return 3;
	return process_drop_rights(true, NULL) == 0 && !process_can_read_all() ? 0 : 4;
}

static int drop_but_reading(void)
{
	char c;
	if (process_drop_rights(true, NULL) < 0 || !process_can_read_all())
		return 1;
	int fd = open("/etc/shadow", O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || read(fd, &c, 1) < 0)
		return 2;
	return chown("/etc/shadow", 0, 12345) == 0 ? 3 : 0;
}

static int become_other(void)
{
	if (process_become(12345, 12346, false, NULL) < 0)
		return 1;
	if (getuid() != 12345 || geteuid() != 12345 || getegid() != 12346 ||
	    getgroups(0, NULL) != 0)
		return 2;
	return open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0 || process_can_read_all() ? 3 : 0;
}

static int become_reader(void)
{
	if (process_become(12345, 12346, true, NULL) < 0 || geteuid() != 12345)
		return 1;
	if (!process_can_read_all())
		return 2;
	return setuid(0) == 0 ? 3 : 0;
}

static void gives_up_rights(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_all), 0);
	if (geteuid() != 0) {
		print_message("skipped the rest: only root has rights to give up\n");
		return;
	}
	assert_int_equal(in_child(drop_but_reading), 0);
	assert_int_equal(in_child(become_other), 0);
	assert_int_equal(in_child(become_reader), 0);
}

static int limit_all(void)
{
	const struct process_limits limits = {.open_files = 64, .no_core = true};
	struct rlimit files, core;
	if (process_set_limits(&limits, NULL) < 0)
		return 1;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || getrlimit(RLIMIT_CORE, &core) < 0)
		return 2;
	if (files.rlim_cur != 64 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 3;
	return process_set_limits(&(struct process_limits){.open_files = UINT64_MAX}, NULL) == 0
		       ? 0
		       : 4;
}

static void limits(void **state)
{
	(void)state;
	assert_int_equal(in_child(limit_all), 0);
}

static void name(void **state)
{
	char text[16] = {0};
	(void)state;
	process_set_name("envwardend: a long name");
	assert_int_equal(prctl(PR_GET_NAME, text, 0, 0, 0), 0);
	assert_string_equal(text, "envwardend: a l");
}

/* --- as somebody else --- */

struct seen {
	uint32_t uid;
	char text[5000]; /* more than fits a pipe's smallest piece */
};

static int as_told(void *ctx, void *result)
{
	struct seen *seen = result;
	int rc = *(const int *)ctx;

	if (rc > 0)
		(void)sleep(60);
	seen->uid = (uint32_t)geteuid();
	memset(seen->text, 'x', sizeof(seen->text));
	return rc;
}

static void runs_as(void **state)
{
	static struct seen seen;
	int answer = 0;
	struct process_task task = {.uid = (uint32_t)geteuid(),
				    .gid = (uint32_t)getegid(),
				    .timeout_ms = 30000,
				    .run = as_told,
				    .ctx = &answer,
				    .result = &seen,
				    .n = sizeof(seen)};
	(void)state;
	assert_int_equal(process_run_as(&task, NULL), 0);
	assert_int_equal(seen.uid, geteuid());
	assert_int_equal(seen.text[sizeof(seen.text) - 1], 'x');
	if (geteuid() == 0) {
		task.uid = task.gid = 12345;
		assert_int_equal(process_run_as(&task, NULL), 0);
		assert_int_equal(seen.uid, 12345);
	} else {
		task.uid = 0;
		assert_int_equal(process_run_as(&task, NULL), ERR_PERM);
		task.uid = (uint32_t)geteuid();
	}
	memset(&seen, 0, sizeof(seen));
	answer = ERR_FULL;
	assert_int_equal(process_run_as(&task, NULL), ERR_FULL);
	answer = 1; /* sleeps */
	task.timeout_ms = 100;
	assert_int_equal(process_run_as(&task, NULL), ERR_TIMEOUT);
	assert_int_equal(seen.text[0], 0);
}

static void never_ends(int signal)
{
	(void)signal;
	for (;;)
		(void)pause();
}

/* Tells all, and does not end. */
static int run_and_stay(void *ctx, void *result)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

	(void)ctx;
	(void)alarm(60); /* should nobody end it */
	(void)signal(SIGSYS, never_ends);
	*(int *)result = 7;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? ERR_UNSUPPORTED : 0;
}

/* Whose account the other process has may stop it: nobody waits for its end. */
static void needs_no_end(void **state)
{
	int seen = 0;
	struct process_task task = {.uid = geteuid(),
				    .gid = getegid(),
				    .timeout_ms = 30000,
				    .run = run_and_stay,
				    .result = &seen,
				    .n = sizeof(seen)};
	(void)state;
	(void)alarm(60);
	assert_int_equal(process_run_as(&task, NULL), 0);
	(void)alarm(0);
	assert_int_equal(seen, 7);
}

/* Nothing but the length of turns changes, whether the kernel knows that or not. */
static void short_turns(void **state)
{
	(void)state;
	int before = getpriority(PRIO_PROCESS, 0);

	process_short_turns();
	assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
	assert_int_equal(sched_getscheduler(0) & ~SCHED_RESET_ON_FORK, SCHED_OTHER);
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "echo") == 0)
		return child_echo();
	if (argc > 2 && strcmp(argv[1], "wait") == 0)
		return child_wait(argv[2]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spawns_and_inherits),
		cmocka_unit_test(crossed_numbers),
		cmocka_unit_test(signals),
		cmocka_unit_test(ends_with_parent),
		cmocka_unit_test(gives_up_rights),
		cmocka_unit_test(limits),
		cmocka_unit_test(name),
		cmocka_unit_test(runs_as),
		cmocka_unit_test(needs_no_end),
		cmocka_unit_test(short_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
