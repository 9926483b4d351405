#include "agent/cli/target.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "platform/files.h"
#include "platform/safe_open.h"

static char nothing[] = "";

int target_text(const char *path, char out[LIMIT_PATH + 1], struct err *err)
{
	struct buf text;
	int rc;

	buf_init(&text, LIMIT_PATH);
	text_from_path(&text, path);
	rc = buf_rc(&text);
	if (rc == 0)
		memcpy(out, buf_cstr(&text), text.len + 1);
	buf_deinit(&text);
	return rc < 0 ? err_set(err, rc, "the path does not fit a message") : 0;
}

/* As a message has it, in the target's room; "" for NULL and what does not fit: surroundings that a
 * message can't carry are left out. */
static char *keep(struct target *target, const char *path)
{
	char text[LIMIT_PATH + 1];
	char *kept = target->room + target->used;
	size_t n;

	if (!path || target_text(path, text, NULL) < 0)
		return nothing;
	n = strlen(text) + 1;
	if (n == 1 || n > sizeof(target->room) - target->used)
		return nothing;
	memcpy(kept, text, n);
	target->used += n;
	return kept;
}

/*
 * What somebody typed: bytes of a path, or, copied from what we print, the text that stands for
 * bytes no message can carry. A path that has such a text for its very name is not found by it.
 */
static char *keep_typed(struct target *target, const char *typed)
{
	char path[PATHS_MAX], text[LIMIT_PATH + 1];
	bool is_text = text_is_utf8(typed, strlen(typed)) &&
		       text_to_path(typed, path, sizeof(path)) == 0 &&
		       target_text(path, text, NULL) == 0 && strcmp(text, typed) == 0;

	return keep(target, is_text ? path : typed);
}

/* Names may be looked for in folders given relative to it. Asking for it is slow. */
static bool needs_cwd(const Envwarden__Local__Target *wire)
{
	return *wire->typed && !paths_is_absolute(wire->typed);
}

static void find_cwd(char out[PATHS_MAX])
{
	struct safe_dir *dir = NULL;

	if (safe_dir_open(".", &dir, NULL) < 0 || safe_dir_real_path(dir, out, PATHS_MAX, NULL) < 0)
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
	if (!found)
		out[0] = '\0';
}

/* --- environments' folders --- */

static void split_dirs(struct target *target)
{
	const char *text = getenv("CONDA_ENVS_DIRS");
	char separator = paths_is_absolute("/") ? ':' : ';';

	if (!text || !*text)
		text = getenv("CONDA_ENVS_PATH");
	while (text && *text && target->wire.n_envs_dirs < LIMIT_ENVS_DIRS) {
		const char *end = strchr(text, separator);
		size_t n = end ? (size_t)(end - text) : strlen(text);
		char dir[PATHS_MAX];
		char *kept = nothing;

		if (n < sizeof(dir)) {
			memcpy(dir, text, n);
			dir[n] = '\0';
			kept = keep(target, dir);
		}
		if (*kept)
			target->dirs[target->wire.n_envs_dirs++] = kept;
		text += end ? n + 1 : n;
	}
	target->wire.envs_dirs = target->dirs;
}

/* --- where who asks has configuration, and what may be written to --- */

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
		target->wire.typed = keep_typed(target, given[i].text);
		if (!*target->wire.typed)
			return err_set(err, ERR_USAGE, "that is no environment's name or path");
		target->wire.kind = given[i].kind;
	}
	if (n > 1)
		return err_set(err, ERR_USAGE, "name one environment, not %zu", n);
	return 0;
}

int target_init(struct target *target, const struct target_words *words, struct err *err)
{
	const char *tool = words->tool ? words->tool : "";
	char path[PATHS_MAX];
	int rc;

	envwarden__local__target__init(&target->wire);
	target->used = 0;
	if (strlen(tool) > CHANGE_TOOL_MAX || !text_is_utf8(tool, strlen(tool)))
		return err_set(err, ERR_USAGE, "that is no tool's name");
	target->wire.tool = (char *)(uintptr_t)tool;
	rc = take_typed(target, words, err);
	if (rc < 0)
		return rc;
	if (needs_cwd(&target->wire)) {
		find_cwd(path);
		target->wire.cwd = keep(target, path);
	}
	target->wire.conda_prefix = keep(target, getenv("CONDA_PREFIX"));
	if (!words->base)
		find_base(tool, path);
	target->wire.base_read_only = is_read_only(words->base ? words->base : path);
	target->wire.root_prefix = keep(target, words->base ? words->base : path);
	target->wire.home = paths_home(path, NULL) == 0 ? keep(target, path) : nothing;
	target->wire.xdg_config_home = keep(target, getenv("XDG_CONFIG_HOME"));
	target->wire.condarc = keep(target, getenv("CONDARC"));
	target->wire.mambarc = keep(target, getenv("MAMBARC"));
	split_dirs(target);
	return 0;
}

const char *target_name(const struct target *target)
{
	const char *text = target->wire.typed;
	const char *name;

	if (!*text)
		text = target->wire.conda_prefix;
	else if (target->wire.kind == ENVWARDEN__LOCAL__TARGET__KIND__NAME)
		return text; /* also one that can be none */
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

/* From the text of a message to the path; "" for what can be none. */
static const char *bytes_of(const char *text, char out[PATHS_MAX])
{
	if (text_to_path(text, out, PATHS_MAX) < 0)
		out[0] = '\0';
	return out;
}

static bool find_name(const struct target *target, const char *name, char out[PATHS_MAX])
{
	char base[PATHS_MAX], folder[PATHS_MAX], home[PATHS_MAX], conda[PATHS_MAX];

	bytes_of(target->wire.root_prefix, base);
	if (strcmp(name, "base") == 0 || strcmp(name, "root") == 0) {
		memcpy(out, base, strlen(base) + 1);
		return *base != '\0';
	}
	for (size_t i = 0; i < target->wire.n_envs_dirs; i++) {
		if (is_named(bytes_of(target->wire.envs_dirs[i], folder), name, out))
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
	const char *text = *wire->typed ? wire->typed : wire->conda_prefix;
	char path[PATHS_MAX], cwd[PATHS_MAX];
	bool is_path;

	if (*text == '\0')
		return err_set(err, ERR_NOTFOUND, "no environment is active, and none was named");
	bytes_of(text, path);
	is_path = wire->kind == ENVWARDEN__LOCAL__TARGET__KIND__PREFIX || !*wire->typed ||
		  strpbrk(path, "/\\") != NULL;
	if (!is_path) {
		if (find_name(target, path, out))
			return 0;
		return err_set(err, ERR_NOTFOUND, "no environment %s", text);
	}
	if (!paths_is_absolute(path) && *wire->cwd)
		return paths_join(out, bytes_of(wire->cwd, cwd), path, err);
	memcpy(out, path, strlen(path) + 1);
	return 0;
}
