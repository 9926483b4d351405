#include "platform/run.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"

extern char **environ;

bool run_is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

int run_find(const char *name, char out[PATHS_MAX], struct err *err)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t n = strcspn(path, ":");
		char folder[PATHS_MAX];

		if (n > 0 && n < sizeof folder && path[0] == '/') {
			memcpy(folder, path, n);
			folder[n] = '\0';
			if (paths_join(out, folder, name, NULL) == 0 && run_is_program(out))
				return 0;
		}
		path += path[n] == ':' ? n + 1 : n;
	}
	return err_set(err, ERR_NOTFOUND, "%s is not found", name);
}

/* --- the environment ---------------------------------------------------------------------- */

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

static bool is_among(const char *variable, const char *const *extra)
{
	for (; *extra; extra++)
		if (same_name(*extra, variable))
			return true;
	return false;
}

/* Ours with `extra`, which counts where both have a name. The texts are borrowed. */
static char **variables(const char *const *extra)
{
	size_t n = 1;
	size_t used = 0;
	char **all;

	for (char **v = environ; *v; v++)
		n++;
	for (const char *const *v = extra; *v; v++)
		n++;
	all = mem_calloc(n, sizeof *all);
	if (!all)
		return NULL;
	for (char **v = environ; *v; v++)
		if (!is_among(*v, extra))
			all[used++] = *v;
	for (const char *const *v = extra; *v; v++)
		all[used++] = (char *)(uintptr_t)*v; /* exec changes nothing */
	return all;
}

/* --- running ------------------------------------------------------------------------------ */

static int start(const struct run_command *command, char **env, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t typed;
	int e = posix_spawn_file_actions_init(&actions);

	if (e != 0)
		return e;
	e = posix_spawnattr_init(&attributes);
	if (e == 0) {
		/* We ignore what is typed while it runs; it does not. */
		(void)sigemptyset(&typed);
		(void)sigaddset(&typed, SIGINT);
		(void)sigaddset(&typed, SIGQUIT);
		(void)posix_spawnattr_setsigdefault(&attributes, &typed);
		(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
		e = posix_spawn_file_actions_adddup2(&actions, 2, 1);
		if (e == 0)
			e = posix_spawn(pid, command->program, &actions, &attributes,
					(char *const *)(uintptr_t)command->words, env);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return e;
}

static int wait_for(pid_t pid, int *status)
{
	int how = 0;
	pid_t got;

	do {
		got = waitpid(pid, &how, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno;
	*status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
	return 0;
}

int run_wait(const struct run_command *command, int *status, struct err *err)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction before[2];
	char **env = variables(command->extra);
	pid_t pid = 0;
	int e;

	if (!env)
		return err_nomem(err);
	(void)sigemptyset(&ignore.sa_mask);
	(void)sigaction(SIGINT, &ignore, &before[0]);
	(void)sigaction(SIGQUIT, &ignore, &before[1]);
	e = start(command, env, &pid);
	if (e == 0)
		e = wait_for(pid, status);
	(void)sigaction(SIGINT, &before[0], NULL);
	(void)sigaction(SIGQUIT, &before[1], NULL);
	mem_free(env);
	return e == 0 ? 0 : err_errno(err, e, "run %s", command->program);
}
