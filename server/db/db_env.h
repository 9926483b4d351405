/*
 * Environments as the journals tell them. A row belongs to one machine: two machines that share a
 * prefix over the network report the same id each for itself.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_ENV_H
#define ENVWARDEN_SERVER_DB_DB_ENV_H

#include "lib/base/crypto.h"
#include "lib/base/uuid.h"
#include "lib/policy/decision.h"
#include "server/db/db.h"
#include "server/db/db_package.h"

struct db_env {
	int64_t row; /* the store's own number: one machine's environment */
	struct uuid id;
	struct uuid machine;
	const char *hostname;
	const char *path;
	const char *name; /* last part of the path */
	const char *user; /* the owner's account */
	int64_t uid;	  /* -1 unknown */
	const char *platform;
	const char *tool; /* of the newest change that named one */
	bool deleted;
	bool archived; /* out of sight, still usable */
	int64_t package_count;
	int64_t created_ms; /* first change seen here, by its own time */
	int64_t last_change_ms;
	int64_t last_used_ms;	 /* as the machine told, by the day; 0 = not known, or not told */
	struct uuid cloned_from; /* zero = not a clone */
	bool has_digest;
	unsigned char digest[SHA256_SIZE];
	enum action status; /* explicit; ALLOW = none or over */
	const char *message;
	int64_t status_until_ms; /* 0 = no end */
	bool status_until_fixed;
	const char *const *status_specs; /* then: until none of these is there */
	size_t n_status_specs;
	const char *status_by;
	int64_t status_at_ms;
	/* The machine has reported that it acts on the newest status bundle wanted for it, so that
	 * what is said above of the status, also that there is none, is what holds there. */
	bool status_delivered;
	/* As the machine told last: why it can't be seen as it should, and whether the agent was
	 * told to leave it alone. */
	const char *const *notes;
	size_t n_notes;
	bool excluded;
};

enum db_env_shown {   /* which of the three a list is about */
	DB_ENVS_LIVE, /* neither deleted nor archived */
	DB_ENVS_DELETED,
	DB_ENVS_ARCHIVED,
	DB_ENVS_ALL,
};
enum db_env_order {
	DB_ENVS_BY_CHANGE, /* newest change first; cursor {num = last_change_ms, id = row} */
	DB_ENVS_BY_NAME,   /* cursor {text = name, id = row}; stays put while environments change */
};
struct db_env_filter {
	const char *text;     /* substring of name or path, case of ASCII letters ignored */
	const char *user;     /* exact */
	const char *platform; /* exact */
	const char *package;  /* has a package of this name */
	const char *version;  /* of that version; needs package */
	const struct uuid *machine;
	bool has_status;
	enum action status;
	enum db_env_shown shown;
	int64_t now_ms; /* statuses whose end is past count as none */
};
/* NULL or "" in a filter's strings = any. */
int db_env_list(struct db_conn *conn, const struct db_env_filter *filter, enum db_env_order order,
		const struct db_cursor *after, size_t limit, struct arena *arena,
		struct db_env **out, size_t *n, struct err *err);

struct db_env_counts {
	int64_t total;
	int64_t ok; /* of the total, by explicit status */
	int64_t warn;
	int64_t block;
};
int db_env_count(struct db_conn *conn, const struct db_env_filter *filter,
		 struct db_env_counts *out, struct err *err);

/* machine NULL: the row with the newest change among all that have the id. ERR_NOTFOUND. */
int db_env_get(struct db_conn *conn, const struct uuid *id, const struct uuid *machine,
	       int64_t now_ms, struct arena *arena, struct db_env *out, struct err *err);
/* By path, else by name, on one machine; live ones before deleted, then newest. ERR_NOTFOUND. */
int db_env_find(struct db_conn *conn, const struct uuid *machine, const char *path_or_name,
		int64_t now_ms, struct arena *arena, struct db_env *out, struct err *err);
/* What Welcome tells a new store: the machine's live environments, newest change first. */
int db_env_known(struct db_conn *conn, const struct uuid *machine, size_t limit,
		 struct arena *arena, struct db_env **out, size_t *n, struct err *err);

/* The packages it has now, by name. */
int db_env_packages(struct db_conn *conn, int64_t row, struct arena *arena, struct db_package **out,
		    size_t *n, struct err *err);

/* A machine's environment was used; an older time than the one known, or an unknown environment,
 * changes nothing. */
int db_env_used(struct db_conn *conn, const struct uuid *machine, const struct uuid *id,
		int64_t used_ms, struct err *err);

/* When it was made on its disk, as its machine goes by it: for rules, in plans. An unknown
 * environment changes nothing. */
int db_env_made(struct db_conn *conn, const struct uuid *machine, const struct uuid *id,
		int64_t made_ms, struct err *err);

#define DB_NOTES_MAX                                                                               \
	8192 /* bytes kept of an environment's notes; of more it is said that there are */
/* What a machine's environment can't tell replaces what was said before; unknown ones are passed
 * over. Texts are made harmless. */
struct db_env_notes {
	struct uuid environment;
	const char *const *texts;
	size_t n;
	bool excluded;
};
int db_env_note(struct db_conn *conn, const struct uuid *machine, const struct db_env_notes *notes,
		struct err *err);

/* For every row with the id. ERR_NOTFOUND. */
int db_env_archive(struct db_conn *conn, const struct uuid *id, bool archived, struct err *err);

#endif
