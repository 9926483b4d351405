/*
 * Where things are on this system. Paths are absolute, ended by '\0', at most PATHS_MAX - 1 bytes;
 * what does not fit is ERR_LIMIT, never cut. On Windows text is UTF-8 throughout.
 */
#ifndef ENVWARDEN_PLATFORM_PATHS_H
#define ENVWARDEN_PLATFORM_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

#define PATHS_MAX 4096

/* Whose agent: the machine's one, or one account's own (`envwardend --user`). */
enum paths_scope {
	PATHS_MACHINE,
	PATHS_USER
};

struct paths_agent {
	char config[PATHS_MAX]; /* the config file */
	char state[PATHS_MAX];	/* the state directory */
	char socket[PATHS_MAX]; /* the local socket (on Windows the pipe's name) */
};

/* The defaults of a scope. PATHS_USER: below XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR (if
 * they are absolute, as their specification demands), else ~/.config, ~/.local/state, and the state
 * directory for the socket. ERR_NOTFOUND: no home known. */
int paths_agent(enum paths_scope scope, struct paths_agent *out, struct err *err);

/* The fallback file (formats.md 6): of an agent with this state directory, and of an agent that
 * somebody reaches by an explicit socket ("<socket>.fallback"; for a named pipe, a file of that
 * name in the user's state directory, as a pipe has no neighbours). */
int paths_fallback(const char *state_dir, char out[PATHS_MAX], struct err *err);
int paths_fallback_of_socket(const char *socket_path, char out[PATHS_MAX], struct err *err);

/* The current account's home: $HOME (Windows: the profile) if absolute, else the account database.
 */
int paths_home(char out[PATHS_MAX], struct err *err);

/* A directory for temporary files: $TMPDIR if absolute, else the system's. */
int paths_temp(char out[PATHS_MAX], struct err *err);

/* "<dir><separator><name>", without doubling a separator that dir ends in. out may not overlap. */
int paths_join(char out[PATHS_MAX], const char *dir, const char *name, struct err *err);

/* The directory a path lies in ("/a" and "/" give "/"); ERR_INVALID for one without separator. */
int paths_parent(char out[PATHS_MAX], const char *path, struct err *err);

bool paths_is_absolute(const char *path);

#endif
