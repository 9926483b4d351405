#include "agent/prefix/last_run.h"

#include <stdio.h>

#include "agent/prefix/look.h"
#include "lib/base/mem.h"

struct held_history held_history_open(const char *prefix)
{
	struct held_history held = HELD_HISTORY_NONE;
	struct safe_dir *dir = NULL;
	struct file_info info;
	enum fs_class fs;

	if (safe_dir_open(prefix, &dir, NULL) < 0)
		return held;
	if (safe_dir_fs_class(dir, &fs, NULL) == 0 && fs == FS_LOCAL &&
	    safe_file_open(dir, "conda-meta/history", SAFE_OWNER_ANY, &held.file, &info, NULL) == 0)
		held.owner = info.uid;
	safe_dir_close(dir);
	if (held_history_is_open(&held) && info.links > 1) /* maybe a stranger's secret */
		held_history_close(&held);
	return held;
}

bool held_history_is_open(const struct held_history *held)
{
	return held->file.handle != SAFE_FILE_NONE.handle;
}

void held_history_close(struct held_history *held)
{
	safe_file_close(&held->file);
	*held = HELD_HISTORY_NONE;
}

struct last_run *last_run_of(const struct history_facts *last, const char *prefix, int64_t owner)
{
	struct last_run *run;
	struct user user;

	if (!last->is_removal || !history_speaks_of(last->target, prefix))
		return NULL;
	run = mem_calloc(1, sizeof *run);
	if (run == NULL) /* then it stays unknown */
		return NULL;
	(void)snprintf(run->command, sizeof run->command, "%s", last->command);
	(void)snprintf(run->tool, sizeof run->tool, "%s", last->tool);
	run->owner = owner;
	if (owner >= 0 && users_by_uid((uint32_t)owner, &user, NULL) == 0)
		(void)snprintf(run->owner_name, sizeof run->owner_name, "%s", user.name);
	return run;
}

struct last_run *last_run_read(struct held_history *held, const char *prefix)
{
	struct history *history = mem_alloc(sizeof *history);
	struct last_run *run = NULL;

	if (history == NULL)
		return NULL;
	meta_feed_history(&held->file, history);
	run = last_run_of(&history->last, prefix, held->owner);
	mem_free(history);
	return run;
}
