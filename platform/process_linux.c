#include "platform/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "platform/clock.h"
#include "platform/posix_io.h"

#define RETURNED_SIZE 65536 /* what is large */

extern char **environ;

int process_pair(int fds[2], struct err *err)
{
	int made[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made) < 0)
		return err_errno(err, errno, "make a socket pair");
	fds[0] = made[0];
	fds[1] = made[1];
	return 0;
}

void process_close(int fd)
{
	posix_close(fd);
}

/* --- starting --- */

/* Copies above every target number, so that no dup2 in the child overwrites one still needed. */
static int lift(const int *fds, size_t n, int *high, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PROCESS_FD_FIRST + PROCESS_FDS_MAX);
		if (high[i] < 0)
			return err_errno(err, errno, "copy a descriptor");
	}
	return 0;
}

static int spawn(const char *const args[], const int *high, size_t n, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t all;
	int e = posix_spawn_file_actions_init(&actions);
	if (e != 0)
		return e;
	e = posix_spawnattr_init(&attributes);
	if (e != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return e;
	}
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	for (size_t i = 0; i < n && e == 0; i++)
		e = posix_spawn_file_actions_adddup2(&actions, high[i], PROCESS_FD_FIRST + (int)i);
	if (e == 0) /* the prototype wants char *, the function changes nothing */
		e = posix_spawn(pid, "/proc/self/exe", &actions, &attributes,
				(char *const *)(uintptr_t)args, environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return e;
}

int process_spawn_self(const char *const args[], const int *fds, size_t n, int64_t *pid,
		       struct err *err)
{
	int high[PROCESS_FDS_MAX];
	pid_t child = 0;
	CHECK(n <= PROCESS_FDS_MAX);
	for (size_t i = 0; i < PROCESS_FDS_MAX; i++)
		high[i] = -1;
	int rc = lift(fds, n, high, err);
	if (rc == 0) {
		int e = spawn(args, high, n, &child);
		if (e != 0)
			rc = err_errno(err, e, "start another process of this program");
	}
	for (size_t i = 0; i < n; i++)
		posix_close(high[i]);
	if (rc == 0)
		*pid = child;
	return rc;
}

#define INHERITED_MAX 64 /* descriptors a shell may have open beside the usual three */

static int nothing_inherited(posix_spawn_file_actions_t *actions)
{
	int e = 0;
	for (int fd = 0; fd < 3 && e == 0; fd++)
		e = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
	for (int fd = 3; fd < INHERITED_MAX && e == 0; fd++)
		e = posix_spawn_file_actions_addclose(actions, fd); /* also of one not open */
	return e;
}

int process_spawn_detached(const char *const args[], struct err *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;
	int e = posix_spawn_file_actions_init(&actions);
	if (e != 0)
		return err_errno(err, e, "start another process of this program");
	e = posix_spawnattr_init(&attributes);
	if (e == 0) {
		(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
		e = nothing_inherited(&actions);
		if (e == 0)
			e = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes,
					(char *const *)(uintptr_t)args, environ);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return e == 0 ? 0 : err_errno(err, e, "start another process of this program");
}

/* --- looking after --- */

int process_signal(int64_t pid, enum process_signal signal, struct err *err)
{
	int number = SIGTERM;
	if (signal == PROCESS_KILL)
		number = SIGKILL;
	else if (signal == PROCESS_RELOAD)
		number = SIGHUP;
	CHECK(pid > 0); /* 0 and below would mean groups of processes */
	if (kill((pid_t)pid, number) == 0)
		return 0;
	if (errno == ESRCH)
		return err_set(err, ERR_NOTFOUND, "process %lld has ended", (long long)pid);
	return err_errno(err, errno, "signal process %lld", (long long)pid);
}

int process_reap(struct process_end *out)
{
	int status = 0;
	pid_t pid;
	do {
		pid = waitpid(-1, &status, WNOHANG);
	} while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return ERR_BUSY;
	if (pid < 0)
		return ERR_NOTFOUND;
	*out = (struct process_end){
		.pid = pid,
		.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	};
	return 0;
}

int64_t process_id(void)
{
	return getpid();
}

int process_own_path(char *out, size_t cap, struct err *err)
{
	static const char removed[] = " (deleted)";
	const size_t mark = sizeof(removed) - 1;
	ssize_t n = readlink("/proc/self/exe", out, cap);

	if (n < 0)
		return err_errno(err, errno, "path of this program");
	if ((size_t)n >= cap)
		return err_set(err, ERR_LIMIT, "path of this program: too long");
	if ((size_t)n > mark && memcmp(out + n - mark, removed, mark) == 0)
		return err_set(err, ERR_NOTFOUND, "the file of this program was removed");
	out[n] = '\0';
	return 0;
}

void process_set_name(const char *name)
{
	char text[16];
	size_t n = strnlen(name, sizeof(text) - 1);
	memcpy(text, name, n);
	text[n] = '\0';
	(void)prctl(PR_SET_NAME, text, 0, 0, 0);
}

/* As the kernel has it; not every libc declares it. */
struct sched_turns {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns; /* of SCHED_OTHER: how long a turn is, 0 = the system's default */
	uint64_t deadline_ns;
	uint64_t period_ns;
};
#define STEPPED_BACK 10 /* its nice value */
#define TURN_NS 100000	/* the shortest there is */

void process_short_turns(void)
{
	struct sched_turns turns = {.size = sizeof(turns)};
	/* Whoever gave this process another policy knows better. */
	if (syscall(SYS_sched_getattr, 0, &turns, sizeof(turns), 0) < 0 ||
	    turns.policy != SCHED_OTHER)
		return;
	turns.flags |= SCHED_FLAG_RESET_ON_FORK;
	turns.runtime_ns = TURN_NS;
	(void)syscall(SYS_sched_setattr, 0, &turns, 0);
}

void process_step_back(void)
{
	(void)setpriority(PRIO_PROCESS, 0, STEPPED_BACK); /* a thread's own, with this kernel */
}

void process_return_memory(void)
{
#if defined(__GLIBC__)
	(void)mallopt(M_MMAP_THRESHOLD, RETURNED_SIZE);
#endif
}

int process_end_with_parent(int64_t parent, struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_errno(err, errno, "tie this process to its parent");
	if (getppid() != parent) /* it ended before we asked */
		return err_set(err, ERR_CANCELED, "the parent process has ended");
	return 0;
}

/* --- rights --- */

struct cap_sets {
	struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

static int caps_read(struct cap_sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	return syscall(SYS_capget, &header, sets->words) < 0 ? -1 : 0;
}

static int caps_write(const struct cap_sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	return syscall(SYS_capset, &header, sets->words) < 0 ? -1 : 0;
}

bool process_can_read_all(void)
{
	struct cap_sets sets;
	const uint32_t any = CAP_TO_MASK(CAP_DAC_READ_SEARCH) | CAP_TO_MASK(CAP_DAC_OVERRIDE);
	return caps_read(&sets) == 0 && (sets.words[0].effective & any) != 0;
}

int process_drop_rights(bool keep_read_all, struct err *err)
{
	struct cap_sets sets;
	uint32_t keep = keep_read_all ? CAP_TO_MASK(CAP_DAC_READ_SEARCH) : 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, errno, "give up new privileges");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return err_errno(err, errno, "give up ambient capabilities");
	/* The bounding set only bounds what an exec could add; without new privileges there is
	 * nothing to add, so it may fail (EPERM without CAP_SETPCAP, EINVAL behind the last
	 * capability). */
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (caps_read(&sets) < 0)
		return err_errno(err, errno, "read capabilities");
	keep &= sets.words[0].permitted;
	memset(&sets, 0, sizeof(sets));
	sets.words[0].permitted = keep;
	sets.words[0].effective = keep;
	if (caps_write(&sets) < 0)
		return err_errno(err, errno, "give up capabilities");
	return 0;
}

int process_become(uint32_t uid, uint32_t gid, bool keep_read_all, struct err *err)
{
	/* Permitted capabilities would go with the uid; the reader keeps one of them. */
	if (keep_read_all && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_errno(err, errno, "keep capabilities");
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_errno(err, errno, "become uid %u", (unsigned)uid);
	int rc = process_drop_rights(keep_read_all, err);
	if (rc < 0)
		return rc;
	if (uid != 0 && (setuid(0) == 0 || geteuid() != uid))
		return err_set(err, ERR_INTERNAL, "still able to become root");
	return 0;
}

/* --- as somebody else --- */

static void task_child(const struct process_task *task, int fd)
{
	/* Root stays who it is where it is meant: in a container of one account it could not even
	 * give up its groups. */
	int rc = geteuid() == 0 && task->uid != 0
			 ? process_become(task->uid, task->gid, false, NULL)
			 : process_drop_rights(false, NULL);
	if (rc == 0 && geteuid() != task->uid)
		rc = ERR_PERM;
	if (rc == 0)
		rc = task->run(task->ctx, task->result);
	/* A broken pipe: nobody waits any more. */
	if (posix_write_all(fd, &rc, sizeof(rc), "tell how it ended", NULL) == 0 && rc == 0)
		(void)posix_write_all(fd, task->result, task->n, "tell the result", NULL);
	_exit(0);
}

/* Reads exactly n bytes before the deadline. */
static int read_until(int fd, void *data, size_t n, int64_t deadline_ms, struct err *err)
{
	const struct clock *clock = clock_system();
	char *p = data;
	while (n > 0) {
		int64_t left = deadline_ms - clock->mono_ms(clock);
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int ready = left > 0 ? poll(&wait, 1, left < INT_MAX ? (int)left : INT_MAX) : 0;
		ssize_t got = ready > 0 ? read(fd, p, n) : 0;
		if ((ready < 0 || got < 0) && errno == EINTR)
			continue;
		if (ready == 0)
			return err_set(err, ERR_TIMEOUT, "does not answer");
		if (ready < 0 || got < 0)
			return err_errno(err, errno, "wait for a process");
		if (got == 0)
			return err_set(err, ERR_INTERNAL, "a process ended before it was done");
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

static int task_parent(const struct process_task *task, int fd, void *result, struct err *err)
{
	const struct clock *clock = clock_system();
	int64_t deadline = clock->mono_ms(clock) + task->timeout_ms;
	int done = 0;
	int rc = read_until(fd, &done, sizeof(done), deadline, err);
	if (rc == 0 && done < 0)
		return err_set(err, done, "%s", err_text(done));
	return rc < 0 ? rc : read_until(fd, result, task->n, deadline, err);
}

int process_run_as(const struct process_task *task, struct err *err)
{
	int fds[2];
	void *result = mem_alloc(task->n);
	if (!result)
		return err_nomem(err);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		mem_free(result);
		return err_errno(err, errno, "make a pipe");
	}
	pid_t pid = fork();
	if (pid == 0)
		task_child(task, fds[1]);
	posix_close(fds[1]);
	int rc = pid < 0 ? err_errno(err, errno, "start a process")
			 : task_parent(task, fds[0], result, err);
	posix_close(fds[0]);
	/* Also one that has told all: others of its account may have stopped it. What hangs in the
	 * kernel can't even be killed: nobody waits for that. */
	if (pid > 0)
		(void)kill(pid, SIGKILL);
	if (pid > 0)
		(void)waitpid(pid, NULL, rc == ERR_TIMEOUT ? WNOHANG : 0);
	if (rc == 0)
		memcpy(task->result, result, task->n);
	mem_free(result);
	return rc;
}

int process_set_limits(const struct process_limits *limits, struct err *err)
{
	struct rlimit r;
	if (limits->open_files > 0) {
		if (getrlimit(RLIMIT_NOFILE, &r) < 0)
			return err_errno(err, errno, "limit of open files");
		r.rlim_cur =
			limits->open_files < r.rlim_max ? (rlim_t)limits->open_files : r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) < 0)
			return err_errno(err, errno, "limit of open files");
	}
	if (limits->no_core) {
		r = (struct rlimit){0, 0};
		if (setrlimit(RLIMIT_CORE, &r) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
			return err_errno(err, errno, "no core files");
	}
	return 0;
}
