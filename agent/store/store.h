/*
 * The agent's store: environments with their last snapshots, the journal, the signed state held,
 * and small settings; in LMDB, which nobody outside this folder knows of.
 *
 * Synchronous and blocking: one thread owns a store (all calls, reads too). The directory must
 * exist, be on a local disk, and be locked by the caller: one process, one store. A store on a
 * read-only file system can be read; writing is tried anew each time.
 *
 * A change returned by store_apply, store_gone or store_new_epoch is on the disk. No transaction
 * writes more than 1 MiB. The file's map grows ahead of need up to its limit; ordinary writes stop
 * at nine tenths of it so that deleting always has room.
 *
 * Errors of all calls: ERR_FULL (disk, quota, or the map's limit; reading goes on, and writing as
 * soon as there is room again), ERR_CORRUPT (a checksum or a structure is wrong), ERR_NOMEM,
 * ERR_IO, ERR_PERM (read-only).
 */
#ifndef ENVWARDEN_AGENT_STORE_STORE_H
#define ENVWARDEN_AGENT_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/hide.h"
#include "agent/core/identity.h"
#include "agent/core/snapshot.h"
#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/conda/change.h"

#define STORE_PATH_MAX 4096
#define STORE_KEY_MAX 64	     /* bytes of a setting's name */
#define STORE_VALUE_MAX 262144	     /* bytes of a setting */
#define STORE_ROLE_MAX 16	     /* bytes of a role's name */
#define STORE_BUNDLE_MAX (64u << 20) /* bytes of a bundle */

struct store;

struct store_options {
	uint64_t map_max_bytes; /* 0 = 4 GiB; never below what the file has */
	/* Beyond it acked changes are dropped, oldest first, and then those that are not acked are
	   folded; 0 = 64 MiB. */
	uint64_t journal_max_bytes;
	/* As for store_hide_paths; from the first row on that is written. */
	const unsigned char *hide_key;
	const char *const *hide_patterns;
	size_t n_hide;
};

/*
 * Opens or makes the store in dir; a half-told baseline is finished first. ERR_CORRUPT: damaged;
 * ERR_UNSUPPORTED: written by a newer version (or one too old). A store of the layout before is
 * taken over.
 */
int store_open(const char *dir, const struct store_options *options, struct store **out,
	       struct err *err);
void store_close(struct store *s); /* NULL is fine */

/*
 * Reads everything there is and checks it. For after a crash, in a child process: bad enough damage
 * ends the process that touches it. ERR_NOTFOUND: there is no store.
 */
int store_probe(const char *dir, struct err *err);

/*
 * Renames a damaged store's directory to <dir>.damaged-<UTC date and time>[-n]; its new name goes
 * to `name`. The store must be closed.
 */
int store_set_aside(const char *dir, int64_t now_ms, char *name, size_t cap, struct err *err);

/*
 * From now on the paths that match one of these patterns (agent/core/hide.h; copied), and what
 * holds them, are kept in the journal as keyed hashes, which is how they are sent; store_history
 * turns them back. What is in the journal stays as it is. n = 0: no more. ERR_NOMEM.
 */
int store_hide_paths(struct store *s, const unsigned char key[HIDE_KEY],
		     const char *const *patterns, size_t n, struct err *err);

/* --- environments ------------------------------------------------------------------------- */

/* Borrowed for the call. A non-zero result ends the walk and becomes its result. */
typedef int (*store_environment_cb)(void *ctx, const struct environment *env);

/* Every environment, deleted and expected ones too, in no order. Nothing may be written meanwhile.
 */
int store_environments(struct store *s, store_environment_cb cb, void *ctx, struct err *err);

/* One of them, everything it points at in arena. ERR_NOTFOUND. */
int store_environment_get(struct store *s, const struct uuid *id, struct arena *arena,
			  struct environment *out, struct err *err);
/* The newest one known at a path, living or deleted. */
int store_environment_at(struct store *s, const char *prefix, struct arena *arena,
			 struct environment *out, struct err *err);

/* The packages of its last snapshot with the reader's marks, strings in arena; none for a deleted
 * one. ERR_NOTFOUND. */
int store_packages(struct store *s, const struct uuid *id, struct arena *arena,
		   struct package_list *out, struct err *err);

/* A moment: a time, or right after a change of the present epoch; both 0 = now. */
struct store_moment {
	int64_t time_ms;
	uint64_t seq;
};
/*
 * The packages at a moment, sorted, strings in arena; also of a deleted environment. ERR_NOTFOUND,
 * with a text for people: no such environment, it did not exist then, or the journal does not reach
 * back so far.
 */
int store_packages_at(struct store *s, const struct uuid *id, const struct store_moment *at,
		      struct arena *arena, struct package_list *out, struct err *err);

/*
 * Takes over an id the server knows for a path and its owner, before anything was seen there.
 * ERR_EXISTS: this store knows an environment at that path already.
 */
int store_expect(struct store *s, const struct uuid *id, const char *prefix, const char *owner,
		 struct err *err);

struct applied {
	struct uuid environment; /* zero: the snapshot is half-made, nothing is known of it */
	bool packages_differ;	 /* the stored packages or their attributes are new: decide again */
	bool changed;		 /* a change was added to the journal: */
	enum change_kind kind;
	uint64_t seq;
	bool displaced; /* another environment at the path has ended by this: */
	struct uuid displaced_environment;
};

/* When environments were used. Times go forward only, 0 says nothing; unknown ids are ignored. */
struct store_use {
	struct uuid environment;
	int64_t last_used_ms;
	int64_t last_run_ms;
	bool forget; /* both are to be unknown again */
};
int store_use(struct store *s, const struct store_use *items, size_t n, struct err *err);

/*
 * Takes in a sealed snapshot: finds which environment it is of, what changed, and makes both
 * durable. Writes nothing when nothing differs. *out is written on failure too: the end of a
 * displaced environment may be in the journal already then; applying again does the rest.
 */
int store_apply(struct store *s, const struct snapshot *snap, int64_t now_ms, struct applied *out,
		struct err *err);

/*
 * A prefix is gone. device and inode (0 = any) are what was there: when something else is known at
 * the path by now, nothing happens and out->changed is false. ERR_NOTFOUND: never heard of it.
 */
struct store_gone {
	const char *prefix;
	uint64_t device;
	uint64_t inode;
	bool seen_at_start;
	const struct run_facts *last; /* that removed it; NULL unknown */
};
int store_gone(struct store *s, const struct store_gone *gone, int64_t now_ms, struct applied *out,
	       struct err *err);

/* --- journal ------------------------------------------------------------------------------ */

/* A change as stored, borrowed for the call. */
struct store_change {
	struct change change;		 /* packages spelled out */
	uint64_t epoch_no;		 /* counts up with each epoch of this store */
	unsigned char hash[SHA256_SIZE]; /* chain value after it */
};
typedef int (*store_change_cb)(void *ctx, const struct store_change *change);

struct store_history_query {
	uint64_t after_epoch_no; /* begin after this change; 0, 0 = from the first one kept */
	uint64_t after_seq;
	int64_t since_ms;
	const struct uuid *environment; /* NULL = all */
};

/*
 * The journal, oldest first, all epochs, hidden paths turned back. A non-zero result of cb ends the
 * walk and becomes its result. Nothing may be written meanwhile: to follow, or to interleave, stop
 * and go on from there.
 */
int store_history(struct store *s, const struct store_history_query *query, store_change_cb cb,
		  void *ctx, struct err *err);

/* The number of an epoch of this store. ERR_NOTFOUND: it is of another one. */
int store_epoch_no(struct store *s, const struct uuid *epoch, uint64_t *out, struct err *err);

struct store_journal {
	uint64_t epoch_no;
	struct uuid epoch;
	uint64_t head; /* newest seq, 0 = none yet */
	uint64_t acked;
	unsigned char head_hash[SHA256_SIZE]; /* chain value there; zeroes at 0 */
};
void store_journal(const struct store *s, struct store_journal *out); /* from memory */

/* The chain value at a seq of the present epoch (zeroes at 0). ERR_NOTFOUND: dropped, or beyond. */
int store_chain_at(struct store *s, uint64_t seq, unsigned char hash[SHA256_SIZE], struct err *err);

/*
 * Changes of the present epoch after `after` (and after what is acked), consecutive, for as long as
 * neither limit is reached; at least one if there is one. max_bytes counts their stored size. They
 * are as their hashes want them: hidden paths stay so.
 */
int store_unacked(struct store *s, uint64_t after, size_t max_changes, size_t max_bytes,
		  store_change_cb cb, void *ctx, struct err *err);

/*
 * Everything up to seq is durable at the server, and may be dropped when the journal gets too big.
 * With no server to send to, the caller acknowledges what it has, or the journal would only grow.
 * Lower than before: ignored; beyond the head: ERR_INVALID. ERR_CONFLICT: the server has changes
 * that were folded into later ones, since its word of them was lost; only a new epoch helps.
 */
int store_set_acked(struct store *s, uint64_t seq, struct err *err);
/*
 * The server lost what is behind seq (it was restored from a backup): to be sent again. Nothing if
 * it is acked no further. ERR_CONFLICT: not all of that is kept; begin a new epoch.
 */
int store_rewind(struct store *s, uint64_t seq, struct err *err);

struct store_new_epoch {
	bool gap;	  /* first tell a hole that names the epoch before, */
	struct uuid lost; /* or this one, of another store, if it is not zero */
	bool baseline;	  /* then every living environment as created, seen at start */
	int64_t now_ms;
};
/*
 * Ends the present epoch and starts a new one; what is in the old one is never sent again. When it
 * fails in the baseline, the rest is told by the next call that writes, or by store_open.
 */
int store_new_epoch(struct store *s, const struct store_new_epoch *how, struct err *err);

/* --- dictionary --------------------------------------------------------------------------- */

/* Whether the server is known to have this definition (package_def_key); unknown key: false. */
int store_package_is_sent(struct store *s, const unsigned char key[16], bool *sent,
			  struct err *err);
/* The definition, `requested` aside; strings in arena. ERR_NOTFOUND. */
int store_package_get(struct store *s, const unsigned char key[16], struct arena *arena,
		      struct package *out, struct err *err);
/* The server has these n definitions now; keys it did not get from us are ignored. */
int store_packages_sent(struct store *s, const unsigned char *keys, size_t n, struct err *err);
/* Another server, or one that forgot: it has none of them. */
int store_packages_unsent(struct store *s, struct err *err);

/* --- signed state ------------------------------------------------------------------------- */

struct store_bundle {
	const char *role;
	uint64_t version;
	const void *data;
	size_t n;
};

/*
 * Replaces the bundles of these roles, all or none; the others stay. Big ones are written ahead in
 * small transactions and one last small one makes the set the held one.
 */
int store_trusted_put(struct store *s, const struct store_bundle *set, size_t n, struct err *err);

/* The held bundle of a role, appended to out. ERR_NOTFOUND. */
int store_trusted_get(struct store *s, const char *role, uint64_t *version, struct buf *out,
		      struct err *err);
int store_trusted_clear(struct store *s, struct err *err); /* all roles: unenrolled */

/* --- settings ----------------------------------------------------------------------------- */

int store_kv_put(struct store *s, const char *key, const void *data, size_t n, struct err *err);
int store_kv_get(struct store *s, const char *key, struct buf *out,
		 struct err *err); /* ERR_NOTFOUND */
/* All whose names begin so, in small transactions: what was begun is gone on with the next time. */
int store_kv_clear(struct store *s, const char *prefix, struct err *err);
int store_kv_delete(struct store *s, const char *key, struct err *err); /* fine if there is none */
/*
 * The settings whose names begin so, by name; all borrowed for the call, the name without its end.
 * A non-zero result of cb ends the walk and becomes its result. Nothing may be written meanwhile.
 */
typedef int (*store_kv_cb)(void *ctx, const char *key, size_t key_n, const void *data, size_t n);
int store_kv_each(struct store *s, const char *prefix, store_kv_cb cb, void *ctx, struct err *err);

#endif
