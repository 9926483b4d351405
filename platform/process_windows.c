#include "platform/process.h"

#include <windows.h>

#include "platform/users.h"
#include "platform/windows_text.h"

/* The agent's division into processes needs descriptors that travel; here there is none yet. */
static int unsupported(struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "not available on Windows");
}

int process_pair(int fds[2], struct err *err)
{
	(void)fds;
	return unsupported(err);
}

void process_close(int fd)
{
	(void)fd;
}

int process_spawn_self(const char *const args[], const int *fds, size_t n, int64_t *pid,
		       struct err *err)
{
	(void)args;
	(void)fds;
	(void)n;
	(void)pid;
	return unsupported(err);
}

int process_spawn_detached(const char *const args[], struct err *err)
{
	(void)args;
	return unsupported(err);
}

int process_signal(int64_t pid, enum process_signal signal, struct err *err)
{
	if (signal != PROCESS_KILL)
		return unsupported(err);
	HANDLE process = OpenProcess(PROCESS_TERMINATE, FALSE, (DWORD)pid);
	if (!process && GetLastError() == ERROR_INVALID_PARAMETER)
		return err_set(err, ERR_NOTFOUND, "process %lld has ended", (long long)pid);
	if (!process)
		return windows_error(err, GetLastError(), "open process %lld", (long long)pid);
	int rc = TerminateProcess(process, 1)
			 ? 0
			 : windows_error(err, GetLastError(), "end process %lld", (long long)pid);
	(void)CloseHandle(process);
	return rc;
}

int process_reap(struct process_end *out)
{
	(void)out;
	return ERR_NOTFOUND;
}

int process_own_path(char *out, size_t cap, struct err *err)
{
	wchar_t wide[PATHS_MAX];
	DWORD n = GetModuleFileNameW(NULL, wide, PATHS_MAX);

	if (n == 0 || n >= PATHS_MAX)
		return windows_error(err, GetLastError(), "path of this program");
	return windows_utf8(wide, out, cap, err);
}

int64_t process_id(void)
{
	return (int64_t)GetCurrentProcessId();
}

void process_set_name(const char *name)
{
	(void)name; /* process lists show the program's file */
}

void process_short_turns(void)
{
	/* What waits and then is ready is preferred without being asked for. */
}

void process_step_back(void)
{
	(void)SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
}

void process_return_memory(void)
{
	/* The heap does. */
}

int process_end_with_parent(int64_t parent, struct err *err)
{
	(void)parent;
	return unsupported(err);
}

int process_drop_rights(bool keep_read_all, struct err *err)
{
	(void)keep_read_all;
	return unsupported(err);
}

bool process_can_read_all(void)
{
	return users_is_root();
}

int process_become(uint32_t uid, uint32_t gid, bool keep_read_all, struct err *err)
{
	(void)uid;
	(void)gid;
	(void)keep_read_all;
	return unsupported(err);
}

int process_run_as(const struct process_task *task, struct err *err)
{
	(void)task;
	return unsupported(err);
}

int process_set_limits(const struct process_limits *limits, struct err *err)
{
	(void)limits;
	return unsupported(err);
}
