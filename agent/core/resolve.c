#include "agent/core/resolve.h"

#include <stdio.h>
#include <string.h>

int resolve_add(struct resolved *out, struct arena *arena, const char *path)
{
	char *copy;

	if (path[0] != '/' || strlen(path) >= EXPAND_PATH_MAX || out->n == RESOLVE_CANDIDATES_MAX)
		return 0;
	copy = arena_strdup(arena, path);
	if (copy == NULL)
		return ERR_NOMEM;
	expand_normalise(copy);
	for (size_t i = 0; i < out->n; i++)
		if (strcmp(out->candidates[i], copy) == 0)
			return 0;
	out->candidates[out->n++] = copy;
	return 0;
}

/* "<dir>/<name>", if the folder comes to an absolute path for who asks. */
static int add_in(const struct resolve_input *in, const char *dir, struct arena *arena,
		  struct resolved *out)
{
	char folder[EXPAND_PATH_MAX];
	char path[EXPAND_PATH_MAX];
	int n;

	if (expand_path(&in->where, dir, folder) < 0)
		return 0;
	n = snprintf(path, sizeof path, "%s/%s", folder, in->typed);
	return n < 0 || (size_t)n >= sizeof path ? 0 : resolve_add(out, arena, path);
}

static int add_base_envs(const struct resolve_input *in, struct arena *arena, struct resolved *out)
{
	char dir[EXPAND_PATH_MAX];
	int n = snprintf(dir, sizeof dir, "%s/envs", in->where.base != NULL ? in->where.base : "");

	return dir[0] != '/' || n < 0 || (size_t)n >= sizeof dir || n == (int)strlen("/envs")
		       ? 0
		       : add_in(in, dir, arena, out);
}

int resolve_path(const struct resolve_input *in, char out[EXPAND_PATH_MAX], struct err *err)
{
	const char *active = in->where.conda_prefix;

	if (in->kind == RESOLVE_DEFAULT) {
		if (active == NULL || active[0] != '/' || strlen(active) >= EXPAND_PATH_MAX)
			return err_set(err, ERR_INVALID,
				       "no environment is active; name one, or give --prefix");
		memcpy(out, active, strlen(active) + 1);
		expand_normalise(out);
		return 0;
	}
	if (expand_path(&in->where, in->typed, out) < 0)
		return err_set(err, ERR_INVALID, "a relative path, and no folder to start from");
	return 0;
}

static int resolve_name(const struct resolve_input *in, struct arena *arena, struct resolved *out,
			struct err *err)
{
	static const char own[] = "~/.conda/envs";
	const char *base = in->where.base != NULL ? in->where.base : "";
	int rc = 0;

	if (strchr(in->typed, '/') != NULL ||
	    (in->kind == RESOLVE_NAME && strpbrk(in->typed, ":#") != NULL))
		return err_set(err, ERR_INVALID, "an environment's name has no '/', ':' or '#'");
	if (strcmp(in->typed, "base") == 0 || (!in->mamba && strcmp(in->typed, "root") == 0))
		return base[0] == '/' && resolve_add(out, arena, base) < 0 ? err_nomem(err) : 0;
	for (size_t i = 0; i < in->n_envs_dirs && rc == 0; i++)
		rc = add_in(in, in->envs_dirs[i], arena, out);
	if (rc == 0 && in->base_read_only && !in->mamba)
		rc = add_in(in, own, arena, out);
	if (rc == 0)
		rc = add_base_envs(in, arena, out);
	if (rc == 0 && !in->mamba)
		rc = add_in(in, own, arena, out);
	return rc < 0 ? err_nomem(err) : 0;
}

bool resolve_by_name(enum resolve_kind kind, const char *typed)
{
	return kind == RESOLVE_NAME || (kind == RESOLVE_ENV && strchr(typed, '/') == NULL);
}

int resolve(const struct resolve_input *in, struct arena *arena, struct resolved *out,
	    struct err *err)
{
	char path[EXPAND_PATH_MAX];
	int rc;

	out->n = 0;
	if (in->kind != RESOLVE_DEFAULT && in->typed[0] == '\0')
		return err_set(err, ERR_INVALID, "no environment named");
	if (resolve_by_name(in->kind, in->typed))
		return resolve_name(in, arena, out, err);
	rc = resolve_path(in, path, err);
	if (rc == 0 && resolve_add(out, arena, path) < 0)
		rc = err_nomem(err);
	return rc;
}
