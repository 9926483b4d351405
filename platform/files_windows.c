#include "platform/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <windows.h>

#include <sddl.h>

#include "lib/base/crypto.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/paths.h"
#include "platform/windows_text.h"

#define CHUNK 65536

static int write_all(HANDLE file, const char *path, const void *data, size_t n, struct err *err)
{
	const char *p = data;
	while (n > 0) {
		DWORD want = n > CHUNK ? CHUNK : (DWORD)n;
		DWORD done = 0;
		if (!WriteFile(file, p, want, &done, NULL))
			return windows_error(err, GetLastError(), "%s", path);
		p += done;
		n -= done;
	}
	if (!FlushFileBuffers(file))
		return windows_error(err, GetLastError(), "sync %s", path);
	return 0;
}

int files_atomic_write(const char *path, const void *data, size_t n, unsigned mode, struct err *err)
{
	char temp[PATHS_MAX];
	wchar_t wide[PATHS_MAX];
	wchar_t wide_temp[PATHS_MAX];
	uint32_t mark;
	(void)mode; /* rights come from the directory */
	crypto_random(&mark, sizeof(mark));
	int len = snprintf(temp, sizeof(temp), "%s.%08" PRIx32, path, mark);
	if (len < 0 || (size_t)len >= sizeof(temp))
		return err_set(err, ERR_LIMIT, "path too long: %.64s...", path);
	int rc = windows_path(path, wide, err);
	if (rc == 0)
		rc = windows_path(temp, wide_temp, err);
	if (rc < 0)
		return rc;
	HANDLE file = CreateFileW(wide_temp, GENERIC_WRITE, 0, NULL, CREATE_NEW,
				  FILE_ATTRIBUTE_NORMAL, NULL);
	if (file == INVALID_HANDLE_VALUE)
		return windows_error(err, GetLastError(), "make a file beside %s", path);
	rc = write_all(file, path, data, n, err);
	(void)CloseHandle(file);
	if (rc == 0 &&
	    !MoveFileExW(wide_temp, wide, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
		rc = windows_error(err, GetLastError(), "replace %s", path);
	if (rc < 0)
		(void)DeleteFileW(wide_temp);
	return rc;
}

int files_rename(const char *from, const char *to, struct err *err)
{
	wchar_t wide[PATHS_MAX];
	wchar_t wide_to[PATHS_MAX];
	int rc = windows_path(from, wide, err);
	if (rc == 0)
		rc = windows_path(to, wide_to, err);
	if (rc == 0 &&
	    !MoveFileExW(wide, wide_to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
		rc = windows_error(err, GetLastError(), "rename %s", from);
	return rc;
}

static int read_rest(HANDLE file, const char *path, size_t max, struct buf *out, struct err *err)
{
	size_t total = 0;
	for (;;) {
		DWORD done = 0;
		DWORD want = max - total + 1 > CHUNK ? CHUNK : (DWORD)(max - total + 1);
		char *room = buf_reserve(out, want);
		if (!room)
			return err_set(err, buf_rc(out), "%s: %s", path, err_text(buf_rc(out)));
		if (!ReadFile(file, room, want, &done, NULL))
			return windows_error(err, GetLastError(), "%s", path);
		if (done == 0)
			return 0;
		out->len += done;
		total += done;
		if (total > max)
			return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path, max);
	}
}

int files_read_whole(const char *path, size_t max, struct buf *out, struct err *err)
{
	wchar_t wide[PATHS_MAX];
	int rc = windows_path(path, wide, err);
	if (rc < 0)
		return rc;
	HANDLE file = CreateFileW(wide, GENERIC_READ,
				  FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
				  OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
	if (file == INVALID_HANDLE_VALUE)
		return windows_error(err, GetLastError(), "%s", path);
	BY_HANDLE_FILE_INFORMATION info;
	if (GetFileType(file) != FILE_TYPE_DISK || !GetFileInformationByHandle(file, &info) ||
	    (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY))
		rc = err_set(err, ERR_INVALID, "%s: not a regular file", path);
	else
		rc = read_rest(file, path, max, out, err);
	(void)CloseHandle(file);
	return rc;
}

static int make_one(const char *path, SECURITY_ATTRIBUTES *security, struct err *err)
{
	wchar_t wide[PATHS_MAX];
	int rc = windows_path(path, wide, err);
	if (rc < 0 || CreateDirectoryW(wide, security))
		return rc;
	DWORD e = GetLastError();
	DWORD attributes = GetFileAttributesW(wide);
	if (attributes == INVALID_FILE_ATTRIBUTES)
		return windows_error(err, e, "make directory %s", path);
	if (attributes & FILE_ATTRIBUTE_DIRECTORY)
		return 0;
	return err_set(err, ERR_EXISTS, "%s: exists and is not a directory", path);
}

static int make_all(const char *path, SECURITY_ATTRIBUTES *security, struct err *err)
{
	char part[PATHS_MAX];
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof(part))
		return err_set(err, ERR_LIMIT, "no directory can have this path: %.64s", path);
	memcpy(part, path, n + 1);
	for (size_t i = 3; i < n; i++) { /* behind "C:\" */
		if (part[i] != '\\' && part[i] != '/')
			continue;
		char separator = part[i];
		part[i] = '\0';
		int rc = make_one(part, NULL, err);
		if (rc < 0)
			return rc;
		part[i] = separator;
	}
	return make_one(part, security, err);
}

int files_mkdir(const char *path, unsigned mode, struct err *err)
{
	(void)mode;
	return make_all(path, NULL, err);
}

int files_mkdir_private(const char *path, struct err *err)
{
	/* Nothing inherited; full rights for SYSTEM, administrators and the owner, all the way
	 * down. */
	static const wchar_t rights[] = L"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)";
	SECURITY_ATTRIBUTES security = {.nLength = sizeof(security)};
	if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(
		    rights, SDDL_REVISION_1, &security.lpSecurityDescriptor, NULL))
		return windows_error(err, GetLastError(), "rights of %s", path);
	int rc = make_all(path, &security, err);
	(void)LocalFree(security.lpSecurityDescriptor);
	return rc;
}

int files_remove(const char *path, struct err *err)
{
	wchar_t wide[PATHS_MAX];
	int rc = windows_path(path, wide, err);
	if (rc < 0 || DeleteFileW(wide) || GetLastError() == ERROR_FILE_NOT_FOUND)
		return rc;
	return windows_error(err, GetLastError(), "remove %s", path);
}

struct files_lock {
	HANDLE file;
};

static int lock_busy(const char *path, struct err *err)
{
	struct buf text;
	unsigned long long pid;
	int rc;
	buf_init(&text, 64);
	if (files_read_whole(path, 32, &text, NULL) == 0 &&
	    text_to_u64(text.data, text.len, &pid) == 0)
		rc = err_set(err, ERR_BUSY, "%s: already running (pid %llu)", path, pid);
	else
		rc = err_set(err, ERR_BUSY, "%s: already running", path);
	buf_deinit(&text);
	return rc;
}

int files_lock_take(const char *path, struct files_lock **out, struct err *err)
{
	char text[24];
	wchar_t wide[PATHS_MAX];
	int rc = windows_path(path, wide, err);
	if (rc < 0)
		return rc;
	struct files_lock *lock = mem_alloc(sizeof(*lock));
	if (!lock)
		return err_nomem(err);
	/* Shared for reading only: a second one that wants to write is refused. */
	lock->file = CreateFileW(wide, GENERIC_WRITE, FILE_SHARE_READ, NULL, OPEN_ALWAYS,
				 FILE_ATTRIBUTE_NORMAL, NULL);
	if (lock->file == INVALID_HANDLE_VALUE) {
		DWORD e = GetLastError();
		rc = e == ERROR_SHARING_VIOLATION ? lock_busy(path, err)
						  : windows_error(err, e, "%s", path);
	} else {
		(void)SetEndOfFile(lock->file);
		int n = snprintf(text, sizeof(text), "%lu", GetCurrentProcessId());
		rc = write_all(lock->file, path, text, (size_t)n, err);
	}
	if (rc == 0) {
		*out = lock;
		lock = NULL;
	}
	files_lock_free(lock);
	return rc;
}

void files_lock_free(struct files_lock *lock)
{
	if (!lock)
		return;
	if (lock->file != INVALID_HANDLE_VALUE)
		(void)CloseHandle(lock->file);
	mem_free(lock);
}

bool files_may_write(const char *path)
{
	wchar_t wide[PATHS_MAX];
	HANDLE file;

	if (windows_path(path, wide, NULL) < 0)
		return false;
	file = CreateFileW(wide, FILE_APPEND_DATA,
			   FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
			   OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
	if (file == INVALID_HANDLE_VALUE)
		return false;
	CloseHandle(file);
	return true;
}

bool files_exists(const char *path)
{
	wchar_t wide[PATHS_MAX];

	return windows_path(path, wide, NULL) == 0 &&
	       GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES;
}
