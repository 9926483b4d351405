#include "platform/local_socket.h"

#include <windows.h>

#include "platform/clock.h"
#include "platform/windows_text.h"

static DWORD left_ms(int64_t deadline_ms)
{
	const struct clock *clock = clock_system();
	int64_t left = deadline_ms - clock->mono_ms(clock);
	if (left < 0)
		return 0;
	return left > INT32_MAX ? INT32_MAX : (DWORD)left;
}

static int open_error(const char *path, DWORD e, struct err *err)
{
	switch (e) {
	case ERROR_FILE_NOT_FOUND: /* a pipe exists only while it is served */
		return err_set(err, ERR_UNREACHABLE, "%s: the agent is not running", path);
	case ERROR_SEM_TIMEOUT:
		return err_set(err, ERR_TIMEOUT, "%s: the agent is too busy to answer", path);
	default:
		return windows_error(err, e, "connect to %s", path);
	}
}

int local_client_open(const char *path, int64_t deadline_ms, struct local_client *out,
		      struct err *err)
{
	wchar_t wide[PATHS_MAX];
	int rc = windows_wide(path, wide, PATHS_MAX, err);
	if (rc < 0)
		return rc;
	for (;;) {
		/* The agent may learn who we are; it may not act as us. */
		HANDLE pipe = CreateFileW(
			wide, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
			FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
			NULL);
		if (pipe != INVALID_HANDLE_VALUE) {
			out->handle = (intptr_t)pipe;
			return 0;
		}
		DWORD e = GetLastError();
		if (e != ERROR_PIPE_BUSY)
			return open_error(path, e, err);
		DWORD left = left_ms(deadline_ms);
		if (left == 0) /* which WaitNamedPipe would take as "the default" */
			return open_error(path, ERROR_SEM_TIMEOUT, err);
		if (!WaitNamedPipeW(wide, left))
			return open_error(path, GetLastError(), err);
	}
}

static int transfer_error(DWORD e, struct err *err)
{
	if (e == ERROR_OPERATION_ABORTED)
		return err_set(err, ERR_TIMEOUT, "the agent did not answer in time");
	if (e == ERROR_BROKEN_PIPE || e == ERROR_NO_DATA || e == ERROR_PIPE_NOT_CONNECTED)
		return err_set(err, ERR_CLOSED, "the agent closed the connection");
	return windows_error(err, e, "talk to the agent");
}

/* One read or write, at most until the deadline. */
static int transfer(HANDLE pipe, bool sending, void *data, DWORD n, int64_t deadline_ms,
		    DWORD *done, struct err *err)
{
	OVERLAPPED io = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
	int rc = 0;
	if (!io.hEvent)
		return windows_error(err, GetLastError(), "make an event");
	BOOL started =
		sending ? WriteFile(pipe, data, n, NULL, &io) : ReadFile(pipe, data, n, NULL, &io);
	if (!started && GetLastError() != ERROR_IO_PENDING) {
		rc = transfer_error(GetLastError(), err);
	} else {
		if (WaitForSingleObject(io.hEvent, left_ms(deadline_ms)) != WAIT_OBJECT_0)
			(void)CancelIoEx(pipe, &io);
		/* Waits for the end of what was cancelled too: the buffer is ours again only then.
		 */
		if (!GetOverlappedResult(pipe, &io, done, TRUE))
			rc = transfer_error(GetLastError(), err);
	}
	(void)CloseHandle(io.hEvent);
	return rc;
}

int local_client_send(struct local_client *client, const void *data, size_t n, int64_t deadline_ms,
		      struct err *err)
{
	const char *p = data;
	while (n > 0) {
		DWORD want = n > 65536 ? 65536 : (DWORD)n;
		DWORD done = 0;
		int rc = transfer((HANDLE)client->handle, true, (void *)(uintptr_t)p, want,
				  deadline_ms, &done, err);
		if (rc < 0)
			return rc;
		p += done;
		n -= done;
	}
	return 0;
}

int local_client_recv(struct local_client *client, void *data, size_t cap, int64_t deadline_ms,
		      size_t *n, struct err *err)
{
	DWORD want = cap > 65536 ? 65536 : (DWORD)cap;
	DWORD done = 0;
	int rc = transfer((HANDLE)client->handle, false, data, want, deadline_ms, &done, err);
	if (rc == 0 && done == 0)
		rc = err_set(err, ERR_CLOSED, "the agent closed the connection");
	if (rc == 0)
		*n = done;
	return rc;
}

void local_client_close(struct local_client *client)
{
	if (client->handle != -1)
		(void)CloseHandle((HANDLE)client->handle);
	*client = LOCAL_CLIENT_NONE;
}
