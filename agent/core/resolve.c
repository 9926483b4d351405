#include "agent/core/resolve.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/buf.h"

#define PATH_MAX_BYTES 4096

/* "a//b/./c/../d" -> "a/b/d", by text: what is a link, the reader finds out. */
static void normalise(char *path)
{
	char *out = path + 1;
	const char *in = path;

	while (*in != '\0') {
		size_t n;

		while (*in == '/')
			in++;
		n = strcspn(in, "/");
		if (n == 0)
			break;
		if (n == 2 && in[0] == '.' && in[1] == '.') {
			while (out > path + 1 && *--out != '/')
				;
		} else if (n != 1 || in[0] != '.') {
			if (out > path + 1)
				*out++ = '/';
			memmove(out, in, n);
			out += n;
		}
		in += n;
	}
	*out = '\0';
}

int resolve_add(struct resolved *out, struct arena *arena, const char *path)
{
	char *copy;

	if (path[0] != '/' || strlen(path) >= PATH_MAX_BYTES || out->n == RESOLVE_CANDIDATES_MAX)
		return 0;
	copy = arena_strdup(arena, path);
	if (copy == NULL)
		return ERR_NOMEM;
	normalise(copy);
	for (size_t i = 0; i < out->n; i++)
		if (strcmp(out->candidates[i], copy) == 0)
			return 0;
	out->candidates[out->n++] = copy;
	return 0;
}

static int add_joined(struct resolved *out, struct arena *arena, const char *dir,
		      const char *middle, const char *name)
{
	struct buf path;
	int rc;

	if (dir[0] != '/')
		return 0;
	buf_init(&path, 3 * PATH_MAX_BYTES);
	buf_addf(&path, "%s%s/%s", dir, middle, name);
	rc = buf_rc(&path) == 0 ? resolve_add(out, arena, buf_cstr(&path)) : 0;
	buf_deinit(&path);
	return rc;
}

static int resolve_path(const struct resolve_input *in, struct arena *arena, struct resolved *out,
			struct err *err)
{
	const char *typed = in->typed;

	if (typed[0] == '/')
		return resolve_add(out, arena, typed) < 0 ? err_nomem(err) : 0;
	if (typed[0] == '~' && typed[1] == '/' && in->home[0] == '/')
		return add_joined(out, arena, in->home, "", typed + 2) < 0 ? err_nomem(err) : 0;
	if (in->cwd[0] != '/')
		return err_set(err, ERR_INVALID, "a relative path, and no folder to start from");
	return add_joined(out, arena, in->cwd, "", typed) < 0 ? err_nomem(err) : 0;
}

static int resolve_name(const struct resolve_input *in, struct arena *arena, struct resolved *out,
			struct err *err)
{
	int rc = 0;

	if (strchr(in->typed, '/') != NULL || strchr(in->typed, ':') != NULL ||
	    strchr(in->typed, '#') != NULL)
		return err_set(err, ERR_INVALID, "an environment's name has no '/', ':' or '#'");
	if (strcmp(in->typed, "base") == 0 || strcmp(in->typed, "root") == 0)
		return in->base[0] == '/' && resolve_add(out, arena, in->base) < 0 ? err_nomem(err)
										   : 0;
	for (size_t i = 0; i < in->n_envs_dirs && rc == 0; i++)
		rc = add_joined(out, arena, in->envs_dirs[i], "", in->typed);
	if (rc == 0)
		rc = add_joined(out, arena, in->base, "/envs", in->typed);
	if (rc == 0)
		rc = add_joined(out, arena, in->home, "/.conda/envs", in->typed);
	return rc < 0 ? err_nomem(err) : 0;
}

int resolve(const struct resolve_input *in, struct arena *arena, struct resolved *out,
	    struct err *err)
{
	out->n = 0;
	if (in->kind == RESOLVE_DEFAULT) {
		if (in->conda_prefix[0] != '/')
			return err_set(err, ERR_INVALID,
				       "no environment is active; name one, or give --prefix");
		return resolve_add(out, arena, in->conda_prefix) < 0 ? err_nomem(err) : 0;
	}
	if (in->typed[0] == '\0')
		return err_set(err, ERR_INVALID, "no environment named");
	if (in->kind == RESOLVE_PREFIX ||
	    (in->kind == RESOLVE_ENV && strchr(in->typed, '/') != NULL) || in->typed[0] == '~')
		return resolve_path(in, arena, out, err);
	return resolve_name(in, arena, out, err);
}
