#include "platform/safe_open.h"

#include <string.h>

#include <windows.h>

#include <aclapi.h>

#include "lib/base/mem.h"
#include "platform/paths.h"
#include "platform/windows_text.h"

/*
 * There is no call that opens beneath a directory. So a file is opened by its whole path, without
 * following a link at its end, and then asked where it really is: a link on the way shows as
 * another place than the one asked for. What is read is the file that was checked, so nothing can
 * be swapped in between.
 */
struct safe_dir {
	HANDLE handle;
	wchar_t path[PATHS_MAX]; /* final, without links, no separator at its end */
};

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
#define FINAL (FILE_NAME_NORMALIZED | VOLUME_NAME_DOS)
#define UNIX_EPOCH 116444736000000000

static bool part_ok(const wchar_t *part, size_t n)
{
	bool dots = (n == 1 && part[0] == L'.') || (n == 2 && part[0] == L'.' && part[1] == L'.');
	if (n == 0 || dots || part[n - 1] == L'.' || part[n - 1] == L' ')
		return false; /* trailing dots and spaces are dropped: another name for the same
				 file */
	for (size_t i = 0; i < n; i++)
		if (part[i] == L'\\' || part[i] == L':') /* ':' begins a stream's name */
			return false;
	return true;
}

/* "<dir>\<relative>" with the system's separators. */
static int full_path(const struct safe_dir *dir, const char *relative, wchar_t out[PATHS_MAX],
		     struct err *err)
{
	wchar_t wide[SAFE_PATH_MAX];
	int rc = windows_wide(relative, wide, SAFE_PATH_MAX, err);
	if (rc < 0)
		return rc;
	size_t n = wcslen(dir->path);
	size_t m = wcslen(wide);
	for (wchar_t *part = wide;;) {
		size_t length = wcscspn(part, L"/");
		if (!part_ok(part, length))
			return err_set(err, ERR_INVALID, "%s: not a plain relative path", relative);
		if (part[length] == L'\0')
			break;
		part[length] = L'\\';
		part += length + 1;
	}
	if (n + 1 + m >= PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path too long: %.64s...", relative);
	memcpy(out, dir->path, n * sizeof(*out));
	out[n] = L'\\';
	memcpy(out + n + 1, wide, (m + 1) * sizeof(*out));
	return 0;
}

static bool is_at(HANDLE handle, const wchar_t *path)
{
	wchar_t final[PATHS_MAX];
	DWORD n = GetFinalPathNameByHandleW(handle, final, PATHS_MAX, FINAL);
	return n > 0 && n < PATHS_MAX &&
	       CompareStringOrdinal(final, -1, path, -1, TRUE) == CSTR_EQUAL;
}

static int open_beneath(const struct safe_dir *dir, const char *relative, DWORD access, HANDLE *out,
			struct err *err)
{
	wchar_t path[PATHS_MAX];
	int rc = full_path(dir, relative, path, err);
	if (rc < 0)
		return rc;
	HANDLE handle =
		CreateFileW(path, access, SHARE_ALL, NULL, OPEN_EXISTING,
			    FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
	if (handle == INVALID_HANDLE_VALUE)
		return windows_error(err, GetLastError(), "%s", relative);
	if (!is_at(handle, path)) {
		(void)CloseHandle(handle);
		return err_set(err, ERR_INVALID, "%s: a link, not followed", relative);
	}
	*out = handle;
	return 0;
}

static int64_t to_ns(const FILETIME *time)
{
	int64_t steps = (int64_t)time->dwHighDateTime << 32 | (int64_t)time->dwLowDateTime;
	int64_t since = steps - UNIX_EPOCH;
	return since > INT64_MAX / 100 || since < INT64_MIN / 100 ? 0 : since * 100;
}

static uint32_t owner_of(HANDLE handle)
{
	PSID sid = NULL;
	PSECURITY_DESCRIPTOR descriptor = NULL;
	uint32_t uid = SAFE_OWNER_ANY;
	if (GetSecurityInfo(handle, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &sid, NULL, NULL,
			    NULL, &descriptor) == ERROR_SUCCESS) {
		/* What administrators make belongs to their group; they are root by another name.
		 */
		uid = IsWellKnownSid(sid, WinBuiltinAdministratorsSid) ? 0
								       : windows_uid_of_sid(sid);
		(void)LocalFree(descriptor);
	}
	return uid;
}

static int fill_info(HANDLE handle, struct file_info *out, struct err *err)
{
	BY_HANDLE_FILE_INFORMATION info;
	FILE_BASIC_INFO basic;
	if (!GetFileInformationByHandle(handle, &info) ||
	    !GetFileInformationByHandleEx(handle, FileBasicInfo, &basic, sizeof(basic)))
		return windows_error(err, GetLastError(), "facts about a file");
	FILETIME change = {.dwLowDateTime = basic.ChangeTime.LowPart,
			   .dwHighDateTime = (DWORD)basic.ChangeTime.HighPart};
	bool link = (info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0;
	bool dir = (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
	*out = (struct file_info){
		.dev = info.dwVolumeSerialNumber,
		.ino = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow,
		.size = (uint64_t)info.nFileSizeHigh << 32 | info.nFileSizeLow,
		.mtime_ns = to_ns(&info.ftLastWriteTime),
		.ctime_ns = to_ns(&change),
		.uid = owner_of(handle),
		.links = info.nNumberOfLinks,
		.is_dir = dir && !link,
		.is_regular = !dir && !link && GetFileType(handle) == FILE_TYPE_DISK,
		.is_link = link,
	};
	return 0;
}

/* Takes the handle over. */
static int dir_new(HANDLE handle, const char *path, struct safe_dir **out, struct err *err)
{
	struct safe_dir *dir = mem_alloc(sizeof(*dir));
	struct file_info info;
	int rc = 0;
	if (!dir) {
		(void)CloseHandle(handle);
		return err_nomem(err);
	}
	dir->handle = handle;
	DWORD n = GetFinalPathNameByHandleW(handle, dir->path, PATHS_MAX, FINAL);
	if (n == 0 || n >= PATHS_MAX)
		rc = windows_error(err, GetLastError(), "%s", path);
	else
		rc = fill_info(handle, &info, err);
	if (rc == 0 && !info.is_dir)
		rc = err_set(err, ERR_INVALID, "%s: not a directory", path);
	if (rc == 0) {
		if (dir->path[n - 1] == L'\\')
			dir->path[n - 1] = L'\0';
		*out = dir;
		dir = NULL;
	}
	safe_dir_close(dir);
	return rc;
}

int safe_dir_open(const char *path, struct safe_dir **out, struct err *err)
{
	wchar_t wide[PATHS_MAX];
	int rc = windows_path(path, wide, err);
	if (rc < 0)
		return rc;
	HANDLE handle =
		CreateFileW(wide, FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | READ_CONTROL,
			    SHARE_ALL, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
	if (handle == INVALID_HANDLE_VALUE)
		return windows_error(err, GetLastError(), "%s", path);
	return dir_new(handle, path, out, err);
}

int safe_dir_open_at(const struct safe_dir *dir, const char *relative, struct safe_dir **out,
		     struct err *err)
{
	HANDLE handle;
	int rc = open_beneath(dir, relative,
			      FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | READ_CONTROL, &handle,
			      err);
	return rc < 0 ? rc : dir_new(handle, relative, out, err);
}

/* Where a link leads is not told before it is followed: none is. */
int safe_dir_open_inside(const struct safe_dir *dir, const char *relative, struct safe_dir **out,
			 struct err *err)
{
	return safe_dir_open_at(dir, relative, out, err);
}

int safe_dir_open_near(const struct safe_dir *dir, const char *dir_path, const char *path,
		       struct safe_dir **out, struct err *err)
{
	(void)dir;
	(void)dir_path;
	(void)out;
	return err_set(err, ERR_UNSUPPORTED, "%.200s: not looked at", path);
}

void safe_dir_close(struct safe_dir *dir)
{
	if (!dir)
		return;
	(void)CloseHandle(dir->handle);
	mem_free(dir);
}

intptr_t safe_dir_handle(const struct safe_dir *dir)
{
	return (intptr_t)dir->handle;
}

int safe_dir_info(const struct safe_dir *dir, struct file_info *out, struct err *err)
{
	return fill_info(dir->handle, out, err);
}

/* Where it is now, without the \\?\ that people never see. */
int safe_dir_real_path(const struct safe_dir *dir, char *out, size_t cap, struct err *err)
{
	static const wchar_t share[] = L"\\\\?\\UNC\\";
	static const wchar_t plain[] = L"\\\\?\\";
	wchar_t path[PATHS_MAX];
	DWORD n = GetFinalPathNameByHandleW(dir->handle, path, PATHS_MAX, FINAL);
	if (n == 0 || n >= PATHS_MAX)
		return err_set(err, ERR_NOTFOUND, "the directory was deleted");
	wchar_t *shown = path;
	if (wcsncmp(path, share, ARRAY_SIZE(share) - 1) == 0) {
		shown = path + ARRAY_SIZE(share) - 3;
		shown[0] = L'\\';
	} else if (wcsncmp(path, plain, ARRAY_SIZE(plain) - 1) == 0) {
		shown = path + ARRAY_SIZE(plain) - 1;
	}
	return windows_utf8(shown, out, cap, err);
}

int safe_dir_fs_class(const struct safe_dir *dir, enum fs_class *out, struct err *err)
{
	FILE_REMOTE_PROTOCOL_INFO remote;
	(void)err;
	/* Answers only for what another machine serves. */
	*out = GetFileInformationByHandleEx(dir->handle, FileRemoteProtocolInfo, &remote,
					    sizeof(remote))
		       ? FS_NETWORK
		       : FS_LOCAL;
	return 0;
}

static int list(HANDLE search, const WIN32_FIND_DATAW *first, size_t max, safe_dir_cb cb, void *ctx,
		struct err *err)
{
	WIN32_FIND_DATAW entry = *first;
	size_t n = 0;
	do {
		char name[MAX_PATH * 3];
		if (wcscmp(entry.cFileName, L".") == 0 || wcscmp(entry.cFileName, L"..") == 0)
			continue;
		if (n++ >= max)
			return err_set(err, ERR_LIMIT, "more than %zu entries in a directory", max);
		if (windows_utf8(entry.cFileName, name, sizeof(name), NULL) < 0)
			continue; /* half a surrogate pair: no name anybody could ask for */
		int rc = cb(ctx, name);
		if (rc != 0)
			return rc;
	} while (FindNextFileW(search, &entry));
	DWORD e = GetLastError();
	return e == ERROR_NO_MORE_FILES ? 0 : windows_error(err, e, "list a directory");
}

int safe_dir_list(const struct safe_dir *dir, size_t max, safe_dir_cb cb, void *ctx,
		  struct err *err)
{
	wchar_t pattern[PATHS_MAX];
	WIN32_FIND_DATAW entry;
	size_t n = wcslen(dir->path);
	if (n + 3 > PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path of a directory too long");
	memcpy(pattern, dir->path, n * sizeof(*pattern));
	memcpy(pattern + n, L"\\*", 3 * sizeof(*pattern));
	HANDLE search = FindFirstFileW(pattern, &entry);
	if (search == INVALID_HANDLE_VALUE)
		return windows_error(err, GetLastError(), "list a directory");
	int rc = list(search, &entry, max, cb, ctx, err);
	(void)FindClose(search);
	return rc;
}

int safe_stat(const struct safe_dir *dir, const char *relative, struct file_info *out,
	      struct err *err)
{
	HANDLE handle;
	int rc = open_beneath(dir, relative, FILE_READ_ATTRIBUTES | READ_CONTROL, &handle, err);
	if (rc < 0)
		return rc;
	rc = fill_info(handle, out, err);
	(void)CloseHandle(handle);
	return rc;
}

bool safe_has_acl(const struct safe_dir *dir, const char *relative)
{
	(void)dir;
	(void)relative;
	return false;
}

int safe_file_open(const struct safe_dir *dir, const char *relative, uint32_t owner,
		   struct safe_file *out, struct file_info *info, struct err *err)
{
	HANDLE handle;
	struct file_info found;
	int rc = open_beneath(dir, relative, GENERIC_READ, &handle, err);
	if (rc < 0)
		return rc;
	rc = fill_info(handle, &found, err);
	if (rc == 0 && !found.is_regular)
		rc = err_set(err, ERR_INVALID, "%s: not a regular file", relative);
	if (rc == 0 && owner != SAFE_OWNER_ANY && found.uid != 0 && found.uid != owner)
		rc = err_set(err, ERR_PERM, "%s: belongs to another account", relative);
	if (rc < 0) {
		(void)CloseHandle(handle);
		return rc;
	}
	out->handle = (intptr_t)handle;
	if (info)
		*info = found;
	return 0;
}

int safe_file_read(struct safe_file *file, void *data, size_t cap, size_t *n, struct err *err)
{
	DWORD done = 0;
	DWORD want = cap > 1u << 20 ? 1u << 20 : (DWORD)cap;
	if (!ReadFile((HANDLE)file->handle, data, want, &done, NULL))
		return windows_error(err, GetLastError(), "read");
	*n = done;
	return 0;
}

void safe_file_close(struct safe_file *file)
{
	if (file->handle != -1)
		(void)CloseHandle((HANDLE)file->handle);
	*file = SAFE_FILE_NONE;
}

static int read_rest(struct safe_file *file, size_t expected, const char *relative, size_t max,
		     struct buf *out, struct err *err)
{
	size_t total = 0;
	size_t got = 1;
	while (got > 0) {
		size_t want = expected >= total ? expected - total + 1 : 512;
		if (want > max - total + 1)
			want = max - total + 1;
		char *room = buf_reserve(out, want);
		if (!room)
			return err_set(err, buf_rc(out), "%s: %s", relative, err_text(buf_rc(out)));
		int rc = safe_file_read(file, room, want, &got, err);
		if (rc < 0)
			return rc;
		out->len += got;
		total += got;
		if (total > max)
			return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", relative, max);
	}
	return 0;
}

int safe_read_whole(const struct safe_dir *dir, const char *relative, uint32_t owner, size_t max,
		    struct buf *out, struct file_info *info, struct err *err)
{
	struct safe_file file;
	struct file_info found;
	int rc = safe_file_open(dir, relative, owner, &file, &found, err);
	if (rc < 0)
		return rc;
	if (found.size > max)
		rc = err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", relative, max);
	else
		rc = read_rest(&file, (size_t)found.size, relative, max, out, err);
	safe_file_close(&file);
	if (rc == 0 && info)
		*info = found;
	return rc;
}
