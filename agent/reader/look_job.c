#include "agent/reader/look_job.h"

#include <stdio.h>
#include <string.h>

#include "agent/prefix/facts.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/route.h"
#include "platform/watch.h"

#define FRAMES_MAX (24u << 20)

static bool has_meta(const char *prefix)
{
	struct safe_dir *dir = NULL;
	struct file_info info;
	bool there = safe_dir_open(prefix, &dir, NULL) == 0 &&
		     safe_stat(dir, "conda-meta", &info, NULL) == 0;

	safe_dir_close(dir);
	return there;
}

/* Whether a path that is not the look's own may be opened from its lane. */
static bool may_touch(const struct look_job *job, const char *path)
{
	const struct mount *m = mount_table_find(job->mounts, job->prefix);
	char copy[SAFE_PATH_MAX];

	(void)snprintf(copy, sizeof copy, "%s", path);
	return route_follow(job->mounts, m != NULL ? m->group : 0, copy) == 0;
}

/* A prefix whose first run was a rename: its source is still there, or has just vanished. */
static void judge_rename(struct look_job *job, struct examined *found)
{
	char source[SAFE_PATH_MAX];

	if (job->known || found->history == NULL || !found->history->is_rename ||
	    found->history_sections != 1 || facts_source_path(found, source, sizeof source) < 0 ||
	    strcmp(source, found->prefix) == 0 || !may_touch(job, source))
		return;
	if (has_meta(source))
		found->signs.rename_age_ms = job->at_start ? -1 : job->age_ms;
	else
		(void)snprintf(job->renamed_from, sizeof job->renamed_from, "%s", source);
}

static void place_watch(const struct look_job *job, struct look_watch *watch, const char *relative,
			unsigned flags)
{
	char path[SAFE_PATH_MAX];
	int n = snprintf(path, sizeof path, "%s%s%s", job->prefix, relative[0] != '\0' ? "/" : "",
			 relative);

	watch->rc = 1;
	if (watch->wanted && job->watcher != NULL && n > 0 && (size_t)n < sizeof path)
		watch->rc = watcher_mark(job->watcher, path, flags, &watch->watch, NULL);
}

/* Watches come before the look, so that nothing falls between the two. */
static void place_watches(struct look_job *job)
{
	place_watch(job, &job->meta, "conda-meta", 0);
	job->folder.wanted =
		job->folder.wanted && (job->meta.rc == ERR_NOTFOUND || job->meta.rc == ERR_INVALID);
	place_watch(job, &job->folder, "", WATCH_FOLDERS);
}

/* Which mount the facts are from. */
static void note_mount(struct look_job *job, struct examined *found)
{
	const struct mount *m = mount_table_find(job->mounts, found->prefix);

	if (m == NULL || found->prefix[0] == '\0')
		return;
	job->mount = m->id;
	job->by_automount = m->by_automount;
	memcpy(job->volume, m->volume, sizeof job->volume);
	memcpy(found->volume, m->volume, sizeof found->volume);
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
	(void)snprintf(job->canonical, sizeof job->canonical, "%s", found->prefix);
	(void)snprintf(job->site_packages, sizeof job->site_packages, "%s", found->site_packages);
	memcpy(job->stamp, found->stamp, sizeof job->stamp);
}

static const struct marks *recall_marks(void *ctx, const char *prefix)
{
	struct look_job *job = ctx;

	if (!text_is_utf8(prefix, strlen(prefix)))
		return NULL; /* no message can carry it */
	recall_ask(job->recall, prefix, &job->recalled);
	return job->recalled.marks.n > 0 ? &job->recalled.marks : NULL;
}

void look_job_run(struct look_job *job)
{
	struct examine_request request = {.prefix = job->prefix,
					  .now_ms = job->now_ms,
					  .stamp = job->has_stamp ? job->stamp : NULL,
					  .recall = job->recall != NULL ? recall_marks : NULL,
					  .ctx = job,
					  .json = job->json};
	struct examined found;
	struct arena arena;

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
	if (found.kind == EXAMINE_ENVIRONMENT && found.site_packages[0] != '\0')
		place_watch(job, &job->site, found.site_packages, 0);
	copy_out(job, &found);
	package_list_deinit(&found.packages);
out:
	recalled_deinit(&job->recalled);
	arena_deinit(&arena);
}
