#include "agent/cli/wanted.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "platform/paths.h"
#include "platform/process.h"
#include "platform/safe_open.h"
#include "platform/safe_write.h"
#include "platform/users.h"

#define TAKEN_FILE WANTED_FILE ".taken"
#define PATIENCE_MS 20000

struct place {
	const char *state_dir;
	uint32_t owner; /* of the folder, as it was seen first */
};

/* Plain data: it crosses a process border. */
struct taken {
	int rc;
	char why[ERR_TEXT_MAX];
	size_t n;
	char text[WANTED_MAX];
};

/* Whoever else may write to it could have the agent's say. */
static int check(const struct file_info *info, uint32_t owner, const char *what, struct err *err)
{
	if (info->uid != owner)
		return err_set(err, ERR_PERM, "%s belongs to uid %u", what, (unsigned)info->uid);
	if ((info->mode & 0022) != 0)
		return err_set(err, ERR_PERM, "others may write to %s (mode %04o)", what,
			       (unsigned)info->mode);
	return 0;
}

static int read_taken(const struct safe_dir *dir, uint32_t owner, struct buf *text, struct err *err)
{
	struct file_info info;
	int rc = safe_read_whole(dir, TAKEN_FILE, owner, WANTED_MAX, text, &info, err);

	return rc < 0 ? rc : check(&info, owner, WANTED_FILE, err);
}

static int take(const struct place *place, struct buf *text, struct err *err)
{
	struct safe_dir *dir = NULL;
	struct file_info info;
	int rc = safe_dir_open(place->state_dir, &dir, err);

	if (rc == 0)
		rc = safe_dir_info(dir, &info, err);
	if (rc == 0)
		rc = check(&info, place->owner, place->state_dir, err);
	/* By a name of its own: what the agent writes meanwhile is not lost. */
	if (rc == 0)
		rc = safe_write_rename(dir, WANTED_FILE, TAKEN_FILE, err);
	if (rc == 0) {
		rc = read_taken(dir, place->owner, text, err);
		if (safe_write_remove(dir, TAKEN_FILE, NULL) < 0)
			(void)safe_write_remove_dir(dir, TAKEN_FILE, NULL);
	}
	safe_dir_close(dir);
	return rc;
}

static int take_as_owner(void *ctx, void *result)
{
	struct taken *taken = result;
	struct err err = ERR_INIT;
	struct buf text;

	buf_init(&text, WANTED_MAX + 1);
	taken->rc = take(ctx, &text, &err);
	(void)snprintf(taken->why, sizeof(taken->why), "%s", err.text);
	taken->n = text.len;
	if (text.len > 0)
		memcpy(taken->text, text.data, text.len);
	buf_deinit(&text);
	return 0;
}

static int find_owner(struct place *place, struct err *err)
{
	struct safe_dir *dir = NULL;
	struct file_info info = {0};
	int rc = safe_dir_open(place->state_dir, &dir, err);

	if (rc == 0)
		rc = safe_dir_info(dir, &info, err);
	safe_dir_close(dir);
	place->owner = info.uid;
	if (rc == 0 && !users_is_root() && info.uid != users_current())
		return err_set(err, ERR_PERM, "%s belongs to somebody else", place->state_dir);
	return rc;
}

static int take_with_rights(struct place *place, struct taken *taken, struct err *err)
{
	struct process_task task = {.uid = place->owner,
				    .timeout_ms = PATIENCE_MS,
				    .run = take_as_owner,
				    .ctx = place,
				    .result = taken,
				    .n = sizeof(*taken)};
	struct user user;
	int rc;

	if (!users_is_root())
		return take_as_owner(place, taken);
	rc = users_by_uid(place->owner, &user, err);
	task.gid = rc == 0 ? user.gid : 0;
	if (rc == 0)
		rc = process_run_as(&task, err);
	/* What came from a process that was somebody else is not believed to be well-formed. */
	taken->why[sizeof(taken->why) - 1] = '\0';
	return rc;
}

int wanted_take(const char *state_dir, struct arena *arena, const struct wanted_base **out,
		size_t *n, struct err *err)
{
	struct paths_agent paths;
	struct place place = {.state_dir = state_dir};
	struct taken *taken = arena_calloc(arena, 1, sizeof(*taken));
	int rc = taken ? 0 : err_nomem(err);

	if (rc == 0 && !state_dir) {
		rc = paths_agent(users_is_root() ? PATHS_MACHINE : PATHS_USER, &paths, err);
		place.state_dir = paths.state;
	}
	if (rc == 0)
		rc = find_owner(&place, err);
	if (rc == 0)
		rc = take_with_rights(&place, taken, err);
	if (rc == 0 && taken->rc == ERR_NOTFOUND) {
		*n = 0;
		return 0;
	}
	if (rc == 0 && taken->rc < 0)
		rc = err_set(err, taken->rc, "%s", taken->why);
	if (rc == 0)
		rc = wanted_parse(taken->text, taken->n, arena, out, n, err);
	return rc < 0 ? err_context(err, "%s/%s", place.state_dir, WANTED_FILE) : 0;
}
