/*
 * Which environment a snapshot is of: one known from before (seen again, moved, re-created at its
 * path) or a new one (docs/formats.md, identities). Pure: the caller looks the candidates up.
 *
 * Inode numbers are used again soon after a deletion, so an inode alone proves nothing: it counts
 * only for a living environment with the same owner that has the same time of creation or the same
 * packages. Device numbers change when network file systems are mounted again, so a living
 * environment at its path is replaced only when inode and time of creation both differ.
 */
#ifndef ENVWARDEN_AGENT_CORE_IDENTITY_H
#define ENVWARDEN_AGENT_CORE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/snapshot.h"
#include "lib/base/uuid.h"

#define IDENTITY_RECREATE_MS (INT64_C(90) * 24 * 60 * 60 * 1000)
/* A rename's source may be told gone before the new prefix has settled: by so much at most. */
#define IDENTITY_RENAME_MS (INT64_C(20) * 60 * 1000)

/* What is known of an environment, its packages aside. Strings are never NULL, and borrowed. */
struct environment {
	struct uuid id;
	const char *prefix; /* a deleted one's last */
	uint64_t device;
	uint64_t inode;
	unsigned char volume[VOLUME_SIZE]; /* identity of its file system, zero unknown */
	uint32_t filesystem;
	struct person owner;
	const char *platform;
	const char *tool;
	int64_t created_ms;
	int64_t last_change_ms; /* time of its newest change in the journal */
	int64_t last_used_ms;	/* newest interactive activation check, 0 none */
	int64_t last_run_ms;	/* newest sight of a running interpreter, 0 none */
	int64_t deleted_ms;	/* 0 = it lives */
	bool expected;		/* named by the server, not seen here yet */
	bool self_reported;	/* its last snapshot came from its owner's own client */
	struct uuid cloned_from;
	uint64_t sections; /* of its history, when last read */
	uint64_t package_count;
	unsigned char config_digest[SHA256_SIZE];
	const char *config_names;
	unsigned char digest[SHA256_SIZE];
	unsigned char attribute_digest[SHA256_SIZE];
	const unsigned char *stamp;
	size_t stamp_n;
};
void environment_init(struct environment *e);

/* Whether it is there on disk as far as is known. */
bool environment_lives(const struct environment *e);

/* Candidates, each NULL when there is none. */
struct candidates {
	const struct environment *at_path;   /* last known at the snapshot's prefix */
	const struct environment *at_inode;  /* living, same device and inode, another path */
	const struct environment *at_source; /* last known at renamed_from */
};

enum identity_kind {
	IDENTITY_NEW,
	IDENTITY_SAME,
	IDENTITY_RENAMED,
	IDENTITY_RECREATED,
};

struct identity {
	enum identity_kind kind;
	const struct environment *known;     /* NULL when new */
	const struct environment *displaced; /* lived at the path and is gone by this, or NULL */
};

/*
 * The id of an environment that is new. On a network file system it is derived from the volume, the
 * inode and the time of creation, so that every machine that mounts it tells the same (docs/
 * formats.md); elsewhere, and where the volume is not known, random. True: derived.
 */
bool identity_fresh(const struct snapshot *s, struct uuid *out);

struct identity identity_resolve(const struct candidates *c, const struct snapshot *s,
				 int64_t now_ms);

#endif
