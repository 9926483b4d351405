/*
 * A package as facts know it: one installed distribution of an environment, whoever installed it.
 * Everything in it is a claim of whoever owns the files; it is bounded here and escaped where
 * shown.
 *
 * Strings are never NULL ("" = unknown) and borrowed from an arena or from the reader that filled
 * the struct; whoever keeps a package copies it (package_copy).
 */
#ifndef ENVWARDEN_LIB_CONDA_PACKAGE_H
#define ENVWARDEN_LIB_CONDA_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/crypto.h"

#define PACKAGE_NAME_MAX 256 /* bytes, each string field's limit */
#define PACKAGE_VERSION_MAX 256
#define PACKAGE_BUILD_MAX 256
#define PACKAGE_CHANNEL_MAX 1024
#define PACKAGE_SUBDIR_MAX 32
#define PACKAGE_LICENSE_MAX 1024
#define PACKAGE_URL_MAX 2048
#define PACKAGE_MANAGER_MAX 16

#define PACKAGE_BUILD_NUMBER_UNKNOWN (-1)
#define PACKAGE_BUILT_MAX_MS 253402300799000 /* the end of the year 9999 */

/* What installed a Python package, as its INSTALLER says. Values are stored: append only, up to
 * 127.
 */
enum package_installer {
	PACKAGE_BY_UNKNOWN,
	PACKAGE_BY_OTHER,
	PACKAGE_BY_PIP,
	PACKAGE_BY_UV,
	PACKAGE_BY_UV_PIXI,
	PACKAGE_BY_POETRY,
	PACKAGE_BY_PDM,
	PACKAGE_BY_CONDA,
};
const char *package_installer_name(enum package_installer installer); /* "" unknown */
/* Of a name; "" and NULL are unknown. */
enum package_installer package_installer_of(const char *name);

struct package {
	const char *manager; /* "conda" or "pypi" */
	const char *name;    /* lower case; pypi names normalised (PEP 503) */
	const char *version;
	const char *build;
	int64_t build_number; /* PACKAGE_BUILD_NUMBER_UNKNOWN when not said */
	const char *channel;  /* canonical: URL without credentials and subdir, or a bare name */
	const char *subdir;   /* "linux-64", "noarch", ... */
	const char *license;
	const char *url;  /* credentials masked */
	uint64_t size;	  /* bytes of the archive, 0 unknown */
	int64_t built_ms; /* when it was built; 0 unknown, as of all of pip's; to
			     PACKAGE_BUILT_MAX_MS */
	unsigned char sha256[SHA256_SIZE];
	unsigned char md5[16];
	bool has_sha256;
	bool has_md5;
	bool requested; /* somebody asked for it by name */
	/*
	 * The reader's marks of the file it was read from, 0 none: they spare reading it again.
	 * No facts: outside identity, attributes and every comparison; only the last snapshot in
	 * the store keeps them.
	 */
	uint64_t stamp;
	uint64_t claim;
	/* Like the marks: known of what is installed now, and counts nowhere. */
	enum package_installer installer;
};

/* Identity order: manager, name, version, build, build number, channel, subdir, hashes (bytewise).
 */
int package_cmp(const struct package *a, const struct package *b);

/* Same order plus the attributes outside the identity (license, url, size, requested, md5, built);
 * the reader's marks count nowhere. */
int package_cmp_all(const struct package *a, const struct package *b);

/* Deep copy; ERR_NOMEM. */
int package_copy(struct arena *arena, const struct package *from, struct package *to);

/* A growing list in an arena-independent array; strings belong to whatever the caller says. */
struct package_list {
	struct package *items;
	size_t n;
	size_t cap;
};
void package_list_deinit(struct package_list *list); /* the array only; also of a zeroed struct */
int package_list_add(struct package_list *list, const struct package *p); /* shallow; ERR_NOMEM */
void package_list_sort(struct package_list *list);			  /* by package_cmp_all */
/* The platform of an environment: python's subdir, else the first that is not "noarch"; "" none. */
const char *package_list_platform(const struct package_list *list);

#endif
