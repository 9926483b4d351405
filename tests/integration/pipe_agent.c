/*
 * A stand-in for the agent on Windows, for test_cmd.py, which builds it:
 *
 *   pipe_agent.exe PIPE [WORD FILE]...
 *
 * Serves a named pipe until it is ended. A request that has WORD in it is answered with the bytes
 * of FILE, any other one never.
 */
#include <stdio.h>
#include <string.h>

#include <windows.h>

#define ROOM 65536

static int has_word(const char *data, size_t n, const char *word)
{
	size_t length = strlen(word);

	for (size_t i = 0; i + length <= n; i++) {
		if (memcmp(data + i, word, length) == 0)
			return 1;
	}
	return 0;
}

static void answer(HANDLE pipe, const char *path)
{
	static char data[ROOM];
	FILE *file = fopen(path, "rb");
	DWORD done;

	if (!file)
		return;
	(void)WriteFile(pipe, data, (DWORD)fread(data, 1, sizeof(data), file), &done, NULL);
	(void)FlushFileBuffers(pipe);
	(void)fclose(file);
	(void)CloseHandle(pipe);
}

int main(int argc, char **argv)
{
	static char request[ROOM];
	DWORD n;

	while (argc > 1) {
		HANDLE pipe = CreateNamedPipeA(argv[1], PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE,
					       PIPE_UNLIMITED_INSTANCES, ROOM, ROOM, 0, NULL);

		if (pipe == INVALID_HANDLE_VALUE)
			return 1;
		if (!ConnectNamedPipe(pipe, NULL) && GetLastError() != ERROR_PIPE_CONNECTED)
			return 1;
		if (!ReadFile(pipe, request, sizeof(request), &n, NULL))
			n = 0;
		for (int i = 2; i + 1 < argc; i += 2) {
			if (has_word(request, n, argv[i])) {
				answer(pipe, argv[i + 1]);
				break;
			}
		}
	}
	return 2;
}
