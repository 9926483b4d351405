#include "agent/prefix/not_env.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "platform/safe_open.h"

static bool ends(const char *part, size_t n, const char *suffix)
{
	size_t m = strlen(suffix);

	return n >= m && memcmp(part + n - m, suffix, m) == 0;
}

static bool is(const char *part, size_t n, const char *name)
{
	return n == strlen(name) && memcmp(part, name, n) == 0;
}

/* "x.conda_trash_12" -> the length without "_12" */
static size_t without_number(const char *part, size_t n)
{
	size_t m = n;

	while (m > 0 && part[m - 1] >= '0' && part[m - 1] <= '9')
		m--;
	return m > 0 && m < n && part[m - 1] == '_' ? m - 1 : n;
}

bool not_env_is_trash(const char *path)
{
	static const char *const marks[] = {".conda_trash", ".mamba_trash", ".c~"};

	while (*path != '\0') {
		size_t n;
		const char *part = path + strspn(path, "/");

		n = strcspn(part, "/");
		for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
			if (ends(part, without_number(part, n), marks[i]))
				return true;
		if (is(part, n, ".trash") || is(part, n, ".Trash") ||
		    strncmp(part, ".Trash-", 7) == 0 || strncmp(part, "Trash/files/", 12) == 0)
			return true;
		path = part + n;
	}
	return false;
}

/* Whether "<folder>/<name>", relative to the root of the file system, is a file. */
static bool has(const struct safe_dir *root, const char *folder, size_t n, const char *name)
{
	char path[SAFE_PATH_MAX];
	struct file_info info;
	int len = snprintf(path, sizeof path, "%.*s/%s", (int)n, folder, name);

	return len > 0 && (size_t)len < sizeof path && safe_stat(root, path, &info, NULL) == 0 &&
	       info.is_regular;
}

static bool is_cache(const struct safe_dir *root, const char *folder, size_t n)
{
	size_t begin = n;

	while (begin > 0 && folder[begin - 1] != '/')
		begin--;
	return has(root, folder, n, "urls.txt") &&
	       (is(folder + begin, n - begin, "pkgs") || has(root, folder, n, "urls"));
}

static bool is_package(const struct safe_dir *root, const char *folder, size_t n)
{
	return has(root, folder, n, "info/index.json") &&
	       (has(root, folder, n, "info/files") || has(root, folder, n, "info/paths.json"));
}

bool not_env(const char *path)
{
	struct safe_dir *root = NULL;
	bool found = not_env_is_trash(path);

	if (found || path[0] != '/' || path[1] == '\0' || safe_dir_open("/", &root, NULL) < 0)
		return found;
	path++;
	for (size_t n = strcspn(path, "/"); !found; n += 1 + strcspn(path + n + 1, "/")) {
		found = is_cache(root, path, n) || is_package(root, path, n);
		if (path[n] == '\0')
			break;
	}
	safe_dir_close(root);
	return found;
}
