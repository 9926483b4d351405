/*
 * The environments known, in memory: what checks and lists need, packages aside. A mirror of the
 * store's rows, found by id, path and inode. Loop thread of the core.
 */
#ifndef ENVWARDEN_AGENT_ENVS_H
#define ENVWARDEN_AGENT_ENVS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv/tree.h>

#include "agent/core/identity.h"
#include "agent/ruling.h"
#include "lib/base/uuid.h"

#define ENV_STAMP_MAX 64
#define ENV_NOTES_DIGEST 8

/* The gate's pieces in a base, as far as was asked for them (wanting.c). */
enum env_pieces {
	ENV_PIECES_FINE, /* they are there, or it is no base */
	ENV_PIECES_LACKING,
	ENV_PIECES_ASKED,
};

struct env {
	RB_ENTRY(env) by_id;
	RB_ENTRY(env) by_path;
	RB_ENTRY(env) by_inode;
	struct uuid id;
	char *prefix;
	char *owner; /* account */
	char *platform;
	char *tool;
	int64_t owner_uid;
	uint64_t device;
	uint64_t inode;
	unsigned char volume[VOLUME_SIZE]; /* identity of its file system, zero unknown */
	uint64_t package_count;
	int64_t created_ms;
	int64_t last_change_ms;
	bool lives;
	bool away;			    /* its file system is not mounted; memory only */
	bool self_reported;		    /* known by its owner's own client only: */
	unsigned char stamp[ENV_STAMP_MAX]; /* ... of that, as stored */
	size_t stamp_n;
	bool at_path; /* the one its path leads to: the newest of those that were there */
	bool at_inode;
	char *mount;  /* where what it is on is mounted, escaped; memory only;
			 NULL: it can't go away, or unknown */
	bool remote;  /* ... and tells of no changes that others make */
	char **notes; /* what could not be read in it, escaped; memory only: told anew at each start
		       */
	size_t n_notes;
	/* Of what the server has acknowledged of these (notes.c); zeroes: nothing. */
	unsigned char notes_told[ENV_NOTES_DIGEST];
	bool seen;		/* told by the reader that runs now */
	uint64_t lease;		/* ... which need not be asked while that is good (lease.h) */
	uint64_t remounts;	/* ... lease_remounts of when it was asked for */
	enum env_pieces pieces; /* memory only, with the digest it had then */
	unsigned char pieces_digest[SHA256_SIZE];
	bool unmarked; /* its stored marks turned out to be of no use: not lent until it is told */
	/* Newest interactive activation check, newest sight of a running interpreter; 0 none. The
	   store follows in batches. */
	int64_t last_used_ms;
	int64_t last_run_ms;
	int64_t saved_used_ms; /* as the store has them */
	int64_t saved_run_ms;
	struct uuid cloned_from;
	unsigned char digest[SHA256_SIZE]; /* of its snapshot, and its attributes' */
	unsigned char attribute_digest[SHA256_SIZE];
	/* The changes by which it came to be, and last changed; 0: none that the server lacks. */
	uint64_t made_seq;
	uint64_t changed_seq;
	struct ruling ruling;
};

RB_HEAD(env_ids, env);
RB_HEAD(env_paths, env);
RB_HEAD(env_inodes, env);

struct envs {
	struct env_ids ids;
	struct env_paths paths;
	struct env_inodes inodes;
	size_t living;
};

void envs_init(struct envs *all);
void envs_deinit(struct envs *all);

/* Takes over a row of the store, new or changed. ERR_NOMEM: the old row stays. */
int envs_put(struct envs *all, const struct environment *row);

/* Replaces the notes of an environment; copies them, as many as there is memory for. */
void env_set_notes(struct env *env, const char *const *notes, size_t n);

/* Where it is mounted (copied), "" nowhere in particular. Without memory: unknown. */
void env_set_mount(struct env *env, const char *mount, bool remote);

struct env *envs_by_id(const struct envs *all, const struct uuid *id);
struct env *envs_by_path(const struct envs *all, const char *path); /* deleted ones too */
struct env *envs_by_inode(const struct envs *all, uint64_t device, uint64_t inode);

const char *env_name(const struct env *env); /* last part of its path */

typedef void (*envs_cb)(void *ctx, struct env *env);
void envs_each(const struct envs *all, envs_cb cb, void *ctx); /* in the order of their paths */

#endif
