/* Prefixes that something runs in: programs started as "<prefix>/bin/<name>", and scripts. Command
 * lines name prefixes to look at, too; a name alone runs nothing. */
#include <stdio.h>
#include <string.h>

#include "agent/reader/command_line.h"
#include "agent/reader/discover_impl.h"
#include "agent/reader/repairing.h"
#include "platform/running.h"
#include "platform/users.h"

struct looking {
	struct discovery *to;
	char last[SAFE_PATH_MAX]; /* processes of one environment often follow each other */
	char prefix[SAFE_PATH_MAX];
};

/* The prefix a path leads to, "" none that is told of; the candidate is told on the way. */
static int tell_prefix(const char *path, char prefix[SAFE_PATH_MAX], struct discovery *to)
{
	struct safe_dir *dir = NULL;
	int rc;

	prefix[0] = '\0';
	if (!discover_is_env(to, path))
		return 0;
	if (!discover_may_touch(to, path)) { /* taken by its name */
		memcpy(prefix, path, strlen(path) + 1);
		return to->candidate(to->ctx, path);
	}
	if (safe_dir_open(path, &dir, NULL) < 0)
		return 0;
	rc = safe_dir_real_path(dir, prefix, SAFE_PATH_MAX, NULL);
	safe_dir_close(dir);
	if (rc < 0 || discover_excluded(to, prefix)) {
		prefix[0] = '\0';
		return 0;
	}
	return to->candidate(to->ctx, prefix);
}

static int tell_runs(const struct looking *l, const struct running *process)
{
	struct discover_program program = {
		.prefix = l->prefix,
		.named = l->last,
		.uid = process->uid,
		.repair = repairing_words(process->words, process->n_words)};

	if (l->prefix[0] == '\0' || l->to->runs == NULL)
		return 0;
	(void)running_since(process->pid, &program.started_ms, NULL);
	return l->to->runs(l->to->ctx, &program);
}

static int on_process(void *ctx, const struct running *process)
{
	struct looking *l = ctx;
	int rc = 0;

	if (!l->to->all_accounts && process->uid != users_current())
		return 0;
	for (size_t i = 0; i < process->n_words && rc == 0; i++) {
		char path[SAFE_PATH_MAX];
		size_t n = command_line_prefix(process->words[i]);

		if (n == 0 || n >= sizeof path)
			continue;
		memcpy(path, process->words[i], n);
		path[n] = '\0';
		if (strcmp(path, l->last) != 0) {
			memcpy(l->last, path, n + 1);
			rc = tell_prefix(path, l->prefix, l->to);
		}
		if (rc == 0 && command_line_runs(process->words, i))
			rc = tell_runs(l, process);
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
