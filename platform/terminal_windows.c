#include "platform/terminal.h"

#include <stdlib.h>

#include <windows.h>

#include "platform/windows_text.h"

static HANDLE handle_of(enum terminal_stream stream)
{
	switch (stream) {
	case TERMINAL_IN:
		return GetStdHandle(STD_INPUT_HANDLE);
	case TERMINAL_OUT:
		return GetStdHandle(STD_OUTPUT_HANDLE);
	case TERMINAL_ERR:
		break;
	}
	return GetStdHandle(STD_ERROR_HANDLE);
}

bool terminal_is(enum terminal_stream stream)
{
	DWORD mode;
	return GetConsoleMode(handle_of(stream), &mode) != 0;
}

int terminal_width(enum terminal_stream stream)
{
	CONSOLE_SCREEN_BUFFER_INFO info;
	if (!GetConsoleScreenBufferInfo(handle_of(stream), &info))
		return 80;
	return info.srWindow.Right - info.srWindow.Left + 1;
}

bool terminal_colour(enum terminal_stream stream)
{
	const char *no_color = getenv("NO_COLOR");
	HANDLE handle = handle_of(stream);
	DWORD mode;
	if ((no_color && no_color[0] != '\0') || !GetConsoleMode(handle, &mode))
		return false;
	return SetConsoleMode(handle, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
}

static HANDLE open_console(const wchar_t *name)
{
	return CreateFileW(name, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
			   NULL, OPEN_EXISTING, 0, NULL);
}

static int show(HANDLE console, const char *text, struct err *err)
{
	wchar_t wide[2048];
	DWORD done = 0;
	int rc = windows_wide(text, wide, ARRAY_SIZE(wide), err);
	if (rc == 0 && !WriteConsoleW(console, wide, (DWORD)wcslen(wide), &done, NULL))
		rc = windows_error(err, GetLastError(), "write to the console");
	return rc;
}

/* One line; the console gives it whole, so what does not fit is dropped with it. */
static int read_line(HANDLE console, char *out, unsigned cap, struct err *err)
{
	wchar_t wide[2048];
	DWORD n = 0;
	if (!ReadConsoleW(console, wide, (DWORD)ARRAY_SIZE(wide) - 1, &n, NULL))
		return windows_error(err, GetLastError(), "read from the console");
	if (n == 0)
		return err_set(err, ERR_CANCELED, "the console was closed");
	if (wide[n - 1] != L'\n') {
		(void)FlushConsoleInputBuffer(console);
		return err_set(err, ERR_LIMIT, "that line is too long");
	}
	while (n > 0 && (wide[n - 1] == L'\n' || wide[n - 1] == L'\r'))
		n--;
	wide[n] = L'\0';
	return windows_utf8(wide, out, cap, err);
}

int terminal_read_line(const char *prompt, bool secret, char *out, unsigned cap, struct err *err)
{
	HANDLE input = open_console(L"CONIN$");
	HANDLE output = open_console(L"CONOUT$");
	DWORD before = 0;
	int rc = 0;
	if (input == INVALID_HANDLE_VALUE || output == INVALID_HANDLE_VALUE ||
	    !GetConsoleMode(input, &before)) {
		rc = err_set(err, ERR_NOTFOUND, "no console to ask on");
		goto out;
	}
	DWORD mode = before | ENABLE_LINE_INPUT | ENABLE_PROCESSED_INPUT | ENABLE_ECHO_INPUT;
	if (secret)
		mode &= ~(DWORD)ENABLE_ECHO_INPUT;
	(void)SetConsoleMode(input, mode);
	rc = show(output, prompt, err);
	if (rc == 0)
		rc = read_line(input, out, cap, err);
	if (secret)
		(void)show(output, "\n", NULL);
	(void)SetConsoleMode(input, before);
out:
	if (input != INVALID_HANDLE_VALUE)
		(void)CloseHandle(input);
	if (output != INVALID_HANDLE_VALUE)
		(void)CloseHandle(output);
	return rc;
}
