#include "agent/cli/pixi.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "platform/safe_open.h"

static const char *const manifests[] = {"pixi.toml", "pyproject.toml", "mojoproject.toml"};

static bool is_workspace(const char *folder)
{
	struct safe_dir *dir = NULL;
	struct file_info info;
	bool found = false;

	if (safe_dir_open(folder, &dir, NULL) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(manifests); i++)
		found = found || safe_stat(dir, manifests[i], &info, NULL) == 0;
	found = found && safe_stat(dir, ".pixi", &info, NULL) == 0;
	safe_dir_close(dir);
	return found;
}

/* The folder of the manifest, or of the nearest workspace. */
static int find_workspace(const char *manifest, char out[PATHS_MAX], struct err *err)
{
	const char *from = manifest ? manifest : ".";
	char at[PATHS_MAX];
	struct safe_dir *dir = NULL;
	int rc = 0;

	if (manifest && text_ends(manifest, ".toml")) {
		rc = paths_parent(at, manifest, NULL);
		from = rc == 0 ? at : "."; /* a name alone */
	}
	rc = safe_dir_open(from, &dir, err);
	if (rc == 0)
		rc = safe_dir_real_path(dir, out, PATHS_MAX, err);
	safe_dir_close(dir);
	while (rc == 0 && !is_workspace(out)) {
		rc = paths_parent(at, out, err);
		if (rc == 0 && (manifest || strcmp(at, out) == 0))
			rc = err_set(err, ERR_NOTFOUND, "no workspace of pixi");
		if (rc == 0)
			memcpy(out, at, strlen(at) + 1);
	}
	return rc;
}

int pixi_find(const char *manifest, const char *name, char out[PATHS_MAX], struct err *err)
{
	char workspace[PATHS_MAX], pixi[PATHS_MAX], envs[PATHS_MAX], path[PATHS_MAX];
	struct safe_dir *dir = NULL;
	int rc = 0;

	if (*name == '\0' || *name == '.' || strpbrk(name, "/\\"))
		return err_set(err, ERR_INVALID, "no environment of pixi has such a name");
	rc = find_workspace(manifest, workspace, err);
	if (rc == 0)
		rc = paths_join(pixi, workspace, ".pixi", err);
	if (rc == 0)
		rc = paths_join(envs, pixi, "envs", err);
	if (rc == 0)
		rc = paths_join(path, envs, name, err);
	if (rc == 0)
		rc = safe_dir_open(path, &dir, err);
	safe_dir_close(dir);
	if (rc == 0)
		memcpy(out, path, strlen(path) + 1);
	return rc;
}
