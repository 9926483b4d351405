#include "platform/paths.h"

#include <stdlib.h>
#include <string.h>

#include "platform/users.h"

bool paths_is_absolute(const char *path)
{
	return path[0] == '/';
}

static int copy(char out[PATHS_MAX], const char *path, size_t n, struct err *err)
{
	if (n >= PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path too long: %.64s...", path);
	memcpy(out, path, n);
	out[n] = '\0';
	return 0;
}

int paths_join(char out[PATHS_MAX], const char *dir, const char *name, struct err *err)
{
	size_t n = strlen(dir);
	size_t m = strlen(name);
	size_t slash = n > 0 && dir[n - 1] == '/' ? 0 : 1;
	if (n + slash + m >= PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path too long: %.64s.../%.64s", dir, name);
	memcpy(out, dir, n);
	if (slash)
		out[n] = '/';
	memcpy(out + n + slash, name, m + 1);
	return 0;
}

int paths_parent(char out[PATHS_MAX], const char *path, struct err *err)
{
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	if (n == 0)
		return err_set(err, ERR_INVALID, "%s: no directory in this path", path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	return copy(out, path, n, err);
}

static const char *absolute_env(const char *name)
{
	const char *value = getenv(name);
	return value && paths_is_absolute(value) ? value : NULL;
}

int paths_home(char out[PATHS_MAX], struct err *err)
{
	const char *home = absolute_env("HOME");
	if (home)
		return copy(out, home, strlen(home), err);
	struct user user;
	int rc = users_by_uid(users_current(), &user, err);
	if (rc < 0)
		return rc;
	if (!paths_is_absolute(user.home))
		return err_set(err, ERR_NOTFOUND, "account %s has no home directory", user.name);
	return copy(out, user.home, strlen(user.home), err);
}

int paths_temp(char out[PATHS_MAX], struct err *err)
{
	const char *dir = absolute_env("TMPDIR");
	if (!dir)
		dir = "/tmp";
	return copy(out, dir, strlen(dir), err);
}

/* <value of the variable, or home and the fallback>/envwarden */
static int xdg(const char *variable, const char *fallback, char out[PATHS_MAX], struct err *err)
{
	char base[PATHS_MAX];
	const char *value = absolute_env(variable);
	int rc;
	if (value)
		return paths_join(out, value, "envwarden", err);
	char home[PATHS_MAX];
	rc = paths_home(home, err);
	if (rc == 0)
		rc = paths_join(base, home, fallback, err);
	if (rc == 0)
		rc = paths_join(out, base, "envwarden", err);
	return rc;
}

static int user_paths(struct paths_agent *out, struct err *err)
{
	char config[PATHS_MAX];
	char run[PATHS_MAX];
	int rc = xdg("XDG_CONFIG_HOME", ".config", config, err);
	if (rc == 0)
		rc = paths_join(out->config, config, "agent.conf", err);
	if (rc == 0)
		rc = xdg("XDG_STATE_HOME", ".local/state", out->state, err);
	if (rc == 0)
		rc = xdg("XDG_RUNTIME_DIR", ".local/state", run, err);
	if (rc == 0)
		rc = paths_join(out->socket, run, "agent.sock", err);
	return rc;
}

int paths_agent(enum paths_scope scope, struct paths_agent *out, struct err *err)
{
	static const char config[] = "/etc/envwarden/agent.conf";
	static const char state[] = "/var/lib/envwarden";
	static const char socket[] = "/run/envwarden/agent.sock";
	if (scope == PATHS_USER)
		return user_paths(out, err);
	/* Not the whole struct: its pages are mostly empty, and a check has no time for them. */
	memcpy(out->config, config, sizeof(config));
	memcpy(out->state, state, sizeof(state));
	memcpy(out->socket, socket, sizeof(socket));
	return 0;
}

int paths_fallback_of_socket(const char *socket_path, char out[PATHS_MAX], struct err *err)
{
	static const char suffix[] = ".fallback";
	size_t n = strlen(socket_path);
	if (n + sizeof(suffix) > PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path too long: %.64s...", socket_path);
	memcpy(out, socket_path, n);
	memcpy(out + n, suffix, sizeof(suffix));
	return 0;
}
