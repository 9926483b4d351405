/* Where site-packages is: by python's record, as conda finds it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/prefix/look.h"
#include "lib/base/text.h"
#include "lib/conda/record.h"

#define WINDOWS_SITE "Lib/site-packages"
#define SITE_NAME_MAX 64

/*
 * "3.11.9" -> "lib/python3.11/site-packages"; "t" for free-threaded builds, whose build string ends
 * in "cp313t".
 */
static bool unix_site(const char *version, const char *build, size_t build_n,
		      char out[SITE_NAME_MAX])
{
	int major = 0;
	int minor = 0;
	const char *cp = NULL;

	for (size_t i = 0; i + 3 <= build_n; i++)
		if (memcmp(build + i, "_cp", 3) == 0)
			cp = build + i;
	if (sscanf(version, "%2d.%3d", &major, &minor) != 2) /* house-ok: bounded */
		return false;
	if (major < 0 || minor < 0)
		return false;
	(void)snprintf(out, SITE_NAME_MAX, "lib/python%d.%d%s/site-packages", major, minor,
		       cp != NULL && build[build_n - 1] == 't' ? "t" : "");
	return true;
}

/* name-version-build.json; of names that merely begin so, the rest is no version. */
bool site_is_python(const char *name)
{
	const char *dash;

	if (!text_starts(name, "python-") || !text_ends(name, ".json"))
		return false;
	dash = strchr(name + 7, '-');
	return dash != NULL && strchr(dash + 1, '-') == NULL;
}

static bool exists(const struct look *look, const char *path)
{
	struct safe_dir *dir = NULL;
	bool there = safe_dir_open_inside(look->prefix, path, &dir, NULL) == 0;

	safe_dir_close(dir);
	return there;
}

static void close_site(struct look *look)
{
	safe_dir_close(look->site);
	look->site = NULL;
	look->dists = (struct listing){0};
	look->site_name = "";
	look->out->site_packages = "";
	look->out->site_above = "";
}

/* Links on the way may make it another place than its name says: that is what is to be watched. */
static int find_real(struct look *look, const struct safe_dir *dir, const char **relative,
		     struct err *err)
{
	char path[SAFE_PATH_MAX];
	size_t n = strlen(look->out->prefix);
	int rc = safe_dir_real_path(dir, path, sizeof path, err);

	if (rc == 0)
		rc = safe_dir_info(dir, &look->out->site_info, err);
	if (rc < 0)
		return rc;
	if (strncmp(path, look->out->prefix, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return ERR_NOTFOUND; /* moved away meanwhile */
	*relative = path[n] != '\0' ? arena_strdup(look->arena, path + n + 1) : ".";
	return *relative != NULL ? 0 : err_nomem(err);
}

/* It is to come, or the next folder on the way to it, in one that is there. */
static int find_above(struct look *look, const char *name, struct err *err)
{
	char path[RECORD_PATH_MAX + 1];
	int rc = ERR_NOTFOUND;
	char *slash;

	(void)snprintf(path, sizeof path, "%s", name);
	while (rc != 0 && rc != ERR_NOMEM && (slash = strrchr(path, '/')) != NULL) {
		struct safe_dir *dir = NULL;

		*slash = '\0';
		rc = safe_dir_open_inside(look->prefix, path, &dir, NULL);
		if (rc == 0)
			rc = find_real(look, dir, &look->out->site_above, err);
		safe_dir_close(dir);
	}
	return rc == 0 || rc == ERR_NOMEM
		       ? rc
		       : find_real(look, look->prefix, &look->out->site_above, err);
}

/* What can't be opened is noted, but for a place that is only guessed. */
static int open_site(struct look *look, const char *name, bool guessed, struct err *err)
{
	struct err why = ERR_INIT;
	int rc;

	close_site(look);
	look->site_name = arena_strdup(look->arena, name);
	if (look->site_name == NULL)
		return err_nomem(err);
	rc = safe_dir_open_inside(look->prefix, name, &look->site, &why);
	if (rc == 0)
		rc = find_real(look, look->site, &look->out->site_packages, &why);
	if (rc == 0)
		rc = listing_read(look->site, python_wants, EXAMINE_ENTRIES_MAX, look->arena,
				  &look->dists, &why);
	if (rc == 0)
		rc = gone_listed(look);
	if (rc == ERR_NOMEM)
		return err_nomem(err);
	if (rc < 0 && rc != ERR_NOTFOUND && !guessed)
		look_note(look, "site-packages", why.text);
	if (rc < 0) {
		safe_dir_close(look->site);
		look->site = NULL;
		look->out->site_packages = "";
	}
	return rc == ERR_NOTFOUND && find_above(look, name, err) == ERR_NOMEM ? ERR_NOMEM : 0;
}

int site_guess(struct look *look, struct err *err)
{
	char name[SITE_NAME_MAX];

	look->site_name = "";
	for (size_t i = 0; i < look->entries.n; i++) {
		const char *record = look->entries.entries[i].name;
		const char *build;

		if (!site_is_python(record))
			continue;
		build = strchr(record + 7, '-') + 1;
		if (!unix_site(record + 7, build, strlen(build) - strlen(".json"), name))
			continue;
		/* One made by Windows can lie on any system's disk. */
		if (!exists(look, name) && exists(look, WINDOWS_SITE))
			return open_site(look, WINDOWS_SITE, true, err);
		return open_site(look, name, true, err);
	}
	return 0;
}

int site_settle(struct look *look, const struct site_claim *python, struct err *err)
{
	char name[RECORD_PATH_MAX + 1];

	if (python->path[0] != '\0') {
		size_t n = 0;

		for (const char *p = python->path; *p != '\0' && n + 1 < sizeof name; p++)
			name[n++] = *p == '\\' ? '/' : *p;
		name[n] = '\0';
	} else if (text_starts(python->subdir, "win-")) {
		(void)snprintf(name, sizeof name, "%s", WINDOWS_SITE);
	} else if (!unix_site(python->version, python->build, strlen(python->build), name)) {
		look_note(look, "site-packages", "python's record names no version to find it by");
		return 0;
	}
	if (look->site != NULL && strcmp(look->site_name, name) == 0)
		return 0;
	return open_site(look, name, false, err);
}
