#include "agent/reader/look_job.h"

#include <stdio.h>
#include <string.h>

#include "agent/prefix/facts.h"

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

/* A prefix whose first run was a rename: its source is still there, or has just vanished. */
static void judge_rename(struct look_job *job, struct examined *found)
{
	char source[SAFE_PATH_MAX];

	if (job->known || found->history == NULL || !found->history->is_rename ||
	    found->history_sections != 1 || facts_source_path(found, source, sizeof source) < 0 ||
	    strcmp(source, found->prefix) == 0)
		return;
	if (has_meta(source))
		found->signs.rename_age_ms = job->at_start ? -1 : job->age_ms;
	else
		(void)snprintf(job->renamed_from, sizeof job->renamed_from, "%s", source);
}

static void copy_out(struct look_job *job, const struct examined *found)
{
	job->kind = found->kind;
	job->is_cache = found->is_cache;
	job->empty_meta = found->empty_meta;
	job->fs = found->fs;
	job->dev = found->info.dev;
	job->ino = found->info.ino;
	job->unreadable = found->signs.unreadable;
	(void)snprintf(job->canonical, sizeof job->canonical, "%s", found->prefix);
	(void)snprintf(job->site_packages, sizeof job->site_packages, "%s", found->site_packages);
	memcpy(job->stamp, found->stamp, sizeof job->stamp);
}

void look_job_run(struct work *work)
{
	struct look_job *job = container_of(work, struct look_job, work);
	struct examine_request request = {.prefix = job->prefix,
					  .now_ms = job->now_ms,
					  .stamp = job->has_stamp ? job->stamp : NULL,
					  .json = job->json};
	struct examined found;
	struct arena arena;

	arena_init(&arena, EXAMINE_ARENA_MAX);
	buf_init(&job->frames, FRAMES_MAX);
	job->renamed_from[0] = '\0';
	job->rc = examine(&request, &arena, &found, &job->err);
	if (job->rc < 0)
		goto out;
	if (found.kind == EXAMINE_ENVIRONMENT) {
		judge_rename(job, &found);
		found.signs.reads = job->reads + 1;
		if (!job->overdue)
			job->verdict = settle_judge(&found.signs);
		if (job->verdict.reason == SETTLE_READY && !found.is_cache)
			job->rc = facts_pack(&found, job->renamed_from, job->at_start, &arena,
					     &job->frames, &job->err);
	}
	copy_out(job, &found);
	package_list_deinit(&found.packages);
out:
	arena_deinit(&arena);
}
