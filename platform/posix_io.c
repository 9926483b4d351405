#include "platform/posix_io.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "lib/base/compiler.h"

#define CHUNK_MIN 512

int posix_read_rest(int fd, size_t size_hint, size_t max, struct buf *out, const char *what,
		    struct err *err)
{
	size_t total = 0;
	CHECK(max < SIZE_MAX);
	for (;;) {
		/* One byte more than expected, so that the first read already shows the end. */
		size_t want = size_hint >= total ? size_hint - total + 1 : CHUNK_MIN;
		if (want > max - total + 1)
			want = max - total + 1;
		char *room = buf_reserve(out, want);
		if (!room)
			return err_set(err, buf_rc(out), "%s: %s", what, err_text(buf_rc(out)));
		ssize_t got = read(fd, room, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, errno, "%s", what);
		out->len += (size_t)got;
		total += (size_t)got;
		if (total > max)
			return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", what, max);
		if (got == 0 || (total == size_hint && (size_t)got < want))
			return 0;
	}
}

int posix_write_all(int fd, const void *data, size_t n, const char *what, struct err *err)
{
	const char *p = data;
	while (n > 0) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_errno(err, errno, "%s", what);
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

void posix_close(int fd)
{
	int saved = errno;
	if (fd >= 0)
		(void)close(fd);
	errno = saved;
}
