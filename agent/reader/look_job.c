#include "agent/reader/look_job.h"

#include <stdio.h>
#include <string.h>

#include "agent/prefix/facts.h"
#include "agent/reader/exclude.h"
#include "lib/base/mem.h"
#include "platform/route.h"
#include "platform/watch.h"

#define FRAMES_MAX (24u << 20)

static bool left_alone(const void *ctx, const char *prefix)
{
	return exclude_has(ctx, prefix);
}

enum source_state {
	SOURCE_GONE,
	SOURCE_THERE,
	SOURCE_NEWER, /* something else has its place since */
};

static enum source_state source_state(const char *prefix, int64_t renamed_ns)
{
	enum source_state state = SOURCE_GONE;
	struct safe_dir *dir = NULL;
	struct file_info info;

	if (safe_dir_open(prefix, &dir, NULL) == 0 &&
	    safe_stat(dir, "conda-meta", &info, NULL) == 0)
		state = safe_stat(dir, "conda-meta/history", &info, NULL) == 0 &&
					info.mtime_ns > renamed_ns
				? SOURCE_NEWER
				: SOURCE_THERE;
	safe_dir_close(dir);
	return state;
}

/* Whether a path that is not the look's own may be opened from its lane. */
static bool may_touch(const struct look_job *job, const char *path)
{
	const struct mount *m = mount_table_find(job->mounts, job->prefix);
	char copy[SAFE_PATH_MAX];

	(void)snprintf(copy, sizeof copy, "%s", path);
	return route_follow(job->mounts, m != NULL ? m->group : 0, copy) == 0;
}

/*
 * A prefix that began with a rename: its source is still there, or has vanished. One that was told
 * before and is another folder now was moved aside for the rename.
 */
static void judge_rename(struct look_job *job, struct examined *found)
{
	char source[SAFE_PATH_MAX];
	bool same = found->info.ino == job->known_ino && found->info.dev == job->known_dev;
	int64_t age = job->now_ms - found->history_ns / 1000000;
	enum source_state state;

	if ((job->known && same) || found->history == NULL || !found->origin->is_rename ||
	    !history_speaks_of(found->origin->target, found->prefix) ||
	    facts_source_path(found, source, sizeof source) < 0 ||
	    strcmp(source, found->prefix) == 0 || !may_touch(job, source) ||
	    (job->exclude != NULL && exclude_has(job->exclude, source)))
		return;
	state = source_state(source, found->history_ns);
	if (state == SOURCE_GONE)
		(void)snprintf(job->renamed_from, sizeof job->renamed_from, "%s", source);
	else if (state == SOURCE_THERE && found->history_sections == 1)
		found->signs.rename_age_ms = age > 0 ? age : 0;
}

static void place_watch(const struct look_job *job, struct look_watch *watch, const char *relative,
			unsigned flags)
{
	char path[SAFE_PATH_MAX];
	int n = snprintf(path, sizeof path, "%s%s%s", job->prefix, relative[0] != '\0' ? "/" : "",
			 relative);

	watch->rc = 1;
	watch->flags = flags;
	if (job->watcher != NULL && n > 0 && (size_t)n < sizeof path)
		watch->rc = watcher_mark(job->watcher, path, flags, &watch->watch, NULL);
}

/*
 * Watches come before the look, so that nothing falls between the two; and at each look, since what
 * is watched may not be what is at the path any more. One that is there already stays as it is.
 */
static void place_watches(struct look_job *job)
{
	job->folder.rc = 1;
	place_watch(job, &job->meta, "conda-meta", 0);
	if (job->meta.rc == ERR_NOTFOUND || job->meta.rc == ERR_INVALID)
		place_watch(job, &job->folder, "", WATCH_FOLDERS);
}

/* After the look, which has found it: the next one sees what came before the watch. */
static void place_site_watch(struct look_job *job, const struct examined *found)
{
	bool there = found->site_packages[0] != '\0';
	const char *folder = there ? found->site_packages : found->site_above;

	if (folder[0] == '\0')
		return;
	job->site_dev = found->site_info.dev;
	job->site_ino = found->site_info.ino;
	place_watch(job, &job->site, folder, there ? 0 : WATCH_FOLDERS);
}

/* Which mount the facts are from. */
static void note_mount(struct look_job *job, struct examined *found)
{
	static const unsigned char none[MOUNT_VOLUME_SIZE];
	const struct mount *m = mount_table_find(job->mounts, found->prefix);

	if (m == NULL || found->prefix[0] == '\0')
		return;
	job->mount = m->id;
	job->by_automount = m->by_automount;
	memcpy(job->volume, m->volume, sizeof job->volume);
	memcpy(found->volume, m->volume, sizeof found->volume);
	found->mount = memcmp(m->volume, none, sizeof none) != 0 ? m->point : "";
}

static void copy_out(struct look_job *job, const struct examined *found)
{
	job->kind = found->kind;
	job->is_cache = found->is_cache;
	job->empty_meta = found->empty_meta;
	job->fs = found->fs;
	job->stats = found->stats;
	job->dev = found->info.dev;
	job->ino = found->info.ino;
	job->unreadable = found->signs.unreadable;
	job->dist_age_ms = found->dist_age_ms;
	(void)snprintf(job->canonical, sizeof job->canonical, "%s", found->prefix);
	memcpy(job->stamp, found->stamp, sizeof job->stamp);
}

static const struct marks *recall_marks(void *ctx, const char *prefix)
{
	struct look_job *job = ctx;

	recall_ask(job->recall, prefix, &job->recalled);
	return job->recalled.marks.n > 0 ? &job->recalled.marks : NULL;
}

/* Of one that is removed, or is gone. */
static struct last_run *last_of(struct look_job *job, const struct examined *found)
{
	switch (found->kind) {
	case EXAMINE_ENVIRONMENT:
		return found->history != NULL
			       ? last_run_of(found->history, found->prefix, found->history_owner)
			       : NULL;
	case EXAMINE_NOTHING:
	case EXAMINE_PLAIN:
		return held_history_is_open(&job->held) ? last_run_read(&job->held, job->prefix)
							: NULL;
	default:
		return NULL;
	}
}

void look_job_run(struct look_job *job)
{
	struct examine_request request = {.prefix = job->prefix,
					  .now_ms = job->now_ms,
					  .stamp = job->has_stamp ? job->stamp : NULL,
					  .recall = job->recall != NULL ? recall_marks : NULL,
					  .ctx = job,
					  .json = job->json,
					  .left_alone = job->exclude != NULL ? left_alone : NULL,
					  .left_alone_ctx = job->exclude};
	struct examined found;
	struct arena arena;

	if (job->hold) {
		job->held = held_history_open(job->prefix);
		return;
	}
	arena_init(&arena, EXAMINE_ARENA_MAX);
	buf_init(&job->frames, FRAMES_MAX);
	job->renamed_from[0] = '\0';
	job->site.rc = 1;
	place_watches(job);
	job->rc = examine(&request, &arena, &found, &job->err);
	if (job->rc < 0)
		goto out;
	note_mount(job, &found);
	found.basis = job->recalled.basis;
	if (found.kind == EXAMINE_ENVIRONMENT) {
		judge_rename(job, &found);
		found.signs.reads = job->reads + 1;
		if (!job->overdue)
			job->verdict = settle_judge(&found.signs);
		if (job->verdict.reason == SETTLE_READY && !found.is_cache)
			job->rc = facts_pack(&found, job->renamed_from, job->at_start, &arena,
					     &job->frames, &job->err);
	}
	if (found.kind == EXAMINE_ENVIRONMENT || found.kind == EXAMINE_UNCHANGED)
		place_site_watch(job, &found);
	copy_out(job, &found);
	job->last = last_of(job, &found);
	package_list_deinit(&found.packages);
out:
	recalled_deinit(&job->recalled);
	arena_deinit(&arena);
}
