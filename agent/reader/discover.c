#include "agent/reader/discover.h"

#include <stdio.h>
#include <string.h>

#include "agent/prefix/not_env.h"
#include "agent/reader/discover_impl.h"
#include "agent/reader/exclude.h"
#include "lib/base/buf.h"
#include "platform/mount_table.h"
#include "platform/route.h"

int discover_join(char out[SAFE_PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, SAFE_PATH_MAX, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name);

	return n < 0 || n >= SAFE_PATH_MAX ? ERR_LIMIT : 0;
}

bool discover_excluded(const struct discovery *to, const char *path)
{
	return to->exclude != NULL && exclude_has(to->exclude, path);
}

bool discover_may_touch(const struct discovery *to, const char *path)
{
	char copy[SAFE_PATH_MAX];

	if (to->mounts == NULL || !mount_table_has_remote(to->mounts))
		return true;
	return snprintf(copy, sizeof copy, "%s", path) < (int)sizeof copy &&
	       route_follow(to->mounts, to->group, copy) == 0;
}

bool discover_is_folder(const struct discovery *to, const char *path)
{
	struct safe_dir *dir;

	if (discover_excluded(to, path))
		return false;
	if (!discover_may_touch(to, path))
		return true;
	if (safe_dir_open(path, &dir, NULL) < 0)
		return false;
	safe_dir_close(dir);
	return true;
}

bool discover_is_env(const struct discovery *to, const char *path)
{
	struct safe_dir *dir;
	struct file_info info;
	bool yes;

	if (discover_excluded(to, path))
		return false;
	if (!discover_may_touch(to, path))
		return true;
	if (safe_dir_open(path, &dir, NULL) < 0)
		return false;
	yes = safe_stat(dir, "conda-meta", &info, NULL) == 0 && info.is_dir;
	safe_dir_close(dir);
	return yes;
}

int discover_tell(struct discovery *to, enum place_kind kind, const char *dir, const char *name)
{
	char path[SAFE_PATH_MAX];

	if (discover_join(path, dir, name) < 0 || !discover_is_folder(to, path))
		return 0;
	return to->place(to->ctx, kind, path);
}

/* --- environments.txt --- */

static int tell_lines(char *text, struct discovery *to)
{
	char *rest = text;
	unsigned n = 0;
	int rc = 0;

	for (char *line = text; rc == 0 && line != NULL; line = rest) {
		rest = strchr(line, '\n');
		if (rest != NULL)
			*rest++ = '\0';
		line[strcspn(line, "\r")] = '\0';
		if (line[0] != '/' || strlen(line) >= SAFE_PATH_MAX)
			continue;
		if (n++ == DISCOVER_REGISTRY_LINES) {
			to->cut++;
			break;
		}
		rc = to->candidate(to->ctx, line);
	}
	return rc;
}

static int discover_registry(const char *path, struct discovery *to)
{
	struct safe_dir *dir = NULL;
	struct buf text;
	int rc = safe_dir_open(path, &dir, NULL);
	int read;

	buf_init(&text, DISCOVER_REGISTRY_MAX + 2);
	if (rc < 0)
		goto out;
	rc = discover_tell(to, PLACE_ENVS, path, "envs");
	if (rc < 0)
		goto out;
	read = safe_read_whole(dir, "environments.txt", SAFE_OWNER_ANY, DISCOVER_REGISTRY_MAX,
			       &text, NULL, NULL);
	to->cut += read == ERR_LIMIT;
	if (read == 0 && (buf_addc(&text, '\0'), buf_rc(&text)) == 0)
		rc = tell_lines(text.data, to);
out:
	buf_deinit(&text);
	safe_dir_close(dir);
	return rc;
}

/* --- folders of environments, and walks --- */

struct children {
	struct discovery *to;
	const char *path;
	struct safe_dir *dir;
	unsigned depth;	   /* levels left to walk below here */
	bool walks;	   /* not only one folder's children */
	unsigned *folders; /* folders left to open in the whole walk */
	bool found;	   /* some child is an environment */
	bool root;	   /* these are the children of the place itself */
	unsigned young;	   /* told */
};

static int walk(const char *path, struct children *c, bool root);

/* What no environment lies in, and what has thousands of folders. */
static bool is_barren(const char *name)
{
	static const char *const names[] = {"pkgs", ".git", "node_modules", "__pycache__"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool is_young(struct children *c, const struct file_info *info)
{
	int64_t age_ms = c->to->now_ms - info->ctime_ns / 1000000;

	return c->root && c->to->now_ms != 0 && c->young < DISCOVER_YOUNG_MAX &&
	       age_ms < DISCOVER_YOUNG_MS && age_ms > -DISCOVER_YOUNG_MS;
}

/* What is no environment so far: may become one, or have some below. */
static int on_plain_child(struct children *c, const char *path, const char *name,
			  const struct file_info *info)
{
	struct children below = *c;
	int rc = 0;

	if (is_young(c, info)) {
		c->young++;
		rc = c->to->candidate(c->to->ctx, path);
	}
	if (rc != 0 || !c->walks || is_barren(name))
		return rc;
	if (strcmp(name, ".pixi") == 0)
		return c->to->place(c->to->ctx, PLACE_PIXI, path);
	if (c->depth == 0)
		return 0;
	if (*c->folders == 0) {
		c->to->cut++;
		return ERR_LIMIT;
	}
	below.depth--;
	return walk(path, &below, false);
}

static int on_child(void *ctx, const char *name)
{
	struct children *c = ctx;
	char path[SAFE_PATH_MAX];
	char meta[SAFE_PATH_MAX];
	struct file_info info;
	struct file_info in;

	if (discover_join(path, c->path, name) < 0 || discover_excluded(c->to, path) ||
	    snprintf(meta, sizeof meta, "%s/conda-meta", name) >= (int)sizeof meta ||
	    safe_stat(c->dir, name, &info, NULL) < 0)
		return 0;
	if (info.is_link) /* known by where it leads; not walked, so that loops are none */
		return discover_is_env(c->to, path) ? c->to->candidate(c->to->ctx, path) : 0;
	if (!info.is_dir || not_env_is_trash(path))
		return 0;
	if (safe_stat(c->dir, meta, &in, NULL) == 0 && in.is_dir) {
		c->found = true;
		return c->to->candidate(c->to->ctx, path);
	}
	return on_plain_child(c, path, name, &info);
}

/* The children of a folder; in a walk also their children, down to its depth. */
static int walk(const char *path, struct children *c, bool root)
{
	int rc;

	c->path = path;
	c->found = false;
	c->root = root;
	rc = safe_dir_open(path, &c->dir, NULL);
	if (rc < 0)
		return root ? rc : 0;
	if (*c->folders > 0)
		--*c->folders;
	rc = safe_dir_list(c->dir, DISCOVER_FOLDERS, on_child, c, NULL);
	safe_dir_close(c->dir);
	if (rc == ERR_LIMIT && *c->folders > 0) { /* of this folder the first ones count */
		c->to->cut++;
		rc = 0;
	}
	if ((rc == 0 || rc == ERR_LIMIT) && c->found && !root) {
		int told = c->to->place(c->to->ctx, PLACE_ENVS, path);

		rc = told != 0 ? told : rc;
	}
	if (root && rc == ERR_LIMIT)
		return 0;
	return rc < 0 && rc != ERR_NOMEM && rc != ERR_LIMIT ? 0 : rc;
}

static int discover_below(const char *path, bool walks, struct discovery *to)
{
	unsigned folders = DISCOVER_FOLDERS;
	struct children c = {
		.to = to, .depth = walks ? DISCOVER_DEPTH : 0, .walks = walks, .folders = &folders};

	return walk(path, &c, true);
}

/* --- all kinds --- */

int discover(enum place_kind kind, const char *path, struct discovery *to)
{
	if (kind != PLACE_SYSTEM && discover_excluded(to, path))
		return 0;
	switch (kind) {
	case PLACE_HOME:
		return discover_home(path, to);
	case PLACE_REGISTRY:
		return discover_registry(path, to);
	case PLACE_ENVS:
		return discover_below(path, false, to);
	case PLACE_WALK:
		return discover_below(path, true, to);
	case PLACE_PREFIX:
		return discover_prefix(path, to);
	case PLACE_HOMES:
		return discover_homes(path, to);
	case PLACE_PIXI:
		return discover_pixi(path, to);
	case PLACE_DETACHED:
		return discover_detached(path, to);
	case PLACE_SYSTEM:
		return discover_system(to);
	}
	return ERR_INTERNAL;
}

bool discover_cares(enum place_kind kind, const char *name)
{
	switch (kind) {
	case PLACE_HOME:
		return discover_home_cares(name);
	case PLACE_REGISTRY:
		return strcmp(name, "environments.txt") == 0 || strcmp(name, "envs") == 0 ||
		       strcmp(name, ".condarc") == 0 || strcmp(name, "condarc") == 0;
	case PLACE_ENVS: /* its folders are looked at one by one */
	case PLACE_PREFIX:
	case PLACE_SYSTEM:
		return false;
	case PLACE_WALK:
	case PLACE_HOMES:
	case PLACE_PIXI:
	case PLACE_DETACHED:
		return true;
	}
	return false;
}
