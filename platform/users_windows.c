#include "platform/users.h"

#include <stdio.h>
#include <string.h>

#include <windows.h>

#include <sddl.h>

#include "lib/base/compiler.h"
#include "platform/windows_text.h"

/* One subkey for each account that has ever logged on, named by its SID. */
#define PROFILES L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList"

uint32_t users_current(void)
{
	uint32_t uid = USERS_UID_NONE;
	(void)windows_uid_of_process(GetCurrentProcess(), &uid, NULL);
	return uid;
}

bool users_is_root(void)
{
	HANDLE token = NULL;
	TOKEN_ELEVATION elevation = {0};
	DWORD n = 0;
	if (users_current() == 0)
		return true;
	if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
		return false;
	BOOL known = GetTokenInformation(token, TokenElevation, &elevation, sizeof(elevation), &n);
	(void)CloseHandle(token);
	return known && elevation.TokenIsElevated;
}

static int name_of_sid(PSID sid, char out[USERS_NAME_MAX])
{
	wchar_t name[USERS_NAME_MAX];
	wchar_t domain[USERS_NAME_MAX];
	DWORD name_n = ARRAY_SIZE(name);
	DWORD domain_n = ARRAY_SIZE(domain);
	SID_NAME_USE use;
	if (!LookupAccountSidW(NULL, sid, name, &name_n, domain, &domain_n, &use))
		return ERR_NOTFOUND;
	return windows_utf8(name, out, USERS_NAME_MAX, NULL);
}

static int home_of_profile(const wchar_t *sid_text, char out[USERS_HOME_MAX])
{
	wchar_t key[512];
	wchar_t path[USERS_HOME_MAX];
	DWORD bytes = sizeof(path);
	int n = swprintf(key, ARRAY_SIZE(key), PROFILES L"\\%ls", sid_text);
	if (n < 0 || (size_t)n >= ARRAY_SIZE(key))
		return ERR_LIMIT;
	/* RRF_RT_REG_SZ also expands the %SystemDrive% such values hold. */
	if (RegGetValueW(HKEY_LOCAL_MACHINE, key, L"ProfileImagePath",
			 RRF_RT_REG_SZ | RRF_SUBKEY_WOW6464KEY, NULL, path,
			 &bytes) != ERROR_SUCCESS)
		return ERR_NOTFOUND;
	return windows_utf8(path, out, USERS_HOME_MAX, NULL);
}

static int fill(const wchar_t *sid_text, struct user *out)
{
	PSID sid = NULL;
	if (!ConvertStringSidToSidW(sid_text, &sid))
		return ERR_INVALID;
	out->uid = windows_uid_of_sid(sid);
	out->gid = 0;
	int rc = name_of_sid(sid, out->name);
	(void)LocalFree(sid);
	if (rc == 0 && home_of_profile(sid_text, out->home) < 0)
		out->home[0] = '\0';
	return rc;
}

int users_each(users_cb cb, void *ctx, struct err *err)
{
	HKEY key = NULL;
	int rc = 0;
	LSTATUS status =
		RegOpenKeyExW(HKEY_LOCAL_MACHINE, PROFILES, 0, KEY_READ | KEY_WOW64_64KEY, &key);
	if (status != ERROR_SUCCESS)
		return windows_error(err, (unsigned long)status, "list accounts");
	for (DWORD i = 0; rc == 0; i++) {
		wchar_t sid_text[256];
		DWORD n = ARRAY_SIZE(sid_text);
		struct user user;
		status = RegEnumKeyExW(key, i, sid_text, &n, NULL, NULL, NULL, NULL);
		if (status == ERROR_NO_MORE_ITEMS)
			break;
		if (status == ERROR_SUCCESS && fill(sid_text, &user) == 0)
			rc = cb(ctx, &user);
	}
	(void)RegCloseKey(key);
	return rc;
}

struct search {
	const char *name; /* NULL: by uid */
	uint32_t uid;
	struct user *out;
};

static int match(void *ctx, const struct user *user)
{
	struct search *search = ctx;
	if (search->name ? strcmp(search->name, user->name) != 0 : search->uid != user->uid)
		return 0;
	*search->out = *user;
	return 1;
}

static int find(struct search *search, struct err *err)
{
	int rc = users_each(match, search, err);
	if (rc == 0)
		return err_set(err, ERR_NOTFOUND, "no such account has logged on here");
	return rc < 0 ? rc : 0;
}

int users_by_uid(uint32_t uid, struct user *out, struct err *err)
{
	struct search search = {.uid = uid, .out = out};
	return find(&search, err);
}

int users_by_name(const char *name, struct user *out, struct err *err)
{
	struct search search = {.name = name, .out = out};
	return find(&search, err);
}

bool users_group_is_own(const struct user *user)
{
	(void)user;
	return false;
}
