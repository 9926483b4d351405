#include "platform/running.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/text.h"

static size_t read_line(int proc, const char *pid, char line[RUNNING_LINE_MAX])
{
	size_t used = 0;
	int dir = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = dir >= 0 ? openat(dir, "cmdline", O_RDONLY | O_CLOEXEC) : -1;

	while (fd >= 0 && used < RUNNING_LINE_MAX) {
		ssize_t n = read(fd, line + used, RUNNING_LINE_MAX - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (fd >= 0)
		(void)close(fd);
	if (dir >= 0)
		(void)close(dir);
	return used;
}

static void split(const char *line, size_t used, struct running *out)
{
	out->n_words = 0;
	for (size_t at = 0; at < used && out->n_words < RUNNING_WORDS_MAX;) {
		const char *end = memchr(line + at, '\0', used - at);

		if (end == NULL)
			return;
		out->words[out->n_words++] = line + at;
		at = (size_t)(end - line) + 1;
	}
}

int running_each(running_cb cb, void *ctx, struct err *err)
{
	DIR *proc = opendir("/proc");
	size_t seen = 0;
	int rc = 0;

	if (proc == NULL)
		return err_errno(err, errno, "/proc");
	while (rc == 0) {
		const struct dirent *entry = readdir(proc);
		char line[RUNNING_LINE_MAX];
		struct running process = {0};
		unsigned long long pid;
		struct stat st;

		if (entry == NULL)
			break;
		if (text_to_u64(entry->d_name, strlen(entry->d_name), &pid) < 0)
			continue;
		if (++seen > RUNNING_PROCESSES_MAX) {
			rc = err_set(err, ERR_LIMIT, "more than %d processes",
				     RUNNING_PROCESSES_MAX);
			break;
		}
		if (fstatat(dirfd(proc), entry->d_name, &st, 0) < 0)
			continue;
		process.pid = (int64_t)pid;
		process.uid = (uint32_t)st.st_uid;
		split(line, read_line(dirfd(proc), entry->d_name, line), &process);
		if (process.n_words > 0)
			rc = cb(ctx, &process);
	}
	(void)closedir(proc);
	return rc;
}

#define STAT_MAX 1024 /* bytes of /proc/PID/stat that are read: the start is the 22nd number */
#define STARTED_FIELD 22

int running_since(int64_t pid, int64_t *started_ms, struct err *err)
{
	char path[64], text[STAT_MAX];
	unsigned long long ticks;
	const char *at;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return err_set(err, ERR_NOTFOUND, "process %" PRId64 " is not there", pid);
	text[n] = '\0';
	/* Its name, the second field, may have blanks and brackets itself. */
	at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < STARTED_FIELD; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL || text_to_u64(at + 1, strcspn(at + 1, " "), &ticks) < 0)
		return err_set(err, ERR_INVALID, "%s", path);
	*started_ms = (int64_t)(ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
	return 0;
}
