#include "platform/windows_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <windows.h>

#define SYSTEM_RID 18

int windows_wide(const char *text, wchar_t *out, size_t cap, struct err *err)
{
	int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, out, (int)cap);
	if (n > 0)
		return 0;
	if (GetLastError() == ERROR_INSUFFICIENT_BUFFER)
		return err_set(err, ERR_LIMIT, "text too long: %.64s...", text);
	return err_set(err, ERR_INVALID, "text is not UTF-8");
}

int windows_utf8(const wchar_t *text, char *out, size_t cap, struct err *err)
{
	int n = WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, text, -1, out, (int)cap, NULL,
				    NULL);
	if (n > 0)
		return 0;
	if (GetLastError() == ERROR_INSUFFICIENT_BUFFER)
		return err_set(err, ERR_LIMIT, "text too long");
	return err_set(err, ERR_INVALID, "text is not UTF-16");
}

int windows_path(const char *path, wchar_t out[PATHS_MAX], struct err *err)
{
	static const wchar_t plain[] = L"\\\\?\\";
	static const wchar_t share[] = L"\\\\?\\UNC\\";
	wchar_t wide[PATHS_MAX];
	int rc = windows_wide(path, wide, PATHS_MAX, err);
	if (rc < 0)
		return rc;
	for (wchar_t *p = wide; *p; p++)
		if (*p == L'/')
			*p = L'\\';
	const wchar_t *prefix = L"";
	const wchar_t *rest = wide;
	if (wide[0] && wide[1] == L':' && wide[2] == L'\\') {
		prefix = plain;
	} else if (wide[0] == L'\\' && wide[1] == L'\\' && wide[2] != L'?' && wide[2] != L'.') {
		prefix = share;
		rest = wide + 2;
	}
	size_t n = wcslen(prefix);
	size_t m = wcslen(rest);
	if (n + m >= PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path too long: %.64s...", path);
	memcpy(out, prefix, n * sizeof(*out));
	memcpy(out + n, rest, (m + 1) * sizeof(*out));
	return 0;
}

static int code_of(unsigned long code)
{
	switch (code) {
	case ERROR_FILE_NOT_FOUND:
	case ERROR_PATH_NOT_FOUND:
	case ERROR_INVALID_NAME:
	case ERROR_BAD_NETPATH:
	case ERROR_BAD_NET_NAME:
		return ERR_NOTFOUND;
	case ERROR_ACCESS_DENIED:
	case ERROR_PRIVILEGE_NOT_HELD:
		return ERR_PERM;
	case ERROR_DISK_FULL:
	case ERROR_HANDLE_DISK_FULL:
		return ERR_FULL;
	case ERROR_ALREADY_EXISTS:
	case ERROR_FILE_EXISTS:
		return ERR_EXISTS;
	case ERROR_SHARING_VIOLATION:
	case ERROR_LOCK_VIOLATION:
	case ERROR_PIPE_BUSY:
		return ERR_BUSY;
	case ERROR_BROKEN_PIPE:
	case ERROR_PIPE_NOT_CONNECTED:
	case ERROR_NO_DATA:
		return ERR_CLOSED;
	case ERROR_NOT_ENOUGH_MEMORY:
	case ERROR_OUTOFMEMORY:
		return ERR_NOMEM;
	case ERROR_TOO_MANY_OPEN_FILES:
		return ERR_LIMIT;
	default:
		return ERR_IO;
	}
}

int windows_error(struct err *err, unsigned long code, const char *fmt, ...)
{
	char context[ERR_TEXT_MAX];
	char text[256];
	wchar_t wide[256];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	DWORD n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL,
				 code, 0, wide, (DWORD)ARRAY_SIZE(wide), NULL);
	while (n > 0 && (wide[n - 1] == L'\n' || wide[n - 1] == L'\r' || wide[n - 1] == L'.'))
		wide[--n] = L'\0';
	if (n == 0 || windows_utf8(wide, text, sizeof(text), NULL) < 0)
		(void)snprintf(text, sizeof(text), "error %lu", code);
	return err_set(err, code_of(code), "%s: %s", context, text);
}

int windows_registry(const wchar_t *key, const wchar_t *name, char *out, size_t cap)
{
	wchar_t value[512];
	DWORD bytes = sizeof(value);
	LSTATUS status = RegGetValueW(HKEY_LOCAL_MACHINE, key, name,
				      RRF_RT_REG_SZ | RRF_SUBKEY_WOW6464KEY, NULL, value, &bytes);
	if (status != ERROR_SUCCESS)
		return ERR_NOTFOUND;
	return windows_utf8(value, out, cap, NULL);
}

uint32_t windows_uid_of_sid(void *sid)
{
	UCHAR parts = *GetSidSubAuthorityCount(sid);
	DWORD last = parts > 0 ? *GetSidSubAuthority(sid, (DWORD)(parts - 1)) : 0;
	return parts == 1 && last == SYSTEM_RID ? 0 : (uint32_t)last;
}

int windows_uid_of_process(void *process, uint32_t *uid, struct err *err)
{
	union {
		TOKEN_USER user;
		char room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
	} token_user;
	HANDLE token = NULL;
	DWORD n = 0;
	int rc = 0;
	if (!OpenProcessToken(process, TOKEN_QUERY, &token))
		return windows_error(err, GetLastError(), "account of a process");
	if (GetTokenInformation(token, TokenUser, &token_user, sizeof(token_user), &n))
		*uid = windows_uid_of_sid(token_user.user.User.Sid);
	else
		rc = windows_error(err, GetLastError(), "account of a process");
	(void)CloseHandle(token);
	return rc;
}
