#include "agent/reader/discover.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "platform/safe_open.h"

/* What installers make, below a home or /opt. */
static const char *const base_names[] = {"miniforge3", "miniconda3", "anaconda3",
					 "mambaforge", "miniconda",  "anaconda",
					 "miniconda2", "anaconda2",  "conda"};
/* Below a home: folders whose folders are environments. */
static const char *const envs_folders[] = {"micromamba/envs", ".local/share/mamba/envs",
					   ".pixi/envs"};
/* Their first parts, to be told when they come. */
static const char *const home_names[] = {".conda", "micromamba", ".local", ".pixi"};

static int join(char out[SAFE_PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, SAFE_PATH_MAX, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name);

	return n < 0 || n >= SAFE_PATH_MAX ? ERR_LIMIT : 0;
}

static bool is_folder(const char *path)
{
	struct safe_dir *dir;

	if (safe_dir_open(path, &dir, NULL) < 0)
		return false;
	safe_dir_close(dir);
	return true;
}

static int tell_place(const struct discovery *to, enum place_kind kind, const char *dir,
		      const char *name)
{
	char path[SAFE_PATH_MAX];

	if (join(path, dir, name) < 0 || !is_folder(path))
		return 0;
	return to->place(to->ctx, kind, path);
}

/* A base is an environment itself, and has more in its envs. */
static int tell_bases(const struct discovery *to, const char *dir)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(base_names) && rc == 0; i++) {
		char path[SAFE_PATH_MAX];

		if (join(path, dir, base_names[i]) < 0 || !is_folder(path))
			continue;
		rc = to->candidate(to->ctx, path);
		if (rc == 0)
			rc = tell_place(to, PLACE_ENVS, path, "envs");
	}
	return rc;
}

int discover_system(const struct discovery *to)
{
	return tell_bases(to, "/opt");
}

static int discover_home(const char *home, const struct discovery *to)
{
	int rc = is_folder(home) ? tell_bases(to, home) : ERR_NOTFOUND;

	if (rc == 0)
		rc = tell_place(to, PLACE_REGISTRY, home, ".conda");
	for (size_t i = 0; i < ARRAY_SIZE(envs_folders) && rc == 0; i++)
		rc = tell_place(to, PLACE_ENVS, home, envs_folders[i]);
	return rc;
}

static int discover_registry(const char *path, const struct discovery *to)
{
	struct safe_dir *dir = NULL;
	struct buf text;
	char *line;
	char *rest;
	unsigned n = 0;
	int rc = safe_dir_open(path, &dir, NULL);

	buf_init(&text, DISCOVER_REGISTRY_MAX + 2);
	if (rc < 0)
		goto out;
	rc = tell_place(to, PLACE_ENVS, path, "envs");
	if (safe_read_whole(dir, "environments.txt", SAFE_OWNER_ANY, DISCOVER_REGISTRY_MAX, &text,
			    NULL, NULL) < 0)
		goto out;
	buf_addc(&text, '\0');
	if (buf_rc(&text) < 0)
		goto out;
	for (line = text.data; rc == 0 && line != NULL && n < DISCOVER_REGISTRY_LINES;
	     line = rest, n++) {
		rest = strchr(line, '\n');
		if (rest != NULL)
			*rest++ = '\0';
		line[strcspn(line, "\r")] = '\0';
		if (line[0] == '/' && strlen(line) < SAFE_PATH_MAX)
			rc = to->candidate(to->ctx, line);
	}
out:
	buf_deinit(&text);
	safe_dir_close(dir);
	return rc;
}

struct children {
	const struct discovery *to;
	const char *path;
	struct safe_dir *dir;
	unsigned depth;	   /* levels left to walk below here */
	unsigned *folders; /* folders left to open in the whole walk */
	bool found;	   /* some child is an environment */
};

static int walk(const char *path, unsigned depth, unsigned *folders, const struct discovery *to,
		bool root);

static int on_child(void *ctx, const char *name)
{
	struct children *c = ctx;
	char path[SAFE_PATH_MAX];
	char meta[SAFE_PATH_MAX];
	struct file_info info;

	if (join(path, c->path, name) < 0 ||
	    snprintf(meta, sizeof meta, "%s/conda-meta", name) >= (int)sizeof meta ||
	    safe_stat(c->dir, name, &info, NULL) < 0)
		return 0;
	if (info.is_link) /* envs of their own elsewhere: examined where they really are */
		return c->depth == 0 ? c->to->candidate(c->to->ctx, path) : 0;
	if (!info.is_dir)
		return 0;
	if (safe_stat(c->dir, meta, &info, NULL) == 0) {
		c->found = true;
		return c->to->candidate(c->to->ctx, path);
	}
	if (c->depth == 0 || *c->folders == 0 || strcmp(name, "pkgs") == 0)
		return 0;
	return walk(path, c->depth - 1, c->folders, c->to, false);
}

/* The children of a folder; below a walk's root also their children, down to depth. */
static int walk(const char *path, unsigned depth, unsigned *folders, const struct discovery *to,
		bool root)
{
	struct children c = {.to = to, .path = path, .depth = depth, .folders = folders};
	int rc = safe_dir_open(path, &c.dir, NULL);

	if (rc < 0)
		return root ? rc : 0;
	if (*folders > 0)
		--*folders;
	rc = safe_dir_list(c.dir, DISCOVER_FOLDERS, on_child, &c, NULL);
	safe_dir_close(c.dir);
	if (rc == ERR_LIMIT)
		rc = 0; /* the first ones count */
	if (rc == 0 && c.found && !root)
		rc = to->place(to->ctx, PLACE_ENVS, path);
	return rc < 0 && rc != ERR_NOMEM ? 0 : rc;
}

int discover(enum place_kind kind, const char *path, const struct discovery *to)
{
	unsigned folders = DISCOVER_FOLDERS;

	switch (kind) {
	case PLACE_HOME:
		return discover_home(path, to);
	case PLACE_REGISTRY:
		return discover_registry(path, to);
	case PLACE_ENVS:
		return walk(path, 0, &folders, to, true);
	case PLACE_WALK:
		return walk(path, DISCOVER_DEPTH, &folders, to, true);
	}
	return ERR_INTERNAL;
}

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

bool discover_cares(enum place_kind kind, const char *name)
{
	switch (kind) {
	case PLACE_HOME:
		return is_one_of(name, base_names, ARRAY_SIZE(base_names)) ||
		       is_one_of(name, home_names, ARRAY_SIZE(home_names));
	case PLACE_REGISTRY:
		return strcmp(name, "environments.txt") == 0 || strcmp(name, "envs") == 0;
	case PLACE_ENVS:
		return false; /* its folders are looked at one by one */
	case PLACE_WALK:
		return true;
	}
	return false;
}
