#include "platform/peer_cred.h"

#include <windows.h>

#include "platform/windows_text.h"

int peer_cred_get(intptr_t handle, struct peer_cred *out, struct err *err)
{
	HANDLE pipe = (HANDLE)handle;
	DWORD flags = 0;
	ULONG pid = 0;
	if (!GetNamedPipeInfo(pipe, &flags, NULL, NULL, NULL))
		return windows_error(err, GetLastError(), "ask who the peer is");
	BOOL known = flags & PIPE_SERVER_END ? GetNamedPipeClientProcessId(pipe, &pid)
					     : GetNamedPipeServerProcessId(pipe, &pid);
	if (!known)
		return windows_error(err, GetLastError(), "ask who the peer is");
	HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
	if (!process)
		return windows_error(err, GetLastError(), "open the peer's process %lu", pid);
	uint32_t uid = 0;
	int rc = windows_uid_of_process(process, &uid, err);
	(void)CloseHandle(process);
	if (rc < 0)
		return rc;
	out->uid = uid;
	out->pid = (int64_t)pid;
	return 0;
}
