#include "agent/cli/base.h"

#include <stdio.h>
#include <string.h>

#include "agent/cli/site.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "platform/paths.h"
#include "platform/process.h"
#include "platform/safe_open.h"
#include "platform/safe_write.h"
#include "platform/users.h"

#define RECORDS_MAX 20000
#define LIB_MAX 100000 /* entries of lib/ that are looked at */
#define MINOR_MAX 999
#define PATIENCE_MS 20000 /* for one base */
#define NAME_ROOM 128

const char *base_state_name(enum base_state state)
{
	static const char *const names[] = {"none",    "placed", "missing", "outdated",
					    "foreign", "unsafe", "failed"};

	return names[state];
}

struct work {
	const struct base_job *job;
	struct base_report *report;
	uint32_t own_gid; /* the group that is the owner's alone, or USERS_UID_NONE */
};

static void worse(struct base_report *report, enum base_state state, const char *why)
{
	if (report->state != BASE_NONE && report->state >= state)
		return;
	report->state = state;
	(void)snprintf(report->why, sizeof(report->why), "%s", why);
}

/* --- is it a base --- */

static int is_record(void *ctx, const char *name)
{
	static const char *const starts[] = {"conda-", "mamba-"};
	bool *found = ctx;

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		char c = name[strlen(name) > strlen(starts[i]) ? strlen(starts[i]) : 0];

		if (text_starts(name, starts[i]) && c >= '0' && c <= '9' &&
		    text_ends(name, ".json"))
			*found = true;
	}
	return *found;
}

static bool is_base(const struct safe_dir *prefix)
{
	struct file_info info;
	struct safe_dir *meta = NULL;
	bool found = false;

	if (safe_stat(prefix, "condabin", &info, NULL) < 0 || !info.is_dir ||
	    safe_dir_open_at(prefix, "conda-meta", &meta, NULL) < 0)
		return false;
	(void)safe_dir_list(meta, RECORDS_MAX, is_record, &found, NULL);
	safe_dir_close(meta);
	return found;
}

/* --- is it safe --- */

static int check_info(const struct work *w, const struct file_info *info, const char *what,
		      struct err *err)
{
	if (info->uid != 0 && info->uid != w->job->uid)
		return err_set(err, ERR_PERM, "%s belongs to uid %u", what, (unsigned)info->uid);
	if ((info->mode & 0002) || ((info->mode & 0020) && info->gid != w->own_gid))
		return err_set(err, ERR_PERM, "others may write to %s (mode %04o)", what,
			       (unsigned)info->mode);
	return 0;
}

/* An access list that lets others write shows in the mode as a group that may. */
static int check_list(const struct file_info *info, const struct safe_dir *dir,
		      const char *relative, const char *what, struct err *err)
{
	if ((info->mode & 0020) && safe_has_acl(dir, relative))
		return err_set(err, ERR_PERM, "others may write to %s (access list)", what);
	return 0;
}

static int check_rights(const struct work *w, const struct safe_dir *dir, const char *what,
			struct err *err)
{
	struct file_info info;
	int rc = safe_dir_info(dir, &info, err);

	if (rc == 0)
		rc = check_info(w, &info, what, err);
	return rc < 0 ? rc : check_list(&info, dir, NULL, what, err);
}

/* Every folder above: who may rename one of them decides what is at this path. They may be such
 * that the owner can pass, but not look. path: canonical. */
static int check_above(const struct work *w, const char *path, struct err *err)
{
	char above[PATHS_MAX];
	struct safe_dir *root = NULL;
	struct file_info info;
	size_t n = strlen(path);
	int rc = safe_dir_open("/", &root, err);

	if (rc == 0)
		rc = check_rights(w, root, "/", err);
	memcpy(above, path, n + 1);
	for (size_t i = n; i-- > 1 && rc == 0;) {
		if (above[i] != '/')
			continue;
		above[i] = '\0';
		rc = safe_stat(root, above + 1, &info, err);
		/* Sticky, like /tmp: others can't move what is in it. */
		if (rc == 0 && (info.mode & 01000))
			info.mode &= ~(uint32_t)022;
		if (rc == 0)
			rc = check_info(w, &info, above, err);
		if (rc == 0)
			rc = check_list(&info, root, above + 1, above, err);
	}
	safe_dir_close(root);
	return rc;
}

/* --- one of its Pythons --- */

static enum base_state as_base(enum piece_state state)
{
	static const enum base_state states[] = {BASE_PLACED, BASE_MISSING, BASE_OUTDATED,
						 BASE_FOREIGN};

	return states[state];
}

static void look(const struct work *w, const struct site *site)
{
	char why[ERR_TEXT_MAX];
	enum piece_state state = site_look(site, why);

	worse(w->report, as_base(state), why);
}

static int change(const struct work *w, struct site *site, struct err *err)
{
	char why[ERR_TEXT_MAX];

	if (w->job->action == BASE_REMOVE)
		return site_take_away(site, err);
	/* Nothing beside what is somebody else's; looking again will tell. */
	return site_look(site, why) == PIECE_FOREIGN ? 0 : site_place(site, err);
}

static int open_site(const struct work *w, const struct safe_dir *python, struct site *site,
		     struct err *err)
{
	int rc = safe_dir_open_at(python, "site-packages", &site->dir, err);

	if (rc == 0)
		rc = check_rights(w, site->dir, "site-packages", err);
	if (rc == 0 && safe_dir_open_at(site->dir, PIECES_FOLDER, &site->folder, NULL) == 0)
		rc = check_rights(w, site->folder, PIECES_FOLDER, err);
	return rc;
}

static int count(void *ctx, const char *name)
{
	(void)name;
	++*(int *)ctx;
	return 0;
}

static int entries(const struct safe_dir *dir)
{
	int n = 0;

	return safe_dir_list(dir, LIB_MAX, count, &n, NULL) < 0 ? LIB_MAX : n;
}

/* An upgrade to another minor version leaves the folders of the Python that was to what was placed
 * in them, and to what Python compiled of it: with that, they go. */
static void drop_stale(const struct safe_dir *lib, const struct safe_dir *dir, const char *python,
		       const struct site *site)
{
	if (entries(dir) > 1 || entries(site->dir) > 1)
		return;
	(void)safe_write_remove_dir(site->dir, "__pycache__", NULL);
	(void)safe_write_remove_dir(dir, "site-packages", NULL);
	(void)safe_write_remove_dir(lib, python, NULL);
}

static void at_python(const struct work *w, const struct safe_dir *lib, const char *python,
		      int minor)
{
	struct site site = {.pieces = w->job->pieces, .minor = minor};
	struct safe_dir *dir = NULL;
	struct err err = ERR_INIT;
	int rc = safe_dir_open_at(lib, python, &dir, &err);
	bool unsafe;

	if (rc == 0)
		rc = check_rights(w, dir, python, &err);
	if (rc == 0)
		rc = open_site(w, dir, &site, &err);
	unsafe = rc < 0;
	if (rc == 0 && w->job->action != BASE_LOOK)
		rc = change(w, &site, &err);
	if (rc == 0)
		look(w, &site);
	else
		worse(w->report, unsafe ? BASE_UNSAFE : BASE_FAILED, err.text);
	if (rc == 0 && w->job->action == BASE_REMOVE)
		drop_stale(lib, dir, python, &site);
	site_close(&site);
	safe_dir_close(dir);
}

/* --- all of a base --- */

struct pythons {
	const struct work *work;
	const struct safe_dir *lib;
};

/* "python3.11", or "python3.14t" of a build without the global lock. Links are others' names. */
static int each_python(void *ctx, const char *name)
{
	const struct pythons *p = ctx;
	struct base_report *report = p->work->report;
	size_t n = strlen(name), used = strlen(report->pythons);
	unsigned long long minor;
	struct file_info info;

	if (!text_starts(name, "python3.") || n >= NAME_ROOM)
		return 0;
	n -= strlen("python3.") + (name[n - 1] == 't');
	if (text_to_u64(name + strlen("python3."), n, &minor) < 0 || minor > MINOR_MAX ||
	    safe_stat(p->lib, name, &info, NULL) < 0 || !info.is_dir)
		return 0;
	(void)snprintf(report->pythons + used, sizeof(report->pythons) - used, "%s%s",
		       used > 0 ? ", " : "", name + strlen("python"));
	at_python(p->work, p->lib, name, (int)minor);
	return 0;
}

static int open_checked(const struct work *w, struct safe_dir **prefix, struct err *err)
{
	char real[PATHS_MAX];
	int rc = check_rights(w, *prefix, "the base", err);

	if (rc == 0)
		rc = safe_dir_real_path(*prefix, real, sizeof(real), err);
	return rc < 0 ? rc : check_above(w, real, err);
}

static void work_on(const struct work *w, struct safe_dir *prefix)
{
	struct pythons pythons = {.work = w};
	struct safe_dir *lib = NULL;
	struct file_info info;
	struct err err = ERR_INIT;
	int rc;

	if (!is_base(prefix) || safe_dir_info(prefix, &info, NULL) < 0)
		return;
	if (info.uid != w->job->uid) {
		worse(w->report, BASE_UNSAFE, "it belongs to somebody else");
		return;
	}
	rc = open_checked(w, &prefix, &err);
	if (rc == 0)
		rc = safe_dir_open_at(prefix, "lib", &lib, &err);
	if (rc == 0)
		rc = check_rights(w, lib, "lib", &err);
	pythons.lib = lib;
	if (rc < 0)
		worse(w->report, BASE_UNSAFE, err.text);
	else if (safe_dir_list(lib, LIB_MAX, each_python, &pythons, &err) < 0)
		worse(w->report, BASE_FAILED, err.text);
	safe_dir_close(lib);
}

void base_work(const struct base_job *job, struct base_report *report)
{
	struct work work = {.job = job, .report = report, .own_gid = USERS_UID_NONE};
	struct safe_dir *prefix = NULL;
	struct err err = ERR_INIT;
	struct user user;

	*report = (struct base_report){.state = BASE_NONE};
	if (users_by_uid(job->uid, &user, NULL) == 0 && users_group_is_own(&user))
		work.own_gid = user.gid;
	if (safe_dir_open(job->prefix, &prefix, &err) < 0)
		worse(report, BASE_FAILED, err.text);
	else
		work_on(&work, prefix);
	safe_dir_close(prefix);
}

static int run(void *ctx, void *result)
{
	base_work(ctx, result);
	return 0;
}

void base_work_as_owner(const struct base_job *job, struct base_report *report)
{
	struct process_task task = {.uid = job->uid,
				    .timeout_ms = PATIENCE_MS,
				    .run = run,
				    .ctx = (void *)(uintptr_t)job,
				    .result = report,
				    .n = sizeof(*report)};
	struct err err = ERR_INIT;
	struct user user;
	int rc;

	*report = (struct base_report){.state = BASE_NONE};
	if (!users_is_root() && job->uid != users_current()) {
		worse(report, BASE_FAILED,
		      "it belongs to somebody else: to be done by them, or by root");
		return;
	}
	if (!users_is_root()) {
		base_work(job, report);
		return;
	}
	rc = users_by_uid(job->uid, &user, &err);
	task.gid = rc == 0 ? user.gid : 0;
	if (rc == 0)
		rc = process_run_as(&task, &err);
	/* What came from a process that was somebody else is not believed to be well-formed. */
	report->why[sizeof(report->why) - 1] = '\0';
	report->pythons[sizeof(report->pythons) - 1] = '\0';
	if (rc == 0 && (unsigned)report->state > BASE_FAILED)
		rc = err_set(&err, ERR_PROTOCOL, "what it was told of it makes no sense");
	if (rc < 0) {
		report->state = BASE_NONE;
		worse(report, BASE_FAILED, err.text);
	}
}
