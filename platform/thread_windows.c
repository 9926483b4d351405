#include "platform/thread.h"

#include <windows.h>

#include "lib/base/mem.h"
#include "platform/windows_text.h"

struct start {
	void (*run)(void *arg);
	void *arg;
};

static DWORD WINAPI begin(void *context)
{
	struct start start = *(struct start *)context;

	mem_free(context);
	start.run(start.arg);
	return 0;
}

int thread_start(void (*run)(void *arg), void *arg, struct err *err)
{
	struct start *start = mem_calloc(1, sizeof *start);
	HANDLE thread;
	DWORD code;

	if (start == NULL)
		return err_nomem(err);
	*start = (struct start){run, arg};
	thread = CreateThread(NULL, 0, begin, start, 0, NULL);
	if (thread != NULL) {
		(void)CloseHandle(thread);
		return 0;
	}
	code = GetLastError();
	mem_free(start);
	return windows_error(err, code, "start a thread");
}
