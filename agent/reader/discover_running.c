/* Prefixes that something runs in: programs started as "<prefix>/bin/<name>", and scripts. */
#include <stdio.h>
#include <string.h>

#include "agent/reader/discover_impl.h"
#include "platform/running.h"
#include "platform/users.h"

struct looking {
	struct discovery *to;
	char last[SAFE_PATH_MAX]; /* processes of one environment often follow each other */
};

/* "<prefix>/bin/python3" or "<prefix>/Scripts/x" -> the length of the prefix, 0 none */
static size_t prefix_of(const char *word)
{
	const char *bin = NULL;

	if (word[0] != '/')
		return 0;
	for (const char *p = strstr(word, "/bin/"); p != NULL; p = strstr(p + 1, "/bin/"))
		bin = p;
	return bin == NULL || strchr(bin + 5, '/') != NULL ? 0 : (size_t)(bin - word);
}

static bool is_system(const char *path)
{
	return strcmp(path, "/usr") == 0 || strcmp(path, "/usr/local") == 0;
}

static int tell_running(const char *path, struct discovery *to)
{
	struct safe_dir *dir = NULL;
	char real[SAFE_PATH_MAX];
	int rc;

	if (!discover_is_env(to, path))
		return 0;
	if (!discover_may_touch(to, path)) { /* taken by its name */
		rc = to->candidate(to->ctx, path);
		return rc == 0 && to->runs != NULL ? to->runs(to->ctx, path) : rc;
	}
	if (safe_dir_open(path, &dir, NULL) < 0)
		return 0;
	rc = safe_dir_real_path(dir, real, sizeof real, NULL);
	safe_dir_close(dir);
	if (rc < 0 || discover_excluded(to, real))
		return 0;
	rc = to->candidate(to->ctx, real);
	return rc == 0 && to->runs != NULL ? to->runs(to->ctx, real) : rc;
}

static int on_process(void *ctx, const struct running *process)
{
	struct looking *l = ctx;
	int rc = 0;

	if (!l->to->all_accounts && process->uid != users_current())
		return 0;
	for (size_t i = 0; i < process->n_words && rc == 0; i++) {
		char path[SAFE_PATH_MAX];
		size_t n = prefix_of(process->words[i]);

		if (n == 0 || n >= sizeof path)
			continue;
		memcpy(path, process->words[i], n);
		path[n] = '\0';
		if (is_system(path) || strcmp(path, l->last) == 0)
			continue;
		memcpy(l->last, path, n + 1);
		rc = tell_running(path, l->to);
	}
	return rc;
}

int discover_running(struct discovery *to)
{
	struct looking l = {.to = to};
	int rc = running_each(on_process, &l, NULL);

	to->cut += rc == ERR_LIMIT;
	return rc == ERR_LIMIT || rc == ERR_UNSUPPORTED || rc == ERR_PERM || rc == ERR_IO ||
			       rc == ERR_NOTFOUND
		       ? 0
		       : rc;
}
