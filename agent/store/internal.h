/*
 * What the files of the store share. Functions that take a transaction work inside it; those that
 * take a store open their own, so none may be open.
 */
#ifndef ENVWARDEN_AGENT_STORE_INTERNAL_H
#define ENVWARDEN_AGENT_STORE_INTERNAL_H

#include "agent/core/hide.h"
#include "agent/store/db.h"
#include "agent/store/row.h"
#include "agent/store/store.h"

/* What one call may take for facts read back: a change of the largest size, its packages twice. */
#define STORE_ARENA_MAX ((size_t)256 << 20)

struct store {
	struct db *db;
	uint64_t journal_max_bytes;
	uint64_t epoch_no;
	struct epoch_row epoch; /* the present one, as on disk */
	uint64_t given; /* newest seq given out to be sent: not folded while it may be under way */
	uint64_t fold_beyond; /* the journal's size that makes another pass worth its while */
	bool has_folds;	      /* there may be some that are not acked */
	bool old_layout;      /* to be taken over before anything is written */
	bool rewrite;	      /* rows of the layout before may be left */
	struct hide hide;     /* its patterns are the store's own */
};

#define BYTES_OF_TEXT(text) ((struct bytes){(text), strlen(text)})
#define BYTES_OF_BUF(buf) ((struct bytes){(buf)->data, (buf)->len})
#define BYTES_NONE ((struct bytes){NULL, 0})

/* --- store.c --- */

/* err for a value that does not decode. */
int store_damaged(struct err *err, int rc, const char *what);

/* db_write, once no older program can mistake what is written. */
int store_write(struct store *s, enum db_purpose purpose, db_write_cb fn, void *ctx,
		struct err *err);

/* --- migrate.c --- */

/* Whether this layout is the present one, or the one before (s->old_layout); what is left to do. */
int migrate_look(struct db_txn *txn, struct store *s, struct err *err);
/* Takes the layout's number over; before any row is written. */
int migrate_begin(struct store *s, struct err *err);
/* Rewrites the rows of the layout before, if there may be some. What fails is done next time. */
int migrate_rows(struct store *s, struct err *err);

/* --- environments.c --- */

int environment_read(struct db_txn *txn, const struct uuid *id, struct arena *arena,
		     struct environment *out, struct err *err);
/* The environment that an index (DB_PATH, DB_INODE) names; ERR_NOTFOUND leaves err. */
int environment_indexed(struct db_txn *txn, enum db_table index, struct bytes key,
			struct arena *arena, struct environment *out, struct err *err);
/* Stores the row and keeps the indexes right; old = as stored until now, NULL if new. */
int environment_write(struct db_txn *txn, const struct environment *old,
		      const struct environment *now, struct err *err);
int environment_packages(struct db_txn *txn, const struct uuid *id, struct arena *arena,
			 struct package_list *out, struct err *err);

/* --- dictionary.c --- */

/* The packages that refs stand for, in their order; strings in arena. ERR_CORRUPT if one lacks. */
int dictionary_resolve(struct db_txn *txn, const struct ref_list *refs, struct arena *arena,
		       struct package_list *out, struct err *err);
/*
 * Makes definitions known. Those beyond what one transaction may add are written at once, for a
 * definition that nothing refers to does no harm; the others stay in `rest` (the array is the
 * caller's to release) for the transaction that refers to them.
 */
int dictionary_prepare(struct store *s, const struct package_list *packages,
		       struct package_list *rest, struct err *err);
int dictionary_write(struct db_txn *txn, const struct package *items, size_t n, struct err *err);

/* --- journal.c --- */

/* Where a change is added: to an epoch (a copy of the store's, taken over after the commit). */
struct journal_end {
	const struct store *store;
	uint64_t epoch_no;
	struct epoch_row *epoch;
};
/*
 * Adds a change, its paths as they may leave the machine: gives it epoch and seq, and moves the
 * epoch on.
 */
int journal_append(struct db_txn *txn, const struct journal_end *end, struct change *c,
		   struct err *err);
/* Beyond the journal's size: drops what is acked, oldest first; then folds what is not. */
int journal_trim(struct store *s, struct err *err);
int epoch_write(struct db_txn *txn, uint64_t epoch_no, const struct epoch_row *epoch,
		struct err *err);

/* --- hiding.c --- */

/* Makes *c, a copy, what may leave the machine, and notes what its stand-ins stand for. */
int hiding_change(struct db_txn *txn, const struct store *s, struct arena *arena, struct change *c,
		  struct err *err);
/* The other way: for people on this machine. */
int hiding_reveal(struct db_txn *txn, struct arena *arena, struct change *c, struct err *err);
/* What stands for a path, if it is to be hidden; else NULL. */
int hiding_stand_in(const struct store *s, const char *path, struct arena *arena, const char **out,
		    struct err *err);
void hiding_deinit(struct store *s);

/* --- fold.c --- */

struct journal_row {
	uint64_t epoch_no;
	uint64_t seq;
	struct bytes value;
};
/* One pass over what is not acked; *folded is how many rows less there are, 0 = no more can go. */
int journal_fold(struct store *s, size_t *folded, struct err *err);

/* --- epoch.c --- */

/* Tells what is left of a baseline; nothing to do, mostly. */
int baseline_finish(struct store *s, struct err *err);

/* --- trusted.c --- */

/* Checks that every held bundle is whole. */
int trusted_check(struct db_txn *txn, struct err *err);

/* --- probe.c --- */

/* Reads and checks all there is. */
int store_check(struct db *db, struct err *err);

#endif
