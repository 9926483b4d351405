/* What the parts of discovery share (discover*.c). */
#ifndef ENVWARDEN_AGENT_READER_DISCOVER_IMPL_H
#define ENVWARDEN_AGENT_READER_DISCOVER_IMPL_H

#include "agent/accounts.h"
#include "agent/reader/condarc_path.h"
#include "agent/reader/discover.h"
#include "platform/safe_open.h"

int discover_join(char out[SAFE_PATH_MAX], const char *dir, const char *name); /* ERR_LIMIT */
bool discover_excluded(const struct discovery *to, const char *path);
bool discover_may_touch(const struct discovery *to, const char *path);
/* Not excluded, and a folder; or with a conda-meta. Those in other lanes count as being that. */
bool discover_is_folder(const struct discovery *to, const char *path);
bool discover_is_env(const struct discovery *to, const char *path);
/* Tells "<dir>/<name>" if it is a folder. */
int discover_tell(struct discovery *to, enum place_kind kind, const char *dir, const char *name);

#define DISCOVER_ACCOUNT_MS 100 /* how long a scan waits for one, and for all of them */
#define DISCOVER_ACCOUNTS_MS 500

/* --- discover_home.c --- */
int discover_bases(const char *dir, struct discovery *to); /* what installers make */
int discover_home(const char *home, struct discovery *to);
int discover_homes(const char *path, struct discovery *to);
int discover_system(struct discovery *to);
bool discover_home_cares(const char *name);

/* --- discover_config.c --- */
/* The folders that these files name, for one home or, when it is NULL, for every home known. base:
 * the folder they are in, if it is a prefix; NULL none. Releases them. */
int discover_condarc(struct condarc_found *found, const char *home, const char *base,
		     struct discovery *to);
int discover_prefix(const char *prefix, struct discovery *to);

/* --- discover_pixi.c --- */
int discover_pixi(const char *dot_pixi, struct discovery *to);
int discover_pixi_of_home(const char *home, struct discovery *to);
int discover_pixi_of_system(struct discovery *to);
int discover_pixi_project(const char *prefix, struct discovery *to);
int discover_detached(const char *path, struct discovery *to);

/* --- discover_running.c --- */
int discover_running(struct discovery *to);

#endif
