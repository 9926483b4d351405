#include "server/exchange.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include <uv.h>

#include "lib/base/compiler.h"
#include "platform/files.h"
#include "platform/paths.h"

#define LOG 1 /* of the suffixes */

static const char *const suffixes[] = {"", "-wal", "-shm"};

static int named(const char *path, const char *suffix, char out[PATHS_MAX], struct err *err)
{
	int n = snprintf(out, PATHS_MAX, "%s%s", path, suffix);

	return n < 0 || n >= PATHS_MAX ? err_set(err, ERR_LIMIT, "%.64s...: too long a path", path)
				       : 0;
}

static int failed(int rc, const char *what, const char *path, struct err *err)
{
	return err_set(err, rc == UV_ENOSPC || rc == UV_EFBIG ? ERR_FULL : ERR_IO, "%s %s: %s",
		       what, path, uv_strerror(rc));
}

static int copy_file(const char *from, const char *to, bool must, struct err *err)
{
	uv_fs_t req;
	int rc = uv_fs_copyfile(NULL, &req, from, to, 0, NULL);

	uv_fs_req_cleanup(&req);
	if (rc == UV_ENOENT && !must)
		return 0;
	if (rc == 0) {
		rc = uv_fs_chmod(NULL, &req, to, 0600, NULL);
		uv_fs_req_cleanup(&req);
	}
	return rc < 0 ? failed(rc, "copy", from, err) : 0;
}

int exchange_copy(const char *from, const char *to, struct err *err)
{
	char from_log[PATHS_MAX], to_log[PATHS_MAX];
	int rc = named(from, suffixes[LOG], from_log, err);

	if (rc == 0)
		rc = named(to, suffixes[LOG], to_log, err);
	if (rc == 0)
		rc = copy_file(from, to, true, err);
	return rc == 0 ? copy_file(from_log, to_log, false, err) : rc;
}

int exchange_remove(const char *path, struct err *err)
{
	char name[PATHS_MAX];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(suffixes); i++) {
		rc = named(path, suffixes[i], name, err);
		if (rc == 0)
			rc = files_remove(name, err);
	}
	return rc;
}

static bool has_log(const char *path)
{
	char log[PATHS_MAX];

	return named(path, suffixes[LOG], log, NULL) < 0 || files_exists(log);
}

static int free_name(const char *place, int64_t now_s, char out[PATHS_MAX], struct err *err)
{
	char suffix[48];
	int rc;

	do {
		(void)snprintf(suffix, sizeof(suffix), ".replaced-%" PRId64, now_s++);
		rc = named(place, suffix, out, err);
	} while (rc == 0 && (files_exists(out) || has_log(out)));
	return rc;
}

/* A second name, so that the first one is there until the new database takes it. */
static int keep_one(const char *from, const char *to, struct err *err)
{
	uv_fs_t req;
	int rc = uv_fs_link(NULL, &req, from, to, NULL);

	uv_fs_req_cleanup(&req);
	if (rc == UV_EPERM || rc == UV_ENOTSUP || rc == UV_ENOSYS) /* a file system without */
		return files_rename(from, to, err);
	return rc < 0 ? failed(rc, "keep", from, err) : 0;
}

/* A log without its database is of one that is kept already. */
static int keep(const char *place, int64_t now_s, struct err *err)
{
	char from[PATHS_MAX], old[PATHS_MAX], to[PATHS_MAX];
	int rc = files_exists(place) ? free_name(place, now_s, old, err) : ERR_NOTFOUND;

	if (rc == ERR_NOTFOUND)
		return 0;
	for (size_t i = 0; rc == 0 && i <= LOG; i++) {
		rc = named(place, suffixes[i], from, err);
		if (rc == 0)
			rc = named(old, suffixes[i], to, err);
		if (rc == 0 && files_exists(from))
			rc = keep_one(from, to, err);
	}
	return rc;
}

int exchange_take(const char *copy, const char *place, int64_t now_s, struct err *err)
{
	int rc = 0;

	if (has_log(copy))
		return err_set(err, ERR_FULL,
			       "%s: its log could not be taken up; is there no space?", copy);
	rc = keep(place, now_s, err);
	if (rc == 0 && has_log(place))
		rc = exchange_remove(place, err);
	return rc == 0 ? files_rename(copy, place, err) : rc;
}
