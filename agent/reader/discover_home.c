/* Homes, what installers make in them and beside them, and what belongs to the whole machine. */
#include <string.h>

#include "agent/reader/discover_impl.h"
#include "platform/mount_table.h"
#include "platform/users.h"

/* Numbers below are the system's own accounts: their homes are looked at, those beside are not. */
#define PEOPLE_FROM 500
#define PEOPLE_BEFORE 65534

/* What installers make, below a home, /opt or /usr/local. */
static const char *const base_names[] = {"miniforge3", "miniconda3", "anaconda3",  "mambaforge",
					 "miniconda",  "anaconda",   "miniconda2", "anaconda2",
					 "miniforge",  "conda",	     "micromamba", "mamba"};
/* Further roots, which may be environments themselves or only have envs. */
static const char *const other_roots[] = {".local/share/mamba"};
/* Their first parts and what else says that environments are near: to be told when it comes. */
static const char *const home_names[] = {".conda", ".condarc", ".mamba", ".mambarc", ".local",
					 ".pixi",  ".config",  ".cache", "opt"};
/* Of these, what makes a folder beside a known home a home. */
static const char *const home_marks[] = {".conda",   ".condarc", ".mamba",
					 ".mambarc", ".pixi",	 ".local/share/mamba"};

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

bool discover_home_cares(const char *name)
{
	return is_one_of(name, base_names, ARRAY_SIZE(base_names)) ||
	       is_one_of(name, home_names, ARRAY_SIZE(home_names));
}

/* A base is an environment itself, and has more in its envs. */
static int tell_root(const char *dir, const char *name, struct discovery *to)
{
	char path[SAFE_PATH_MAX];
	int rc;

	if (discover_join(path, dir, name) < 0 || !discover_is_folder(to, path))
		return 0;
	rc = to->candidate(to->ctx, path);
	return rc == 0 ? to->place(to->ctx, PLACE_PREFIX, path) : rc;
}

int discover_bases(const char *dir, struct discovery *to)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(base_names) && rc == 0; i++)
		rc = tell_root(dir, base_names[i], to);
	return rc;
}

static int tell_condarc(const char *home, struct discovery *to)
{
	const struct condarc_reach reach = {to->mounts, to->group};
	struct condarc_found found;
	struct safe_dir *dir = NULL;
	struct file_info info;
	int rc = safe_dir_open(home, &dir, NULL);

	if (rc == 0)
		rc = safe_dir_info(dir, &info, NULL);
	safe_dir_close(dir);
	if (rc != 0)
		return 0;
	rc = condarc_path_of_home(to->condarc, &reach, home, info.uid, &found);
	return rc == 0 ? discover_condarc(&found, home, NULL, to) : rc;
}

int discover_home(const char *home, struct discovery *to)
{
	char opt[SAFE_PATH_MAX];
	int rc = discover_is_folder(to, home) ? discover_bases(home, to) : ERR_NOTFOUND;

	if (rc == 0 && discover_join(opt, home, "opt") == 0 && discover_is_folder(to, opt))
		rc = discover_bases(opt, to);
	for (size_t i = 0; i < ARRAY_SIZE(other_roots) && rc == 0; i++)
		rc = tell_root(home, other_roots[i], to);
	if (rc == 0)
		rc = discover_tell(to, PLACE_REGISTRY, home, ".conda");
	if (rc == 0)
		rc = tell_condarc(home, to);
	return rc == 0 ? discover_pixi_of_home(home, to) : rc;
}

/* --- homes beside known homes --- */

struct beside {
	struct discovery *to;
	const char *path;
};

static bool looks_like_home(const struct discovery *to, const char *path)
{
	struct safe_dir *dir = NULL;
	struct file_info info;
	bool yes = false;

	if (discover_excluded(to, path) || safe_dir_open(path, &dir, NULL) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(home_marks) && !yes; i++)
		yes = safe_stat(dir, home_marks[i], &info, NULL) == 0;
	for (size_t i = 0; i < ARRAY_SIZE(base_names) && !yes; i++)
		yes = safe_stat(dir, base_names[i], &info, NULL) == 0 && info.is_dir;
	safe_dir_close(dir);
	return yes;
}

static int on_neighbour(void *ctx, const char *name)
{
	struct beside *b = ctx;
	const struct mount *m;
	char path[SAFE_PATH_MAX];

	if (discover_join(path, b->path, name) < 0)
		return 0;
	m = b->to->mounts != NULL ? mount_table_find(b->to->mounts, path) : NULL;
	if (mount_is_remote(m) ? m->on_access || strcmp(m->point, path) != 0
			       : !looks_like_home(b->to, path))
		return 0;
	return b->to->place(b->to->ctx, PLACE_HOME, path);
}

/* On a file server only what is mounted anyway: thousands of homes may be there, each to be mounted
 * by looking. */
int discover_homes(const char *path, struct discovery *to)
{
	struct beside b = {.to = to, .path = path};
	struct safe_dir *dir = NULL;
	int rc = safe_dir_open(path, &dir, NULL);

	if (rc < 0)
		return rc;
	rc = safe_dir_list(dir, DISCOVER_FOLDERS, on_neighbour, &b, NULL);
	safe_dir_close(dir);
	to->cut += rc == ERR_LIMIT;
	return rc == ERR_LIMIT ? 0 : rc;
}

/* --- the whole machine --- */

static int on_account(void *ctx, const struct user *user)
{
	struct discovery *to = ctx;
	char parent[SAFE_PATH_MAX];
	size_t n = strlen(user->home);
	int rc;

	while (n > 1 && user->home[n - 1] == '/')
		n--;
	if (user->home[0] != '/' || n < 2 || n >= sizeof parent)
		return 0;
	memcpy(parent, user->home, n);
	parent[n] = '\0';
	rc = to->place(to->ctx, PLACE_HOME, parent);
	if (rc != 0 || user->uid < PEOPLE_FROM || user->uid >= PEOPLE_BEFORE)
		return rc;
	*strrchr(parent, '/') = '\0';
	return parent[0] != '\0' && discover_is_folder(to, user->home)
		       ? to->place(to->ctx, PLACE_HOMES, parent)
		       : 0;
}

static int tell_shared_condarc(struct discovery *to)
{
	static const char *const folders[] = {"/etc/conda", "/var/lib/conda"};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders) && rc == 0; i++) {
		const struct condarc_reach reach = {to->mounts, to->group};
		struct condarc_found found;

		rc = condarc_path_of_folder(to->condarc, &reach, folders[i], &found);
		if (rc == 0)
			rc = discover_condarc(&found, NULL, NULL, to);
	}
	return rc;
}

int discover_system(struct discovery *to)
{
	int rc = discover_bases("/opt", to);

	if (rc == 0)
		rc = discover_bases("/usr/local", to);
	if (rc == 0 && to->all_accounts)
		rc = accounts_each(to->accounts, DISCOVER_ACCOUNTS_MS, on_account, to);
	to->no_accounts = rc == ERR_TIMEOUT;
	if (rc == ERR_TIMEOUT)
		rc = 0;
	if (rc == 0)
		rc = tell_shared_condarc(to);
	if (rc == 0)
		rc = discover_pixi_of_system(to);
	return rc == 0 && to->runs != NULL ? discover_running(to) : rc;
}
