#include "platform/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/crypto.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/posix_io.h"

struct mounts {
	uv_poll_t poll;
	int fd;
	mounts_cb cb;
	void *ctx;
	struct mount_table *table;
	unsigned char digest[SHA256_SIZE]; /* of the text the table is from */
	bool stopping;
	mounts_stopped_cb stopped;
	void *owner;
};

static int read_text(int fd, struct buf *text, struct err *err)
{
	char piece[16384];
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, errno, "mount table");
	while ((n = read(fd, piece, sizeof piece)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "mount table");
		buf_add(text, piece, (size_t)n);
	}
	return buf_rc(text) < 0 ? err_set(err, buf_rc(text), "mount table too big") : 0;
}

/* 1: another table; 0: the same. */
static int reread(struct mounts *m, struct err *err)
{
	unsigned char digest[SHA256_SIZE];
	struct mount_table *table = NULL;
	struct buf text;
	int rc;

	buf_init(&text, MOUNT_TABLE_TEXT_MAX + 1);
	rc = read_text(m->fd, &text, err);
	if (rc < 0)
		goto out;
	sha256(text.data, text.len, digest);
	if (m->table != NULL && memcmp(digest, m->digest, sizeof digest) == 0)
		goto out;
	rc = mount_table_read(text.data, text.len, &table, err);
	if (rc < 0)
		goto out;
	mount_table_unref(m->table);
	m->table = table;
	memcpy(m->digest, digest, sizeof digest);
	rc = 1;
out:
	buf_deinit(&text);
	return rc;
}

void mounts_refresh(struct mounts *m)
{
	struct err err = ERR_INIT;
	int rc = m->stopping ? 0 : reread(m, &err);

	if (rc < 0)
		log_warn("mounts", "the mount table stays as it was", LOG_ERR(&err));
	if (rc > 0)
		m->cb(m->ctx);
}

void mounts_drain(struct mounts *m)
{
	if (!m->stopping && mounts_noticed(m->fd))
		mounts_refresh(m);
}

int mounts_notice_open(void)
{
	return open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
}

/* Each opening of the file is told once of whatever came since. */
bool mounts_noticed(int notice)
{
	struct pollfd changes = {.fd = notice, .events = POLLPRI};

	return notice < 0 || poll(&changes, 1, 0) != 0;
}

void mounts_notice_close(int notice)
{
	posix_close(notice);
}

static void on_changed(uv_poll_t *poll, int status, int events)
{
	(void)status; /* the kernel marks each change as an error, too */
	(void)events;
	mounts_refresh(poll->data);
}

static void on_closed(uv_handle_t *handle)
{
	struct mounts *m = handle->data;
	mounts_stopped_cb stopped = m->stopped;
	void *owner = m->owner;

	posix_close(m->fd);
	mount_table_unref(m->table);
	mem_free(m);
	if (stopped)
		stopped(owner);
}

int mounts_new(uv_loop_t *loop, mounts_cb cb, void *ctx, struct mounts **out, struct err *err)
{
	struct mounts *m = mem_calloc(1, sizeof *m);
	int rc;

	if (m == NULL)
		return err_nomem(err);
	m->cb = cb;
	m->ctx = ctx;
	m->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (m->fd < 0) {
		rc = err_errno(err, errno, "/proc/self/mountinfo");
		goto fail;
	}
	rc = reread(m, err);
	if (rc < 0)
		goto fail;
	rc = uv_poll_init(loop, &m->poll, m->fd);
	if (rc < 0) {
		err_set(err, rc, "watch the mount table: %s", uv_strerror(rc));
		goto fail;
	}
	m->poll.data = m;
	rc = uv_poll_start(&m->poll, UV_PRIORITIZED, on_changed);
	if (rc < 0) {
		mounts_stop(m, NULL, NULL);
		return err_set(err, rc, "watch the mount table: %s", uv_strerror(rc));
	}
	*out = m;
	return 0;
fail:
	posix_close(m->fd);
	mount_table_unref(m->table);
	mem_free(m);
	return rc;
}

struct mount_table *mounts_table(const struct mounts *m)
{
	return m->table;
}

void mounts_stop(struct mounts *m, mounts_stopped_cb stopped, void *owner)
{
	if (m->stopping)
		return;
	m->stopping = true;
	m->stopped = stopped;
	m->owner = owner;
	uv_close((uv_handle_t *)&m->poll, on_closed);
}
