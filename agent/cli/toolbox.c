#include "agent/cli/toolbox.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/repair.h"
#include "lib/base/text.h"
#include "lib/conda/history.h"
#include "platform/run.h"
#include "platform/safe_open.h"
#include "platform/users.h"

#define HISTORY_MAX ((size_t)16 * 1024 * 1024)

/* "<folder>/<before><tool><after>", if that can be run. */
static bool try_at(const char *folder, const char *before, const char *tool, const char *after,
		   char out[PATHS_MAX])
{
	char name[256];
	struct buf text;
	bool fits;

	buf_init(&text, sizeof(name) - 1);
	buf_addf(&text, "%s%s%s", before, tool, after);
	fits = buf_rc(&text) == 0;
	if (fits)
		memcpy(name, buf_cstr(&text), text.len + 1);
	buf_deinit(&text);
	return fits && paths_join(out, folder, name, NULL) == 0 && run_is_program(out);
}

/* In a base or an environment, on any system. */
static bool try_base(const char *base, const char *tool, char out[PATHS_MAX])
{
	return try_at(base, "condabin/", tool, "", out) || try_at(base, "bin/", tool, "", out) ||
	       try_at(base, "Scripts/", tool, ".exe", out) ||
	       try_at(base, "Library/bin/", tool, ".exe", out);
}

static bool try_program(const char *program, const char *tool, char out[PATHS_MAX])
{
	size_t n = program ? strlen(program) : 0;
	char folder[PATHS_MAX], base[PATHS_MAX];
	const char *slash;

	if (n == 0 || n >= PATHS_MAX || !paths_is_absolute(program))
		return false;
	slash = strrchr(program, '/');
	if (slash && strcmp(slash + 1, tool) == 0 && run_is_program(program)) {
		memcpy(out, program, n + 1);
		return true;
	}
	return paths_parent(folder, program, NULL) == 0 && paths_parent(base, folder, NULL) == 0 &&
	       try_base(base, tool, out);
}

/* --- whose environment it is --- */

/* "<base>/envs/<name>" */
static bool try_owner(const char *prefix, const char *tool, char out[PATHS_MAX])
{
	char folder[PATHS_MAX], base[PATHS_MAX];

	return paths_parent(folder, prefix, NULL) == 0 &&
	       (text_ends(folder, "/envs") || text_ends(folder, "\\envs")) &&
	       paths_parent(base, folder, NULL) == 0 && try_base(base, tool, out);
}

/*
 * The program that its last change was made with: "/opt/conda/bin/conda install ..." or
 * "/opt/conda/lib/python3.12/site-packages/conda/__main__.py install ...". A claim of whoever owns
 * the environment, which is whom it runs as.
 */
static bool try_command(const char *command, const char *tool, char out[PATHS_MAX])
{
	const char *library = strstr(command, "/lib/python");
	size_t n = strcspn(command, " ");
	char program[PATHS_MAX];

	if (n == 0 || n >= sizeof(program))
		return false;
	memcpy(program, command, n);
	program[n] = '\0';
	if (library && library < command + n && text_ends(program, "__main__.py")) {
		program[library - command] = '\0';
		return paths_is_absolute(program) && try_base(program, tool, out);
	}
	return try_program(program, tool, out);
}

static bool try_history(const char *prefix, const char *tool, char out[PATHS_MAX])
{
	static struct history history; /* too big for a stack; a command runs once */
	struct safe_dir *dir = NULL;
	struct buf file;
	bool found = false;

	buf_init(&file, HISTORY_MAX + 1);
	if (safe_dir_open(prefix, &dir, NULL) == 0 &&
	    safe_read_whole(dir, "conda-meta/history", users_current(), HISTORY_MAX, &file, NULL,
			    NULL) == 0) {
		history_init(&history);
		history_feed(&history, file.data, file.len);
		found = history_finish(&history) == 0 &&
			try_command(history.last.command, tool, out);
	}
	safe_dir_close(dir);
	buf_deinit(&file);
	return found;
}

/* --- elsewhere --- */

static bool try_variable(const char *variable, const char *tool, char out[PATHS_MAX])
{
	const char *value = getenv(variable);

	return value && try_program(value, tool, out);
}

static bool try_root(const char *tool, char out[PATHS_MAX])
{
	const char *root = getenv("MAMBA_ROOT_PREFIX");

	return root && paths_is_absolute(root) && strlen(root) < PATHS_MAX &&
	       try_base(root, tool, out);
}

/* Below the home, where installers put it. */
static bool try_home(const char *folder, const char *tool, char out[PATHS_MAX])
{
	char home[PATHS_MAX], path[PATHS_MAX];

	return paths_home(home, NULL) == 0 && paths_join(path, home, folder, NULL) == 0 &&
	       (try_at(path, "bin/", tool, "", out) || try_at(path, "bin/", tool, ".exe", out));
}

static bool find_conda(const char *tool, const char *prefix, char out[PATHS_MAX])
{
	return try_base(prefix, tool, out) || try_owner(prefix, tool, out) ||
	       try_history(prefix, tool, out) || try_variable("CONDA_EXE", tool, out) ||
	       try_variable("MAMBA_EXE", tool, out) || try_root(tool, out) ||
	       run_find(tool, out, NULL) == 0;
}

static bool find_python(const char *prefix, char out[PATHS_MAX])
{
	return try_at(prefix, "bin/", "python", "", out) ||
	       try_at(prefix, "", "python", ".exe", out);
}

int toolbox_find(const char *tool, const char *prefix, char out[PATHS_MAX], struct err *err)
{
	bool found;

	if (strcmp(tool, REPAIR_PYTHON) == 0)
		found = find_python(prefix, out);
	else if (strcmp(tool, "pixi") == 0)
		found = try_variable("PIXI_EXE", tool, out) || run_find(tool, out, NULL) == 0 ||
			try_home(".pixi", tool, out);
	else if (strcmp(tool, "uv") == 0)
		found = run_find(tool, out, NULL) == 0 || try_home(".local", tool, out) ||
			try_home(".cargo", tool, out);
	else
		found = find_conda(tool, prefix, out);
	return found ? 0 : err_set(err, ERR_NOTFOUND, "%s is not found on this machine", tool);
}
