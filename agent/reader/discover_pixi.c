/* Where pixi keeps environments. Those of `pixi exec` count: people run programs in them. */
#include <stdio.h>
#include <string.h>

#include "agent/core/expand.h"
#include "agent/reader/discover_impl.h"
#include "agent/reader/pixi_config.h"
#include "lib/base/json.h"
#include "lib/base/text.h"

#define NOTE_MAX (64 * 1024) /* of a conda-meta/pixi */

/* pixi's caches: its own where it exists, else rattler's. Other places only variables name. */
static const char *const caches[] = {".cache/pixi", ".cache/rattler/cache"};

/* --- config.toml --- */

/* The folder that the file names, with "~" for the home given, else for its folder's owner's. */
static int tell_detached(const char *folder, const char *home, struct discovery *to)
{
	struct expand_context where = {.home = home};
	struct pixi_config config;
	struct safe_dir *dir = NULL;
	struct file_info info;
	struct user owner;
	struct buf text;
	char path[EXPAND_PATH_MAX];
	int rc = 0;

	buf_init(&text, PIXI_CONFIG_MAX + 1);
	if (discover_excluded(to, folder) || !discover_may_touch(to, folder) ||
	    safe_dir_open(folder, &dir, NULL) < 0 || safe_dir_info(dir, &info, NULL) < 0 ||
	    safe_read_whole(dir, "config.toml", info.uid, PIXI_CONFIG_MAX, &text, NULL, NULL) < 0 ||
	    pixi_config_parse(text.len > 0 ? text.data : "", text.len, &config, NULL) < 0 ||
	    config.detached != PIXI_DETACHED_PATH)
		goto out;
	to->personal = to->personal || config.path[0] == '~';
	if (home == NULL && config.path[0] == '~' &&
	    accounts_by_uid(to->accounts, info.uid, DISCOVER_ACCOUNT_MS, &owner) == 0)
		where.home = owner.home;
	if (expand_path(&where, config.path, path) == 0 && discover_is_folder(to, path))
		rc = to->place(to->ctx, PLACE_DETACHED, path);
out:
	buf_deinit(&text);
	safe_dir_close(dir);
	return rc;
}

int discover_pixi_of_system(struct discovery *to)
{
	int rc = tell_detached("/etc/pixi", "", to);

	for (size_t i = 0; i < to->n_homes && rc == 0; i++)
		rc = tell_detached("/etc/pixi", to->homes[i], to);
	return rc;
}

int discover_pixi_of_home(const char *home, struct discovery *to)
{
	char path[SAFE_PATH_MAX];
	int rc = discover_tell(to, PLACE_PIXI, home, ".pixi");

	if (rc == 0 && discover_join(path, home, ".config/pixi") == 0)
		rc = tell_detached(path, home, to);
	if (rc == 0 && discover_join(path, home, ".pixi") == 0)
		rc = tell_detached(path, home, to);
	for (size_t i = 0; i < ARRAY_SIZE(caches) && rc == 0; i++) {
		if (discover_join(path, home, caches[i]) < 0)
			continue;
		rc = discover_tell(to, PLACE_ENVS, path, "cached-envs-v0");
		if (rc == 0)
			rc = discover_tell(to, PLACE_DETACHED, path, "envs");
	}
	return rc;
}

/* --- projects --- */

int discover_pixi(const char *dot_pixi, struct discovery *to)
{
	int rc = discover_is_folder(to, dot_pixi) ? 0 : ERR_NOTFOUND;

	if (rc == 0)
		rc = discover_tell(to, PLACE_ENVS, dot_pixi, "envs");
	if (rc == 0)
		rc = discover_tell(to, PLACE_ENVS, dot_pixi, "solve-group-envs");
	return rc == 0 ? tell_detached(dot_pixi, NULL, to) : rc;
}

static int on_project(void *ctx, const char *name)
{
	struct discovery *to = ((void **)ctx)[0];
	char path[SAFE_PATH_MAX];
	int rc;

	if (discover_join(path, ((void **)ctx)[1], name) < 0)
		return 0;
	rc = discover_tell(to, PLACE_ENVS, path, "envs");
	return rc == 0 ? discover_tell(to, PLACE_ENVS, path, "solve-group-envs") : rc;
}

int discover_detached(const char *path, struct discovery *to)
{
	struct safe_dir *dir = NULL;
	void *ctx[] = {to, (void *)(uintptr_t)path};
	int rc = safe_dir_open(path, &dir, NULL);

	if (rc < 0)
		return rc;
	rc = safe_dir_list(dir, DISCOVER_FOLDERS, on_project, ctx, NULL);
	safe_dir_close(dir);
	to->cut += rc == ERR_LIMIT;
	return rc == ERR_LIMIT ? 0 : rc;
}

/* "manifest_path" of a conda-meta/pixi. */
static bool find_manifest(const struct buf *text, char out[SAFE_PATH_MAX])
{
	static const struct json_limits limits = {
		.max_depth = 16, .max_string = SAFE_PATH_MAX, .max_bytes = NOTE_MAX};
	struct json_reader *json;
	enum json_token token;
	bool found = false;
	size_t n;

	if (json_reader_new(&limits, &json) < 0)
		return false;
	json_reader_reset_bytes(json, text->data, text->len);
	if (json_next(json, &token, NULL) == 0 && token == JSON_OBJECT) {
		while (!found && json_next(json, &token, NULL) == 0 && token == JSON_KEY) {
			const char *key = json_text(json, &n);

			if (strcmp(key, "manifest_path") != 0) {
				if (json_skip(json, NULL) < 0)
					break;
				continue;
			}
			if (json_next(json, &token, NULL) < 0 || token != JSON_STRING)
				break;
			found = snprintf(out, SAFE_PATH_MAX, "%s", json_text(json, &n)) <
					SAFE_PATH_MAX &&
				out[0] == '/';
		}
	}
	json_reader_free(json);
	return found;
}

/* Tells "<what path is in>/.pixi". */
static int tell_beside(const char *path, struct discovery *to)
{
	char folder[SAFE_PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path ||
	    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path) >=
		    (int)sizeof folder)
		return 0;
	return discover_tell(to, PLACE_PIXI, folder, ".pixi");
}

/* The project that an environment of pixi's is of, by its place and by what pixi notes in it. */
int discover_pixi_project(const char *prefix, struct discovery *to)
{
	struct safe_dir *dir = NULL;
	struct buf text;
	char path[SAFE_PATH_MAX];
	const char *mark = strstr(prefix, "/.pixi/");
	int rc = 0;

	buf_init(&text, NOTE_MAX + 1);
	if (mark != NULL &&
	    snprintf(path, sizeof path, "%.*s/x", (int)(mark - prefix), prefix) < (int)sizeof path)
		rc = tell_beside(path, to);
	if (rc == 0 && safe_dir_open(prefix, &dir, NULL) == 0 &&
	    safe_read_whole(dir, "conda-meta/pixi", SAFE_OWNER_ANY, NOTE_MAX, &text, NULL, NULL) ==
		    0 &&
	    find_manifest(&text, path))
		rc = tell_beside(path, to);
	buf_deinit(&text);
	safe_dir_close(dir);
	return rc;
}
