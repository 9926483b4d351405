/*
 * Where conda's and mamba's configuration files are, and what they say together about folders of
 * environments. Opens members' files, under the reader's rules: the folder is opened as the shell
 * would, the file in it must be a regular file of the account the folder belongs to by its place,
 * or root's, else it counts as not being there. A link of that account (or root's) is followed, to
 * a file of that account, or one of root's that everybody may read. Blocking; any thread.
 *
 * In rising priority (conda: conda/base/constants.py SEARCH_PATH; libmamba: api/configuration.cpp
 * compute_default_rc_sources): /etc/conda, /var/lib/conda; the base; $XDG_CONFIG_HOME/conda,
 * ~/.config/conda, ~/.conda, ~/.condarc; the active environment; $CONDARC. For mamba also
 * .mambarc beside them, ~/.config/mamba, ~/.mamba, ~/.mambarc and $MAMBARC.
 */
#ifndef ENVWARDEN_AGENT_READER_CONDARC_PATH_H
#define ENVWARDEN_AGENT_READER_CONDARC_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/reader/condarc.h"

#define CONDARC_FILES_MAX 128  /* of one search path; more are left out */
#define CONDARC_FOLDER_MAX 256 /* files of one condarc.d */
#define CONDARC_CACHE_MAX 256  /* files remembered */

/* Files read before, known by path, inode, size and times: a check by name reads none anew. */
struct condarc_cache;
struct mount_table;
struct condarc_cache *condarc_cache_new(void); /* NULL: out of memory */
void condarc_cache_free(struct condarc_cache *cache);

/* What may be opened from here without waiting for a server of another lane: the mounts, and the
 * group of the lane (platform/route.h). mounts NULL: everything. */
struct condarc_reach {
	const struct mount_table *mounts;
	uint64_t group;
};

/* Texts may be "" where they are unknown. */
struct condarc_who {
	uint32_t uid;
	const char *home;
	const char *xdg_config_home;
	const char *base;
	const char *conda_prefix;
	const char *condarc; /* a file, or a folder of them */
	const char *mambarc;
	bool mamba;
};

/* Files found, in rising priority; valid until they are released. */
struct condarc_found {
	const struct condarc *files[CONDARC_FILES_MAX];
	size_t n;
	struct condarc_cache *cache;
};
void condarc_found_release(struct condarc_found *found); /* also of one that failed */

/* Those that hold for this user, as far as they can be read. ERR_NOMEM. */
int condarc_path_of_user(struct condarc_cache *cache, const struct condarc_reach *reach,
			 const struct condarc_who *who, struct condarc_found *out);

/* Those of a home alone, mamba's as well: for discovery. ERR_NOMEM. */
int condarc_path_of_home(struct condarc_cache *cache, const struct condarc_reach *reach,
			 const char *home, uint32_t uid, struct condarc_found *out);

/* Those in one folder (a base, an environment, /etc/conda), mamba's as well. ERR_NOMEM. */
int condarc_path_of_folder(struct condarc_cache *cache, const struct condarc_reach *reach,
			   const char *folder, struct condarc_found *out);

#endif
