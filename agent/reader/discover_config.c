/* Folders of environments that conda's configuration names, and what a prefix leads to. */
#include <stdio.h>
#include <string.h>

#include "agent/core/expand.h"
#include "agent/reader/discover_impl.h"

static bool home_of(void *ctx, const char *name, char home[EXPAND_PATH_MAX])
{
	const struct discovery *to = ctx;
	struct user user;

	return accounts_by_name(to->accounts, name, DISCOVER_ACCOUNT_MS, &user) == 0 &&
	       user.home[0] == '/' &&
	       snprintf(home, EXPAND_PATH_MAX, "%s", user.home) < EXPAND_PATH_MAX;
}

/* Whose home it is, by its owner: asked only where it matters, for it may take a while. */
static void name_owner(const struct discovery *to, const char *home, struct user *out)
{
	struct safe_dir *dir = NULL;
	struct file_info info;

	out->name[0] = '\0';
	if (discover_may_touch(to, home) && safe_dir_open(home, &dir, NULL) == 0 &&
	    safe_dir_info(dir, &info, NULL) == 0 &&
	    accounts_by_uid(to->accounts, info.uid, DISCOVER_ACCOUNT_MS, out) < 0)
		out->name[0] = '\0';
	safe_dir_close(dir);
}

static int tell_dir(const char *text, const char *home, const char *base, struct discovery *to)
{
	struct expand_context where = {.home = home, .base = base, .home_of = home_of, .ctx = to};
	struct user user;
	char path[EXPAND_PATH_MAX];

	if (strstr(text, "USER") != NULL || strstr(text, "LOGNAME") != NULL) {
		name_owner(to, home, &user);
		where.user = user.name;
	}
	if (expand_path(&where, text, path) < 0 || !discover_is_folder(to, path))
		return 0;
	return to->place(to->ctx, PLACE_ENVS, path);
}

int discover_condarc(struct condarc_found *found, const char *home, const char *base,
		     struct discovery *to)
{
	int rc = 0;

	for (size_t i = 0; i < found->n; i++) {
		for (size_t k = 0; k < found->files[i]->n && rc == 0; k++) {
			const char *text = found->files[i]->items[k].text;
			bool personal = home == NULL && expand_is_personal(text);

			to->personal = to->personal || personal;
			if (!personal)
				rc = tell_dir(text, home != NULL ? home : "", base, to);
			for (size_t h = 0; personal && h < to->n_homes && rc == 0; h++)
				rc = tell_dir(text, to->homes[h], base, to);
		}
	}
	condarc_found_release(found);
	return rc;
}

int discover_prefix(const char *prefix, struct discovery *to)
{
	const struct condarc_reach reach = {to->mounts, to->group};
	struct condarc_found found;
	int rc = discover_is_folder(to, prefix) ? 0 : ERR_NOTFOUND;

	if (rc == 0)
		rc = discover_tell(to, PLACE_ENVS, prefix, "envs");
	if (rc == 0)
		rc = condarc_path_of_folder(to->condarc, &reach, prefix, &found);
	if (rc == 0)
		rc = discover_condarc(&found, NULL, prefix, to);
	return rc == 0 ? discover_pixi_project(prefix, to) : rc;
}
