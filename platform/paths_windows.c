/* clang-format off: the first makes the second define its ids instead of declaring them */
#include "platform/paths.h"

#include <stdio.h>
#include <string.h>

#include <initguid.h>
#include <knownfolders.h>
#include <shlobj.h>
#include <windows.h>

#include "platform/users.h"
#include "platform/windows_text.h"
/* clang-format on */

#define PIPE_PREFIX "\\\\.\\pipe\\"

static bool is_separator(char c)
{
	return c == '\\' || c == '/';
}

bool paths_is_absolute(const char *path)
{
	bool letter = (path[0] >= 'A' && path[0] <= 'Z') || (path[0] >= 'a' && path[0] <= 'z');
	return (letter && path[1] == ':' && is_separator(path[2])) ||
	       (is_separator(path[0]) && is_separator(path[1]));
}

static int copy(char out[PATHS_MAX], const char *path, size_t n, struct err *err)
{
	if (n >= PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path too long: %.64s...", path);
	memcpy(out, path, n);
	out[n] = '\0';
	return 0;
}

int paths_join(char out[PATHS_MAX], const char *dir, const char *name, struct err *err)
{
	size_t n = strlen(dir);
	size_t m = strlen(name);
	size_t slash = n > 0 && is_separator(dir[n - 1]) ? 0 : 1;
	if (n + slash + m >= PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path too long: %.64s...\\%.64s", dir, name);
	memcpy(out, dir, n);
	if (slash)
		out[n] = '\\';
	memcpy(out + n + slash, name, m + 1);
	return 0;
}

int paths_parent(char out[PATHS_MAX], const char *path, struct err *err)
{
	size_t n = strlen(path);
	while (n > 1 && is_separator(path[n - 1]))
		n--;
	while (n > 0 && !is_separator(path[n - 1]))
		n--;
	if (n == 0)
		return err_set(err, ERR_INVALID, "%s: no directory in this path", path);
	/* "C:\" keeps its separator, without it it would mean something else. */
	while (n > 1 && is_separator(path[n - 1]) && path[n - 2] != ':')
		n--;
	return copy(out, path, n, err);
}

static int known_folder(const KNOWNFOLDERID *id, char out[PATHS_MAX], struct err *err)
{
	PWSTR path = NULL;
	int rc;
	HRESULT result = SHGetKnownFolderPath(id, 0, NULL, &path);
	if (SUCCEEDED(result))
		rc = windows_utf8(path, out, PATHS_MAX, err);
	else
		rc = err_set(err, ERR_NOTFOUND, "a system folder is unknown (0x%lx)",
			     (unsigned long)result);
	CoTaskMemFree(path);
	return rc;
}

int paths_home(char out[PATHS_MAX], struct err *err)
{
	return known_folder(&FOLDERID_Profile, out, err);
}

int paths_temp(char out[PATHS_MAX], struct err *err)
{
	wchar_t wide[MAX_PATH + 1];
	DWORD n = GetTempPathW((DWORD)ARRAY_SIZE(wide), wide);
	if (n == 0 || n > ARRAY_SIZE(wide))
		return windows_error(err, GetLastError(), "folder for temporary files");
	return windows_utf8(wide, out, PATHS_MAX, err);
}

int paths_agent(enum paths_scope scope, struct paths_agent *out, struct err *err)
{
	char base[PATHS_MAX];
	char home[PATHS_MAX];
	const KNOWNFOLDERID *id =
		scope == PATHS_USER ? &FOLDERID_LocalAppData : &FOLDERID_ProgramData;
	int rc = known_folder(id, base, err);
	if (rc == 0)
		rc = paths_join(home, base, "envwarden", err);
	if (rc == 0)
		rc = paths_join(out->config, home, "agent.conf", err);
	if (rc == 0)
		rc = paths_join(out->state, home, "state", err);
	if (rc < 0)
		return rc;
	if (scope == PATHS_USER)
		(void)snprintf(out->socket, sizeof(out->socket), PIPE_PREFIX "envwarden-%u",
			       (unsigned)users_current());
	else
		(void)snprintf(out->socket, sizeof(out->socket), PIPE_PREFIX "envwarden");
	return 0;
}

int paths_fallback_of_socket(const char *socket_path, char out[PATHS_MAX], struct err *err)
{
	struct paths_agent user;
	char name[PATHS_MAX];
	const char *last = socket_path;
	for (const char *p = socket_path; *p; p++)
		if (is_separator(*p))
			last = p + 1;
	int n = snprintf(name, sizeof(name), "%s.fallback", last);
	if (n < 0 || (size_t)n >= sizeof(name))
		return err_set(err, ERR_LIMIT, "path too long: %.64s...", socket_path);
	int rc = paths_agent(PATHS_USER, &user, err);
	return rc < 0 ? rc : paths_join(out, user.state, name, err);
}
