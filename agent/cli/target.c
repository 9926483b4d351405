#include "agent/cli/target.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "platform/files.h"
#include "platform/safe_open.h"

/* Surroundings that a message can't carry are left out; what was typed is an error. */
static bool fits(const char *text, size_t max)
{
	size_t n = strlen(text);

	return n <= max && text_is_utf8(text, n);
}

static char *surrounding(const char *text)
{
	return text && fits(text, LIMIT_PATH) ? (char *)(uintptr_t)text : (char *)(uintptr_t) "";
}

static void find_cwd(char out[PATHS_MAX])
{
	struct safe_dir *dir = NULL;

	if (safe_dir_open(".", &dir, NULL) < 0 ||
	    safe_dir_real_path(dir, out, PATHS_MAX, NULL) < 0 || !fits(out, LIMIT_PATH))
		out[0] = '\0';
	safe_dir_close(dir);
}

/* --- the base --- */

/* "<base>/bin/conda" -> "<base>" */
static bool base_of_program(const char *variable, char out[PATHS_MAX])
{
	const char *program = getenv(variable);
	char folder[PATHS_MAX];

	return program && paths_is_absolute(program) && paths_parent(folder, program, NULL) == 0 &&
	       paths_parent(out, folder, NULL) == 0;
}

static bool base_of_variable(const char *variable, char out[PATHS_MAX])
{
	const char *path = getenv(variable);
	size_t n = path ? strlen(path) : 0;

	if (n == 0 || n >= PATHS_MAX)
		return false;
	memcpy(out, path, n + 1);
	return true;
}

/* The base of the tool that asks: mamba and micromamba have their own root. */
static void find_base(const char *tool, char out[PATHS_MAX])
{
	bool mamba = text_ends(tool, "mamba");
	bool found = mamba && base_of_variable("MAMBA_ROOT_PREFIX", out);

	found = found || base_of_program("CONDA_EXE", out) || base_of_program("_CONDA_EXE", out) ||
		base_of_variable("_CONDA_ROOT", out) || base_of_variable("MAMBA_ROOT_PREFIX", out);
	if (!found || !fits(out, LIMIT_PATH))
		out[0] = '\0';
}

/* --- environments' folders --- */

static void split_dirs(struct target *target)
{
	const char *text = getenv("CONDA_ENVS_DIRS");
	char separator = paths_is_absolute("/") ? ':' : ';';
	size_t used = 0;

	if (!text || !*text)
		text = getenv("CONDA_ENVS_PATH");
	while (text && *text && target->wire.n_envs_dirs < LIMIT_ENVS_DIRS) {
		const char *end = strchr(text, separator);
		size_t n = end ? (size_t)(end - text) : strlen(text);
		char *dir = target->dirs_room + used;

		if (used + n >= sizeof(target->dirs_room))
			break;
		memcpy(dir, text, n);
		dir[n] = '\0';
		if (n > 0 && fits(dir, LIMIT_PATH)) {
			target->dirs[target->wire.n_envs_dirs++] = dir;
			used += n + 1;
		}
		text += end ? n + 1 : n;
	}
	target->wire.envs_dirs = target->dirs;
}

/* --- where who asks has configuration, and what may be written to --- */

static char *of_variable(const char *name)
{
	const char *text = getenv(name);

	return surrounding(text && *text ? text : NULL);
}

/* conda looks into a base that may not be written to only after the own folder. */
static bool is_read_only(const char *base)
{
	char meta[PATHS_MAX], history[PATHS_MAX];

	return *base && paths_join(meta, base, "conda-meta", NULL) == 0 &&
	       paths_join(history, meta, "history", NULL) == 0 && !files_may_write(history);
}

/* --- all together --- */

static int take_typed(struct target *target, const struct target_words *words, struct err *err)
{
	const struct {
		const char *text;
		Envwarden__Local__Target__Kind kind;
	} given[] = {
		{words->env, ENVWARDEN__LOCAL__TARGET__KIND__ENV},
		{words->prefix, ENVWARDEN__LOCAL__TARGET__KIND__PREFIX},
		{words->name, ENVWARDEN__LOCAL__TARGET__KIND__NAME},
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		if (!given[i].text)
			continue;
		n++;
		if (given[i].text[0] == '\0' || !fits(given[i].text, LIMIT_PATH))
			return err_set(err, ERR_USAGE, "that is no environment's name or path");
		target->wire.typed = (char *)(uintptr_t)given[i].text;
		target->wire.kind = given[i].kind;
	}
	if (n > 1)
		return err_set(err, ERR_USAGE, "name one environment, not %zu", n);
	return 0;
}

int target_init(struct target *target, const struct target_words *words, struct err *err)
{
	const char *tool = words->tool ? words->tool : "";
	int rc;

	envwarden__local__target__init(&target->wire);
	target->cwd[0] = '\0';
	target->base[0] = '\0';
	if (!fits(tool, CHANGE_TOOL_MAX))
		return err_set(err, ERR_USAGE, "that is no tool's name");
	rc = take_typed(target, words, err);
	if (rc < 0)
		return rc;
	find_cwd(target->cwd);
	if (!words->base)
		find_base(tool, target->base);
	target->wire.cwd = target->cwd;
	target->wire.conda_prefix = surrounding(getenv("CONDA_PREFIX"));
	target->wire.root_prefix = words->base ? surrounding(words->base) : target->base;
	target->wire.tool = (char *)(uintptr_t)tool;
	if (paths_home(target->home, NULL) < 0 || !fits(target->home, LIMIT_PATH))
		target->home[0] = '\0';
	target->wire.home = target->home;
	target->wire.xdg_config_home = of_variable("XDG_CONFIG_HOME");
	target->wire.condarc = of_variable("CONDARC");
	target->wire.mambarc = of_variable("MAMBARC");
	target->wire.base_read_only = is_read_only(target->wire.root_prefix);
	split_dirs(target);
	return 0;
}

const char *target_name(const struct target *target)
{
	const char *text = target->wire.typed;
	const char *name;

	if (!*text)
		text = target->wire.conda_prefix;
	name = text;
	for (const char *p = text; *p; p++) {
		if ((*p == '/' || *p == '\\') && p[1] != '\0')
			name = p + 1;
	}
	return name;
}

/* --- resolving --- */

static bool is_dir(const char *path)
{
	struct safe_dir *dir = NULL;
	bool yes = safe_dir_open(path, &dir, NULL) == 0;

	safe_dir_close(dir);
	return yes;
}

static bool is_named(const char *folder, const char *name, char out[PATHS_MAX])
{
	return paths_join(out, folder, name, NULL) == 0 && is_dir(out);
}

static bool find_name(const struct target *target, const char *name, char out[PATHS_MAX])
{
	const char *base = target->wire.root_prefix;
	char folder[PATHS_MAX], home[PATHS_MAX], conda[PATHS_MAX];

	if (strcmp(name, "base") == 0 || strcmp(name, "root") == 0) {
		size_t n = strlen(base);

		memcpy(out, base, n < PATHS_MAX ? n + 1 : 0);
		return n > 0 && n < PATHS_MAX;
	}
	for (size_t i = 0; i < target->wire.n_envs_dirs; i++) {
		if (is_named(target->wire.envs_dirs[i], name, out))
			return true;
	}
	if (*base && paths_join(folder, base, "envs", NULL) == 0 && is_named(folder, name, out))
		return true;
	return paths_home(home, NULL) == 0 && paths_join(conda, home, ".conda", NULL) == 0 &&
	       paths_join(folder, conda, "envs", NULL) == 0 && is_named(folder, name, out);
}

int target_resolve(const struct target *target, char out[PATHS_MAX], struct err *err)
{
	const Envwarden__Local__Target *wire = &target->wire;
	const char *path = *wire->typed ? wire->typed : wire->conda_prefix;
	bool is_path = wire->kind == ENVWARDEN__LOCAL__TARGET__KIND__PREFIX || !*wire->typed ||
		       strpbrk(wire->typed, "/\\") != NULL;
	size_t n = strlen(path);

	if (n == 0)
		return err_set(err, ERR_NOTFOUND, "no environment is active, and none was named");
	if (!is_path) {
		if (find_name(target, path, out))
			return 0;
		return err_set(err, ERR_NOTFOUND, "no environment %s", path);
	}
	if (!paths_is_absolute(path) && *wire->cwd)
		return paths_join(out, wire->cwd, path, err);
	if (n >= PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path too long");
	memcpy(out, path, n + 1);
	return 0;
}
