#include "server/admin-cli/bytes.h"

#include <string.h>

#include <sodium/utils.h>
#include <uv.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "platform/files.h"

#define VARIANT sodium_base64_VARIANT_ORIGINAL
#define MODE 0600

enum admin_exit bytes_may_save(struct admin *a, const char *path)
{
	uv_fs_t req;
	uint64_t kind;
	int rc;

	if (strcmp(path, "-") == 0)
		return ADMIN_OK;
	rc = uv_fs_lstat(NULL, &req, path, NULL);
	kind = req.statbuf.st_mode & S_IFMT;
	uv_fs_req_cleanup(&req);
	if (rc == UV_ENOENT)
		return ADMIN_OK;
	if (rc < 0)
		return admin_fail(a, ADMIN_FAILED, "%s: %s", path, uv_strerror(rc));
	if (kind != S_IFREG && kind != S_IFLNK)
		return admin_fail(a, ADMIN_FAILED, "%s: not a file", path);
	return a->options.values[OPT_FORCE]
		       ? ADMIN_OK
		       : admin_fail(a, ADMIN_FAILED, "%s: is there already; --force replaces it",
				    path);
}

static enum admin_exit write_out(struct admin *a, const struct buf *bytes, const char *path)
{
	struct err err = ERR_INIT;

	if (strcmp(path, "-") != 0)
		return files_atomic_write(path, bytes->data, bytes->len, MODE, &err) < 0
			       ? admin_fail(a, ADMIN_FAILED, "%s: %s", path, err.text)
			       : ADMIN_OK;
	return fwrite(bytes->data, 1, bytes->len, a->out) == bytes->len
		       ? ADMIN_OK
		       : admin_fail(a, ADMIN_FAILED, "the output could not be written");
}

enum admin_exit bytes_save(struct admin *a, const json_t *document, const char *key,
			   const char *path)
{
	const char *text = json_string_value(json_object_get(document, key));
	size_t n = text ? strlen(text) : 0;
	enum admin_exit result;
	struct buf bytes;
	char *room;

	buf_init(&bytes, n + 1);
	room = buf_reserve(&bytes, n + 1);
	if (!text || !room ||
	    sodium_base642bin((unsigned char *)room, n + 1, text, n, NULL, &bytes.len, NULL,
			      VARIANT) != 0)
		result = admin_fail(a, ADMIN_FAILED, "the server's answer can't be read");
	else
		result = write_out(a, &bytes, path);
	buf_deinit(&bytes);
	return result;
}

enum admin_exit bytes_load(struct admin *a, const char *path, size_t max, json_t *document,
			   const char *key)
{
	enum admin_exit result = ADMIN_OK;
	struct err err = ERR_INIT;
	struct buf bytes;
	char *text = NULL;
	size_t cap;

	buf_init(&bytes, max + 1);
	if (files_read_whole(path, max, &bytes, &err) < 0) {
		result = admin_fail(a, ADMIN_FAILED, "%s: %s", path, err.text);
		goto out;
	}
	cap = sodium_base64_encoded_len(bytes.len, VARIANT);
	text = mem_alloc(cap);
	if (!text || json_object_set_new(
			     document, key,
			     json_string(sodium_bin2base64(text, cap, (unsigned char *)bytes.data,
							   bytes.len, VARIANT))) < 0)
		result = admin_fail(a, ADMIN_FAILED, "out of memory");
out:
	buf_deinit(&bytes);
	mem_free(text);
	return result;
}
